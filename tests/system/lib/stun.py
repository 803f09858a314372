# SPDX-License-Identifier: BSD-2-Clause
"""STUN and TURN on the wire, written from RFC 8489 and RFC 8656 and not from the server's code.

It builds what the RFCs allow and, because tests need it, nearly everything that they do not: any attribute at any
place, wrong lengths, wrong integrity.
"""

import binascii
import hashlib
import hmac
import ipaddress
import os
import struct

MAGIC = 0x2112A442
MAGIC_BYTES = struct.pack("!I", MAGIC)

# Methods (RFC 8489 18.2, RFC 8656 17)
BINDING = 0x001
ALLOCATE = 0x003
REFRESH = 0x004
SEND = 0x006
DATA_METHOD = 0x007
CREATE_PERMISSION = 0x008
CHANNEL_BIND = 0x009
CONNECT = 0x00A
CONNECTION_BIND = 0x00B  # RFC 6062 6.1
CONNECTION_ATTEMPT = 0x00C

# Classes
REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3

# Attributes
MAPPED_ADDRESS = 0x0001
CHANGE_REQUEST = 0x0003
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
CHANNEL_NUMBER = 0x000C
LIFETIME = 0x000D
XOR_PEER_ADDRESS = 0x0012
DATA = 0x0013
REALM = 0x0014
NONCE = 0x0015
XOR_RELAYED_ADDRESS = 0x0016
REQUESTED_ADDRESS_FAMILY = 0x0017
EVEN_PORT = 0x0018
REQUESTED_TRANSPORT = 0x0019
DONT_FRAGMENT = 0x001A
MESSAGE_INTEGRITY_SHA256 = 0x001C
PASSWORD_ALGORITHM = 0x001D
USERHASH = 0x001E
XOR_MAPPED_ADDRESS = 0x0020
RESERVATION_TOKEN = 0x0022
CONNECTION_ID = 0x002A  # RFC 6062 6.2.1, 32 bits
ADDITIONAL_ADDRESS_FAMILY = 0x8000
ADDRESS_ERROR_CODE = 0x8001
PASSWORD_ALGORITHMS = 0x8002
ALTERNATE_DOMAIN = 0x8003
ICMP = 0x8004
SOFTWARE = 0x8022
ALTERNATE_SERVER = 0x8023
MOBILITY_TICKET = 0x8030  # RFC 8016
FINGERPRINT = 0x8028
RESPONSE_ORIGIN = 0x802B
OTHER_ADDRESS = 0x802C

IPV4, IPV6 = 0x01, 0x02
UDP_PROTOCOL, TCP_PROTOCOL = 17, 6

ALGORITHM_MD5, ALGORITHM_SHA256 = 1, 2
ALGORITHMS = struct.pack("!HHHH", ALGORITHM_SHA256, 0, ALGORITHM_MD5, 0)

NONCE_COOKIE = b"obMatJos2"
FEATURE_PASSWORD_ALGORITHMS = 1 << 23
FEATURE_USERNAME_ANONYMITY = 1 << 22


class Malformed(Exception):
    """The bytes are no STUN message."""


def new_txid():
    return os.urandom(12)


def message_type(method, cls):
    """The 14 bits of RFC 8489 section 5: M11-M7 C1 M6-M4 C0 M3-M0."""
    return (method & 0xF) | ((cls & 1) << 4) | ((method & 0x70) << 1) | ((cls & 2) << 7) | ((method & 0xF80) << 2)


def split_type(value):
    method = (value & 0xF) | ((value >> 1) & 0x70) | ((value >> 2) & 0xF80)
    cls = ((value >> 4) & 1) | ((value >> 7) & 2)
    return method, cls


def attribute(kind, value=b"", length=None, pad=b"\0"):
    """One attribute with its padding; length overrides what its header says."""
    fill = -len(value) % 4
    return struct.pack("!HH", kind, len(value) if length is None else length) + value + pad * fill


