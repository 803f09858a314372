# SPDX-License-Identifier: BSD-2-Clause
"""A name server for tests: answers A, AAAA, SRV and NAPTR questions from a table, on a UDP port of loopback."""

import ipaddress
import struct

import udp_server

A, AAAA, SRV, NAPTR = 1, 28, 33, 35
NXDOMAIN, SERVFAIL = 3, 2


def name(text):
    labels = [p for p in text.rstrip(".").split(".") if p]
    return b"".join(bytes([len(p)]) + p.encode() for p in labels) + b"\0"


def text(value):
    return bytes([len(value)]) + value.encode()


def rdata(kind, value):
    if kind in (A, AAAA):
        return ipaddress.ip_address(value).packed
    if kind == SRV:
        priority, weight, port, target = value
        return struct.pack("!HHH", priority, weight, port) + name(target)
    order, preference, flags, services, target = value
    return struct.pack("!HH", order, preference) + text(flags) + text(services) + text("") + name(target)


class Server(udp_server.Server):
    """records: {(name, type): [values]}. code: answer every question with that instead. silent: never answer."""

    def __init__(self, records, code=None, silent=False):
        self.records, self.code, self.silent = records, code, silent
        self.asked = []
        super().__init__()
        self.address = "127.0.0.1:%d" % self.port

    def answer(self, query):
        if self.silent:
            return None
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack_from("!H", query, at + 1)[0]
        host = ".".join(labels).lower()
        self.asked.append((host, kind))
        values = self.records.get((host, kind), [])
        known = any(n == host for n, _ in self.records)
        code = self.code if self.code is not None else 0 if known else NXDOMAIN
        if self.code is not None:
            values = []
        out = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(values), 0, 0) + question
        for value in values:
            data = rdata(kind, value)
            out += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        return out
