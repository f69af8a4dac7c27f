"""The command line that all peers share: `run_ENGINE.py [--workers N] [--rounds N] [--most NODES] GRAPH...`.

Prints a JSON line for each round of each graph. Starting the engine, a warm-up and the check of what ran are outside
of the clock; handing the graph over is inside.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import graph as graphs
import usage
from graph import Graph

# Where tasks leave their marks; inherited by every process of the engine.
MARKS = "PEER_MARKS"
_marks_of_process: dict[int, int] = {}


def task(node: int) -> None:
    """What every node does: nothing, but for the mark that it ran."""
    now = time.monotonic_ns()
    process = os.getpid()
    if process not in _marks_of_process:
        _marks_of_process[process] = os.open(os.environ[MARKS], os.O_WRONLY | os.O_APPEND)
    os.write(_marks_of_process[process], graphs.MARK.pack(node, now))


class Stopwatch:
    """Adds up the time that is spent in its blocks."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begin


class Engine(ABC):
    """A peer."""

    name: str
    package: str
    durable: str  # What is on disk before the next task may start.
    settings: str
    most: int  # Nodes of a graph that it takes in reasonable time.
    why_not_more: str

    def __init__(self, workers: int, scratch: Path) -> None:
        self.workers = workers
        self.scratch = scratch

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def obstacle(self) -> str | None:
        """Why it cannot run here."""
        return None

    @abstractmethod
    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        """Starts it, and leaves in the stack how it ends. It may prepare itself for the graphs."""

    def spawn(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Starts a program that Ctrl-C does not reach: it would be gone before we have let go of it. It ends with us."""
        with open(self.scratch / "log", "ab") as log:
            return subprocess.Popen(
                command, cwd=self.scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @abstractmethod
    def run(self, graph: Graph, submitting: "Stopwatch") -> None:
        """Hands the graph over, with that clock on, and returns when an observer has seen the end."""

    def ran(self, graph: Graph, marks: Path) -> list[tuple[int, int]]:
        """What ran, in its order, and when, or 0 where nobody knows."""
        return graphs.marks(marks.read_bytes())

    def settle(self, graph: Graph) -> dict[str, object]:
        """After the clock: waits for what the engine still has to write; what came of it is added to the row."""
        return {}


def row(engine: Engine, graph: Graph) -> dict[str, object]:
    return {
        "engine": engine.name,
        "version": engine.version,
        "graph": graph.name,
        "nodes": len(graph.parents),
        "edges": graph.edges,
        "depth": len(graph.levels),
        "workers": engine.workers,
        "durable": engine.durable,
        "settings": engine.settings,
    }


def measured(engine: Engine, graph: Graph, marks: Path) -> dict[str, object]:
    """One run: how long, how much, and a failure if it was not right."""
    os.truncate(marks, 0)
    submitting = Stopwatch()
    with usage.PeakMemory() as memory:
        cpu = usage.cpu_seconds()
        begin = time.perf_counter()
        engine.run(graph, submitting)
        seconds = time.perf_counter() - begin
        cpu = usage.cpu_seconds() - cpu
    settled = engine.settle(graph)
    ran = engine.ran(graph, marks)
    wrong = graphs.faults(graph, [node for node, _ in ran])
    if wrong:
        sys.exit(f"{engine.name} did not run {graph.name} right: {'; '.join(wrong[:5])} ({len(wrong)} faults)")
    return {
        "submit_seconds": round(submitting.seconds, 4),
        "seconds": round(seconds, 4),
        "tasks_per_second": round(len(graph.parents) / seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_memory_mb": round(memory.bytes / 1e6),
        **(steps([when for _, when in ran if when]) if graph.is_chain else {}),
        **settled,
    }


def steps(times: list[int]) -> dict[str, object]:
    """From a task to the one that waited for it, in a chain."""
    taken = sorted((after - before) / 1e6 for before, after in zip(times, times[1:]))
    if not taken:
        return {}
    at = min(len(taken) - 1, round(0.99 * len(taken)))
    return {
        "step_mean_ms": round(statistics.mean(taken), 2),
        "step_p50_ms": round(statistics.median(taken), 2),
        "step_p99_ms": round(taken[at], 2),
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what: str, holds: Callable[[], object], seconds: float = 120, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)


def say(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


def main(kind: type[Engine]) -> None:
    arguments = parsed(kind)
    chosen = [graphs.read(path) for path in arguments.graphs]
    usage.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    # Below /tmp, because the paths of unix sockets end at 107 characters.
    scratch = Path(tempfile.mkdtemp(prefix="orch-peer."))
    status = 0
    try:
        rounds(kind(arguments.workers, scratch), chosen, arguments)
    except BaseException as error:
        status = told(error)
    # A second Ctrl-C must not leave half of it behind.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    usage.end_all()
    shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.flush()
    # An engine's client that is still there would look for its servers for as long as it has patience.
    os._exit(status)


def rounds(engine: Engine, chosen: list[Graph], arguments: argparse.Namespace) -> None:
    marks = engine.scratch / "marks"
    marks.touch()
    # Engines keep tokens and settings in the home folder; workers import the modules that lie here.
    os.environ |= {MARKS: str(marks), "HOME": str(engine.scratch), "PYTHONPATH": str(Path(__file__).parent)}
    fitting = [graph for graph in chosen if not skipped(engine, graph, arguments.most)]
    with ExitStack() as stack:
        if fitting:
            engine.start(stack, fitting)
        for graph in fitting:
            for round_ in range(arguments.rounds):
                say(row(engine, graph) | {"round": round_} | measured(engine, graph, marks))


def told(error: BaseException) -> int:
    """The status to end with, after the text that belongs to it."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    if isinstance(error, SystemExit):
        print(error.code, file=sys.stderr)
    else:
        traceback.print_exception(error)
    return 1


def skipped(engine: Engine, graph: Graph, most: int) -> bool:
    """Says so in a row of its own."""
    too_large = f"{engine.why_not_more}; run up to {most:,} nodes"
    why = engine.obstacle() or (too_large if len(graph.parents) > most else None)
    if why:
        say(row(engine, graph) | {"skipped": why})
    return why is not None


def parsed(kind: type[Engine]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Runs graphs of tasks that do nothing through {kind.name}.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--most", type=int, default=kind.most, metavar="NODES", help="skip larger graphs")
    parser.add_argument("graphs", type=Path, nargs="+", metavar="GRAPH")
    return parser.parse_args()
