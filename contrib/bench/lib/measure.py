# SPDX-License-Identifier: BSD-2-Clause
"""Sends the generator to work on each server in turn, and says of each run whether its figures can be used."""

import json
import subprocess

import machine
import servers as servers_module

KEPT_PACE = 0.001  # share of packets that the generator may leave out before a run's figures are thrown away
LOSS_PERCENT = 0.01  # lost more than this: the figures stand, with a mark
SWEEP_END_PERCENT = 1  # a sweep ends for a server that loses more than this
SETUP_SECONDS = 1.5  # of a run, besides --duration and --warmup


class GeneratorError(Exception):
    """turnpike-bench failed; says how."""


class Generator:
    """turnpike-bench on its CPUs, on the generator's side of the link."""

    def __init__(self, program, link, cpus, prefix=()):
        self.program, self.link, self.cpus, self.prefix = program, link, cpus, list(prefix)

    def command(self, server, command, arguments, transport="udp"):
        line = [*self.prefix, self.program, "--json", "--server", server.target(transport), "--transport", transport,
                "--pid", str(server.pid)]
        if server.protocol == "turn":
            line += ["--user", server.user, "--password", server.password]
        else:
            line += ["--protocol", server.protocol]
        if transport == "tls":
            line.append("--insecure")
        if self.link.name != "loopback":
            line.append("--i-own-this-server")
        return [*line, *map(str, arguments), command]

    def run(self, server, command, arguments, transport="udp", timeout=120):
        """The generator's JSON. Raises GeneratorError."""
        line = self.command(server, command, arguments, transport)
        try:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                  timeout=None if self.prefix else timeout, errors="backslashreplace",
                                  preexec_fn=machine.in_child(self.cpus, self.link.enter_generator))
        except subprocess.TimeoutExpired:
            raise GeneratorError(f"turnpike-bench did not end within {timeout} s") from None
        except OSError as why:
            raise GeneratorError(f"{line[0]}: {why.strerror}") from None
        said = " | ".join(done.stderr.strip().splitlines()[-3:])
        if done.returncode:
            raise GeneratorError(f"turnpike-bench ended with {done.returncode}: {said or 'it said nothing'}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise GeneratorError(f"turnpike-bench printed no JSON: {done.stdout[:200]!r} {said}") from None


def unfit(result):
    """Why the figures of a run must not be used, or None."""
    skipped, sent = result.get("skipped", 0), result.get("sent", 0)
    if skipped > KEPT_PACE * (sent + skipped):
        return "the generator could not keep its pace and left packets out (%)"
    if "delivered" in result and not result["delivered"]:
        return "no packet arrived"
    if result.get("operations") == 0:
        return "no request was answered"
    return None


def remarks(result):
    """What a reader should know of a run whose figures are used: [(text, number)]."""
    found = []
    if result.get("lost_percent", 0) > LOSS_PERCENT and "highest_rate" not in result:
        found.append(("lost packets (%)", result["lost_percent"]))
    if result.get("wrong"):
        found.append(("packets that arrived where they did not belong", result["wrong"]))
    if result.get("unsendable"):
        found.append(("packets that could not be sent", result["unsendable"]))
    if result.get("limited_by") == "generator":
        found.append(("the generator, not the server, ended the ramp: a lower bound", None))
    failed = result.get("failed") or {}
    for code, count in failed.items() if isinstance(failed, dict) else [("error", failed)]:
        found.append((f"requests that failed with {code}", count))
    return found


def in_turns(servers, round_number):
    """A B C, C B A, A B C ..."""
    return servers if round_number % 2 == 0 else servers[::-1]


def serves(server, work):
    """None when this server can do the work, else why not; False when it is not meant to."""
    if server.protocol == "floor" and not work.floor:
        return False
    if work.transport not in server.transports:
        return f"{server.name} is not set up for {work.transport}"
    return None


class Comparison:
    """All works on all servers, round by round; records is what came of it, for the report."""

    def __init__(self, servers, works, place, generator, options):
        self.servers, self.works, self.place = servers, works, place
        self.generator, self.options = generator, options
        self.records, self.left_out, self.exhausted, self.interrupted = [], [], set(), False
        self.steps = list(self._plan())
        self.progress = machine.Progress([self._estimate(work) for _, work, _ in self.steps], options.no_progress)

    def _plan(self):
        for work in self.works:
            for server in self.servers:
                why = serves(server, work)
                if why and (server.name, work.transport, why) not in self.left_out:
                    self.left_out.append((server.name, work.transport, why))
        for number in range(self.options.rounds):
            for work in self.works:
                if not work.rounds or number < work.rounds:
                    for server in in_turns(self.servers, number):
                        if serves(server, work) is None:
                            yield number, work, server

    def _estimate(self, work):
        if work.seconds:
            return work.seconds / 8 if self.options.quick else work.seconds
        return self.options.seconds + self.options.warmup + SETUP_SECONDS

    def run(self):
        """True when every run that was tried gave a result. After Ctrl-C what was measured until then remains."""
        try:
            return self._run()
        except KeyboardInterrupt:
            if self.records and "result" not in self.records[-1]:
                self.records.pop()
            self.interrupted = True
            self.progress.note("interrupted: this is what was measured until then")
            return False

    def _run(self):
        good = True
        numbers = {work.name: i for i, work in enumerate(self.works, 1)}
        for number, work, server in self.steps:
            self.progress.begin(f"row {numbers[work.name]} of {len(self.works)}, "
                                f"round {number + 1} of {self.options.rounds}: {work.name}, {server.name}")
            if (server.name, work.name.rpartition("-")[0]) not in self.exhausted:
                good = self._step(number, work, server) and good
            self.progress.end()
        self.progress.clear()
        return good

    def _step(self, number, work, server):
        record = {"work": work.name, "round": number, "server": server.name}
        self.records.append(record)
        try:
            with server.running(self.place, work.relays):
                record["start_ms"] = server.start_ms
                record["result"] = self.generator.run(server, work.command, self._arguments(work), work.transport,
                                                      timeout=60 + 4 * self._estimate(work))
        except (GeneratorError, servers_module.ServerError, OSError) as why:
            record["error"] = str(why)
            self.progress.note(f"{server.name}, {work.name}: {why}")
            return False
        record["unfit"] = unfit(record["result"])
        record["remarks"] = remarks(record["result"])
        lost = record["result"].get("lost_percent", 0)
        if work.sweep and (record["unfit"] or lost > SWEEP_END_PERCENT):
            self.exhausted.add((server.name, work.name.rpartition("-")[0]))
        return True

    def _arguments(self, work):
        arguments = list(work.arguments)
        if work.timed:
            arguments += ["--duration", self.options.seconds, "--warmup", self.options.warmup]
        return arguments
