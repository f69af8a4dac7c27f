"""A worker that only speaks Kafka: it reads ObjectReady, does `work`, and answers.

One object at a time, in one thread. For more at once, start more of them: the consumer group shares the partitions out.
"""

import logging
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from records import Answers, ControlTable, Malformed, read_outputs, read_ready

log = logging.getLogger("worker")
STARTED_AFTER_SECONDS = 0.2  # Shorter work costs one answer instead of two.
CONTROL_SECONDS = 30  # To read the control topic to its end.
INPUT_SECONDS = 30  # To read one input from the events topic.


def work(ready, beat):
    """Your own code goes here. Return the outputs (a small dict), or raise; call `beat` at least every few seconds.

    This one "processes" `params.rows` rows, or those of its parents together, for `params.seconds`; `params.fail` makes it fail.
    """
    rows = ready.params.get("rows") or sum(outputs.get("rows", 0) for outputs in ready.inputs.values())
    steps = max(1, int(ready.params.get("seconds", 0) * 20))
    for step in range(steps):
        time.sleep(ready.params.get("seconds", 0) / steps)
        beat(step / steps, f"{rows * step // steps} of {rows} rows")
    if ready.params.get("fail"):
        raise GivesUp(str(ready.params["fail"]))
    return {"rows": rows}


class GivesUp(Exception):
    """Raised by `work` when another attempt would fail as well. Any other exception may be retried."""


class Stopped(Exception):
    """The run was cancelled with CancelledNow while its object was in work."""


def elapsed_ms(begun):
    """How long the work took: the time in the queue is no part of it."""
    return int((time.monotonic() - begun) * 1000)


def setting(name):
    return os.environ.get(name) or sys.exit(f"{name} is not set")


def client_config():
    """`client.properties` of ORCH_CONFIG_DIR and the certificates beside it, if they are there."""
    folder = Path(os.environ.get("ORCH_CONFIG_DIR", "/etc/orchestrator"))
    config = {}
    if (folder / "client.properties").exists():
        for line in (folder / "client.properties").read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                name, _, text = line.partition("=")
                config[name.strip()] = text.strip()
    for file, name in [("ca.crt", "ssl.ca.pem"), ("tls.crt", "ssl.certificate.pem"), ("tls.key", "ssl.key.pem")]:
        if (folder / file).exists():
            config[name] = (folder / file).read_text(encoding="utf-8")
    if os.environ.get("ORCH_BOOTSTRAP_SERVERS"):
        config["bootstrap.servers"] = os.environ["ORCH_BOOTSTRAP_SERVERS"]
    # The reason of a refused login or certificate comes to this callback only.
    return config | {"allow.auto.create.topics": False, "error_cb": lambda error: log.error("Kafka: %s", error.str())}


class Control:
    """Follows the control topic. Every worker reads all of it, so it assigns the partition instead of joining a group."""

    def __init__(self, config, topic):
        self.table = ControlTable()
        self._partition = TopicPartition(topic, 0, OFFSET_BEGINNING)
        self._next = 0
        # librdkafka wants a group id; with assign and no commit it is never used.
        self._consumer = Consumer(config | {"group.id": f"{topic}.unused", "enable.auto.commit": False, "enable.partition.eof": True})
        self._consumer.assign([self._partition])

    def read_to_end(self):
        deadline = time.monotonic() + CONTROL_SECONDS
        if self._partition.topic not in self._consumer.list_topics(timeout=CONTROL_SECONDS).topics:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {self._partition.topic}"))
        _, end = self._consumer.get_watermark_offsets(self._partition, timeout=CONTROL_SECONDS)
        while self._next < end:
            if time.monotonic() > deadline:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"control topic not read to {end}, only to {self._next}"))
            self._take(self._consumer.poll(1))

    def follow(self):
        """Takes what has arrived, without waiting."""
        while self._take(self._consumer.poll(0)):
            pass

    def may_start(self, ready):
        self.follow()
        if not self.table.knows(ready.run_uid):
            self.read_to_end()  # A run's Open is acknowledged before its first ready record: now it is here, or it is not open.
        return self.table.may_start(ready)

    def _take(self, message):
        if message is None:
            return False
        if message.error():
            # Compaction may leave no record at the very end, so the end-of-partition mark moves us on as well.
            if message.error().code() == KafkaError._PARTITION_EOF:
                self._next = message.offset()
            else:
                log.error("control topic: %s", message.error().str())
            return False
        self._next = message.offset() + 1
        try:
            self.table.take(message.key(), message.value())
        except Malformed as reason:
            log.warning("skipped control record at offset %d: %s", message.offset(), reason)
        return True

    def close(self):
        self._consumer.close()


class Inputs:
    """Reads the inputs that a ready record only names: too much for one record, they stand in the events topic."""

    def __init__(self, config):
        self._consumer = Consumer(config | {"group.id": "events.unused", "enable.auto.commit": False, "auto.offset.reset": "error"})

    def complete(self, ready, topic, beat):
        """`ready` with all its inputs. Raises GivesUp when one is not there any more."""
        outputs = {}
        for parent_id, offset in sorted(ready.inputs_at.items(), key=lambda place: place[1]):
            outputs[parent_id] = self._read(ready, parent_id, TopicPartition(topic, 0, offset))
            beat()
        return replace(ready, inputs=ready.inputs | outputs)

    def _read(self, ready, parent_id, place):
        self._consumer.assign([place])
        deadline = time.monotonic() + INPUT_SECONDS
        message = None
        while message is None or message.error():
            if message is not None and message.error().code() == KafkaError._AUTO_OFFSET_RESET:
                raise GivesUp(f"the outputs of {parent_id} are not in {place.topic} any more")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the outputs of {parent_id} were not read in {INPUT_SECONDS} s")
            message = self._consumer.poll(1)
        if message.offset() != place.offset:
            raise GivesUp(f"the outputs of {parent_id} are not at offset {place.offset} of {place.topic}")
        try:
            return read_outputs(ready, parent_id, message.key(), message.value())
        except Malformed as reason:
            raise GivesUp(f"offset {place.offset} of {place.topic}: {reason}") from reason

    def close(self):
        self._consumer.close()


