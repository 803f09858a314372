# SPDX-License-Identifier: BSD-2-Clause
"""A blocking STUN/TURN client on UDP, TCP and TLS, IPv4 and IPv6. It does what a test says and keeps no timers."""

import collections
import contextlib
import select
import socket
import ssl
import struct
import time

import dtls
import stun
from tap import SLOW

SO_RCVBUFFORCE = 33

Data = collections.namedtuple("Data", "peer channel payload")
Attempt = collections.namedtuple("Attempt", "peer id")
Icmp = collections.namedtuple("Icmp", "peer type code data")


class StunError(Exception):
    def __init__(self, msg):
        super().__init__("%d %s" % (msg.code, msg.reason))
        self.msg = msg
        self.code = msg.code


class NoAnswer(Exception):
    pass


def is_v6(host):
    return ":" in host


def family(host):
    return socket.AF_INET6 if is_v6(host) else socket.AF_INET


def big_buffers(sock):
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
            return
        except OSError:
            pass


def is_closed(sock, seconds=30):
    """Whether the server closes it in time; what it says before is dropped."""
    sock.settimeout(seconds * SLOW)
    try:
        while sock.recv(4096):
            pass
    except socket.timeout:
        return False
    except OSError:
        pass
    return True


def udp_socket(host="127.0.0.1", port=0):
    """A bound UDP socket with a large receive buffer: a peer."""
    sock = socket.socket(family(host), socket.SOCK_DGRAM)
    big_buffers(sock)
    sock.bind((host, port))
    sock.settimeout(30 * SLOW)
    return sock


def name_of(sock):
    return sock.getsockname()[:2]


def received(sock, seconds=0.3):
    """What arrives at a UDP socket within that time, or None: to show that nothing does."""
    before = sock.gettimeout()
    sock.settimeout(seconds)
    try:
        return sock.recvfrom(65536)
    except socket.timeout:
        return None
    finally:
        sock.settimeout(before)


