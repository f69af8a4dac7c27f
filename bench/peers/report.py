"""From the lines of the single rounds to a table and a file.

`report.py ours BENCH_JSON` prints our own rounds as lines like those of the peers, from what `make bench` wrote.
`report.py table LINES OUT REVISION` prints the table, and writes everything as JSON.
"""

import datetime
import json
import os
import platform
import statistics
import sys
from pathlib import Path

Row = dict[str, object]

OURS = "ours"
OUR_DURABLE = (
    "every record: what told a task to start and what it answered are in Kafka's log, acknowledged (acks=all, one broker)"
)
OUR_SETTINGS = (
    "release build, row operator of `make bench`: from the PipelineRun's create call, its objects in ConfigMaps by then, to "
    "Succeeded in its status; one warm worker with 1,024 slots"
)
# What a summary keeps of the rounds: the median, and how far they spread.
MEASURES = (
    "tasks_per_second",
    "seconds",
    "submit_seconds",
    "step_mean_ms",
    "step_p50_ms",
    "step_p99_ms",
    "cpu_seconds_per_1000",
    "peak_memory_mb",
    "rows_complete_after_seconds",
)


def our_rows(bench: dict) -> list[Row]:
    rows: list[Row] = []
    for graph in bench["graphs"]:
        row = next(row for row in graph["rows"] if row["row"] == "operator")
        rate = row["whole_objects_per_s"]["median"]
        seconds = graph["objects"] / rate
        submit = (graph["operator"]["submit_ms"] or {}).get("median", 0) / 1e3
        rows.append(
            {
                "engine": OURS,
                "version": bench["machine"]["revision"],
                "graph": graph["name"],
                "nodes": graph["objects"],
                "edges": graph["edges"],
                "depth": graph["levels"],
                "workers": 1,
                "durable": OUR_DURABLE,
                "settings": OUR_SETTINGS,
                "submit_seconds": submit,
                "seconds": seconds,
                "tasks_per_second": rate,
                "cpu_seconds": sum(row["cpu_s"].values()),
                "peak_memory_mb": sum(row["peak_mb"].values()),
                # By the broker's clock, without what comes before the first record and after the last.
                **({"step_mean_ms": 1e3 / row["objects_per_s"]["median"]} if graph["objects"] == graph["levels"] else {}),
            }
        )
    return rows


def summaries(rows: list[Row]) -> list[Row]:
    """One for each engine on each graph, the quickest first within a graph."""
    groups: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        if "skipped" not in row:
            row["cpu_seconds_per_1000"] = row["cpu_seconds"] / row["nodes"] * 1_000
        groups.setdefault((row.get("graph", ""), row["engine"]), []).append(row)
    all_ = [summary(group) for group in groups.values()]
    rates = {row["graph"]: row["tasks_per_second"]["median"] for row in all_ if row["engine"] == OURS}
    for row in all_:
        if "skipped" not in row and row["graph"] in rates:
            row["ours_is_times"] = rates[row["graph"]] / row["tasks_per_second"]["median"]
    return sorted(all_, key=lambda row: (row["nodes"], row["graph"], -rate_of(row)))


def rate_of(row: Row) -> float:
    return 0.0 if "skipped" in row else row["tasks_per_second"]["median"]


def summary(rounds: list[Row]) -> Row:
    first = rounds[0]
    said = ("engine", "version", "graph", "nodes", "edges", "depth", "workers", "durable", "settings", "skipped")
    row: Row = {"graph": "", "nodes": 0} | {name: first[name] for name in said if name in first}
    if "skipped" in first:
        return row
    row["rounds"] = len(rounds)
    for name in MEASURES:
        values = [each[name] for each in rounds if name in each]
        if values:
            row[name] = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return row


# --- the table

COLUMNS = ("engine", "tasks/s", "least", "most", "rounds", "ours is", "submit s", "step ms", "p50", "p99", "cpu s/1000", "peak MB")


def table(rows: list[Row]) -> str:
    lines: list[str] = []
    graph = None
    for row in rows:
        if row["graph"] != graph:
            graph = row["graph"]
            size = f"{row['nodes']:,} nodes, {row['edges']:,} edges, depth {row['depth']:,}" if graph else "every graph"
            lines += ["", f"{graph}: {size}".lstrip(": "), layout(COLUMNS)]
        lines.append(f"{row['engine']:<9}skipped: {row['skipped']}" if "skipped" in row else layout(cells(row)))
    lines += ["", "What is durable before the next task may start"]
    durable = {f"{row['engine']} {row['version']}": row["durable"] for row in rows if "durable" in row}
    width = max(map(len, durable), default=0)
    lines += [f"{engine:<{width}}  {said}" for engine, said in durable.items()]
    return "\n".join(lines[1:])


def cells(row: Row) -> tuple[str, ...]:
    def median(name: str, form: str) -> str:
        return format(row[name]["median"], form) if name in row else "-"

    rate = row["tasks_per_second"]
    return (
        str(row["engine"]),
        *(format(rate[part], ",.0f" if rate["median"] >= 100 else ".1f") for part in ("median", "least", "most")),
        str(row["rounds"]),
        f"{row['ours_is_times']:,.1f} x" if "ours_is_times" in row else "-",
        median("submit_seconds", ".3f"),
        median("step_mean_ms", ".2f"),
        median("step_p50_ms", ".2f"),
        median("step_p99_ms", ".2f"),
        median("cpu_seconds_per_1000", ".2f"),
        median("peak_memory_mb", ".0f"),
    )


def layout(fields: tuple[str, ...]) -> str:
    return f"{fields[0]:<9}" + "".join(f"{field:>11}" for field in fields[1:])


def machine(revision: str) -> Row:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cores": os.cpu_count(),
        "memory_mb": memory // 2**20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "revision": revision,
    }


def main() -> None:
    if sys.argv[1] == "ours":
        for row in our_rows(json.loads(Path(sys.argv[2]).read_text())):
            print(json.dumps(row))
        return
    lines, out, revision = sys.argv[2:]
    rounds = [json.loads(line) for line in Path(lines).read_text().splitlines()]
    rows = summaries(rounds)
    print(table(rows))
    Path(out).write_text(json.dumps({"machine": machine(revision), "rows": rows, "rounds": rounds}, indent=1) + "\n")
    print(f"\nwritten: {out}")


if __name__ == "__main__":
    main()
