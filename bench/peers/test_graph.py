"""The reading of graphs and the proof of runs, with the standard library alone: `python3 -m unittest`."""

import gzip
import os
import tempfile
import unittest
from pathlib import Path

import graph
import usage
from graph import GRAPHS, Graph

DIAMOND = Graph("diamond", [[], [0], [0], [1, 2]])


def parsed(*lines: str) -> Graph:
    return graph.parse("text", iter(lines))


class Reading(unittest.TestCase):
    def test_a_parent_comes_before_its_children_wherever_its_line_stands(self) -> None:
        self.assertEqual(parsed("b\tc\n", "a\tb\n").parents, [[], [0], [1]])

    def test_a_node_alone_a_comment_an_empty_line_and_an_edge_given_twice(self) -> None:
        self.assertEqual(parsed("# a graph\n", "\n", "alone\n", "a\tb\n", "a\tb\n").parents, [[], [], [1]])

    def test_a_cycle_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "3 nodes are on a cycle"):
            parsed("a\tb\n", "b\ta\n", "b\tc\n", "alone\n")

    def test_a_line_of_three_fields_is_refused_with_its_number(self) -> None:
        with self.assertRaisesRegex(ValueError, "line 2"):
            parsed("a\tb\n", "a\tb\tc\n")

    def test_levels_and_leaves_follow_the_longest_way(self) -> None:
        shortcut = Graph("shortcut", [[], [0], [0, 1], []])
        self.assertEqual(shortcut.levels, [[0, 3], [1], [2]])
        self.assertEqual(shortcut.leaves, [2, 3])
        self.assertFalse(shortcut.is_chain)

    def test_the_made_graphs_are_of_the_size_they_are_named_for(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            graph.make(Path(folder))
            made = {graph.name_of(file): graph.read(file) for file in Path(folder).iterdir()}
        self.assertEqual(made.keys(), GRAPHS.keys())
        sizes = {name: (len(each.parents), each.edges, len(each.levels)) for name, each in made.items()}
        self.assertEqual(
            sizes,
            {
                "layered-40": (40, 60, 4),
                "layered-2000": (2000, 5700, 20),
                "chain-200": (200, 199, 200),
                "fan-1000": (1001, 1000, 2),
            },
        )
        self.assertTrue(made["chain-200"].is_chain)

    def test_a_plain_and_a_packed_file_are_the_same_graph(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            plain, packed = Path(folder, "g.tsv"), Path(folder, "g.tsv.gz")
            plain.write_text("a\tb\n")
            packed.write_bytes(gzip.compress(b"a\tb\n"))
            self.assertEqual(graph.read(plain), graph.read(packed))


class Proof(unittest.TestCase):
    def test_any_order_that_keeps_parents_first_is_right(self) -> None:
        self.assertEqual(graph.faults(DIAMOND, [0, 2, 1, 3]), [])

    def test_a_child_before_one_of_its_parents_is_found(self) -> None:
        self.assertEqual(graph.faults(DIAMOND, [0, 1, 3, 2]), ["3 ran before its parent 2"])

    def test_a_node_that_did_not_run_is_found_and_so_is_its_child(self) -> None:
        self.assertEqual(graph.faults(DIAMOND, [0, 1, 3]), ["2 did not run", "3 ran before its parent 2"])

    def test_a_node_that_ran_twice_and_one_that_nobody_knows_are_found(self) -> None:
        self.assertEqual(graph.faults(DIAMOND, [0, 1, 2, 2, 3, 9]), ["2 ran again", "9 is no node"])


@unittest.skipUnless(os.path.exists("/proc/self/stat"), "needs Linux's /proc")
class Usage(unittest.TestCase):
    def test_a_child_belongs_to_us_with_what_it_uses(self) -> None:
        before = usage.cpu_seconds()
        wait, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            while os.times().user < 0.3:
                pass
            os.read(wait, 1)
            os._exit(0)
        os.close(wait)
        try:
            while usage.cpu_seconds() < before + 0.2:
                self.assertIn(child, usage.tree())
        finally:
            os.close(go)
            os.waitpid(child, 0)
        self.assertNotIn(child, usage.tree())
        self.assertGreater(usage.cpu_seconds(), before + 0.2, "what ended is still counted")


if __name__ == "__main__":
    unittest.main()
