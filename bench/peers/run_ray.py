"""Ray: every node a remote function, its parents' references as arguments."""

import os
from contextlib import ExitStack

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray._private import ray_constants

import peer
from graph import Graph


@ray.remote(num_cpus=1)
def node(number: int, *_parents: None) -> None:
    peer.task(number)


@ray.remote(num_cpus=1)
def nothing() -> None:
    pass


class Ray(peer.Engine):
    name = package = "ray"
    durable = "nothing: the graph is in the memory of the driver and the scheduler"
    settings = "num_cpus = workers, no dashboard, parents as references, small results inline"
    most = 100_000
    why_not_more = "larger graphs were not tried"

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        # Else it takes the address of another interface, and listens on all of them.
        ray_constants.ENABLE_RAY_CLUSTER = False
        ray.init(
            num_cpus=self.workers,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self.scratch / "ray"),
        )
        stack.callback(ray.shutdown)
        ray.get([nothing.remote() for _ in range(100)])

    def run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        done: list[ray.ObjectRef] = []
        with submitting:
            for number, parents in enumerate(graph.parents):
                done.append(node.remote(number, *(done[parent] for parent in parents)))
        ray.get([done[leaf] for leaf in graph.leaves])


if __name__ == "__main__":
    peer.main(Ray)
