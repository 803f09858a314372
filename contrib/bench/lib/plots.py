# SPDX-License-Identifier: BSD-2-Clause
"""The pictures of a comparison."""

import os

import rows as rows_module
import svg
from evaluate import spread


def _cpu(evaluation, path):
    groups = []
    for row in evaluation.rows:
        if row.path == rows_module.CPU and not row.base:
            values = {s: spread(evaluation.figures(row, s).values()) for s in evaluation.servers}
            values = {s: v for s, v in values.items() if v}
            if values:
                groups.append((row.name.removeprefix("cpu-"), values))
    if groups:
        svg.bars(path, f"CPU per relayed packet ({evaluation.document['link']})", "µs", groups, evaluation.servers)
    return bool(groups)


def _sweep(evaluation, path):
    """CPU and p99 over the rate, from the sweep; nothing lossy is drawn."""
    def points(direction, server, what):
        found = []
        for rate in evaluation.document["scale"]["sweep"]:
            for result in evaluation.results(f"sweep-{direction}-{rows_module.thousands(rate)}", server).values():
                value = rows_module.value_at(result, what)
                if value is not None and result.get("lost_percent", 0) <= 1:
                    found.append((rate, value))
        return found
    panels = []
    for what, label, log in ((rows_module.CPU, "CPU µs/packet", False), ("latency_us.p99", "p99 latency µs", True)):
        for direction in ("up", "down"):
            curves = {s: points(direction, s, what) for s in evaluation.servers}
            if any(curves.values()):
                panels.append((f"{label}, {direction}", curves, log))
    if panels:
        svg.curves(path, f"Over the rate: single packets of 200 B ({evaluation.document['link']})", panels, evaluation.servers,
                   "packets/s")
    return bool(panels)


def _ratios(evaluation, path):
    lines = []
    for row in evaluation.rows:
        for goal in row.goals:
            verdict = evaluation.verdict(row, goal)
            if verdict["value"]:
                value, limit = verdict["value"], goal.limit
                if not goal.reference and row.unit != "×":  # a figure in a unit of its own: drawn against its target
                    value = {key: v / limit if key != "rounds" else v for key, v in value.items()}
                    limit = 1
                other = goal.reference or ("itself" if row.unit == "×" else f"{limit * goal.limit:,g} {row.unit}")
                lines.append((f"{row.name} / {other}", value, limit, goal.more, verdict["held"], verdict["text"]))
    if lines:
        svg.dots(path, f"turnpike against its targets ({evaluation.document['link']})", lines,
                 "dot: median ratio, line: lowest to highest of the rounds, thick tick: the target")
    return bool(lines)


def draw(evaluation, folder):
    """[(title, path)] of what there was to draw."""
    os.makedirs(folder, exist_ok=True)
    link = evaluation.document["link"]
    found = []
    for name, title, make in (("cpu", "CPU per packet", _cpu), ("rate", "CPU and p99 over the rate", _sweep),
                              ("ratios", "ratios against the targets", _ratios)):
        path = os.path.join(folder, f"{name}-{link}.svg")
        if make(evaluation, path):
            found.append((title, path))
    return found
