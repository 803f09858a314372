# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces, for addresses and routes that the machine must not have. Root only: other users skip these tests."""

import contextlib
import ctypes
import itertools
import os
import select
import socket
import subprocess
import time

import tap

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 0x0003
_libc = ctypes.CDLL(None, use_errno=True)
_number = itertools.count()


def _ip(*args):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(("ip",) + args, capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        raise OSError("ip %s: %s" % (" ".join(args), done.stderr.strip()))


def need():
    """Skips the test where namespaces cannot be made."""
    if os.geteuid():
        raise tap.Skip("network namespaces need root")
    try:
        ns = Namespace()
    except OSError as why:
        raise tap.Skip("network namespaces cannot be made here: %s" % why) from None
    ns.delete()


class Namespace:
    """A namespace with its loopback up; deleted when the test ends."""

    def __init__(self):
        self.name = "tp%d-%d-%s" % (os.getpid(), next(_number), os.urandom(3).hex())  # a killed test leaves its own behind
        _ip("netns", "add", self.name)
        tap.cleanup(self.delete)
        self.fd = os.open("/run/netns/" + self.name, os.O_RDONLY)
        self.ip("link", "set", "lo", "up")

    def delete(self):
        if self.name:
            os.close(self.fd)
            _ip("netns", "del", self.name)
            self.name = None

    def ip(self, *args):
        _ip("-n", self.name, *args)

    def enter(self):
        """Moves the calling thread in for good: for a child before exec."""
        if _libc.setns(self.fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    @contextlib.contextmanager
    def inside(self):
        """Sockets made in this block belong to the namespace."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self.enter()
            yield self
        finally:
            _libc.setns(home, CLONE_NEWNET)
            os.close(home)

    def sysctl(self, name, value):
        with self.inside(), open("/proc/sys/" + name, "w", encoding="ascii") as f:
            f.write(str(value))

    def address(self, device, *addresses):
        for a in addresses:
            args = ["address", "add", a, "dev", device]
            self.ip(*(args + ["nodad"] if ":" in a else args))

    def catch_all(self, *addresses):
        """A device that every packet to anywhere leaves by, so that a Sniffer on it sees what the host would have sent."""
        device, _ = pair(self, addresses, Namespace(), ())
        self.ip("link", "set", device, "arp", "off")  # nobody has to answer for an address
        self.ip("route", "add", "default", "dev", device)
        self.ip("-6", "route", "add", "default", "dev", device)
        return device


def pair(a, a_addresses, b, b_addresses):
    """Connects two namespaces with a veth pair; gives the names of its ends."""
    n = next(_number)
    name_a, name_b = "v%da" % n, "v%db" % n
    _ip("-n", a.name, "link", "add", name_a, "type", "veth", "peer", "name", name_b, "netns", b.name)
    for ns, name, addresses in ((a, name_a, a_addresses), (b, name_b, b_addresses)):
        ns.ip("link", "set", name, "up")
        ns.address(name, *addresses)
    return name_a, name_b


class Sniffer:
    """Every IP packet that a device sends or takes in, as bytes from the IP header on."""

    def __init__(self, ns, device):
        with ns.inside():
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.sock.bind((device, ETH_P_ALL))
        self.sock.setblocking(False)
        tap.cleanup(self.sock.close)

    def packets(self, seconds=0.2):
        """Those so far, and what comes in that time."""
        found = []
        end = time.monotonic() + seconds
        while True:
            if not select.select([self.sock], [], [], max(end - time.monotonic(), 0))[0]:
                return found
            found.append(self.sock.recv(65536))

    def payloads(self, needle, seconds=0.2):
        """Those that hold these bytes."""
        return [p for p in self.packets(seconds) if needle in p]
