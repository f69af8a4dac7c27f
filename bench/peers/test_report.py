"""How single rounds become a table."""

import unittest

import report


def round_of(engine: str, rate: float, **more: object) -> report.Row:
    return {
        "engine": engine,
        "version": "1",
        "graph": "g",
        "nodes": 100,
        "edges": 99,
        "depth": 2,
        "durable": f"what {engine} keeps",
        "submit_seconds": 0.1,
        "seconds": 100 / rate,
        "tasks_per_second": rate,
        "cpu_seconds": 2.0,
        "peak_memory_mb": 50,
        **more,
    }


class Report(unittest.TestCase):
    def test_medians_are_compared_and_the_quickest_stands_first(self) -> None:
        rounds = [round_of("slow", rate) for rate in (10, 30, 20)] + [round_of("ours", rate) for rate in (100, 400)]
        ours, slow = report.summaries(rounds)
        self.assertEqual((ours["engine"], slow["engine"]), ("ours", "slow"))
        self.assertEqual(slow["tasks_per_second"], {"median": 20, "least": 10, "most": 30})
        self.assertEqual((slow["rounds"], slow["ours_is_times"]), (3, 12.5))
        self.assertEqual(slow["cpu_seconds_per_1000"]["median"], 20)

    def test_what_was_skipped_stands_last_with_its_reason(self) -> None:
        skipped = {name: value for name, value in round_of("none", 1).items() if not name.endswith(("second", "seconds"))}
        rows = report.summaries([skipped | {"skipped": "too large"}, round_of("slow", 1)])
        self.assertEqual([row["engine"] for row in rows], ["slow", "none"])
        self.assertNotIn("ours_is_times", rows[0], "nothing of ours was run")
        self.assertIn("none     skipped: too large", report.table(rows).splitlines())

    def test_an_engine_that_could_not_be_installed_has_a_row_without_a_graph(self) -> None:
        text = report.table(report.summaries([{"engine": "gone", "skipped": "no package"}, round_of("slow", 1)]))
        self.assertTrue(text.startswith("every graph\n"), text)
        self.assertIn("gone     skipped: no package", text)

    def test_our_row_is_the_operator_of_the_benchmark_from_the_request_to_the_end(self) -> None:
        def spread(value: float) -> dict[str, float]:
            return {"median": value, "least": value, "most": value}

        operator = {"row": "operator", "objects_per_s": spread(1_000), "whole_objects_per_s": spread(500)}
        operator |= {"cpu_s": {"operator": 1.0, "broker": 0.5}, "peak_mb": {"operator": 20.0, "broker": 400.0}}
        chain = {"name": "chain", "objects": 10, "edges": 9, "levels": 10, "operator": {"submit_ms": spread(5)}}
        [row] = report.our_rows({"machine": {"revision": "abc"}, "graphs": [chain | {"rows": [{"row": "replay"}, operator]}]})
        self.assertEqual((row["seconds"], row["submit_seconds"], row["tasks_per_second"]), (0.02, 0.005, 500))
        self.assertEqual((row["cpu_seconds"], row["peak_memory_mb"], row["step_mean_ms"]), (1.5, 420.0, 1.0))


if __name__ == "__main__":
    unittest.main()
