"""The records a worker reads and writes: JSON and headers, nothing of Kafka.

`read_ready` and `ControlTable` are the reading side, `Answers` the writing side. `wire/golden/` holds one example of each record.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone

MAX_VALUE_BYTES = 512 * 1024
MAX_OUTPUTS_BYTES = 4 * 1024
MAX_LOG_TAIL_BYTES = 4 * 1024
DEFAULT_HEARTBEAT_MS = 30_000
MAX_SAFE_INTEGER = 2**53 - 1

_CANONICAL_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,15})\Z")


class Malformed(ValueError):
    """A record that cannot be understood: count it, report it, skip it."""


@dataclass(frozen=True)
class Ready:
    """One ObjectReady: this attempt of this object may start."""

    object_id: str
    run_uid: str
    attempt: int
    run: str | None = None
    stage: str | None = None
    reply_topic: str | None = None
    traceparent: str | None = None
    heartbeat_ms: int = DEFAULT_HEARTBEAT_MS
    meta: dict | None = None  # The object's whole record; None for an object that nobody defined.
    params: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)  # Parent's id (text) -> its outputs.
    inputs_at: dict = field(default_factory=dict)  # Parent's id -> offset in the events topic of those that are not in the record.


def id_objet(object_id):
    """The id as JSON carries it: a number for canonical decimals up to 2^53-1, else text ("0042" stays text)."""
    if _CANONICAL_DECIMAL.match(object_id) and int(object_id) <= MAX_SAFE_INTEGER:
        return int(object_id)
    return object_id


def object_id(key, value):
    """The id of a record, from its key or its `id_objet`. One suffices; both and different is malformed."""
    from_key = _text(key) or None
    from_value = value.get("id_objet")
    if isinstance(from_value, bool) or not isinstance(from_value, (int, str, type(None))):
        raise Malformed(f"id_objet is {from_value!r}, neither a number nor text")
    from_value = None if from_value is None else str(from_value)
    if from_key and from_value and from_key != from_value:
        raise Malformed(f"the key says {from_key!r} and id_objet says {from_value!r}")
    if not (from_key or from_value):
        raise Malformed("neither a key nor an id_objet")
    return from_key or from_value


def read_json(value):
    """The JSON object in a record's value."""
    if value is None:
        raise Malformed("no value")
    if len(value) > MAX_VALUE_BYTES:
        raise Malformed(f"{len(value)} bytes, more than {MAX_VALUE_BYTES}")
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError) as error:  # RecursionError: nested a thousand deep.
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise Malformed("not a JSON object")
    return decoded


def read_ready(key, headers, value):
    """The ObjectReady in a record of a ready topic. `headers` is a dict of text or bytes."""
    record = read_json(value)
    if record.get("event_type") != "ObjectReady":
        raise Malformed(f"event_type is {record.get('event_type')!r}, not ObjectReady")
    return Ready(
        object_id=object_id(key, record),
        run_uid=_member(record, "run_uid", str),
        attempt=_member(record, "attempt", int),
        run=_member(record, "run", str, None),
        stage=_member(record, "stage", str, None),
        reply_topic=_text(headers.get("reply_topic")),
        traceparent=_text(headers.get("traceparent")),
        heartbeat_ms=_member(record, "heartbeat_ms", int, DEFAULT_HEARTBEAT_MS),
        meta=_member(record, "meta", dict, None),
        params=_member(record, "params", dict, {}),
        inputs={str(parent.get("id")): parent.get("outputs") or {} for parent in _parents(record) if "events_offset" not in parent},
        inputs_at={str(parent.get("id")): _member(parent, "events_offset", int) for parent in _parents(record) if "events_offset" in parent},
    )


def read_outputs(ready, parent_id, key, value):
    """The outputs of a parent in the record of the events topic that `inputs_at` names."""
    record = read_json(value)
    if record.get("event_type") != "ObjectLoaded" or record.get("run_uid") != ready.run_uid or object_id(key, record) != parent_id:
        raise Malformed(f"the record is not the ObjectLoaded of {parent_id}")
    return _member(record, "outputs", dict)


