# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: works that the generator is sent to do, and the rows of the table that are read from them."""

import fnmatch
from dataclasses import dataclass, field

RELAYS = 4  # addresses that many allocations are spread over


@dataclass
class Work:
    """One thing for the generator to do. seconds: about how long it takes; timed: it gets --duration and --warmup."""

    name: str
    command: str
    arguments: list
    transport: str = "udp"
    floor: bool = False
    timed: bool = True
    relays: int = 1
    links: tuple = ("loopback", "veth")
    seconds: float = 0
    rounds: int = 0  # at most; 0: as many as asked for
    sweep: bool = False  # rates from low to high: what lies beyond a server's highest one is left out


@dataclass
class Goal:
    """median of (turnpike's figure / reference's) <= limit, or >= with more. reference None: the figure itself."""

    reference: str
    limit: float
    more: bool = False

    def text(self, unit):
        sign = "≥" if self.more else "≤"
        if self.reference:
            return f"{sign} {self.limit:g} × {self.reference}"
        return f"{sign} {self.limit:,g} {unit}"

    def held(self, value):
        return value >= self.limit if self.more else value <= self.limit


@dataclass
class Row:
    """A figure of a work: path names the value in the generator's JSON, base another work that it is divided by."""

    name: str
    group: str
    title: str
    work: str
    path: str
    unit: str
    goals: list = field(default_factory=list)
    base: str = None
    bound: bool = False  # a highest rate: limited_by tells whether it is only a lower bound


CPU = "server_process.cpu_us_per_packet"


def thousands(rate):
    return f"{rate // 1000}k"


def traffic_name(direction, rate, shape):
    return f"{direction}-{thousands(rate)}-{shape}"


def build(options):
    """(works, rows) in the order of the table. options: clients, idle, many, active, step, sweep."""
    works, rows = [], []
    _traffic(works, rows, options)
    _limits(works, rows, options)
    _storms(works, rows, options)
    _memory(works, rows, options)
    _streams(works, rows, options)
    _scale(works, rows, options)
    _sweep(works, options)
    return works, rows


def _traffic_arguments(clients, direction, rate, payload=200, burst=1, offload=False):
    arguments = ["--clients", clients, "--direction", direction, "--rate", rate, "--payload", payload, "--burst", burst]
    return arguments + (["--offload"] if offload else [])


def _traffic(works, rows, options):
    single = [Goal("floor", 1.15), Goal("turnserver", 0.6)]
    for payload, burst, offload in ((200, 1, False), (200, 1, True), (1200, 8, False), (1200, 8, True)):
        shape = f"{burst}x{payload}" + ("-offload" if offload else "")
        kind = f"bursts of {burst} x {payload} B" if burst > 1 else f"single packets of {payload} B"
        suffix = ", offload" if offload else ""
        for rate in (20000, 100000):
            for direction in ("up", "down"):
                name = traffic_name(direction, rate, shape)
                arguments = _traffic_arguments(options.clients, direction, rate, payload, burst, offload)
                works.append(Work(name, "relay", arguments, floor=True))
                rows.append(Row("cpu-" + name, f"CPU per packet, {kind}{suffix}",
                                f"CPU/packet {direction} {thousands(rate)}/s {burst} x {payload}{suffix}", name, CPU, "µs",
                                single if burst == 1 else [Goal("turnserver", 0.35)]))
    for quantile, goals in (("p50", []), ("p99", [Goal("turnserver", 1.0)])):
        for direction in ("up", "down"):
            rows.append(Row(f"{quantile}-{direction}-20k", f"{quantile} latency at 20,000/s",
                            f"{quantile} latency {direction} 20k/s",
                            traffic_name(direction, 20000, "1x200"), "latency_us." + quantile, "µs", goals))


