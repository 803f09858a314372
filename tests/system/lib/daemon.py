# SPDX-License-Identifier: BSD-2-Clause
"""Starts and stops the real daemon, the admin CLI and Redis, each in a temporary folder and on free ports."""

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import client
import stun
import tap
from tap import SLOW

BUILD = os.environ.get("TP_BUILDDIR", os.getcwd())
TURNPIKED = os.environ.get("TURNPIKED") or os.path.join(BUILD, "src", "turnpiked")
TURNPIKECTL = os.environ.get("TURNPIKECTL") or os.path.join(BUILD, "src", "turnpikectl")
REALM = "example.org"
# How long to wait for what comes at once on an idle machine. It costs nothing when all is well.
PATIENCE = 30 * SLOW

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """Run in a child: a test that is killed leaves nothing running."""
    _libc.prctl(1, signal.SIGKILL)


_claimed = []  # closed when this script ends


def _claim(ports):
    """Has these ports for as long as this script runs, among all scripts on the machine: whoever they are for binds them
    later only. Raises OSError."""
    mine = []
    try:
        for port in ports:
            mine.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            mine[-1].bind("\0turnpike-test-port-%d" % port)
    except OSError:
        for sock in mine:
            sock.close()
        raise
    _claimed.extend(mine)


def _try_ports(ports, hosts):
    """Raises OSError when one of them is in use."""
    with contextlib.ExitStack() as stack:
        for host in hosts:
            for port in ports:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sock = stack.enter_context(socket.socket(client.family(host), kind))
                    if host == "::":
                        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    sock.bind((host, port))


def free_port():
    """A port below the ephemeral range that is free on UDP and TCP, IPv4 and IPv6."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with contextlib.suppress(OSError):
            _try_ports([port], ("0.0.0.0", "::"))
            _claim([port])
            return port


def free_block(count, hosts=("127.0.0.1",)):
    """The first, even one of count ports that are free now on these addresses, on UDP and TCP, below what the kernel gives
    out by itself."""
    while True:
        first = random.SystemRandom().randrange(3000, 9000) & ~1
        with contextlib.suppress(OSError):
            _try_ports(range(first, first + count), hosts)
            _claim(range(first, first + count))
            return first


def folder():
    path = tempfile.mkdtemp(prefix="turnpike-test-")
    tap.cleanup(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def need(program):
    """Its path; the test is skipped where it is not installed."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/bin")
    if not path:
        raise tap.Skip("%s is not installed" % program)
    return path