class Answers:
    """Builds the answers of one worker to one ObjectReady. Each is (key, headers, value), ready to be sent."""

    def __init__(self, ready, worker, now=lambda: datetime.now(timezone.utc)):
        self._ready = ready
        self._worker = worker
        self._now = now
        self._progress_count = 0

    def started(self):
        return self._answer("ObjectStarted")

    def progress(self, progress, message=None):
        self._progress_count += 1
        return self._answer("ObjectProgress", suffix=f"/{self._progress_count}", progress=progress, message=message)

    def loaded(self, outputs=None, elapsed_ms=None):
        outputs = outputs or {}
        size = len(json.dumps(outputs, ensure_ascii=False).encode("utf-8", "replace"))
        if size > MAX_OUTPUTS_BYTES:
            raise ValueError(f"outputs are {size} bytes of JSON, more than {MAX_OUTPUTS_BYTES}")
        return self._answer("ObjectLoaded", elapsed_ms=elapsed_ms, outputs=outputs)

    def failed(self, reason, error, retryable, retry_after=None, log_tail=None, elapsed_ms=None):
        """`error` is never empty: it is what a person reads in the status. `retry_after` is a duration such as "30s"."""
        if log_tail is not None:
            log_tail = log_tail.encode("utf-8", "replace")[-MAX_LOG_TAIL_BYTES:].decode("utf-8", "ignore")
        error = error or reason
        members = {"reason": reason, "error": error, "retryable": retryable, "retry_after": retry_after}
        return self._answer("ObjectFailed", {"error": error}, elapsed_ms=elapsed_ms, log_tail=log_tail, **members)

    def _answer(self, event_type, meta=None, suffix="", **members):
        ready, worker = self._ready, self._worker
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        value = {
            "event_type": event_type,
            "id_objet": id_objet(ready.object_id),
            "meta": {"worker": worker} | (meta or {}),
            "event_datetime": time,
            "run": ready.run,
            "run_uid": ready.run_uid,
            "stage": ready.stage,
            "attempt": ready.attempt,
            "worker": worker,
        } | members
        headers = {
            "ce_id": f"{ready.run_uid}/{ready.object_id}/{ready.attempt}/{event_type}/{worker}{suffix}",
            "ce_type": f"dev.kafka-orchestrator.{event_type}",
            "ce_source": f"/kafka-orchestrator/{ready.run}",
            "ce_subject": ready.object_id,
            "ce_time": time,
            "ce_specversion": "1.0",
            "traceparent": ready.traceparent,
        }
        present = {name: member for name, member in value.items() if member is not None}
        return (
            ready.object_id,
            {name: header for name, header in headers.items() if header is not None},
            json.dumps(present, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"),
        )


class ControlTable:
    """What the control topic says, by key: the run's uid, or `uid/object`. Later records replace earlier ones."""

    def __init__(self):
        self._entries = {}

    def take(self, key, value):
        """One record of the control topic. A record without a value deletes its key."""
        key = _text(key)
        if not key:
            raise Malformed("a control record without a key")
        if value is None:
            self._entries.pop(key, None)
            return
        entry = read_json(value)
        _member(entry, "state", str)
        _member(entry, "below_attempt", int, None)
        self._entries[key] = entry

    def knows(self, run_uid):
        return run_uid in self._entries

    def may_start(self, ready):
        """Only a run that is Open may start anything, and an object only what its own record does not exclude."""
        return self._state(ready) == "Open"

    def must_stop(self, ready):
        """Work that has begun goes on unless it is excluded with CancelledNow."""
        return self._state(ready) == "CancelledNow"

    def _state(self, ready):
        state = self._entries.get(ready.run_uid, {}).get("state", "unknown")
        own = self._entries.get(f"{ready.run_uid}/{ready.object_id}")
        if state != "Open" or own is None:
            return state
        below = own.get("below_attempt")
        return own["state"] if below is None or ready.attempt < below else state


_REQUIRED = object()


def _member(record, name, kind, default=_REQUIRED):
    """A member of a JSON object, checked. Absent and null are the same: the default, if there is one."""
    member = record.get(name)
    if member is None and default is not _REQUIRED:
        return default
    if not isinstance(member, kind) or isinstance(member, bool):
        raise Malformed(f"{name} is {member!r}, not {kind.__name__}")
    return member


def _parents(record):
    parents = _member(record, "inputs", list, [])
    if not all(isinstance(parent, dict) for parent in parents):
        raise Malformed("an input is not a JSON object")
    return parents


def _text(raw):
    if isinstance(raw, bytes):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("a key or a header is not UTF-8") from error
    return raw
