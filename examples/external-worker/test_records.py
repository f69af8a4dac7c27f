"""Run: python3 -m unittest -v   (in this folder; needs nothing but Python)"""

import json
import unittest
from datetime import datetime
from pathlib import Path

from records import Answers, ControlTable, Malformed, id_objet, object_id, read_json, read_outputs, read_ready

GOLDEN = Path(__file__).resolve().parents[2] / "wire" / "golden"
RUN_UID = "6f1c2d5e-8a0b-4c3d-9e7f-1a2b3c4d5e6f"
WORKER = "medallion-standardize-7d9f4"


def golden(name):
    record = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    value = json.dumps(record["value"], ensure_ascii=False).encode()
    return record["key"].encode(), {name: text.encode() for name, text in record["headers"].items()}, value


def answers(time):
    return Answers(read_ready(*golden("ready")), WORKER, now=lambda: datetime.fromisoformat(time))


class ReadyRecords(unittest.TestCase):
    def test_numeric_id_with_inputs(self):
        ready = read_ready(*golden("ready"))
        self.assertEqual(("2005", RUN_UID, 1), (ready.object_id, ready.run_uid, ready.attempt))
        self.assertEqual("orchestrator.default.medallion.events", ready.reply_topic)
        self.assertEqual({"1005": {"rows": 200}, "1006": {"rows": 41, "path": "raw/tasks"}}, ready.inputs)
        self.assertEqual("Île-de-France", ready.params["region"])

    def test_meta_is_the_whole_record(self):
        meta = read_ready(*golden("ready")).meta
        self.assertEqual("high", meta["Criticité"])
        self.assertEqual(("na", None, 500.0), (meta["parametres"], meta["Lastrun"], meta["FileLimit"]))
        self.assertEqual("https://projects.example.org/api", meta["URL"])

    def test_text_id(self):
        ready = read_ready(*golden("ready_named"))
        self.assertEqual(("orders-by-customer", 2), (ready.object_id, ready.attempt))
        self.assertEqual({"orders": {"rows": 12}, "0042": {}}, ready.inputs)

    def test_object_that_nobody_defined_has_no_meta(self):
        self.assertIsNone(read_ready(*golden("ready_undefined")).meta)

    def test_inputs_may_stand_elsewhere(self):
        ready = read_ready(*golden("ready_distant"))
        self.assertEqual({"2006": {"rows": 41}}, ready.inputs)
        self.assertEqual({"2005": 1204411, "orders": 0}, ready.inputs_at)

    def test_outputs_are_those_of_the_parent_in_this_run(self):
        ready = read_ready(*golden("ready_distant"))
        key, _, value = golden("loaded")
        self.assertEqual({"rows": 241, "path": "standardized/projects"}, read_outputs(ready, "2005", key, value))
        for name, parent_id, change in [("loaded", "2006", {}), ("failed", "2005", {}), ("loaded", "2005", {"run_uid": "another"}), ("loaded", "2005", {"outputs": None})]:
            key, _, value = golden(name)
            with self.subTest(name, change=change), self.assertRaises(Malformed):
                read_outputs(ready, parent_id, key, json.dumps(json.loads(value) | change))

    def test_malformed_records_say_why(self):
        key, headers, value = golden("ready")
        good = json.loads(value)
        for change, reason in [
            ({"event_type": "ObjectLoaded"}, "not ObjectReady"),
            ({"id_objet": 2006}, "the key says '2005' and id_objet says '2006'"),
            ({"id_objet": 2005.5}, "neither a number nor text"),
            ({"run_uid": None}, "run_uid is None"),
            ({"attempt": "1"}, "attempt is '1'"),
            ({"attempt": True}, "attempt is True"),
            ({"inputs": [1005]}, "an input is not"),
            ({"inputs": [{"id": 1005, "events_offset": "7"}]}, "events_offset is '7'"),
        ]:
            with self.subTest(change), self.assertRaisesRegex(Malformed, reason):
                read_ready(key, headers, json.dumps(good | change))
        for junk in [None, b"", b"junk", b"\xff", b"[]", b"1", b"[" * 100_000, b" " * 600_000]:
            with self.subTest(str(junk)[:20]), self.assertRaises(Malformed):
                read_ready(key, headers, junk)