def address(addr, xor=True, txid=b"\0" * 12):
    """The value of (XOR-)MAPPED-ADDRESS and its kin for (host, port)."""
    ip = ipaddress.ip_address(addr[0])
    packed, port = ip.packed, addr[1]
    if xor:
        mask = MAGIC_BYTES + txid
        packed = bytes(a ^ b for a, b in zip(packed, mask))
        port ^= MAGIC >> 16
    return struct.pack("!BBH", 0, IPV4 if ip.version == 4 else IPV6, port) + packed


def parse_address(value, xor=True, txid=b"\0" * 12):
    if len(value) not in (8, 20):
        raise Malformed("address of %d bytes" % len(value))
    zero, family, port = struct.unpack_from("!BBH", value)
    packed = value[4:]
    if (family, len(packed)) not in ((IPV4, 4), (IPV6, 16)):
        raise Malformed("address family %d with %d bytes" % (family, len(packed)))
    if xor:
        mask = MAGIC_BYTES + txid
        packed = bytes(a ^ b for a, b in zip(packed, mask))
        port ^= MAGIC >> 16
    return (str(ipaddress.ip_address(packed)), port)


def peer(addr, txid):
    """An XOR-PEER-ADDRESS attribute as a (type, value) pair."""
    return (XOR_PEER_ADDRESS, address(addr, True, txid))


def key_md5(user, realm, password):
    return hashlib.md5(b":".join((_b(user), _b(realm), _b(password)))).digest()


def key_sha256(user, realm, password):
    return hashlib.sha256(b":".join((_b(user), _b(realm), _b(password)))).digest()


def userhash(user, realm):
    return hashlib.sha256(_b(user) + b":" + _b(realm)).digest()


def nonce_features(nonce):
    """The 24 security feature bits of a nonce (RFC 8489 9.2), or None when it has no cookie."""
    if not nonce.startswith(NONCE_COOKIE) or len(nonce) < 13:
        return None
    return int.from_bytes(binascii.a2b_base64(nonce[9:13]), "big")


