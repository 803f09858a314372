# SPDX-License-Identifier: BSD-2-Clause
"""contrib/bench/compare: what its tables say comes from its runs, and what fails is told. No figure is asserted."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))

import daemon
import netns
import tap
from tap import SLOW

ROOT = os.path.dirname(os.path.dirname(HERE))
BENCH = os.path.join(ROOT, "contrib", "bench")
FLOOR = os.path.join(daemon.BUILD, "contrib", "bench", "floor")
ROWS = ("cpu-up-20k-1x200", "binding")
QUICK = ("--quick", "--no-progress", "--builddir", daemon.BUILD)


def inside():
    """A namespace of its own where that can be had: servers relay from ports that other tests might have in mind."""
    if os.geteuid():
        return None
    try:
        return netns.Namespace()
    except OSError:
        return None


def start(tool, *args):
    space = inside()

    def prepare():
        daemon.die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs have it ignored
        if space:
            space.enter()
    child = subprocess.Popen([os.path.join(BENCH, tool), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, preexec_fn=prepare)

    def end():
        if child.poll() is None:
            child.kill()
            child.communicate()
    tap.cleanup(end)
    return child


def run(tool, *args, code=0):
    """(standard output, standard error)"""
    return finish(start(tool, *args), code, tool, args)


def finish(child, code, *what):
    out, err = child.communicate(timeout=150 * SLOW)
    tap.equal(child.returncode, code, "exit status of %r\n%s\n%s\n" % (what, out, err))
    return out, err


def value_at(result, path):
    for key in path.split("."):
        result = (result or {}).get(key)
    return result


def ratios(document, row, other):
    """The ratios of turnpike to another, round by round, as the runs have them."""
    values = {"turnpike": {}, other: {}}
    for one in document["runs"]:
        if one["work"] == row["work"] and one["server"] in values and one.get("result") and not one["unfit"]:
            values[one["server"]][one["round"]] = value_at(one["result"], row["path"])
    return [values["turnpike"][n] / values[other][n] for n in values["turnpike"] if values[other].get(n)]


def cell(values):
    """What a table says of them."""
    def three(value):
        return "%.0f" % value if value == int(value) or value >= 100 else "%.1f" % value if value >= 10 else "%.2f" % value
    text = three(statistics.median(values))
    return text + (" (%s-%s)" % (three(min(values)), three(max(values))) if len(values) > 1 else "")


@tap.limit(180)
def test_figures_are_those_of_the_runs():
    """every row is in the table, with the ratios of its runs, and --from says the same again"""
    here = {"turnpike", "turnpike+coalesce"} | ({"turnserver"} if shutil.which("turnserver") else set())
    here |= {"floor"} if os.access(FLOOR, os.X_OK) else set()
    for name in {"turnserver", "floor"} - here:
        tap.diag("without %s, which is not here" % name)
    folder = daemon.folder()
    path, report = os.path.join(folder, "runs.json"), os.path.join(folder, "report.md")
    only = [arg for row in ROWS for arg in ("--only", row)]
    out, err = run("compare", *QUICK, *only, "--rounds", "2", "--seconds", "0.4", "--json", path, "--markdown", report)
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    tap.equal({s["name"] for s in document["servers"]} - here, set(), "servers that are not expected")
    tap.equal([row["name"] for row in document["rows"]], list(ROWS), "rows")
    order = [(r["round"], r["server"]) for r in document["runs"] if r["work"] == "binding"]
    names = [server for number, server in order if number == 0]
    tap.equal([server for number, server in order if number == 1], names[::-1], "the servers' order in the second round")
    for row in document["rows"]:
        tap.check(row["title"] in out, "a line for %s in\n%s" % (row["name"], out))
        for goal in row["goals"]:
            found = ratios(document, row, goal["reference"])
            tap.equal(bool(goal["value"]), bool(found), "whether %s has a ratio" % row["name"])
            if found:
                tap.equal(goal["value"]["median"], statistics.median(found), "ratio of %s" % row["name"])
                tap.equal((goal["value"]["low"], goal["value"]["high"]), (min(found), max(found)), "its spread")
                tap.check(("held" in goal["text"]) == goal["held"], "verdict %r" % goal)
                tap.check(cell(found) in out, "the ratio of %s, %s, in\n%s" % (row["name"], cell(found), out))
            else:
                tap.check("no" in goal["text"], "why there is no ratio: %r" % goal)
    with open(report, encoding="utf-8") as f:
        tap.check(f.read().strip() in out, "the report on standard output and in the file")
    for name in document["missing"]:
        tap.check(name + ": not here" in err and name + ": not here" in out, "that %s is missing is said" % name)
    again, _ = run("compare", "--from", path, "--plot", os.path.join(folder, "plots"))
    tap.check(again.startswith(out[out.index("## turnpike"):].strip()), "--from prints\n%s\ninstead of\n%s" % (again, out))
    for name in os.listdir(os.path.join(folder, "plots")):
        xml.etree.ElementTree.parse(os.path.join(folder, "plots", name))


@tap.limit(180)
def test_failing_server():
    """a server that does not start is named with what it said, and the others are measured"""
    recipe = os.path.join(daemon.folder(), "stillborn")
    with open(recipe, "w", encoding="ascii") as f:
        f.write("start = sh -c 'echo no luck with {address}; exit 3'\ncredentials = a:b\n")
    out, err = run("compare", *QUICK, "--only", "binding", "--seconds", "0.3", "--peer", recipe, "--server", "turnpike",
                   "--server", "stillborn", code=1)
    for text in (out, err):
        tap.check("stillborn ended with 3 at start: no luck with 127.0.0.1" in text, "the failure in\n" + text)
    tap.check("some runs failed" in err, "the end of\n" + err)
    tap.check("| Binding: CPU per answer" in out, "the row in\n" + out)


@tap.limit(180)
def test_mistakes():
    """what cannot be done is said in a line"""
    recipe = os.path.join(daemon.folder(), "wrong")
    with open(recipe, "w", encoding="ascii") as f:
        f.write("# a peer\nbegin = x\n")
    wrong = ((("--only", "no-such-row"), "matches no row"), (("--peer", recipe), "wrong:2: expected start"),
             (("--variant", "x"), "expected NAME:OPTION=VALUE"), (("--from", recipe), "wrong: Expecting value"),
             (("--server", "nobody"), "no server to measure"))
    begun = [(start("compare", *QUICK, *args), 1, args, want) for args, want in wrong]
    begun += [(start(tool, "--builddir", daemon.BUILD, option, "0"), 2, tool, option + " 0: it has to be more than 0") for tool, option in
              (("compare", "--rounds"), ("signal", "--seconds"), ("count", "--rate"), ("soak", "--minutes"))]
    for child, code, what, want in begun:
        _, err = finish(child, code, what)
        tap.check(want in err and "Traceback" not in err, "%r says\n%s" % (what, err))
    child = start("compare", *QUICK, "--variant", "x:relay.no_such_option=1", "--server", "nobody")
    _, err = child.communicate(timeout=150 * SLOW)
    tap.check("turnpike+x: left out, its configuration is refused: line" in err and "no_such_option" in err, err)


def test_nothing_built():
    """where nothing is built each program has contrib/dev install and build, then start itself with its arguments"""
    root = daemon.folder()
    shutil.copytree(BENCH, os.path.join(root, "contrib", "bench"), ignore=shutil.ignore_patterns("node_modules"))
    dev = os.path.join(root, "contrib", "dev")
    with open(dev, "w", encoding="ascii") as f:
        f.write('#!/bin/sh\necho "$@"\n')
    os.chmod(dev, 0o755)
    env = {name: value for name, value in os.environ.items() if name != "TP_BUILDDIR"}
    for tool, args in (("compare", ["--quick"]), ("count", ["-d", "up"]), ("signal", ["--install"]), ("soak", ["--minutes", "1"])):
        done = subprocess.run([os.path.join(root, "contrib", "bench", tool), *args], cwd=root, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=50 * SLOW)
        tap.equal((done.returncode, done.stdout.split()), (0, ["bench", tool, *args]), "%s: %s" % (tool, done.stderr))


def made_up(rounds):
    """A document of runs: rounds is [{server: (CPU per packet, why it is unfit)}]."""
    runs = [{"work": "up-20k-1x200", "round": n, "server": server, "unfit": unfit, "remarks": [],
             "result": {"sent": 100, "delivered": 100, "server_process": {"cpu_us_per_packet": cpu}}}
            for n, servers in enumerate(rounds) for server, (cpu, unfit) in servers.items()]
    scale = {"clients": 50, "idle": 10, "many": 10, "active": 10, "step": 1, "sweep": []}
    names = sorted({run["server"] for run in runs})
    return {"version": 1, "machines": [], "link": "loopback", "quick": False, "setting": "", "scale": scale, "missing": [],
            "servers": [{"name": n, "version": "1"} for n in names], "selected": ["cpu-up-20k-1x200"], "runs": runs,
            "left_out": []}


def test_unfit_runs():
    """no figure comes from a run in which the generator could not keep its pace, and ratios are formed within a round"""
    sys.path.insert(0, os.path.join(BENCH, "lib"))
    import evaluate
    import measure
    tap.check(measure.unfit({"sent": 900, "delivered": 900, "skipped": 100}), "left out a tenth")
    tap.check(measure.unfit({"sent": 900, "delivered": 0}), "nothing delivered")
    tap.equal(measure.unfit({"sent": 9000, "delivered": 8000, "skipped": 1}), None, "a usable run")
    late = "the generator could not keep its pace"
    runs = made_up([{"turnpike": (2.0, None), "floor": (2.0, None), "turnserver": (10.0, None)},
                    {"turnpike": (9.0, late), "floor": (2.0, None), "turnserver": (10.0, None)},
                    {"turnpike": (6.0, None), "floor": (5.0, None), "turnserver": (8.0, late)}])
    found = evaluate.Evaluation(runs).as_json()[0]
    tap.equal(found["figures"]["turnpike"], {"median": 4.0, "low": 2.0, "high": 6.0, "rounds": 2}, "turnpike's figure")
    floor, turnserver = found["goals"]
    tap.equal((floor["value"]["low"], floor["value"]["high"]), (1.0, 1.2), "to the floor")
    tap.equal(floor["text"], "held, not in every round", "to the floor")
    tap.equal((turnserver["value"]["median"], turnserver["value"]["rounds"]), (0.2, 1), "to turnserver")
    tap.equal(turnserver["held"], True, "to turnserver")
    both = evaluate.merge([made_up([{"turnpike": (2.0, None)}]), made_up([{"turnpike": (4.0, None)}])])
    figures = evaluate.Evaluation(both).as_json()[0]
    tap.equal(figures["figures"]["turnpike"], {"median": 3.0, "low": 2.0, "high": 4.0, "rounds": 2}, "two files put together")
    tap.equal(figures["goals"][0]["text"], "not measured: no floor", "without a floor")


def namespaces(pid):
    return [name for name in os.listdir("/run/netns") if name.startswith("bench-%d-" % pid)]


def test_veth_is_removed():
    """--link veth makes namespaces and a pair for itself, which Ctrl-C removes"""
    netns.need()
    if not shutil.which("ethtool", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        raise tap.Skip("ethtool is not here")
    child = start("compare", *QUICK, "--link", "veth", "--only", "cpu-up-20k-1x200", "--seconds", "30", "--server",
                  "turnpike")
    end = time.monotonic() + daemon.PATIENCE
    while len(namespaces(child.pid)) < 2:
        if child.poll() is not None and "NAPI" in (err := child.communicate()[1]):
            raise tap.Skip(err.strip())
        tap.check(child.poll() is None and time.monotonic() < end, "two namespaces")
        time.sleep(0.05)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=daemon.PATIENCE)
    tap.check("Traceback" not in err, err)
    tap.equal((child.returncode, namespaces(child.pid)), (130, []), "exit status and namespaces left")


@tap.limit(240)
def test_soak_and_count():
    """soak tells of memory and of the paced stream; count of the system calls of each server"""
    child = start("soak", "--builddir", daemon.BUILD, "--minutes", "0.1", "--clients", "20", "--churn", "2", "--paced", "2")
    out, err = child.communicate(timeout=150 * SLOW)
    tap.check(child.returncode in (0, 1) and "paced stream:" in out and "memory: anonymous" in out, out + err)
    if not shutil.which("strace"):
        raise tap.Skip("strace is not here, so no counts")
    for seconds in ("0.5", "2", "8"):
        child = start("count", "--builddir", daemon.BUILD, "--server", "turnpike", "--seconds", seconds, "-d", "up", "-r", "1000")
        out, err = child.communicate(timeout=150 * SLOW)
        if "the long run delivered no more packets than the short one" not in err:
            break  # else the machine was too busy for one that short
    tap.equal(child.returncode, 0, "exit status of count\n%s\n%s\n" % (out, err))
    tap.check("| all " in out and ("sendto" in out or "sendmmsg" in out), out)


if __name__ == "__main__":
    tap.main()
