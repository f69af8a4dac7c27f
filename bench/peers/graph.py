"""Graphs: read from edge lists, made from a rule, and the proof that a run was right.

`python3 graph.py FOLDER` writes the graphs that are measured when nobody names others.
"""

import gzip
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENDS = (".tsv", ".tsv.gz")
# What a task writes when it runs: its number, and when (CLOCK_MONOTONIC, the same for all processes).
MARK = struct.Struct("<qq")


@dataclass(frozen=True)
class Graph:
    """Nodes are numbered so that a parent comes before its children."""

    name: str
    parents: list[list[int]]

    @property
    def edges(self) -> int:
        return sum(map(len, self.parents))

    @property
    def leaves(self) -> list[int]:
        """Nobody's parents: when they are done, all is done."""
        inner = {parent for parents in self.parents for parent in parents}
        return [node for node in range(len(self.parents)) if node not in inner]

    @property
    def levels(self) -> list[list[int]]:
        """A node's level is one more than the highest of its parents."""
        level_of: list[int] = []
        levels: list[list[int]] = []
        for node, parents in enumerate(self.parents):
            level = 1 + max((level_of[parent] for parent in parents), default=-1)
            level_of.append(level)
            if level == len(levels):
                levels.append([])
            levels[level].append(node)
        return levels

    @property
    def is_chain(self) -> bool:
        return len(self.levels) == len(self.parents)


def read(path: Path) -> Graph:
    """`parent<TAB>child` a line, one field for a node alone, `#` begins a comment."""
    with (gzip.open if path.name.endswith(".gz") else open)(path, "rt") as lines:
        return parse(name_of(path), lines)


def name_of(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".tsv")


def parse(name: str, lines: Iterator[str]) -> Graph:
    parents: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r\n").split("\t")
        if line.startswith("#") or not any(fields):
            continue
        if len(fields) > 2 or not all(fields):
            raise ValueError(f"{name}, line {number}: neither a node nor `parent<TAB>child`: {line!r}")
        for node in fields:
            parents.setdefault(node, [])
        if len(fields) == 2 and fields[0] not in parents[fields[1]]:
            parents[fields[1]].append(fields[0])
    return numbered(name, parents)


def numbered(name: str, parents: dict[str, list[str]]) -> Graph:
    """Names become numbers, parents first (Kahn)."""
    children: dict[str, list[str]] = {node: [] for node in parents}
    for node, its in parents.items():
        for parent in its:
            children[parent].append(node)
    missing = {node: len(its) for node, its in parents.items()}
    order = [node for node, count in missing.items() if count == 0]
    for node in order:  # Grows meanwhile.
        for child in children[node]:
            missing[child] -= 1
            if missing[child] == 0:
                order.append(child)
    if len(order) != len(parents):
        raise ValueError(f"{name}: {len(parents) - len(order)} nodes are on a cycle or behind one")
    number = {node: at for at, node in enumerate(order)}
    return Graph(name, [[number[parent] for parent in parents[node]] for node in order])


# --- the proof


def marks(written: bytes) -> list[tuple[int, int]]:
    return list(MARK.iter_unpack(written))


def faults(graph: Graph, ran: list[int]) -> list[str]:
    """What is wrong with the nodes having run in this order: each must have run once, and after its parents."""
    found = []
    place: dict[int, int] = {}
    for at, node in enumerate(ran):
        if not 0 <= node < len(graph.parents):
            found.append(f"{node} is no node")
        elif node in place:
            found.append(f"{node} ran again")
        else:
            place[node] = at
    for node, parents in enumerate(graph.parents):
        if node not in place:
            found.append(f"{node} did not run")
            continue
        late = [parent for parent in parents if place.get(parent, len(ran)) > place[node]]
        found += [f"{node} ran before its parent {parent}" for parent in late]
    return found


# --- graphs by rule


def layered(levels: int, width: int, parents: int) -> Iterator[tuple[str, ...]]:
    """Each node has so many parents in the level above, picked by a linear congruence: everywhere the same graph."""
    state = 1
    for level in range(levels):
        for at in range(width):
            if level == 0:
                yield (f"{level}-{at}",)
                continue
            chosen: set[int] = set()
            while len(chosen) < min(parents, width):
                state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
                chosen.add((state >> 33) % width)
            for parent in sorted(chosen):
                yield f"{level - 1}-{parent}", f"{level}-{at}"


def chain(nodes: int) -> Iterator[tuple[str, ...]]:
    yield ("0",)
    for node in range(1, nodes):
        yield str(node - 1), str(node)


def fan(children: int) -> Iterator[tuple[str, ...]]:
    for node in range(children):
        yield "root", f"leaf-{node}"


GRAPHS = {
    "layered-40": lambda: layered(4, 10, 2),  # Small enough for every engine.
    "layered-2000": lambda: layered(20, 100, 3),
    "chain-200": lambda: chain(200),
    "fan-1000": lambda: fan(1_000),
}


def make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in GRAPHS.items():
        text = "".join("\t".join(fields) + "\n" for fields in lines())
        (folder / f"{name}.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