def _b(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def header(method, cls, length, txid, magic=MAGIC):
    return struct.pack("!HHI", message_type(method, cls), length, magic) + txid


def build(method, cls=REQUEST, attrs=(), txid=None, key=None, integrity="sha1", truncate=None, fingerprint=False,
          after=(), magic=MAGIC, length=None):
    """A message.

    attrs: (type, value) pairs or ready bytes. key: signs with integrity ("sha1", "sha256" or "both"), truncate: bytes of the
    SHA-256 HMAC. after: attributes behind the integrity. length: written over the right one at the end.
    """
    txid = txid or new_txid()
    body = b"".join(a if isinstance(a, bytes) else attribute(*a) for a in attrs)
    if key is not None:
        if integrity in ("sha1", "both"):
            body += attribute(MESSAGE_INTEGRITY, sign(method, cls, body, txid, key, hashlib.sha1, 20, magic))
        if integrity in ("sha256", "both"):
            size = 32 if truncate is None else truncate
            mac = sign(method, cls, body, txid, key, hashlib.sha256, size, magic)
            body += attribute(MESSAGE_INTEGRITY_SHA256, mac)
    body += b"".join(a if isinstance(a, bytes) else attribute(*a) for a in after)
    if fingerprint:
        crc = binascii.crc32(header(method, cls, len(body) + 8, txid, magic) + body) ^ 0x5354554E
        body += attribute(FINGERPRINT, struct.pack("!I", crc))
    return header(method, cls, len(body) if length is None else length, txid, magic) + body


def sign(method, cls, body, txid, key, digest, size, magic=MAGIC):
    """The HMAC over the message up to the integrity attribute, the length counting that attribute too."""
    head = header(method, cls, len(body) + 4 + size, txid, magic)
    return hmac.new(key, head + body, digest).digest()[:size]


class Message:
    """A parsed message. Strict: what a server sends must be right."""

    def __init__(self, data):
        if len(data) < 20:
            raise Malformed("%d bytes" % len(data))
        kind, length, magic = struct.unpack_from("!HHI", data)
        if kind & 0xC000:
            raise Malformed("first bits set")
        if length % 4 or length + 20 != len(data):
            raise Malformed("length %d in %d bytes" % (length, len(data)))
        self.data = bytes(data)
        self.method, self.cls = split_type(kind)
        self.magic = magic
        self.txid = self.data[8:20]
        self.attrs = []  # (type, value, offset of the header)
        self.padding = b""
        at = 20
        while at < len(data):
            if at + 4 > len(data):
                raise Malformed("attribute header past the end")
            kind, size = struct.unpack_from("!HH", data, at)
            end = at + 4 + size
            if end + (-size % 4) > len(data):
                raise Malformed("attribute %#06x past the end" % kind)
            self.attrs.append((kind, self.data[at + 4:end], at))
            self.padding += self.data[end:end + (-size % 4)]
            at = end + (-size % 4)

    def get(self, kind):
        for t, value, _ in self.attrs:
            if t == kind:
                return value
        return None

    def get_all(self, kind):
        return [value for t, value, _ in self.attrs if t == kind]

    def has(self, kind):
        return self.get(kind) is not None

    def types(self):
        return [t for t, _, _ in self.attrs]

    def address(self, kind, xor=True):
        value = self.get(kind)
        return None if value is None else parse_address(value, xor, self.txid)

    def addresses(self, kind, xor=True):
        return [parse_address(v, xor, self.txid) for v in self.get_all(kind)]

    @property
    def code(self):
        """The error code, None when there is none."""
        value = self.get(ERROR_CODE)
        return None if value is None else (value[2] & 7) * 100 + value[3]

    @property
    def reason(self):
        value = self.get(ERROR_CODE)
        return None if value is None else value[4:].decode("utf-8")

    @property
    def lifetime(self):
        value = self.get(LIFETIME)
        return None if value is None else struct.unpack("!I", value)[0]

    @property
    def unknown(self):
        value = self.get(UNKNOWN_ATTRIBUTES) or b""
        return list(struct.unpack("!%dH" % (len(value) // 2), value))

    def integrity_ok(self, key, kind=MESSAGE_INTEGRITY):
        for t, value, at in self.attrs:
            if t == kind:
                digest = hashlib.sha1 if kind == MESSAGE_INTEGRITY else hashlib.sha256
                head = self.data[:2] + struct.pack("!H", at - 20 + 4 + len(value)) + self.data[4:at]
                return hmac.compare_digest(hmac.new(key, head, digest).digest()[:len(value)], value)
        return False

    def fingerprint_ok(self):
        kind, value, at = self.attrs[-1]
        return kind == FINGERPRINT and struct.unpack("!I", value)[0] == binascii.crc32(self.data[:at]) ^ 0x5354554E

    def __repr__(self):
        names = ("request", "indication", "success", "error")
        extra = " %d %s" % (self.code, self.reason) if self.code else ""
        return "<%s %#x%s [%s]>" % (names[self.cls], self.method, extra, " ".join("%#06x" % t for t in self.types()))


def channel_data(number, payload, pad=False, length=None):
    """A ChannelData message (RFC 8656 12.4); over a stream it is padded to a multiple of 4."""
    data = struct.pack("!HH", number, len(payload) if length is None else length) + payload
    return data + b"\0" * (-len(data) % 4) if pad else data


def frame_length(data):
    """Bytes of the first frame of a stream with its padding, None while that is not known yet."""
    if len(data) < 4:
        return None
    kind, length = struct.unpack_from("!HH", data)
    if kind & 0xC000 == 0x4000:
        return 4 + length + (-length % 4)
    if kind & 0xC000 == 0:
        return 20 + length
    raise Malformed("stream frame begins with %#06x" % kind)
