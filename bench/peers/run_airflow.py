"""Airflow: a DAG a graph, an operator a node; API server, scheduler and DAG processor with SQLite."""

import itertools
import json
import os
import secrets
import shutil
import sqlite3
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import peer
from graph import Graph

DAGS = Path(__file__).parent / "airflow_dags.py"


class Airflow(peer.Engine):
    name = "airflow"
    package = "apache-airflow"
    durable = "SQL rows: every state of every task is committed to SQLite before the scheduler looks at the next"
    settings = (
        "LocalExecutor, parallelism = workers, tasks forked and not begun as new interpreters, idle scheduler sleeps "
        "0.1 s, SQLite"
    )
    most = 60
    why_not_more = "two or three tasks a second"

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        self.url = f"http://127.0.0.1:{peer.free_port()}"
        os.environ |= self.environment()
        dags = self.scratch / "dags"
        dags.mkdir()
        shutil.copy(DAGS, dags)
        for graph in chosen:
            (dags / f"{graph.name}.json").write_text(json.dumps(graph.parents))
        airflow = (sys.executable, "-m", "airflow")
        self.spawn(*airflow, "db", "migrate").wait()
        # Its server of logs would listen on every interface.
        for part in (["api-server"], ["scheduler", "--skip-serve-logs"], ["dag-processor"]):
            self.spawn(*airflow, *part)
        names = {graph.name for graph in chosen}
        peer.wait_for("Airflow's DAGs", lambda: names <= self.ask("select dag_id from serialized_dag"), every=0.5)
        peer.wait_for("Airflow's API", self.signed_in, every=0.5)
        self.runs = itertools.count()

    def environment(self) -> dict[str, str]:
        port = self.url.rpartition(":")[2]
        settings = {
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": str(self.workers),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__DAGS_FOLDER": str(self.scratch / "dags"),
            "CORE__EXECUTE_TASKS_NEW_PYTHON_INTERPRETER": "False",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "API__HOST": "127.0.0.1",
            "API__PORT": port,
            "API__BASE_URL": self.url,
            "API__WORKERS": "1",
            # The same for all three: without it the tasks cannot report.
            "API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "LOGGING__LOGGING_LEVEL": "ERROR",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {f"AIRFLOW__{name}": value for name, value in settings.items()} | {
            "AIRFLOW_HOME": str(self.scratch),
            "SCARF_ANALYTICS": "false",
        }

    def ask(self, question: str, *values: str) -> set[str]:
        with sqlite3.connect(f"file:{self.scratch}/airflow.db?mode=ro", uri=True, timeout=30) as database:
            return {answer for (answer,) in database.execute(question, values)}

    def signed_in(self) -> bool:
        try:
            self.token = self.call("GET", "/auth/token")["access_token"]
        except OSError:
            return False
        return True

    def call(self, method: str, path: str, body: object = None) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "token"):
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        name = f"{graph.name}-{next(self.runs)}"
        with submitting:
            self.call("POST", f"/api/v2/dags/{graph.name}/dagRuns", {"dag_run_id": name, "logical_date": None})
        peer.wait_for("the run's end", lambda: self.state(name) & {"success", "failed"}, seconds=3_600)
        if self.state(name) != {"success"}:
            sys.exit(f"airflow: {graph.name} failed")

    def state(self, run: str) -> set[str]:
        return self.ask("select state from dag_run where run_id = ?", run)


if __name__ == "__main__":
    peer.main(Airflow)
