# SPDX-License-Identifier: BSD-2-Clause
"""From the records of runs to figures, ratios with their spread, and whether each target is held."""

import statistics

import rows as rows_module
from measure import LOSS_PERCENT

VERSION = 1  # of the JSON document


class Scale:
    """What build() of rows.py has to know, from a document."""

    def __init__(self, scale):
        self.__dict__.update(scale)


def spread(values):
    """{median, low, high, rounds}, or None without values."""
    values = list(values)
    if not values:
        return None
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "rounds": len(values)}


def merge(documents):
    """Documents of the same link and scale as one: their rounds are counted on."""
    merged = {**documents[0], "runs": [], "servers": [], "missing": [], "left_out": [], "machines": []}
    for document in documents:
        if document["scale"] != merged["scale"]:
            raise ValueError("these runs are of different sizes (--quick, --clients): they cannot be put together")
        offset = {}  # of each work: a file may hold other works than the next
        for run in merged["runs"]:
            offset[run["work"]] = max(offset.get(run["work"], 0), run["round"] + 1)
        merged["runs"] += [{**run, "round": run["round"] + offset.get(run["work"], 0)} for run in document["runs"]]
        merged["machines"] += document["machines"]
        for key in ("servers", "missing", "left_out"):
            merged[key] += [item for item in document[key] if item not in merged[key]]
        merged["selected"] = merged["selected"] + [name for name in document["selected"] if name not in merged["selected"]]
    merged["missing"] = [name for name in merged["missing"] if name not in {s["name"] for s in merged["servers"]}]
    return merged


class Evaluation:
    """The rows of a document with their figures."""

    def __init__(self, document):
        self.document = document
        works, rows = rows_module.build(Scale(document["scale"]))
        self.works = {work.name: work for work in works}
        self.rows = [row for row in rows if row.name in document["selected"]]
        self.servers = [server["name"] for server in document["servers"]]
        self.found = {}
        for run in document["runs"]:
            if run.get("result") and not run.get("unfit"):
                self.found.setdefault((run["work"], run["server"]), {})[run["round"]] = run["result"]

    def results(self, work, server):
        """{round: the generator's JSON} of the runs that count."""
        return self.found.get((work, server), {})

    def figures(self, row, server):
        """{round: value}; with a base, the value divided by the base's of the same round."""
        found = {}
        for number, result in self.results(row.work, server).items():
            value = rows_module.value_at(result, row.path)
            if row.base and value is not None:
                base = rows_module.value_at(self.results(row.base, server).get(number, {}), row.path)
                value = value / base if base else None
            if value is not None:
                found[number] = value
        return found

    def ratios(self, row, server, reference):
        """{round: server's figure / reference's}, of the rounds that both have."""
        ours, theirs = self.figures(row, server), self.figures(row, reference)
        return {number: ours[number] / theirs[number] for number in ours if theirs.get(number)}

    def lower_bound(self, row, server):
        """Whether a highest rate is only what the generator could make."""
        return row.bound and any(r.get("limited_by") == "generator" for r in self.results(row.work, server).values())

    def lossy(self, row, server):
        """Whether packets were lost in a run that a figure comes from: what the server did not relay cost it little."""
        return not row.bound and any(result.get("lost_percent", 0) > LOSS_PERCENT for name in (row.work, row.base) if name
                                     for result in self.results(name, server).values())

    def verdict(self, row, goal, server="turnpike"):
        """{value: spread, held, text}: text says why when there is no value."""
        values = self.ratios(row, server, goal.reference) if goal.reference else self.figures(row, server)
        value = spread(values.values())
        if value is None:
            return {"value": None, "held": None, "text": self._why_not(row, goal, server)}
        if goal.reference and self.lower_bound(row, goal.reference):
            why = f"not known: the generator reached its limit before {goal.reference}"
            return {"value": value, "held": None, "text": why}
        held = goal.held(value["median"])
        if not held and goal.more and self.lower_bound(row, server):
            return {"value": value, "held": None, "text": "not known: the generator reached its limit first"}
        if held:
            every = all(goal.held(v) for v in values.values())
            text = "held" if every else "held, not in every round"
        else:
            unit = "" if goal.reference or row.unit == "×" else " " + row.unit
            text = f"missed by {abs(value['median'] - goal.limit):,.{2 if goal.limit < 100 else 0}f}{unit}"
        return {"value": value, "held": held, "text": text}

    def _why_not(self, row, goal, server):
        for name in (server, goal.reference):
            if name and name not in self.servers:
                return f"not measured: no {name}"
            if name and not self.figures(row, name):
                bad = [r.get("unfit") or r.get("error") or "" for r in self.document["runs"]
                       if r["server"] == name and r["work"] in (row.work, row.base)]
                return f"no figure of {name}" + (": see below" if any(bad) else "")
        return "no figure"

    def groups(self):
        """[(group, goal, [(row, verdict)])] in the order of the rows."""
        found = {}
        for row in self.rows:
            for goal in row.goals:
                found.setdefault((row.group, goal.reference), (row.group, goal, []))[2].append((row, self.verdict(row, goal)))
        return list(found.values())

    def as_json(self):
        """What the tables say, for programs."""
        return [{"name": row.name, "title": row.title, "unit": row.unit, "work": row.work, "path": row.path, "base": row.base,
                 "figures": {s: spread(self.figures(row, s).values()) for s in self.servers if self.figures(row, s)},
                 "goals": [{"reference": goal.reference, "limit": goal.limit, "at_least": goal.more,
                            **{k: v for k, v in self.verdict(row, goal).items()}} for goal in row.goals]}
                for row in self.rows]
