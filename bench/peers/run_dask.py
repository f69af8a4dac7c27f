"""Dask: the graph as one dictionary for the distributed scheduler."""

import itertools
from contextlib import ExitStack

import dask
from distributed import Client, LocalCluster

import peer
from graph import Graph


def node(number: int, *_parents: None) -> None:
    peer.task(number)


class Dask(peer.Engine):
    name = package = "dask"
    durable = "nothing: the graph is in the memory of the scheduler"
    settings = "LocalCluster, a process a worker with one thread, no dashboard, no fusing of chains (it would run them as one task)"
    most = 100_000
    why_not_more = "larger graphs were not tried"

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        dask.config.set({"temporary-directory": str(self.scratch)})
        cluster = LocalCluster(
            n_workers=self.workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        )
        stack.callback(cluster.close)
        self.client = Client(cluster)
        stack.callback(self.client.close)
        self.client.gather(self.client.map(abs, range(100)))
        # A key that the scheduler knows is not run again.
        self.runs = itertools.count()

    def run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        key = f"{graph.name}-{next(self.runs)}-".__add__
        with submitting:
            tasks = {
                key(str(number)): (node, number, *(key(str(parent)) for parent in parents))
                for number, parents in enumerate(graph.parents)
            }
            leaves = [key(str(leaf)) for leaf in graph.leaves]
            last = self.client.get(tasks, leaves, sync=False, optimize_graph=False)
        self.client.gather(last)


if __name__ == "__main__":
    peer.main(Dask)
