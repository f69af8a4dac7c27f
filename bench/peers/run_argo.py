"""Argo Workflows: a Workflow with a DAG, its controller on an API server of its own, and kwok in place of kubelets: pods
succeed without running anything."""

import base64
import http.client
import itertools
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import peer
from graph import Graph

HERE = Path(__file__).parent / "argo"
ROOT = HERE.parents[2]
NODE = "played"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/default/workflows"
PODS = "/api/v1/namespaces/default/pods"
LABEL = "workflows.argoproj.io"
# What the controller's scaling guide and list of variables offer against waiting.
CONTROLLER = ["--qps", "500", "--burst", "1000", "--executor-image", "none", "--loglevel", "error"]
VARIABLES = {"LEADER_ELECTION_DISABLE": "true", "DEFAULT_REQUEUE_TIME": "50ms", "INFORMER_WRITE_BACK": "true"}
SETTINGS = {"nodeEvents": "{enabled: false}", "workflowEvents": "{enabled: false}", "metricsConfig": "{enabled: false}"}


class Argo(peer.Engine):
    name = "argo"
    durable = "the Workflow and its pods: each change of a node is a write to etcd (which here does not fsync)"
    settings = (
        "its controller alone: a pod a task, as many at once as may start, bound to a node beforehand and completed by "
        "kwok with one write; 500 requests a second, requeue after 50 ms, informer written back, no events"
    )
    most = 1_100
    why_not_more = "slower with every node: 2,000 took more than three minutes, longer than the API server recalls for the proof"

    @property
    def version(self) -> str:
        return re.search(r"argo-workflows/v4 v(\S+)", (HERE / "controller/go.mod").read_text())[1]

    def obstacle(self) -> str | None:
        missing = [name for name in ("workflow-controller", "kwok", "kubectl") if not shutil.which(name)]
        return f"{' and '.join(missing)} could not be built" if missing else None

    def start(self, stack: ExitStack, chosen: list[Graph]) -> None:
        api = self.scratch / "api"
        self.spawn(ROOT / "local/node/up.sh", "--control-plane", "--dir", api, "--port", "auto").wait()
        os.environ["KUBECONFIG"] = str(api / "admin.kubeconfig")
        self.api = Api(self.scratch)
        definitions = Path(shutil.which("workflow-controller")).with_name("crds")
        subprocess.run(["kubectl", "create", "-f", definitions], stdout=subprocess.DEVNULL, check=True)
        settings = {"metadata": {"name": "workflow-controller-configmap"}, "data": SETTINGS}
        self.api.call("POST", "/api/v1/namespaces/default/configmaps", settings)
        self.api.call("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
        self.spawn("kwok", "--manage-all-nodes", "--config", str(HERE / "pods.yaml"), "--node-lease-duration-seconds", "0")
        os.environ |= VARIABLES
        self.spawn("workflow-controller", "--namespaced", *CONTROLLER)
        self.runs = itertools.count()
        self.run(Graph("warm-up", [[]] * 20), peer.Stopwatch())

    def run(self, graph: Graph, submitting: peer.Stopwatch) -> None:
        self.workflow = f"run-{next(self.runs)}"
        with submitting:
            made = self.api.call("POST", WORKFLOWS, manifest(self.workflow, graph))
        self.since = made["metadata"]["resourceVersion"]
        peer.wait_for("the Workflow's end", self.ended, seconds=3_600)

    def ended(self) -> bool:
        query = f"?labelSelector={LABEL}/completed%3Dtrue"
        return any(each["metadata"]["name"] == self.workflow for each in self.api.call("GET", WORKFLOWS + query)["items"] or [])

    def ran(self, graph: Graph, marks: Path) -> list[tuple[int, int]]:
        """No task runs anything here: the order is that in which pods were made, as the API server tells it again."""
        made: list[int] = []
        done: set[int] = set()
        for node, event, phase in self.changes():
            if event == "ADDED":
                made.append(node)
                early = [parent for parent in graph.parents[node] if parent not in done]
                if early:
                    sys.exit(f"argo: {node} began before its parent {early[0]} had ended")
            if phase == "Succeeded":
                done.add(node)
            if len(done) == len(graph.parents):
                break
        pods = len(self.api.call("GET", f"{PODS}?{self.of_the_workflow()}")["items"] or [])
        if pods != len(made):
            sys.exit(f"argo: {pods} pods for {len(made)} nodes")
        return [(node, 0) for node in made]

    def of_the_workflow(self) -> str:
        return f"labelSelector={LABEL}/workflow%3D{self.workflow}"

    def changes(self) -> Iterator[tuple[int, str, str]]:
        """Of its pods since it was submitted: node, kind of event, phase. A watch that falls behind is ended by the server, and
        is taken up where it was; one that tells nothing is the last."""
        since, seen = self.since, ""
        while since != seen:
            seen = since
            query = f"watch=true&{self.of_the_workflow()}&resourceVersion={seen}&timeoutSeconds=10"
            for event in self.api.events(f"{PODS}?{query}"):
                pod = event["object"]
                if event["type"] == "ERROR":
                    sys.exit(f"argo: what happened to the pods is not known any more: {pod['message']}")
                since = pod["metadata"]["resourceVersion"]
                node = pod["metadata"]["annotations"][f"{LABEL}/node-name"].rpartition(".n")[2]
                yield int(node), event["type"], pod["status"]["phase"]


def manifest(name: str, graph: Graph) -> dict[str, object]:
    tasks = [
        {"name": f"n{number}", "template": "node", "dependencies": [f"n{parent}" for parent in parents]}
        for number, parents in enumerate(graph.parents)
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": "graph",
            # Nobody schedules here.
            "podSpecPatch": json.dumps({"nodeName": NODE}),
            "templates": [
                {"name": "node", "container": {"image": "none", "command": ["true"]}},
                {"name": "graph", "dag": {"tasks": tasks}},
            ],
        },
    }


class Api:
    """The API server that KUBECONFIG names."""

    def __init__(self, scratch: Path) -> None:
        view = ["kubectl", "config", "view", "--raw", "--flatten", "--output", "json"]
        config = json.loads(subprocess.run(view, capture_output=True, check=True).stdout)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]

        def file(name: str, text: str) -> Path:
            (scratch / name).write_bytes(base64.b64decode(text))
            return scratch / name

        context = ssl.create_default_context(cafile=file("ca.pem", cluster["certificate-authority-data"]))
        context.load_cert_chain(
            file("crt.pem", user["client-certificate-data"]), file("key.pem", user["client-key-data"])
        )
        self.connection = http.client.HTTPSConnection(cluster["server"].removeprefix("https://"), context=context)

    def call(self, method: str, path: str, body: object = None) -> dict:
        with self.answer(method, path, body) as answer:
            return json.load(answer)

    def events(self, path: str) -> Iterator[dict]:
        """Until the watch ends, or nobody wants more."""
        try:
            with self.answer("GET", path, None) as answer:
                for line in answer:
                    yield json.loads(line)
        finally:
            self.connection.close()  # The next call opens it again.

    def answer(self, method: str, path: str, body: object) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if method == "GET" and "watch=" not in path:
            # The nodes of a Workflow are a megabyte.
            headers["Accept"] = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        if answer.status >= 300:
            sys.exit(f"argo: {method} {path}: {answer.status} {answer.read(2_000).decode()}")
        return answer


if __name__ == "__main__":
    peer.main(Argo)