def libconfig(value, indent=0):
    """Python values in libconfig's syntax: dicts are groups, lists of dicts are lists, other lists are arrays."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = "".join("%s  %s = %s;\n" % (pad, k, libconfig(v, indent + 1)) for k, v in value.items())
        return "{\n%s%s}" % (lines, pad)
    if isinstance(value, list):
        inner = ", ".join(libconfig(v, indent + 1) for v in value)
        return "( %s )" % inner if value and isinstance(value[0], dict) else "[ %s ]" % inner
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"%s"' % "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "".join("\\x%02x" % b for b in c.encode())
                            for c in value)


def settings(port, **over):
    """A configuration for loopback; over replaces settings, group by group."""
    base = {
        "realm": REALM,
        "workers": 2,
        "listen": [{"transport": t, "address": "*", "port": port} for t in ("udp", "tcp")],
        "relay": {"addresses": ["127.0.0.1", "::1"], "allow": ["127.0.0.0/8", "::1/128"]},
        "auth": {"stores": [], "users": [{"name": "user", "password": "pass"}, {"name": "other", "password": "word"}]},
        "limits": {"unauthenticated_rate": 0},
        "log": {"level": "debug", "format": "text", "target": "stderr"},
    }
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(name), dict):
            base[name] = {**base[name], **value}
        else:
            base[name] = value
    if any("redis" in store for store in (base.get("auth") or {}).get("stores", [])):
        # By default a look-up has a second, which Redis or the server may be without a processor for.
        base["auth"].setdefault("timeout", 20000)
    return {k: v for k, v in base.items() if v is not None}


def config_text(config):
    return "".join("%s = %s;\n" % (k, libconfig(v)) for k, v in config.items())


def tail(path, lines=40):
    try:
        with open(path, "rb") as f:
            return b"\n".join(f.read().splitlines()[-lines:]).decode("utf-8", "backslashreplace")
    except OSError as why:
        return str(why)


class Process:
    """A child with its output in a file; ended by its id."""

    def __init__(self, argv, log, inside=None, cwd=None, env=None, drops=False):
        self.log = log
        with open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, env=env,
                                          preexec_fn=_prepare(inside))
        self.pid = self.child.pid
        tap.cleanup(self.kill)

    def alive(self):
        return self.child.poll() is None

    def kill(self):
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
                self.child.kill()
            self.child.wait()

    def wait(self, seconds):
        return self.child.wait(seconds)


def wait_for_udp(process, port):
    """Until somebody has a UDP socket on that port, which this process is to be."""
    def bound():
        tap.check(process.alive(), "it has ended: " + tail(process.log))
        for name in ("udp", "udp6"):
            with open("/proc/net/" + name, encoding="ascii") as f:
                if any(int(line.split()[1].rsplit(":", 1)[1], 16) == port for line in f.readlines()[1:]):
                    return True
        return False
    tap.until("a socket on port %d" % port, bound)


def overflows():
    """How many UDP datagrams the kernel has dropped at receive buffers that were full."""
    with open("/proc/net/snmp", encoding="ascii") as f:
        names, values = [line.split() for line in f if line.startswith("Udp:")]
    with open("/proc/net/snmp6", encoding="ascii") as f:
        return int(values[names.index("RcvbufErrors")]) + sum(int(n) for name, n in map(str.split, f) if name == "Udp6RcvbufErrors")


def _prepare(inside):
    def run():
        die_with_parent()
        if inside:
            inside.enter()
    return run


class Daemon:
    """turnpiked with a generated configuration.

    Keyword arguments are settings (see settings()). text: a configuration to use as it is. netns: the Namespace to run in,
    server: the address that readiness is probed on.
    """

    def __init__(self, netns=None, server="127.0.0.1", text=None, port=None, args=(), start=True, env=None, **over):
        self.port = port or free_port()
        self.server = (server, self.port)
        self.netns = netns
        self.folder = folder()
        os.chmod(self.folder, 0o755)
        self.config = os.path.join(self.folder, "turnpike.conf")
        self.log = os.path.join(self.folder, "log")
        self.args = list(args)
        self.env = {**os.environ, **(env or {})}
        self.start_seconds = None
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(config_text(settings(self.port, **over)) if text is None else text)
        self.process = None
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.process.kill()

    @property
    def pid(self):
        return self.process.pid

    def inside(self):
        return self.netns.inside() if self.netns else contextlib.nullcontext()

    def start(self):
        if not os.access(TURNPIKED, os.X_OK):
            raise AssertionError("%s is not there: build it, or set TURNPIKED" % TURNPIKED)
        tap.on_failure(lambda: "log of the daemon on port %d:\n%s" % (self.port, tail(self.log)))
        began = time.monotonic()
        self.process = Process([TURNPIKED, "-c", self.config] + self.args, self.log, self.netns, env=self.env)
        probe = stun.build(stun.BINDING)
        with self.inside():
            sock = socket.socket(client.family(self.server[0]), socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(0.005)
            sock.connect(self.server)
            while True:
                try:
                    sock.send(probe)
                    if sock.recv(2048)[8:20] == probe[8:20]:
                        break
                except ConnectionRefusedError:
                    time.sleep(0.002)
                except socket.timeout:
                    pass
                if not self.process.alive():
                    raise AssertionError("the daemon ended with %d at start:\n%s"
                                         % (self.process.child.returncode, tail(self.log)))
                if time.monotonic() - began > PATIENCE:
                    self.process.kill()
                    raise AssertionError("the daemon was not ready in time:\n%s" % tail(self.log))
        self.start_seconds = time.monotonic() - began

    def stop(self, seconds=PATIENCE):
        """SIGTERM; it has to end with 0 in time and without a sanitizer's report."""
        if not self.process.alive():
            raise AssertionError("the daemon had ended by itself with %s" % self.process.child.returncode)
        os.kill(self.pid, signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the daemon did not end within %d s of SIGTERM" % seconds) from None
        tap.equal(code, 0, "exit code after SIGTERM")
        for word in ("Sanitizer", "runtime error:"):
            if word in self.read_log():
                raise AssertionError("a sanitizer has something to say:\n%s" % tail(self.log, 80))

    def read_log(self):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "backslashreplace")

    def wait_log(self, text, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in self.read_log():
                return
            time.sleep(0.02)
        raise AssertionError("the log never said %r" % text)

    def client(self, transport="udp", host=None, **kw):
        """A client of this daemon."""
        server = (host, self.port) if host else self.server
        made = client.Client(server, transport, inside=self.inside if self.netns else None, **kw)
        tap.cleanup(made.close)
        return made

    def status(self, field):
        """A field of /proc/PID/status."""
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return line.split(":", 1)[1].strip()
        raise AssertionError("no %s in /proc" % field)

    def rss(self):
        """Resident memory in KiB."""
        return int(self.status("VmRSS").split()[0])

    def answers(self):
        with self.client() as c:
            msg = c.binding()
        return bool(msg and msg.cls == stun.SUCCESS)


def run_daemon(*args, seconds=30, env=None):
    """Runs it to its end: (exit code, stdout, stderr)."""
    return _run([TURNPIKED] + list(args), seconds, None, env)


def ctl(*args, stdin=None, seconds=30):
    """Runs turnpikectl: (exit code, stdout, stderr)."""
    return _run([TURNPIKECTL] + list(args), seconds, stdin, None)


def must_ctl(*args, stdin=None):
    code, out, err = ctl(*args, stdin=stdin)
    tap.equal((code, err if code else ""), (0, ""), "turnpikectl " + " ".join(args))
    return out


def _run(argv, seconds, stdin, env):
    done = subprocess.run(argv, input=stdin or "", capture_output=True, text=True, timeout=seconds * SLOW,
                          env={**os.environ, **(env or {})}, preexec_fn=die_with_parent, errors="backslashreplace",
                          check=False)
    return done.returncode, done.stdout, done.stderr


def add_user(store, name, password, *args):
    return must_ctl("user", "add", name, "--realm", REALM, "--store", store, *args, stdin=password + "\n")


class Redis:
    """redis-server on a free port, without files."""

    def __init__(self, port=None):
        self.program = need("redis-server")
        self.cli_program = need("redis-cli")
        self.port = port or free_port()
        self.folder = folder()
        self.process = None
        self.start()

    @property
    def uri(self):
        return "redis://127.0.0.1:%d/0" % self.port

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Also after kill(): on the same port, empty."""
        log = os.path.join(self.folder, "log")
        self.process = Process([self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                "--appendonly", "no", "--dir", self.folder], log)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.sendall(b"PING\r\n")
                    if s.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            if not self.process.alive() or time.monotonic() > end:
                raise AssertionError("redis-server did not start:\n" + tail(log))
            time.sleep(0.01)

    def kill(self):
        self.process.kill()

    def cli(self, *args):
        done = subprocess.run([self.cli_program, "-p", str(self.port), *args], capture_output=True, text=True,
                              timeout=PATIENCE, check=True, errors="backslashreplace")
        return done.stdout

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)


def json_of(text):
    try:
        return json.loads(text)
    except ValueError:
        raise AssertionError("not JSON: %r" % text) from None
