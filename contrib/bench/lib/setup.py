# SPDX-License-Identifier: BSD-2-Clause
"""What compare, count, signal and soak do first: find what was built, the servers, and a place for them to run."""

import contextlib
import fnmatch
import os
import shlex
import sys
import tempfile

import link as link_module
import machine
import measure
import servers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def add_options(parser):
    """Those that all of them have."""
    parser.add_argument("--builddir", default=os.environ.get("TP_BUILDDIR"), help="where turnpike was built (., build)")
    parser.add_argument("--server", metavar="GLOB", action="append", default=[], help="only these servers, as turnpike")
    parser.add_argument("--peer", metavar="FILE", action="append", default=[], help="the recipe of one more server")
    parser.add_argument("--variant", metavar="NAME:OPTION=VALUE,...", action="append", default=[],
                        help="turnpike with these options as a server of its own; the option program names another turnpiked")
    parser.add_argument("--workers", type=int, default=1, help="threads of each server (1)")
    parser.add_argument("--no-pin", action="store_true", help="let the kernel place the threads")
    parser.add_argument("--prefix", metavar="COMMAND", default="", help="put before each run of the generator")


def check_more_than_0(parser, options, *names):
    """Ends the program where one of these options was given and is not."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} {value:g}: it has to be more than 0")


def find_build(options):
    """The build folder; a clean clone goes by way of contrib/dev, which builds and comes back here."""
    for folder in [options.builddir] if options.builddir else [".", os.path.join(ROOT, "build")]:
        if os.access(os.path.join(folder, "src/turnpiked"), os.X_OK):
            return os.path.abspath(folder)
    if options.builddir:
        raise SystemExit(f"{options.builddir}: no src/turnpiked there")
    print("nothing is built yet: contrib/dev does it", file=sys.stderr, flush=True)
    dev = os.path.join(ROOT, "contrib/dev")
    os.execv(dev, [dev, "bench", os.path.basename(sys.argv[0]), *sys.argv[1:]])


def find_servers(options, build, place):
    """(servers, names of those that are not here), turnpike first."""
    turnpiked = os.path.join(build, "src/turnpiked")
    ours = [servers.Turnpike("turnpike", turnpiked)]
    ours += [servers.Turnpike("turnpike+" + name, turnpiked, over) for name, over in servers.VARIANTS.items()]
    ours += [servers.parse_variant(text, turnpiked) for text in options.variant]
    floor = os.path.join(build, "contrib/bench/floor")
    peers, missing = servers.find_peers(options.peer)
    found, names = [], [peer.name for peer in missing]
    for server in ours:
        wrong = server.knows_its_options(place)
        if wrong:
            print(f"{server.name}: left out, its configuration is refused: {wrong}", file=sys.stderr)
            names.append(server.name)
        else:
            found.append(server)
    if os.access(floor, os.X_OK):
        found.append(servers.Floor("floor", floor))
    else:
        names.append("floor")
    found += peers
    if options.server:
        found = [s for s in found if any(fnmatch.fnmatchcase(s.name, glob) for glob in options.server)]
    for name in names:
        print(f"{name}: not here, measured without it" + (" (make contrib/bench/floor)" if name == "floor" else ""),
              file=sys.stderr)
    if not found:
        raise SystemExit("no server to measure")
    return found, names




class Bench:
    """All that a measurement needs; see prepared()."""

    def __init__(self, build, link, place, generator, found, missing):
        self.build, self.link, self.place, self.generator = build, link, place, generator
        self.servers, self.missing = found, missing


@contextlib.contextmanager
def prepared(options, link="loopback"):
    """A Bench for the block: the link, the servers that are here, and the generator, each with CPUs of its own."""
    build = find_build(options)
    program = os.path.join(build, "src/turnpike-bench")
    if not os.access(program, os.X_OK):
        raise SystemExit(f"{program}: not there; make src/turnpike-bench")
    machine.raise_file_limit()
    server_cpus, generator_cpus = machine.split_cpus(options.workers, not options.no_pin)
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(link_module.make(link, generator_cpus))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="turnpike-compare-"))
        place = servers.Place(link, server_cpus, options.workers, servers.certificate(folder))
        found, missing = find_servers(options, build, place)
        generator = measure.Generator(program, link, generator_cpus, shlex.split(options.prefix))
        yield Bench(build, link, place, generator, found, missing)


def describe(bench, options):
    """The setting in words."""
    pinned = ("server and generator on CPUs of their own" if bench.place.cpus else
              "not pinned" if options.no_pin else "not pinned: too few CPUs for server and generator")
    return (f"{options.workers} worker thread{'s' if options.workers > 1 else ''}, {pinned}; {bench.link.describe()}"
            + ("" if bench.place.certificate else "; no openssl(1), so without TLS"))


@contextlib.contextmanager
def told():
    """Errors of the set-up as one line, SIGTERM as Ctrl-C."""
    machine.end_on_sigterm()
    try:
        yield
    except (link_module.LinkError, servers.ServerError, measure.GeneratorError) as why:
        raise SystemExit(str(why)) from None
    except KeyboardInterrupt:
        sys.exit(130)
