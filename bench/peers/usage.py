"""What this process and all that it started use: CPU seconds and memory, through /proc (Linux).

Whoever is started by us stays ours: as a subreaper this process becomes the parent of orphans, so that an engine's
daemons are counted and ended like the rest.
"""

import ctypes
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Process:
    parent: int
    state: str
    cpu_seconds: float  # Its own, and that of its children that ended.
    resident: int


def adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become the parent of orphans")


def tree() -> dict[int, Process]:
    """This process and everything below it."""
    everyone = {pid: process for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if (process := look(pid))}
    children: dict[int, list[int]] = {}
    for pid, process in everyone.items():
        children.setdefault(process.parent, []).append(pid)
    ours = [os.getpid()]
    for pid in ours:  # Grows meanwhile.
        ours += children.get(pid, [])
    return {pid: everyone[pid] for pid in ours}


def look(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name stands in brackets and may hold anything: what counts comes behind the last one.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None  # It ended.
    return Process(
        parent=int(fields[1]),
        state=fields[0].decode(),
        cpu_seconds=sum(map(int, fields[11:15])) * TICK,
        resident=int(fields[21]) * PAGE,
    )


def cpu_seconds() -> float:
    return sum(process.cpu_seconds for process in tree().values())


class PeakMemory:
    """The largest sum of resident memory seen within the block; what processes share is counted in each."""

    def __enter__(self) -> "PeakMemory":
        self.bytes = 0
        self._end = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def _sample(self) -> None:
        while True:
            self.bytes = max(self.bytes, sum(process.resident for process in tree().values()))
            if self._end.wait(SAMPLE_SECONDS):
                return

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._sampler.join()


def end_all(grace: float = 5.0) -> None:
    """Ends every process below this one: asked first, killed after the grace."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while True:
        reap()
        alive = [pid for pid in tree() if pid != os.getpid()]
        if not alive:
            return
        late = time.monotonic() > deadline
        for pid in alive:
            if late or pid not in asked:
                asked.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
