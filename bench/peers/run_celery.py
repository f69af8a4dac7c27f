"""Celery with Redis: it has chains and groups, no graphs. A chain is one; of any other graph each level is a group,
sent when the one before it has ended."""

import os
import shutil
import sys
from contextlib import ExitStack

from celery import Celery, chain, group

import peer
from graph import Graph

URL = "PEER_REDIS"
app = Celery("peers", broker=os.environ.get(URL, "") + "/0", backend=os.environ.get(URL, "") + "/1")
app.conf.worker_prefetch_multiplier = 100
app.conf.worker_disable_rate_limits = True


@app.task(name="node")
def node(number: int) -> None:
    peer.task(number)


@app.task(name="nothing")
def nothing() -> None:
    pass


class WithRedis(peer.Engine):
    name = package = "celery"
    durable = "nothing: messages and results are in Redis's memory (neither snapshots nor an append-only file)"
    settings = (
        "prefork, prefetch multiplier 100, no rate limits, gossip, mingle or heartbeat; has no graphs: "
        "a chain is a chain, other graphs are a group a level, sent by the client when the level above has ended"
    )
    most = 20_000
    why_not_more = "some hundred tasks a second"

    def obstacle(self) -> str | None:
        return None if shutil.which("redis-server") else "redis-server is not installed"

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        port = peer.free_port()
        redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.scratch)]
        self.spawn(*redis, "--save", "", "--appendonly", "no")
        os.environ[URL] = f"redis://127.0.0.1:{port}"
        app.conf.broker_url, app.conf.result_backend = f"{os.environ[URL]}/0", f"{os.environ[URL]}/1"
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR"]
        worker = ["worker", "--pool", "prefork", "--concurrency", str(self.workers), *quiet]
        self.spawn(sys.executable, "-m", "celery", "--app", "run_celery", *worker)
        group(nothing.si() for _ in range(100)).apply_async().get(timeout=60)

    def run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        if graph.is_chain:
            with submitting:
                sent = chain(map(node.si, range(len(graph.parents)))).apply_async()
            sent.get()
            return
        for level in graph.levels:
            with submitting:
                sent = group(map(node.si, level)).apply_async()
            sent.join(interval=0.005)  # Its default would cost half a second a level.


if __name__ == "__main__":
    peer.main(WithRedis)