def _limits(works, rows, options):
    """Single packets, and bursts that arrive together: those a generator with one CPU can outrun the servers with."""
    for shape, title, extra in (("", "", ["--payload", 200]),
                                ("-8x1200-offload", ", 8 x 1200, offload", ["--payload", 1200, "--burst", 8, "--offload"])):
        for direction in ("up", "down"):
            name = f"ramp-{direction}{shape}"
            arguments = ["--clients", options.clients, "--direction", direction, *extra, "--duration", options.step]
            works.append(Work(name, "ramp", arguments, floor=True, timed=False, seconds=35))
            rows.append(Row(name, "highest rate without loss" + title, f"highest rate without loss, {direction}{title}",
                            name, "highest_rate", "/s", [Goal("turnserver", 1.5, more=True)], bound=True))


def _storms(works, rows, options):
    for command, title, limit in (("binding", "Binding: CPU per answer", 0.4),
                                  ("allocate", "allocate + channel + refresh(0): CPU per cycle", 0.35)):
        works.append(Work(command, command, ["--clients", options.clients]))
        rows.append(Row(command, title, title, command, "cpu_us_per_operation", "µs", [Goal("turnserver", limit)]))


def _memory(works, rows, options):
    title = f"user memory of each of {options.idle:,} idle allocations"
    works.append(Work("memory", "hold", ["--clients", options.idle], timed=False, seconds=5, links=("loopback",)))
    rows.append(Row("memory", title, title, "memory", "bytes_each", "B", [Goal(None, 1024)]))


def _streams(works, rows, options):
    for transport in ("tcp", "tls"):
        for direction in ("up", "down"):
            name = f"{transport}-{direction}"
            works.append(Work(name, "relay", _traffic_arguments(options.clients, direction, 20000), transport=transport))
            rows.append(Row(name, f"{transport.upper()} client leg: CPU per packet",
                            f"{transport.upper()} client leg {direction} 20k/s: CPU/packet", name, CPU, "µs",
                            [Goal("turnserver", 0.7)]))


def _scale(works, rows, options):
    title = f"{options.many:,} allocations over {RELAYS} relay addresses: set-up CPU, last 1,000 / first 1,000"
    works.append(Work("many", "hold", ["--clients", options.many], timed=False, seconds=25, relays=RELAYS,
                      links=("loopback",), rounds=2))
    rows.append(Row("many", title, title, "many", "setup_cpu_us.ratio", "×", [Goal(None, 1.2)]))
    group = f"CPU per packet at {options.active:,} active allocations / at {options.clients}"
    for rate in (20000, 100000):
        for direction in ("up", "down"):
            name = f"active-{direction}-{thousands(rate)}"
            works.append(Work(name, "relay", _traffic_arguments(options.active, direction, rate), seconds=6))
            rows.append(Row(name, group, f"{options.active:,} active / {options.clients}, {direction} {thousands(rate)}/s",
                            name, CPU, "×", [Goal(None, 1.3)], base=traffic_name(direction, rate, "1x200")))


def _sweep(works, options):
    for rate in options.sweep:
        for direction in ("up", "down"):
            works.append(Work(f"sweep-{direction}-{thousands(rate)}", "relay",
                              _traffic_arguments(options.clients, direction, rate), floor=True, rounds=1, sweep=True))


def select(works, rows, patterns, link, sweep):
    """Those that match a pattern (of a row's, a sweep's or a group's name) and run on this link; bases come along."""
    possible = {work.name: work for work in works if link in work.links}
    rows = [row for row in rows if row.work in possible]
    if patterns:
        def matches(*names):
            return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)
        rows = [row for row in rows if matches(row.name, row.group)]
        wanted = {name for name, work in possible.items() if work.sweep and (sweep or matches(name))}
    else:
        wanted = {name for name, work in possible.items() if work.sweep and sweep}
    wanted |= {row.work for row in rows} | {row.base for row in rows if row.base}
    return [work for name, work in possible.items() if name in wanted], rows


def value_at(result, path):
    """The number that path names in the generator's JSON, or None."""
    for key in path.split("."):
        if not isinstance(result, dict) or key not in result:
            return None
        result = result[key]
    return result if isinstance(result, (int, float)) and not isinstance(result, bool) else None
