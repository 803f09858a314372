# SPDX-License-Identifier: BSD-2-Clause
"""The tables, as Markdown that reads well as it is."""

import rows as rows_module
from evaluate import spread


def table(head, rows):
    rows = [[str(cell) for cell in row] for row in [head] + rows]
    width = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rows.insert(1, ["-" * w for w in width])
    return "\n".join("| " + " | ".join(cell.ljust(w) for cell, w in zip(row, width)) + " |" for row in rows) + "\n"


def number(value):
    """Three digits or more: 0.123, 1.23, 12.3, 123, 12,345."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def figure(found, unit=""):
    """median (lowest-highest)"""
    if not found:
        return "-"
    text = number(found["median"]) + (" " + unit if unit else "")
    return text + (f" ({number(found['low'])}-{number(found['high'])})" if found["rounds"] > 1 else "")


def header(document):
    lines = []
    for machine in document["machines"]:
        lines += [f"- {machine['date']}; {machine['cpus']} x {machine['cpu']}, {machine['memory_gib']} GiB, "
                  f"{machine['kernel']}, load average {machine['load_average']:.2f} at the start",
                  f"- command: `{machine['command']}`"]
    lines += [f"- {server['name']}: {server['version']}" for server in document["servers"]]
    lines += [f"- {name}: not here, measured without it" for name in document["missing"]]
    lines.append(f"- {document['setting']}")
    if document.get("interrupted"):
        lines.append("- **interrupted**: some rounds are not there.")
    if document["quick"]:
        lines.append("- **quick**: short runs of small loads, to see that everything works. These are no figures to go by.")
    return "\n".join(lines) + "\n"


def targets(evaluation):
    """The issue's table: one line for each target, the worst of its rows."""
    rows = []
    for group, goal, verdicts in evaluation.groups():
        measured = [(row, v) for row, v in verdicts if v["value"]]
        unit = verdicts[0][0].unit
        if not measured:
            rows.append([group, goal.text(unit), "-", verdicts[0][1]["text"]])
            continue
        row, worst = (min if goal.more else max)(measured, key=lambda item: item[1]["value"]["median"])
        held = sum(v["held"] is True for _, v in verdicts)
        where = f" ({row.name})" if len(verdicts) > 1 else ""
        text = worst["text"] if held < len(verdicts) or len(verdicts) == 1 else "held"
        if worst["held"] and held < len(verdicts):
            text = "not known for all"
        rows.append([group, goal.text(unit), figure(worst["value"]) + where,
                     text + (f"; {held} of {len(verdicts)} rows held" if len(verdicts) > 1 and held < len(verdicts) else "")])
    return table(["what", "target", "worst: median (lowest-highest)", "held?"], rows) if rows else ""


def line(evaluation, row, server, references, label):
    """One line of the rows' table, for turnpike or a variant of it."""
    def own(name):
        found = spread(evaluation.figures(row, name).values())
        return (("≥ " if found and evaluation.lower_bound(row, name) else "") + figure(found)
                + (" †" if found and evaluation.lossy(row, name) else ""))
    cells = [label, row.unit, own(server)]
    for reference in references:
        ratio = spread(evaluation.ratios(row, server, reference).values())
        cells += [own(reference), "-" if row.unit == "×" else figure(ratio)]
    verdicts = [evaluation.verdict(row, goal, server) for goal in row.goals]
    cells.append(", ".join(goal.text(row.unit) for goal in row.goals))
    cells.append("; ".join(verdict["text"] for verdict in verdicts))
    return cells


def all_rows(evaluation):
    ours = [s for s in evaluation.servers if s == "turnpike" or s.startswith("turnpike+")]
    references = [s for s in evaluation.servers if s not in ours]
    head = ["row", "unit", "turnpike"] + [cell for r in references for cell in (r, "× " + r)] + ["target", "held?"]
    rows = []
    for row in evaluation.rows:
        for server in ours:
            if server == "turnpike" or evaluation.figures(row, server):
                rows.append(line(evaluation, row, server, references, row.title if server == "turnpike" else f"… {server}"))
    marked = any("†" in cell for row in rows for cell in row)
    return table(head, rows) + ("\n†: packets were lost in at least one of the runs, see below\n" if marked else "") if rows else ""