class Worker:
    def __init__(self):
        config = client_config()
        self._topic = setting("ORCH_READY_TOPIC")
        self._events_topic = setting("ORCH_EVENTS_TOPIC")
        self._name = os.environ.get("POD_NAME") or socket.gethostname()
        self._running = True
        self._uncommitted = {}
        self._producer = Producer(config | {"enable.idempotence": True, "acks": "all", "linger.ms": 0})
        self._control = Control(config, setting("ORCH_CONTROL_TOPIC"))
        self._control.read_to_end()
        self._inputs = Inputs(config)
        group = {
            "group.id": os.environ.get("ORCH_GROUP") or self._topic,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 6000,
            "auto.offset.reset": "earliest",  # Work that was published before this worker existed is not lost.
            "enable.auto.commit": False,
            # Partitions are handed over between two objects, so that an object in work is not started elsewhere because a worker joined.
            # This is the longest that one may take; a worker that takes longer loses its partitions.
            "max.poll.interval.ms": 3_600_000,
        }
        self._consumer = Consumer(config | group)
        self._consumer.subscribe([self._topic], on_revoke=self._revoked)

    def run(self):
        log.info("%s reads %s", self._name, self._topic)
        while self._running:
            self._control.follow()
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            if message.error():
                log.error("ready topic: %s", message.error().str())
                continue
            self._handle(message)
            done = TopicPartition(message.topic(), message.partition(), message.offset() + 1)
            self._uncommitted[done.partition] = done
            self._commit([done])
        self._consumer.close()
        self._inputs.close()
        self._control.close()

    def stop(self, *_):
        log.info("finishing what is in work, then leaving")
        self._running = False

    def _handle(self, message):
        where = f"{message.topic()}/{message.partition()}@{message.offset()}"
        try:
            ready = read_ready(message.key(), dict(message.headers() or []), message.value())
        except Malformed as reason:
            log.warning("skipped %s: %s", where, reason)
            return
        if not self._control.may_start(ready):
            log.info("skipped %s: run %s does not let object %s start", where, ready.run_uid, ready.object_id)
            return
        answers = Answers(ready, self._name)
        topic = ready.reply_topic or self._events_topic
        begun = time.monotonic()
        try:
            beat = self._beat(ready, answers, topic)
            if ready.inputs_at:
                ready = self._inputs.complete(ready, topic, beat)
            outputs = work(ready, beat)
            answer = answers.loaded(outputs, elapsed_ms(begun))
        except Stopped:
            log.info("stopped object %s of run %s", ready.object_id, ready.run_uid)
            return  # The run has ended: nobody waits for an answer.
        except KafkaException:
            raise  # Not the object's fault. Nothing is committed, so the object comes again.
        except Exception as error:  # The boundary to code that is not ours.
            text = f"{type(error).__name__}: {error}"
            answer = answers.failed("WorkerError", text, not isinstance(error, GivesUp), None, traceback.format_exc(), elapsed_ms(begun))
        self._send(topic, answer)
        log.info("%s attempt %d: %s", ready.object_id, ready.attempt, answer[1]["ce_type"])

    def _beat(self, ready, answers, topic):
        begun = time.monotonic()
        next_record = begun + STARTED_AFTER_SECONDS
        started = False

        def beat(progress=0.0, message=None):
            """Tells the operator that the object is alive; raises Stopped if its run was cancelled with CancelledNow."""
            nonlocal next_record, started
            self._control.follow()
            if self._control.table.must_stop(ready):
                raise Stopped
            if time.monotonic() >= next_record:
                self._send(topic, answers.progress(progress, message) if started else answers.started())
                started = True
                next_record = time.monotonic() + ready.heartbeat_ms / 3000  # A third of the heartbeat, in seconds.

        return beat

    def _send(self, topic, answer):
        """Returns when every in-sync replica has the record. Raises when they do not have it in time (message.timeout.ms)."""
        key, headers, value = answer
        outcome = []
        self._producer.produce(topic, value, key, headers=headers, on_delivery=lambda error, _: outcome.append(error))
        self._producer.flush()
        if outcome != [None]:
            raise KafkaException(*outcome)

    def _commit(self, partitions):
        """Only after the answer was acknowledged: a worker that dies before this does the object again, never loses it.

        A commit in the middle of a rebalance may be refused; it is tried again before the partition goes to another worker.
        """
        offsets = [self._uncommitted[p.partition] for p in partitions if p.partition in self._uncommitted]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("not committed yet: %s", error.args[0].str())
            return
        for done in offsets:
            del self._uncommitted[done.partition]

    def _revoked(self, _, partitions):
        self._commit(partitions)
        for partition in partitions:
            self._uncommitted.pop(partition.partition, None)  # If it comes back, another worker may have gone further.


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        worker = Worker()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, worker.stop)
        worker.run()
    except KafkaException as error:
        sys.exit(f"gave up: {error.args[0].str()}")


if __name__ == "__main__":
    main()
