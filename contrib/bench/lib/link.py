# SPDX-License-Identifier: BSD-2-Clause
"""What lies between the server and the generator: the loopback device, or a veth pair made for this run."""

import contextlib
import ctypes
import os
import random
import socket
import subprocess
import time

CLONE_NEWNET = 0x40000000
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
_libc = ctypes.CDLL(None, use_errno=True)


class LinkError(Exception):
    """The link cannot be made here; says why."""


def _free_port(address):
    """A port that is free for UDP and TCP, away from those of relays, clients and peers: servers may refuse peers on it."""
    while True:
        port = random.randrange(10000, 20000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind((address, port))
                tcp.bind((address, port))
                return port
            except OSError:
                continue


class Loopback:
    """Both sides on 127.0.0.1. The sender's time pays for the receiver's half of the network stack."""

    name = "loopback"
    server_address = generator_address = "127.0.0.1"
    peers = "127.0.0.0/8"
    enter_server = enter_generator = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def relay_addresses(self, count):
        """Away from 127.0.0.2 and the next ones, which the generator's clients use when ports run out."""
        return ["127.0.0.1"] if count == 1 else [f"127.0.64.{i + 1}" for i in range(count)]

    def server_side(self):
        return contextlib.nullcontext()

    generator_side = server_side

    def free_port(self):
        return _free_port(self.server_address)

    def describe(self):
        return "loopback"


def _run(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": PATH}, check=False)
    except OSError as why:
        raise LinkError(f"{command[0]}: {why.strerror}") from None
    if done.returncode:
        raise LinkError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


class _Namespace:
    """A network namespace with a name that nobody else has."""

    def __init__(self, name, device, address):
        self.name, self.device, self.address = name, device, address
        _run("ip", "netns", "add", name)
        self.fd = os.open("/run/netns/" + name, os.O_RDONLY | os.O_CLOEXEC)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command):
        _run("ip", "netns", "exec", self.name, *command)

    def enter(self):
        """Moves the calling thread there for good."""
        if _libc.setns(self.fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def inside(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.enter()
            yield
        finally:
            _libc.setns(home, CLONE_NEWNET)
            os.close(home)

    def bring_up(self):
        # Without TSO the device takes packets in by NAPI; then GRO gathers what belongs together.
        self.run("ethtool", "-K", self.device, "tso", "off", "gro", "on")
        self.run("ip", "address", "add", self.address + "/24", "dev", self.device)
        self.run("ip", "link", "set", self.device, "up")
        self.run("sh", "-c", f"echo 1 >/sys/class/net/{self.device}/threaded")

    def delete(self):
        os.close(self.fd)
        _run("ip", "netns", "del", self.name)


class Veth:
    """A namespace for each side and a veth pair between them, used as network cards are.

    The receiving half of both devices runs in NAPI threads of the kernel, pinned to the generator's CPUs: as with a card
    whose interrupts go to another CPU, nobody's server is charged for it, and GRO gathers bursts on the way.
    """

    name = "veth"
    peers = "198.18.0.0/24"  # RFC 2544: for benchmarks
    server_address, generator_address = "198.18.0.1", "198.18.0.2"

    def __init__(self, generator_cpus):
        self.cpus = generator_cpus
        self.sides = []
        self.threads = {}

    def __enter__(self):
        if os.geteuid():
            raise LinkError("--link veth makes network namespaces: run it as root")
        tag = os.urandom(3).hex()
        try:
            for side, address in (("s", self.server_address), ("g", self.generator_address)):
                self.sides.append(_Namespace(f"bench-{os.getpid()}-{tag}{side}", f"b{tag}{side}", address))
            self.server, self.generator = self.sides
            queues = ("numtxqueues", "1", "numrxqueues", "1")
            _run("ip", "-n", self.server.name, "link", "add", self.server.device, *queues, "type", "veth",
                 "peer", "name", self.generator.device, *queues, "netns", self.generator.name)
            for side in self.sides:
                side.bring_up()
            self._pin_threads()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.sides:
            try:
                self.sides.pop().delete()
            except LinkError as why:
                print(why)

    def _pin_threads(self):
        wanted = ["napi/" + side.device for side in self.sides]
        end = time.monotonic() + 5
        while len(self.threads) < len(wanted):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as f:
                    name = f.read()
                    if any(name.startswith(start) for start in wanted):
                        self.threads[int(pid)] = name.strip()
            if time.monotonic() > end:
                raise LinkError("no threads of threaded NAPI found for the veth pair: does this kernel have it (5.12)?")
        for pid in self.threads if self.cpus else ():
            os.sched_setaffinity(pid, self.cpus)

    def enter_server(self):
        self.server.enter()

    def enter_generator(self):
        self.generator.enter()

    def server_side(self):
        return self.server.inside()

    def generator_side(self):
        return self.generator.inside()

    def relay_addresses(self, count):
        if count != 1:
            raise LinkError("a veth pair has one address only")
        return [self.server_address]

    def free_port(self):
        with self.server_side():
            return _free_port(self.server_address)

    def describe(self):
        where = f", its NAPI threads on the generator's CPU{'s' if len(self.cpus) > 1 else ''}" if self.cpus else ""
        return f"veth pair between two network namespaces, TSO off, GRO on, threaded NAPI{where}"


def make(name, generator_cpus):
    return Veth(generator_cpus) if name == "veth" else Loopback()
