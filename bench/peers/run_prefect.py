"""Prefect: a flow that submits a task a node, which waits for its parents' futures; a server with SQLite."""

import os
import sqlite3
import sys
import time
import urllib.request
from contextlib import ExitStack

import peer
from graph import Graph


class Prefect(peer.Engine):
    name = package = "prefect"
    durable = (
        "nothing of a task: its states go to the server as events, which writes rows to SQLite behind the run; "
        "the end of the flow is a row"
    )
    settings = "a server of its own, a thread a worker, no result cache, nothing persisted, no logs to the API"
    most = 3_000
    why_not_more = "some ten tasks a second"

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        port = peer.free_port()
        os.environ |= {
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_HOME": str(self.scratch),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
        }
        server = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        self.spawn(sys.executable, "-m", "prefect", *server)
        peer.wait_for("the server's answer", lambda: answers(f"http://127.0.0.1:{port}/api/health"), every=0.5)
        # Not above: it reads its settings when it is imported.
        from prefect import flow, task
        from prefect.cache_policies import NO_CACHE
        from prefect.task_runners import ThreadPoolTaskRunner

        @task(cache_policy=NO_CACHE, persist_result=False)
        def node(number: int) -> None:
            peer.task(number)

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=self.workers), persist_result=False, validate_parameters=False)
        def nodes(graph: Graph, submitting: peer.Stopwatch) -> None:
            done = []
            with submitting:
                for number, parents in enumerate(graph.parents):
                    done.append(node.submit(number, wait_for=[done[parent] for parent in parents]))
            for leaf in graph.leaves:
                done[leaf].result()

        self.flow = nodes
        self.rows = 0
        self.one_run(Graph("warm-up", [[]] * 20), peer.Stopwatch())

    def one_run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        self.rows += len(graph.parents)
        self.flow(graph, submitting)

    run = one_run

    def settle(self, graph: Graph) -> dict[str, object]:
        begin = time.perf_counter()
        peer.wait_for("the rows of all tasks", lambda: self.completed() >= self.rows, every=0.2)
        return {"rows_complete_after_seconds": round(time.perf_counter() - begin, 1)}

    def completed(self) -> int:
        with sqlite3.connect(f"file:{self.scratch}/prefect.db?mode=ro", uri=True) as database:
            return database.execute("select count(*) from task_run where state_type = 'COMPLETED'").fetchone()[0]


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


if __name__ == "__main__":
    peer.main(Prefect)