def spread_at(results, path):
    return spread(v for v in (rows_module.value_at(r, path) for r in results) if v is not None)


def details(evaluation):
    """Every relayed work with what the generator and /proc said of each server."""
    rows = []
    columns = [("server_process.cpu_us_per_packet", True), ("server_process.user_us_per_packet", False),
               ("server_process.system_us_per_packet", False), ("server_process.switches_per_1000", False),
               ("delivered_per_s", False), ("lost_percent", False), ("latency_us.p50", False), ("latency_us.p99", True),
               ("latency_us.p99_9", False)]
    for work in evaluation.works.values():
        if work.command != "relay" or work.sweep:  # a sweep is for the picture
            continue
        for server in evaluation.servers:
            results = evaluation.results(work.name, server).values()
            if results:
                cells = []
                for path, with_spread in columns:
                    found = spread_at(results, path)
                    cells.append("-" if not found else figure(found) if with_spread else
                                 f"{found['median']:.3f}" if path == "lost_percent" else number(found["median"]))
                rows.append([work.name, server, *cells])
    return table(["work", "server", "CPU µs/packet", "user", "system", "switches/1000", "delivered/s", "lost %", "p50 µs",
                  "p99 µs", "p99.9 µs"], rows) if rows else ""


def held_allocations(evaluation):
    """What the hold works said of each server."""
    rows = []
    columns = ("bytes_each", "bytes_each_last_9_10", "setup_s", "retransmissions", "setup_cpu_us.first_1000",
               "setup_cpu_us.last_1000", "setup_cpu_us.ratio")
    for work in evaluation.works.values():
        for server in evaluation.servers if work.command == "hold" else ():
            results = list(evaluation.results(work.name, server).values())
            if results:
                values = (spread_at(results, path) for path in columns)
                rows.append([f"{int(results[0].get('allocations', 0)):,}", work.relays, server, *map(figure, values)])
    return table(["allocations", "relay addresses", "server", "bytes each", "bytes each of the last 9/10", "set-up s",
                  "retransmissions", "CPU µs of the first 1,000", "of the last 1,000", "last / first"], rows) if rows else ""


def starts(evaluation):
    """Every run starts its server: from exec to the first answer."""
    found = {}
    for run in evaluation.document["runs"]:
        if run.get("start_ms"):
            found.setdefault(run["server"], []).append(run["start_ms"])
    return table(["server", "ms: median (lowest-highest)", "starts"],
                 [[server, figure(spread(values)), len(values)] for server, values in found.items()]) if found else ""


def notes(evaluation):
    """Everything that did not go as it should: one line for each server and kind, with the works it happened in."""
    counted = {}

    def add(run, text, amount):
        works = counted.setdefault((run["server"], text), {})
        works[run["work"]] = max(works.get(run["work"], 0), amount or 0)
    for run in evaluation.document["runs"]:
        if run.get("error"):
            add(run, "failed: " + run["error"], None)
        elif run.get("unfit"):
            skipped, sent = run["result"].get("skipped", 0), run["result"].get("sent", 0)
            add(run, "not used, " + run["unfit"], 100 * skipped / (skipped + sent) if skipped else None)
        else:
            for text, amount in run.get("remarks", ()):
                add(run, text, amount)
    lines = [f"- {server}: {text}: " + ", ".join(f"{work} ({number(most)})" if most else work for work, most in works.items())
             for (server, text), works in counted.items()]
    lines += [f"- {why}: left out" for _, _, why in evaluation.document["left_out"]]
    return "\n".join(lines) + "\n" if lines else ""


def write(evaluation, plots=()):
    """The whole report. plots: (title, path) of pictures to show."""
    document = evaluation.document
    parts = [(f"## turnpike beside others: {document['link']}", header(document)),
             ("### The targets", targets(evaluation)),
             ("### Every row: median (lowest-highest) of the rounds, ratios of turnpike / other in the same round",
              all_rows(evaluation)),
             ("### What did not go as it should", notes(evaluation)),
             ("### The relayed works in detail", details(evaluation)),
             ("### Held allocations", held_allocations(evaluation)),
             ("### From exec to the first answered Binding request", starts(evaluation)),
             ("### Plots", "\n".join(f"![{title}]({path})" for title, path in plots))]
    return "\n".join(f"{title}\n\n{text}" for title, text in parts if text)
