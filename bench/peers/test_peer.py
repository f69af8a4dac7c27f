"""A made-up engine through the command line that all peers share."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent
MADE_UP = """
    import os, signal, peer

    class MadeUp(peer.Engine):
        name = "made-up"
        version = "1"
        durable = settings = "none"
        most = 3
        why_not_more = "it is made up"

        def start(self, stack, chosen):
            # A daemon: the shell that starts it is gone at once.
            self.spawn("sh", "-c", "setsid sleep 1000 & echo $! > daemon").wait()

        def run(self, graph, submitting):
            with submitting:
                pass
            for node in range(len(graph.parents)):
                {task}

    peer.main(MadeUp)
"""


@unittest.skipUnless(sys.platform == "linux", "needs Linux's /proc")
class CommandLine(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "graph.tsv").write_text("a\tb\n")
        (self.folder / "large.tsv").write_text("a\tb\nb\tc\nc\td\n")

    def start(self, task: str, *graphs: str) -> subprocess.Popen[str]:
        program = textwrap.dedent(MADE_UP.format(task=task))
        environment = os.environ | {"PYTHONPATH": str(HERE), "TMPDIR": str(self.folder)}
        command = [sys.executable, "-c", program, *(str(self.folder / graph) for graph in graphs)]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def scratch(self) -> list[Path]:
        return list(self.folder.glob("orch-peer.*"))

    def daemon(self) -> str:
        files = [scratch / "daemon" for scratch in self.scratch()]
        return "".join(file.read_text().strip() for file in files if file.exists())

    def test_a_round_is_a_line_and_a_graph_that_is_too_large_is_one_with_the_reason(self) -> None:
        told, said = self.start("peer.task(node)", "large.tsv", "graph.tsv").communicate(timeout=60)
        large, small = map(json.loads, told.splitlines())
        self.assertEqual(large["skipped"], "it is made up; run up to 3 nodes", said)
        self.assertEqual((small["graph"], small["nodes"], small["edges"], small["depth"]), ("graph", 2, 1, 2))
        self.assertGreater(small["step_mean_ms"], 0)
        self.assertEqual(self.scratch(), [])

    def test_a_run_that_leaves_a_node_out_is_an_error_and_no_line(self) -> None:
        program = self.start("if node: peer.task(node)", "graph.tsv")
        told, said = program.communicate(timeout=60)
        self.assertEqual((program.returncode, told), (1, ""))
        self.assertIn("made-up did not run graph right: 0 did not run", said)

    def test_ctrl_c_takes_the_engine_its_daemons_and_its_folder_away(self) -> None:
        program = self.start("signal.pause()", "graph.tsv")
        self.addCleanup(program.kill)
        deadline = time.monotonic() + 60
        while not (daemon := self.daemon()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertTrue(Path("/proc", daemon).exists())
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)
        self.assertEqual(program.returncode, 130)
        self.assertFalse(Path("/proc", daemon).exists(), "the daemon is still there")
        self.assertEqual(self.scratch(), [])


if __name__ == "__main__":
    unittest.main()