class Client:
    """One 5-tuple with its credentials.

    modern: uses SHA-256 password algorithm and integrity where the server offers them, and with anonymous the USERHASH.
    inside: a context manager (a namespace's `inside`) in which the socket is made.
    transport: "udp", "tcp", "tls" or "dtls". For TLS context is an ssl.SSLContext (none: any certificate will do) and name
    what the server is called there (none: its address), session one to resume. For DTLS options are those of DtlsSocket.
    preface: bytes that go before everything else on a stream, also before TLS.
    """

    used = set()  # local addresses of all clients so far

    def __init__(self, server, transport="udp", source=None, user="user", password="pass", modern=False,
                 anonymous=False, inside=None, timeout=20.0, context=None, name=None, session=None, preface=b"",
                 options=None):
        self.server = server
        self.transport = transport
        self.stream = transport in ("tcp", "tls")
        self.user, self.password = user, password
        self.modern, self.anonymous = modern, anonymous
        self.timeout = timeout * SLOW
        self.inside = inside
        self.realm = self.nonce = None
        self.offered = None  # PASSWORD-ALGORITHMS, as the server sent them
        self.algorithm = None
        self.relayed = []
        self.token = None
        self.data = collections.deque()
        self.attempts = collections.deque()  # of peers, RFC 6062
        self.icmp = collections.deque()
        self.buffer = b""
        self.again = set()  # transactions that were sent more than once and have their answer: others may come
        self.closed = False
        self.sock = self._fresh_socket(source, inside)
        if self.stream:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if preface:
            self.sock.sendall(preface)
        if transport == "tls":
            self._wrap(context, name, session)
        elif transport == "dtls":
            self.sock = dtls.DtlsSocket(self.sock, self.timeout, **(options or {}))

    def _wrap(self, context, name, session):
        if not context:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        raw = self.sock
        try:
            self.sock = context.wrap_socket(raw, server_hostname=name or self.server[0], session=session)
        except BaseException:
            raw.close()
            raise

    def _fresh_socket(self, source, inside):
        """A connected socket. Where the kernel chooses the port it is one that no client of this run had before: a UDP
        client that has gone may have left its allocation behind, and the 5-tuple would still be in use."""
        if isinstance(source, tuple):
            return self._connected_socket(source, inside)
        refused = []
        while True:
            sock = self._connected_socket((source, 0) if source else None, inside)
            name = sock.getsockname()[:2]
            if self.stream or name not in self.used or len(refused) == 100:
                break
            refused.append(sock)  # kept open meanwhile, so that the kernel chooses another
        self.used.add(name)
        for other in refused:
            other.close()
        return sock

    def _connected_socket(self, source, inside):
        kind = socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM
        with inside() if inside else contextlib.nullcontext():
            sock = socket.socket(family(self.server[0]), kind)
        if not self.stream:
            big_buffers(sock)
        if source:
            if self.stream:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(source)
        sock.settimeout(self.timeout)
        sock.connect(self.server)
        return sock

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    @property
    def local(self):
        return name_of(self.sock)

    # Bytes and frames

    def send_raw(self, data):
        self.sock.settimeout(self.timeout)
        if not self.stream:
            self.sock.send(data)
        else:
            self.sock.sendall(data)

    def recv_raw(self, timeout):
        """One datagram or one frame of the stream; None when the time is over or the stream has ended (closed). Further
        answers to what exchange() sent again are dropped: those of a server that a busy machine kept from its work."""
        end = time.monotonic() + timeout
        while True:
            if self.stream:
                need = stun.frame_length(self.buffer)
                if need is not None and len(self.buffer) >= need:
                    frame, self.buffer = self.buffer[:need], self.buffer[need:]
                    return frame
            left = end - time.monotonic()
            if left < 0 and timeout > 0:
                return None
            self.sock.settimeout(max(left, 0.0005))
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                return None
            except ConnectionRefusedError:
                if time.monotonic() >= end:
                    return None
                continue
            except (ConnectionError, ssl.SSLError):
                self.closed = True
                return None
            if data[8:20] in self.again and data[4:8] == stun.MAGIC_BYTES:
                continue
            if not self.stream and (data or self.transport == "udp"):
                return data
            if not data:
                self.closed = True
                return None
            self.buffer += data

    def _keep(self, frame):
        """Files relayed data; gives any other message back."""
        if frame and frame[0] & 0xC0 == 0x40:
            number, length = struct.unpack_from("!HH", frame)
            payload = frame[4:4 + length]
            if len(payload) != length or len(frame) - 4 - length > 3:
                raise stun.Malformed("ChannelData says %d bytes, frame has %d" % (length, len(frame) - 4))
            if any(frame[4 + length:]):
                raise stun.Malformed("ChannelData padding is not zero")
            self.data.append(Data(None, number, payload))
            return None
        msg = stun.Message(frame)
        if any(msg.padding):
            raise stun.Malformed("padding is not zero: %s" % msg.padding.hex())
        if msg.method == stun.DATA_METHOD and msg.cls == stun.INDICATION and msg.has(stun.ICMP):
            if msg.has(stun.DATA) or not msg.has(stun.XOR_PEER_ADDRESS):
                raise stun.Malformed("Data indication with an ICMP attribute: %r" % msg)
            reserved, kind, code, data = struct.unpack("!HBBI", msg.get(stun.ICMP))
            if reserved:
                raise stun.Malformed("the reserved bits of ICMP are %#x" % reserved)
            self.icmp.append(Icmp(msg.address(stun.XOR_PEER_ADDRESS), kind, code, data))
            return None
        if msg.method == stun.DATA_METHOD and msg.cls == stun.INDICATION:
            self.data.append(Data(msg.address(stun.XOR_PEER_ADDRESS), None, msg.get(stun.DATA)))
            return None
        if msg.method == stun.CONNECTION_ATTEMPT and msg.cls == stun.INDICATION:
            self.attempts.append(Attempt(msg.address(stun.XOR_PEER_ADDRESS), msg.get(stun.CONNECTION_ID)))
            return None
        return msg

    def wait(self, txid, timeout):
        """The answer to that transaction, None when there is none in time."""
        end = time.monotonic() + timeout
        while not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return None
            frame = self.recv_raw(left)
            if frame is None:
                continue
            msg = self._keep(frame)
            if msg and msg.txid == txid and msg.cls in (stun.SUCCESS, stun.ERROR):
                return msg
        return None

    def _next(self, queue, timeout):
        """What comes next into a queue, None when there is nothing in time."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not queue and not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return None
            frame = self.recv_raw(left)
            if frame is not None:
                self._keep(frame)
        return queue.popleft() if queue else None

    def recv(self, timeout=None):
        """The next relayed data, None when there is none in time."""
        return self._next(self.data, timeout)

    def recv_icmp(self, timeout=None):
        """What ICMP said next about a datagram to a peer, None when nothing comes in time."""
        return self._next(self.icmp, timeout)

    def exchange(self, packet, timeout=None, retransmit=True):
        """Sends a ready request and waits; over UDP it is sent again until there is an answer."""
        timeout = self.timeout if timeout is None else timeout
        end = time.monotonic() + timeout
        pause = 0.5 * SLOW
        sent = 1 if packet[8:20] in self.again else 0
        self.again.discard(packet[8:20])
        while True:
            self.send_raw(packet)
            sent += 1
            left = end - time.monotonic()
            once = self.stream or not retransmit
            msg = self.wait(packet[8:20], left if once else min(pause, left))
            if msg and sent > 1:
                self.again.add(packet[8:20])
            if msg or once or time.monotonic() >= end:
                return msg
            pause *= 2

    # Authentication

    def key(self):
        make = stun.key_sha256 if self.algorithm == stun.ALGORITHM_SHA256 else stun.key_md5
        return make(self.user, self.realm, self.password)

    def learn(self, msg):
        """Takes realm, nonce and algorithm from a challenge."""
        if msg.has(stun.REALM):
            self.realm = msg.get(stun.REALM)
        if msg.has(stun.NONCE):
            self.nonce = msg.get(stun.NONCE)
        self.offered = msg.get(stun.PASSWORD_ALGORITHMS)
        self.algorithm = None
        if self.modern and self.offered:
            offers = [struct.unpack_from("!H", self.offered, i)[0] for i in range(0, len(self.offered), 4)]
            self.algorithm = stun.ALGORITHM_SHA256 if stun.ALGORITHM_SHA256 in offers else stun.ALGORITHM_MD5

    def credentials(self):
        """The attributes that name the user."""
        if self.anonymous:
            attrs = [(stun.USERHASH, stun.userhash(self.user, self.realm))]
        else:
            attrs = [(stun.USERNAME, stun._b(self.user))]
        attrs += [(stun.REALM, self.realm), (stun.NONCE, self.nonce)]
        if self.algorithm:
            attrs += [(stun.PASSWORD_ALGORITHMS, self.offered),
                      (stun.PASSWORD_ALGORITHM, struct.pack("!HH", self.algorithm, 0))]
        return attrs

    def signed(self, method, attrs=(), txid=None, **kw):
        """A request with credentials, as bytes. attrs may be a function of the transaction id."""
        txid = txid or stun.new_txid()
        attrs = attrs(txid) if callable(attrs) else list(attrs)
        kw.setdefault("key", self.key())
        kw.setdefault("integrity", "sha256" if self.algorithm else "sha1")
        return stun.build(method, stun.REQUEST, attrs + self.credentials(), txid, **kw)

    def challenge(self):
        """Asks for realm and nonce by a request that has no credentials."""
        packet = stun.build(stun.ALLOCATE, attrs=[(stun.REQUESTED_TRANSPORT, b"\x11\0\0\0")])
        msg = self.exchange(packet)
        if not msg:
            raise NoAnswer("no challenge from %s:%d" % self.server)
        self.learn(msg)
        return msg

    def request(self, method, attrs=(), txid=None, timeout=None, retransmit=True, **kw):
        """An authenticated request; gives the success or the error answer. One new nonce is taken on 438."""
        if self.nonce is None:
            self.challenge()
        for attempt in range(2):
            packet = self.signed(method, attrs, txid, **kw)
            msg = self.exchange(packet, timeout, retransmit)
            if msg is None:
                raise NoAnswer("no answer to method %#x" % method)
            if msg.code == 438 and attempt == 0:
                self.learn(msg)
                continue
            if msg.cls == stun.SUCCESS:
                kind = stun.MESSAGE_INTEGRITY_SHA256 if self.algorithm else stun.MESSAGE_INTEGRITY
                if not msg.integrity_ok(self.key(), kind):
                    raise stun.Malformed("answer with a wrong integrity: %r" % msg)
            return msg
        return msg

    def must(self, method, attrs=(), **kw):
        msg = self.request(method, attrs, **kw)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)
        return msg

    # TURN

    def binding(self, **kw):
        return self.exchange(stun.build(stun.BINDING, **kw))

    def settle(self):
        """Round trips, after which the client's worker has handled what had arrived at any of its sockets before."""
        for _ in range(3):
            if not self.binding():
                raise NoAnswer("no answer to Binding")

    def try_allocate(self, lifetime=None, family=None, additional=None, even_port=None, token=None,
                     transport=stun.UDP_PROTOCOL, extra=(), **kw):
        attrs = []
        if transport is not None:
            attrs.append((stun.REQUESTED_TRANSPORT, struct.pack("!B3x", transport)))
        if lifetime is not None:
            attrs.append((stun.LIFETIME, struct.pack("!I", lifetime)))
        if family is not None:
            attrs.append((stun.REQUESTED_ADDRESS_FAMILY, struct.pack("!B3x", family)))
        if additional is not None:
            attrs.append((stun.ADDITIONAL_ADDRESS_FAMILY, struct.pack("!B3x", additional)))
        if even_port is not None:
            attrs.append((stun.EVEN_PORT, b"\x80" if even_port else b"\0"))
        if token is not None:
            attrs.append((stun.RESERVATION_TOKEN, token))
        msg = self.request(stun.ALLOCATE, attrs + list(extra), **kw)
        if msg.cls == stun.SUCCESS:
            self.relayed = msg.addresses(stun.XOR_RELAYED_ADDRESS)
            self.token = msg.get(stun.RESERVATION_TOKEN)
        return msg

    def allocate(self, **kw):
        """Gives the relayed address."""
        msg = self.try_allocate(**kw)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)
        return self.relayed[0]

    def try_refresh(self, lifetime=None, family=None, **kw):
        attrs = []
        if lifetime is not None:
            attrs.append((stun.LIFETIME, struct.pack("!I", lifetime)))
        if family is not None:
            attrs.append((stun.REQUESTED_ADDRESS_FAMILY, struct.pack("!B3x", family)))
        return self.request(stun.REFRESH, attrs, **kw)

    def refresh(self, lifetime=None):
        msg = self.try_refresh(lifetime)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)
        return msg.lifetime

    def try_permit(self, *peers, **kw):
        """Peers are hosts or (host, port)."""
        peers = [p if isinstance(p, tuple) else (p, 0) for p in peers]
        return self.request(stun.CREATE_PERMISSION, lambda txid: [stun.peer(p, txid) for p in peers], **kw)

    def permit(self, *peers):
        msg = self.try_permit(*peers)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)

    def try_bind(self, peer, number, **kw):
        return self.request(stun.CHANNEL_BIND, lambda txid: [
            (stun.CHANNEL_NUMBER, struct.pack("!HH", number, 0)), stun.peer(peer, txid)], **kw)

    def bind(self, peer, number):
        msg = self.try_bind(peer, number)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)
        return number

    def send_indication(self, peer, payload, extra=()):
        txid = stun.new_txid()
        self.send_raw(stun.build(stun.SEND, stun.INDICATION,
                                 [stun.peer(peer, txid), (stun.DATA, payload)] + list(extra), txid))

    def send_channel(self, number, payload):
        self.send_raw(stun.channel_data(number, payload, pad=self.stream))

    # TCP allocations (RFC 6062). A CONNECTION-ID is kept as its four bytes.

    def allocate_tcp(self, **kw):
        return self.allocate(transport=stun.TCP_PROTOCOL, **kw)

    def try_connect(self, peer, **kw):
        return self.request(stun.CONNECT, lambda txid: [stun.peer(peer, txid)], **kw)

    def connect(self, peer, **kw):
        """Gives the id of the connection to the peer."""
        msg = self.try_connect(peer, **kw)
        if msg.cls != stun.SUCCESS:
            raise StunError(msg)
        return msg.get(stun.CONNECTION_ID)

    def attempt(self, timeout=None):
        """The next ConnectionAttempt, None when there is none in time."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.attempts and not self.closed:
            left = end - time.monotonic()
            if left <= 0:
                return None
            frame = self.recv_raw(left)
            if frame is not None:
                self._keep(frame)
        return self.attempts.popleft() if self.attempts else None

    def try_connection_bind(self, connection, **kw):
        return self.request(stun.CONNECTION_BIND, [(stun.CONNECTION_ID, connection)], **kw)

    def another(self, **kw):
        """Another connection to the server, of the same user."""
        kw.setdefault("user", self.user)
        kw.setdefault("password", self.password)
        other = Client(self.server, self.transport, timeout=self.timeout / SLOW, inside=self.inside, **kw)
        other.modern, other.realm, other.nonce = self.modern, self.realm, self.nonce
        other.offered, other.algorithm = self.offered, self.algorithm
        return other

    def data_connection(self, connection, **kw):
        """A new connection that carries the bytes of that one: send_raw and recv_bytes."""
        other = self.another(**kw)
        msg = other.try_connection_bind(connection)
        if msg.cls != stun.SUCCESS:
            other.close()
            raise StunError(msg)
        return other

    def recv_bytes(self, count=None):
        """So many bytes of a data connection, or all until its end."""
        self.sock.settimeout(self.timeout)
        while count is None or len(self.buffer) < count:
            chunk = self.sock.recv(1 << 20)
            if not chunk:
                break
            self.buffer += chunk
        cut = len(self.buffer) if count is None else count
        got, self.buffer = self.buffer[:cut], self.buffer[cut:]
        return got


def drain(clients, seconds):
    """Reads whatever comes to these clients for that long."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return
        ready, _, _ = select.select([c.sock for c in clients], [], [], left)
        for c in clients:
            if c.sock in ready:
                frame = c.recv_raw(0)
                if frame:
                    c._keep(frame)
