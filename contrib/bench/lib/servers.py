# SPDX-License-Identifier: BSD-2-Clause
"""The servers that are compared: turnpike and its variants, the floor, and peers by their recipes."""

import contextlib
import copy
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time

import machine

USER, PASSWORD, REALM = "user", "pass", "bench"
RELAY_PORTS = (20000, 60000)
PATIENCE = 15  # seconds for a server to answer
BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"compare....."
PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")

# turnpike with something on or off, measured as a server of its own: name -> settings in place of the usual ones.
# --variant adds more. One that this turnpiked does not know is said and left out.
VARIANTS = {"coalesce": {"relay.coalesce": 1000}}


class ServerError(Exception):
    """A server that did not start or did not answer; says what it said."""


def certificate(folder):
    """(certificate, key) as PEM files in folder, made once; None without openssl(1)."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1,IP:198.18.0.1", "-keyout", key, "-out", cert]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return cert, key


class Place:
    """Where a server is to run: the link's server side, its CPUs, worker threads, certificate."""

    def __init__(self, link, cpus, workers, files):
        self.link, self.cpus, self.workers, self.certificate = link, cpus, workers, files


class Server:
    """What all have in common: a folder, a port, a process that is awaited and ended by its id."""

    transports = ("udp",)
    user, password, realm = USER, PASSWORD, REALM
    protocol = "turn"
    beside = True  # a server to be compared with, not turnpike itself

    def __init__(self, name, program):
        self.name, self.program = name, program
        self.process = None
        self.start_ms = None  # from exec to the first answer

    def version(self):
        try:
            done = subprocess.run([self.program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return "unknown version"
        first = done.stdout.strip().split("\n")[0].strip()
        return first if done.returncode == 0 and first else "unknown version"

    def command(self, place, relays):
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self, place, relay_count=1, wrapper=()):
        """Runs it for the block. wrapper: a command in front of it, as strace or valgrind."""
        self.start(place, place.link.relay_addresses(relay_count), wrapper)
        try:
            yield self
        finally:
            self.stop()

    def start(self, place, relays, wrapper=()):
        link = place.link
        self.folder = tempfile.TemporaryDirectory(prefix="turnpike-compare-")
        self.address, self.port, self.tls_port = link.server_address, link.free_port(), link.free_port()
        command = self.command(place, relays)
        begin = time.monotonic()
        with open(os.path.join(self.folder.name, "log"), "wb") as log:
            self.process = subprocess.Popen([*wrapper, *command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.folder.name,
                                            preexec_fn=machine.in_child(place.cpus, link.enter_server))
        try:
            self.await_answer(link)
            self.start_ms = (time.monotonic() - begin) * 1e3
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self):
        return self.process.pid

    def greeting(self):
        return BINDING_REQUEST

    def await_answer(self, link):
        end = time.monotonic() + PATIENCE
        with link.generator_side():
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            probe.connect((self.address, self.port))
            probe.settimeout(0.01)
            while True:
                try:
                    probe.send(self.greeting())
                    probe.recv(1500)
                    return
                except OSError:  # refused or not yet answered
                    time.sleep(0.0005)
                if self.process.poll() is not None:
                    raise ServerError(f"{self.name} ended with {self.process.returncode} at start: {self.said()}")
                if time.monotonic() > end:
                    raise ServerError(f"{self.name} does not answer on UDP: {self.said()}")

    def said(self):
        """The end of its log."""
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8", errors="replace") as f:
            return " | ".join(f.read().strip().splitlines()[-5:]) or "it said nothing"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def target(self, transport):
        return f"{self.address}:{self.tls_port if transport == 'tls' else self.port}"


class Turnpike(Server):
    """turnpiked with a configuration of its own; over: {dotted option: value} in place of the usual ones."""

    transports = ("udp", "tcp", "tls")
    beside = False

    def __init__(self, name, program, over=None):
        super().__init__(name, program)
        self.over = over or {}

    def command(self, place, relays):
        path = os.path.join(self.folder.name, "turnpike.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(libconfig_text(self.settings(place, relays)))
        return [self.program, "-c", path]

    def settings(self, place, relays):
        listen = [{"transport": t, "address": self.address, "port": self.port} for t in ("udp", "tcp")]
        settings = {"realm": self.realm, "workers": place.workers, "listen": listen,
                    "relay": {"addresses": Array(relays), "ports": Array(RELAY_PORTS), "allow": Array([place.link.peers])},
                    "auth": {"stores": Array(), "users": [{"name": self.user, "password": self.password}]},
                    "limits": {"unauthenticated_rate": 0, "tcp_connections": 1000000}, "log": {"level": "warning"}}
        if place.certificate:
            listen.append({"transport": "tls", "address": self.address, "port": self.tls_port})
            settings["tls"] = dict(zip(("certificate", "key"), place.certificate))
        for option, value in self.over.items():
            *groups, key = option.split(".")
            at = settings
            for group in groups:
                at = at.setdefault(group, {})
            at[key] = copy.copy(value)
        return settings

    def knows_its_options(self, place):
        """An error text when turnpiked refuses the configuration, else None."""
        with tempfile.TemporaryDirectory(prefix="turnpike-compare-") as folder:
            path = os.path.join(folder, "turnpike.conf")
            self.address, self.port, self.tls_port = place.link.server_address, 3478, 5349
            with open(path, "w", encoding="utf-8") as f:
                f.write(libconfig_text(self.settings(place, [self.address])))
            done = subprocess.run([self.program, "--check", "-c", path], capture_output=True, text=True, check=False)
            return None if done.returncode == 0 else (done.stderr or done.stdout).strip().replace(path + ":", "line ")


class Floor(Server):
    """The bare forwarder: the socket layout of a relay without its protocol."""

    protocol = "floor"

    def version(self):
        return "bare forwarder of this tree"

    def command(self, place, relays):
        return [self.program, "--listen", f"{self.address}:{self.port}", "--relay", relays[0]]

    def greeting(self):
        return f"floor {self.address}:9".encode()


class Peer(Server):
    """Another TURN server, by its recipe (see doc/benchmarks.md)."""

    def __init__(self, path):
        recipe = read_recipe(path)
        self.folder_of_recipe = os.path.dirname(os.path.abspath(path))
        self.start_words = shlex.split(recipe["start"])
        super().__init__(os.path.basename(path), self.start_words[0])
        self.user, _, self.password = recipe.get("credentials", f"{USER}:{PASSWORD}").partition(":")
        self.transports = tuple(recipe.get("transports", "udp").split())

    def find(self):
        """Whether its program is here."""
        found = shutil.which(self.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        self.program = found or self.program
        return bool(found)

    def command(self, place, relays):
        cert, key = place.certificate or ("", "")
        values = {"address": self.address, "port": self.port, "tls_port": self.tls_port, "user": self.user,
                  "password": self.password, "realm": self.realm, "folder": self.folder.name, "workers": place.workers,
                  "certificate": cert, "key": key, "min_port": RELAY_PORTS[0], "max_port": RELAY_PORTS[1]}
        template = os.path.join(self.folder_of_recipe, self.name + ".conf")
        if os.path.exists(template):
            with open(template, encoding="utf-8") as f, \
                    open(os.path.join(self.folder.name, self.name + ".conf"), "w", encoding="utf-8") as out:
                out.writelines(fill_line(line, values, relays, bool(place.certificate)) for line in f)
        values["relay"] = relays[0]
        return [self.program, *(word.format(**values) for word in self.start_words[1:])]


def read_recipe(path):
    """{key: value} of its `key = value` lines; raises ServerError with the place of a mistake."""
    recipe = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals or key not in ("start", "credentials", "transports"):
                raise ServerError(f"{path}:{number}: expected start, credentials or transports = ...")
            recipe[key] = value
    if not recipe.get("start"):
        raise ServerError(f"{path}: there is no start = COMMAND")
    return recipe


def fill_line(line, values, relays, tls):
    """A line of a template: once for each relay address if it has {relay}, not at all if it wants a missing certificate."""
    if not tls and ("{certificate}" in line or "{key}" in line or "{tls_port}" in line):
        return ""
    return "".join(line.format(relay=relay, **values) for relay in (relays if "{relay}" in line else relays[:1]))


def find_peers(extra=()):
    """(peers that are here, names of those that are not)."""
    paths = [os.path.join(PEERS, name) for name in sorted(os.listdir(PEERS)) if "." not in name and name != "signal"] + list(extra)
    peers = [Peer(path) for path in paths]
    here = [peer for peer in peers if peer.find()]
    return here, [peer for peer in peers if peer not in here]


def parse_variant(text, program):
    """NAME:OPTION=VALUE[,OPTION=VALUE...] as a Turnpike; the option `program` names another turnpiked."""
    name, colon, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    if not name or not colon or not pairs or not all(equals for _, equals, _ in pairs):
        raise ServerError(f"--variant {text}: expected NAME:OPTION=VALUE[,OPTION=VALUE...]")
    over = {option.strip(): Literal(value.strip()) for option, _, value in pairs}
    program = over.pop("program", program)
    return Turnpike("turnpike+" + name, os.path.abspath(program), over)


class Array(list):
    """A libconfig array; other lists are lists of groups."""


class Literal(str):
    """Text that is written as it is."""


def libconfig_value(value):
    if isinstance(value, Literal):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Array):
        return "[ " + ", ".join(map(libconfig_value, value)) + " ]"
    if isinstance(value, (list, tuple)):
        return "( " + ", ".join(map(libconfig_value, value)) + " )"
    return "{ " + " ".join(f"{k} = {libconfig_value(v)};" for k, v in value.items()) + " }"


def libconfig_text(settings):
    return "".join(f"{key} = {libconfig_value(value)};\n" for key, value in settings.items())