class AnswerRecords(unittest.TestCase):
    """The answers built here equal the golden ones, headers included."""

    def assert_golden(self, name, answer):
        key, headers, value = answer
        expected_key, expected_headers, expected_value = golden(name)
        self.assertEqual(expected_key.decode(), key)
        self.assertEqual({name: text.decode() for name, text in expected_headers.items()}, headers)
        self.assertEqual(json.loads(expected_value), json.loads(value))

    def test_started(self):
        self.assert_golden("started", answers("2026-11-21T08:00:00.323+00:00").started())

    def test_progress(self):
        self.assert_golden("progress", answers("2026-11-21T08:00:10.323+00:00").progress(0.4, "80 of 200 rows"))

    def test_loaded(self):
        outputs = {"rows": 241, "path": "standardized/projects"}
        self.assert_golden("loaded", answers("2026-11-21T08:00:20.500+00:00").loaded(outputs))

    def test_loaded_after_so_long(self):
        outputs = {"rows": 241, "path": "standardized/projects"}
        self.assert_golden("loaded_elapsed", answers("2026-11-21T08:00:20.500+00:00").loaded(outputs, 20177))

    def test_failed(self):
        error = "column «durée» is missing"
        self.assert_golden(
            "failed",
            answers("2026-11-21T08:00:20.500+00:00").failed("WorkerError", error, True, "30s", f"reading raw/projects\n{error}\n"),
        )

    def test_an_answer_holds_what_the_least_one_must(self):
        _, _, least = golden("loaded_minimal")
        _, _, ours = answers("2026-11-21T08:00:20.500+00:00").loaded()
        self.assertLessEqual(json.loads(least).items(), json.loads(ours).items())

    def test_an_error_is_never_empty(self):
        _, _, value = answers("2026-11-21T08:00:20.500+00:00").failed("WorkerError", "", False)
        self.assertEqual(["WorkerError"] * 2, [json.loads(value)["error"], json.loads(value)["meta"]["error"]])

    def test_large_answers_are_bounded(self):
        answer = answers("2026-11-21T08:00:20.500+00:00")
        with self.assertRaisesRegex(ValueError, "more than 4096"):
            answer.loaded({"text": "é" * 2100})
        _, _, value = answer.failed("WorkerError", "too much", False, log_tail="é" * 5000 + "end")
        self.assertTrue(json.loads(value)["log_tail"].endswith("éend"))
        self.assertLessEqual(len(json.loads(value)["log_tail"].encode()), 4096)


class ObjectIds(unittest.TestCase):
    def test_number_or_text(self):
        for text, json_id in [("2005", 2005), ("0", 0), ("9007199254740991", 2**53 - 1)]:
            self.assertEqual(json_id, id_objet(text))
        for text in ["9007199254740992", "0042", "-1", "+1", "1.0", "1e3", "orders", "٣", "1\n"]:
            self.assertEqual(text, id_objet(text))

    def test_key_or_id_objet_suffices(self):
        self.assertEqual("2005", object_id(b"2005", {}))
        self.assertEqual("2005", object_id(None, {"id_objet": 2005}))
        self.assertEqual("0042", object_id(b"", {"id_objet": "0042"}))
        with self.assertRaises(Malformed):
            object_id(b"", {"id_objet": None})

    def test_every_golden_event_can_be_read(self):
        for path in sorted(GOLDEN.glob("*.json")):
            with self.subTest(path.stem):
                key, _, value = golden(path.stem)
                record = read_json(value)
                if record.get("id_objet") is not None:
                    self.assertEqual(key.decode(), object_id(key, record))
                    self.assertEqual(record["id_objet"], id_objet(key.decode()))


class Control(unittest.TestCase):
    def setUp(self):
        self.ready = read_ready(*golden("ready"))
        self.table = ControlTable()

    def take(self, name):
        key, _, value = golden(name)
        self.table.take(key, value)

    def test_a_run_that_is_not_known_may_not_start(self):
        self.assertFalse(self.table.knows(RUN_UID))
        self.assertFalse(self.table.may_start(self.ready))

    def test_open_then_cancelled_or_ended(self):
        for closed in ["control_cancelled", "control_ended"]:
            self.take("control_open")
            self.assertTrue(self.table.knows(RUN_UID) and self.table.may_start(self.ready))
            self.take(closed)
            self.assertFalse(self.table.may_start(self.ready) or self.table.must_stop(self.ready))

    def test_cancelled_now_stops_what_runs(self):
        self.table.take(RUN_UID, json.dumps({"run_uid": RUN_UID, "state": "CancelledNow"}))
        self.assertTrue(self.table.must_stop(self.ready))

    def test_one_object_below_an_attempt(self):
        self.take("control_open")
        for below, may_start in [(1, True), (2, False), (None, False)]:
            entry = {"run_uid": RUN_UID, "state": "Cancelled", "object": "2005", "below_attempt": below}
            self.table.take(f"{RUN_UID}/2005", json.dumps(entry))
            self.assertEqual(may_start, self.table.may_start(self.ready), below)
        self.assertTrue(self.table.may_start(read_ready(*golden("ready_undefined"))))

    def test_a_deleted_key_is_forgotten(self):
        self.take("control_open")
        self.table.take(RUN_UID, None)
        self.assertFalse(self.table.knows(RUN_UID))

    def test_junk_changes_nothing(self):
        self.take("control_open")
        for key, value in [(b"", b"{}"), (RUN_UID, b"junk"), (RUN_UID, b"{}"), (b"\xff", b"{}")]:
            with self.assertRaises(Malformed):
                self.table.take(key, value)
        self.assertTrue(self.table.may_start(self.ready))


if __name__ == "__main__":
    unittest.main()
