# SPDX-License-Identifier: BSD-2-Clause
"""TLS: versions, certificates, resumption, what is refused and with which words, relaying, reload. Threats T14, T19."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import client
import dtls
import stun
import tap
from certs import Authority
from daemon import Daemon, config_text, folder, free_port, run_daemon, settings


def serve(authority, transport="tls", tls=None, **over):
    """A daemon with UDP and this transport on one port."""
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp", transport)]
    return Daemon(port=port, listen=listen, tls={**authority.settings(), **(tls or {})}, **over)


def setup(d, **kw):
    """A client with an allocation on TLS, and a peer bound to channel 0x4000."""
    c = d.client("tls", **kw)
    c.relay = c.allocate()
    peer = client.udp_socket("127.0.0.2")
    tap.cleanup(peer.close)
    c.bind(client.name_of(peer), 0x4000)
    return c, peer


def connect(d, data=b"", timeout=30):
    sock = socket.create_connection(d.server, timeout * tap.SLOW)
    tap.cleanup(sock.close)
    sock.sendall(data)
    return sock


def hello():
    """A ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(incoming, outgoing, server_hostname="a.example").do_handshake()
    return outgoing.read()


def handshake(d, context, name="127.0.0.1", session=None):
    """A client after a handshake that it takes for good."""
    return d.client("tls", context=context, name=name, session=session)


def common_name(c):
    return dict(item[0] for item in c.sock.getpeercert()["subject"])["commonName"]


def payload(n, number):
    return (struct.pack("!I", number) + bytes(n))[:n]


def test_versions():
    """TLS 1.2 and 1.3 over IPv4 and IPv6: allocate, relay both ways, delete; the log says tls"""
    authority = Authority()
    with serve(authority) as d:
        for version in (2, 3):
            for host in ("127.0.0.1", "::1"):
                c, peer = setup(d, context=authority.context(version), host=host)
                tap.equal(c.sock.version(), "TLSv1.%d" % version, "version")
                msg = c.binding()
                tap.equal(msg.address(stun.XOR_MAPPED_ADDRESS), c.local, "mapped address")
                c.send_channel(0x4000, b"out")
                tap.equal(peer.recv(100), b"out", "at the peer")
                peer.sendto(b"in", c.relay)
                tap.equal(c.recv().payload, b"in", "at the client")
                tap.equal(c.refresh(0), 0, "lifetime after Refresh 0")
        tap.equal(d.read_log().count("transport tls"), 4, "lines of the log with transport tls")


def test_old_versions():
    """TLS 1.1 is refused with a logged reason, and so is 1.2 when 1.3 is the minimum"""
    authority = Authority()
    old = authority.context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    for context, tls in ((old, {}), (authority.context(2), {"min_version": "1.3"})):
        with serve(authority, tls=tls) as d:
            try:
                handshake(d, context)
                raise AssertionError("an old version was served")
            except (ssl.SSLError, ConnectionError):
                pass
            d.wait_log("TLS handshake: unsupported protocol")
            tap.check(handshake(d, authority.context(3)).binding() is not None, "no answer over TLS 1.3")


def test_alpn():
    """ALPN: stun.turn and stun.nat-discovery are taken; who offers none or others is served without"""
    authority = Authority()
    cases = (("stun.turn",), "stun.turn"), (("stun.nat-discovery",), "stun.nat-discovery"), \
        (("h2", "stun.nat-discovery", "stun.turn"), "stun.turn"), (("h2", "http/1.1"), None), ((), None)
    with serve(authority) as d:
        for version in (2, 3):
            for offered, chosen in cases:
                c = handshake(d, authority.context(version, alpn=list(offered)))
                tap.equal(c.sock.selected_alpn_protocol(), chosen, "protocol of %s" % (offered,))
                tap.check(c.binding() is not None, "no answer with %s" % (offered,))


def test_certificate_by_name():
    """SNI: the certificate for the name that the client asks for, of any kind of key; else the main one"""
    authority = Authority()
    main = authority.issue("main")
    other = authority.issue("other", names=["other.example", "*.wild.example"], ips=[], kind="rsa")
    more = [{"certificate": other[0], "key": other[1]}]
    with serve(authority, tls={"certificate": main[0], "key": main[1], "additional": more}) as d:
        for version in (2, 3):
            context = authority.context(version)
            context.check_hostname = False
            for name, want in (("127.0.0.1", "main"), ("turn.example.org", "main"), ("other.example", "other"),
                               ("a.wild.example", "other"), ("a.b.wild.example", "main"), ("unknown.example", "main")):
                c = handshake(d, context, name)
                tap.equal(common_name(c), want, "certificate for %s" % name)
                tap.check(c.binding() is not None, "no answer as %s" % name)
            # With the check of the name on.
            tap.check(handshake(d, authority.context(version), "x.wild.example").binding() is not None, "no answer")


def test_resumption():
    """a session is resumed, on whichever worker the connection comes to; not one from before a reload"""
    authority = Authority()
    with serve(authority) as d:
        for version in (2, 3):
            context = authority.context(version)
            first = handshake(d, context)
            tap.check(first.binding() is not None, "no answer")  # reads the tickets of TLS 1.3 too
            tap.check(not first.sock.session_reused, "the first session is not new")
            for _ in range(8):
                c = handshake(d, context, session=first.sock.session)
                tap.check(c.binding() is not None, "no answer after resumption")
                tap.check(c.sock.session_reused, "TLS 1.%d: the session was not resumed" % version)
                c.close()
            d.wait_log(", resumed")
            os.kill(d.pid, signal.SIGHUP)
            wait_reloads(d, version - 1)
            # A worker may still be busy, and then tells of the old context once more.
            end = time.monotonic() + 30 * tap.SLOW
            while True:
                c = handshake(d, context, session=first.sock.session)
                tap.check(c.binding() is not None, "no answer after a reload")
                if not c.sock.session_reused:
                    break
                tap.check(time.monotonic() < end, "a session from before a reload is still resumed")


def test_client_certificates():
    """with client_ca: a client without a certificate or with a stranger's is refused with a logged reason"""
    authority, strangers = Authority(), Authority("somebody else")
    with serve(authority, tls={"client_ca": authority.pem}) as d:
        for version in (2, 3):
            c = handshake(d, authority.context(version, certificate=authority.issue("client")))
            tap.check(c.allocate() is not None, "no allocation")
            session = c.sock.session
            tap.check(handshake(d, c.sock.context, session=session).binding() is not None, "no answer when resumed")
            refused(d, authority.context(version), "peer did not return a certificate", version)
            stranger = strangers.issue("client")
            refused(d, authority.context(version, certificate=stranger), "the client's certificate: unable to get", version)


def refused(d, context, reason, count):
    try:
        c = handshake(d, context)
        # In TLS 1.3 the client is done before the server has seen its certificate.
        tap.check(c.binding() is None, "an unknown client was served")
    except (ssl.SSLError, ConnectionError):
        pass
    end = time.monotonic() + 30 * tap.SLOW
    while d.read_log().count("refused: TLS handshake: " + reason) < count - 1:
        tap.check(time.monotonic() < end, "the log never said %r" % reason)
        time.sleep(0.02)


def test_pipelined():
    """thousands of requests in one write are all answered, in order"""
    authority = Authority()
    with serve(authority) as d:
        for version in (2, 3):
            c = d.client("tls", context=authority.context(version))
            c.allocate()
            txids = [stun.new_txid() for _ in range(4000)]
            packets = b"".join(stun.build(stun.BINDING, txid=txid) for txid in txids)
            c.send_raw(packets)
            got = []
            while len(got) < len(txids):
                frame = c.recv_raw(30 * tap.SLOW)
                if frame is None:
                    break
                got.append(stun.Message(frame).txid)
            tap.check(got == txids, "TLS 1.%d: %d of %d answers, or not in order" % (version, len(got), len(txids)))


def test_records():
    """records of every size: frames cut anywhere, many in a record, one byte in a record, the longest frame"""
    authority = Authority()
    r = random.Random(2)
    with serve(authority) as d:
        c, peer = setup(d)
        for count, sizes in ((5, (1, 1)), (10, (1, 3)), (200, (1, 5000)), (200, (16384, 16384)), (200, (40000, 40000))):
            want = [payload(r.randrange(4, 600), i) for i in range(count)]
            data = b"".join(stun.channel_data(0x4000, p, pad=True) for p in want)
            while data:
                n = r.randint(*sizes)
                c.send_raw(data[:n])
                data = data[n:]
            tap.check([peer.recv(65536) for _ in want] == want, "packets in records of %d to %d bytes" % sizes)
        longest = bytes(65500)
        c.send_channel(0x4000, longest)
        tap.check(peer.recv(65536) == longest, "the longest packet")


def test_bursts():
    """bursts through the relay, in few and in many records; thousands of frames in one write; tiny reads"""
    authority = Authority()
    with serve(authority) as d:
        c, peer = setup(d)
        # No more at once than the buffer of a relay socket holds.
        for burst in ([payload(1200, i) for i in range(64)], [payload(10 + i, i) for i in range(64)],
                      [payload(8000, i) for i in range(10)], [payload(4, i) for i in range(64)]):
            for data in burst:
                peer.sendto(data, c.relay)
            got = [c.recv() for _ in burst]
            tap.check([g and g.payload for g in got] == burst, "%d packets to the client" % len(burst))
            c.send_raw(b"".join(stun.channel_data(0x4000, data, pad=True) for data in burst))
            tap.check([peer.recv(65536) for _ in burst] == burst, "%d packets to the peer" % len(burst))
        many = [payload(100 + i % 50, i) for i in range(2000)]
        c.send_raw(b"".join(stun.channel_data(0x4000, data, pad=True) for data in many))
        tap.check([peer.recv(65536) for _ in many] == many, "%d packets in one write" % len(many))
        # Tiny reads: 7 bytes at a time.
        for i in range(50):
            peer.sendto(payload(1000, i), c.relay)
        data = b""
        c.sock.settimeout(30 * tap.SLOW)
        while len(data) < 50 * 1004:
            data += c.sock.recv(7)
        want = b"".join(stun.channel_data(0x4000, payload(1000, i)) for i in range(50))
        tap.check(data == want, "what was read 7 bytes at a time differs")


def test_one_frame_a_record():
    """each frame is a record of its own, which clients that know no framing rely on"""
    authority = Authority()
    with serve(authority) as d:
        for version in (2, 3):
            c, peer = setup(d, context=authority.context(version))
            for i in range(50):
                peer.sendto(payload(400 + i, i), c.relay)
            c.sock.settimeout(30 * tap.SLOW)
            for i in range(50):
                # One read gives what is in one record.
                want = stun.channel_data(0x4000, payload(400 + i, i), pad=True)
                tap.check(c.sock.recv(65536) == want, "record %d is not one frame" % i)


def test_slow_receiver():
    """a client that stops reading costs bounded memory, others are served, and what it gets later is whole"""
    authority = Authority()
    with serve(authority) as d:
        for version in (2, 3):
            c, peer = setup(d, context=authority.context(version))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
            before = d.rss()
            block = os.urandom(1200)
            sent = 40000 // tap.SLOW
            for i in range(sent):
                peer.sendto(block, c.relay)
                if i % 500 == 499:
                    time.sleep(0.005)
            tap.bounded(d.rss() - before, 8192, "%d MB sent to a client that does not read" % (sent * 1200 // 1000000))
            tap.check(d.answers(), "no answer to others")
            # One that comes before there is room for it again is lost.
            count, after, end = 0, False, time.monotonic() + 60 * tap.SLOW
            while not after:
                tap.check(time.monotonic() < end, "nothing comes after the jam")
                tap.check(not c.closed, "the connection was closed")
                got = c.recv(0.5 * tap.SLOW)
                if got is None:
                    peer.sendto(b"after", c.relay)
                    continue
                after = got.payload == b"after"
                tap.check(after or got.payload == block, "a frame is damaged")
                count += not after
            tap.diag("TLS 1.%d: %d of %d packets were delivered late" % (version, count, sent))
            tap.check(count < sent, "the connection was never jammed: the test shows nothing")
            tap.check(c.refresh() > 0, "no Refresh after the jam")


def test_peer_connections():
    """RFC 6062 over TLS: megabytes each way unchanged, a receiver that stops, the end of the peer's side alone"""
    authority = Authority()
    block = os.urandom(1 << 20)
    with serve(authority) as d:
        for _ in range(4):  # so that the data connection comes to another worker too
            c = d.client("tls")
            c.allocate_tcp()
            with socket.create_server(("127.0.0.1", 0)) as at:
                at.settimeout(30 * tap.SLOW)
                bound = c.data_connection(c.connect(client.name_of(at)))
                tap.cleanup(bound.close)
                peer = at.accept()[0]
                tap.cleanup(peer.close)
            peer.settimeout(30 * tap.SLOW)
            sender = threading.Thread(target=lambda: bound.sock.sendall(block * 4))
            sender.start()
            got = b""
            while len(got) < 4 << 20:
                got += (chunk := peer.recv(1 << 20))
                tap.check(chunk, "the peer's connection ended after %d bytes" % len(got))
            sender.join()
            tap.check(got == block * 4, "what came to the peer differs")
            sender = threading.Thread(target=lambda: peer.sendall(block * 8))
            sender.start()
            time.sleep(0.3)  # the client does not read: the peer is stopped
            tap.check(bound.recv_bytes(8 << 20) == block * 8, "what came to the client differs")
            sender.join()
            peer.sendall(b"the end")
            peer.shutdown(socket.SHUT_WR)
            tap.equal(bound.recv_bytes(), b"the end", "at the client")
            bound.send_raw(b"not mine")
            tap.equal(peer.recv(100), b"not mine", "at the peer whose side has ended")
            bound.close()
            tap.equal(peer.recv(100), b"", "the end at the peer")
            c.close()


def test_half_handshakes():
    """a handshake that is not finished in time ends, however slowly it goes on; the log says why; others are served"""
    authority = Authority()
    with serve(authority, limits={"tls_timeout": 2}) as d:
        began = time.monotonic()
        silent, half = connect(d), connect(d, hello()[:100])
        slow = connect(d, hello()[:1])
        data = hello()
        with contextlib.suppress(OSError):
            for i in range(1, 40 * tap.SLOW):
                slow.sendall(data[i:i + 1])
                time.sleep(0.1)
                if i == 5:
                    other = tap.persist(lambda: d.client("tls", source="127.0.0.9"), OSError)
                    tap.check(other.binding() is not None, "others were not served")
        tap.check(all(client.is_closed(s) for s in (silent, half, slow)), "an unfinished handshake is still open")
        tap.check(time.monotonic() - began >= 1.9, "closed too early")
        reasons = re.findall(r"client=127\.0\.0\.1:.*refused: no whole TLS handshake within limits.tls_timeout seconds", d.read_log())
        tap.equal(len(reasons), 3, "reasons")


def test_handshake_limit():
    """no more than limits.tls_handshakes are unfinished: the oldest give way, and a real client gets through"""
    authority = Authority()
    with serve(authority, workers=1, limits={"tls_handshakes": 5, "tls_timeout": 60}) as d:
        held = [connect(d, hello()[:50])]
        for i in range(20):
            held.append(connect(d, hello()[:50]))
        end = time.monotonic() + 30 * tap.SLOW
        reason = "the oldest of limits.tls_handshakes unfinished TLS handshakes"
        while d.read_log().count("refused: " + reason) < 16:
            tap.check(time.monotonic() < end, "the oldest did not give way")
            time.sleep(0.02)
        tap.check(d.client("tls").binding() is not None, "a real client was not served")
        tap.check(all(client.is_closed(s) for s in held[:16]), "one of the oldest is still open")


def test_handshakes_of_one_source():
    """a source that begins handshakes without end pushes out its own, not those of others, on TLS and DTLS"""
    authority = Authority()
    port = free_port()
    listen = [{"transport": t, "address": "*", "port": port} for t in ("udp+dtls", "tls")]
    with Daemon(port=port, listen=listen, workers=1, tls=authority.settings(),
                limits={"tls_handshakes": 8, "tls_timeout": 60}) as d:
        first = hello()
        slow = connect(d, first[:50])
        sock = client.udp_socket("127.0.0.1")
        tap.cleanup(sock.close)
        sock.connect(d.server)
        datagrams = dtls.DtlsSocket(sock, 60 * tap.SLOW, authority.pem, handshake=False)
        datagrams.step()
        datagrams.feed(sock.recv(2048))  # the cookie
        datagrams.step()
        held = []
        for _ in range(40):
            held.append(socket.create_connection(d.server, 30 * tap.SLOW, ("127.0.0.2", 0)))
            tap.cleanup(held[-1].close)
            held[-1].sendall(first[:50])
        end = time.monotonic() + 60 * tap.SLOW
        while d.read_log().count("the oldest of limits.tls_handshakes") < 34:
            tap.check(time.monotonic() < end, "nothing gave way")
            time.sleep(0.02)
        slow.sendall(first[50:])
        tap.equal(slow.recv(1), b"\x16", "answer on TLS")
        datagrams.handshake()
        datagrams.abandon()


def test_wrong_port():
    """plain STUN and HTTP on a TLS port, TLS and HTTP on a plain one: closed with a logged reason, before any answer"""
    authority = Authority()
    http = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    plain = stun.build(stun.BINDING)
    for transport, cases in {
            "tls": ((plain, "plain STUN on a port for TLS only"), (http, "HTTP, which is not served here"),
                    (b"\xff" * 100, "something that is not TLS"), (b"\x80\x2e\x01", "something that is not TLS")),
            "tcp": ((hello(), "TLS on a plain port"), (http, "HTTP, which is not served here"),
                    (b"\xff" * 100, "something that is neither STUN nor ChannelData")),
            "tcp+tls": ((http, "HTTP, which is not served here"), (b"POST /", "HTTP, which is not served here"),
                        (b"\xff" * 100, "something that is neither STUN nor ChannelData"))}.items():
        with serve(authority, transport) as d:
            for data, reason in cases:
                sock = connect(d, data)
                sock.settimeout(30 * tap.SLOW)
                with contextlib.suppress(ConnectionError):
                    tap.equal(sock.recv(100), b"", "answer to %r on %s" % (data[:10], transport))
                d.wait_log("refused: " + reason)
            tap.check(d.client("tcp" if transport == "tcp" else "tls").binding() is not None, "no answer on " + transport)


def test_http_inside():
    """HTTP and garbage inside TLS, and damaged records: closed with a logged reason"""
    authority = Authority()
    with serve(authority) as d:
        for data, reason in ((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP, which is not served here"),
                             (b"\xff" * 20, "something that is neither STUN nor ChannelData")):
            c = d.client("tls")
            c.send_raw(data)
            tap.check(c.recv_raw(30 * tap.SLOW) is None and c.closed, "still open after %r" % data[:4])
            d.wait_log("refused: " + reason)
        for version in (2, 3):
            c = d.client("tls", context=authority.context(version))
            tap.check(c.binding() is not None, "no answer")
            with socket.socket(fileno=os.dup(c.sock.fileno())) as raw:
                raw.sendall(b"\x17\x03\x03\0\x40" + bytes(64))
                tap.check(client.is_closed(raw), "still open after a damaged record")
            d.wait_log("refused: TLS: decryption failed or bad record mac")
        tap.check(d.answers(), "no answer to others")


def test_one_port():
    """tcp+tls: plain clients and TLS clients on one port, and one that says nothing at first"""
    authority = Authority()
    with serve(authority, "tcp+tls", limits={"tls_timeout": 2}) as d:
        idle = d.client("tcp")
        for _ in range(10):
            for transport in ("tcp", "tls"):
                c = tap.persist(lambda transport=transport: d.client(transport), OSError)
                tap.check(c.allocate() is not None, "no allocation over " + transport)
        log = d.read_log()
        tap.equal((log.count("transport tcp"), log.count("transport tls")), (10, 10), "allocations by transport")
        time.sleep(2.5)
        tap.check(idle.binding() is not None, "a plain client may be idle for longer than a handshake")


def wait_reloads(d, count):
    end = time.monotonic() + 30 * tap.SLOW
    while d.read_log().count("configuration reloaded") < count:
        tap.check(time.monotonic() < end, "no reload")
        time.sleep(0.02)


def served(d, authority, want):
    """Waits until new connections get that certificate: workers learn of a reload one after the other."""
    end = time.monotonic() + 30 * tap.SLOW
    while True:
        names = {common_name(handshake(d, authority.context())) for _ in range(8)}
        if names == {want}:
            return
        tap.check(time.monotonic() < end, "the certificate is %s, expected %s" % (names, want))


def test_reload():
    """SIGHUP takes new certificate files although the configuration is the same; old connections go on"""
    authority = Authority()
    pem, key = authority.issue("first")
    names = os.path.join(authority.folder, "live.pem"), os.path.join(authority.folder, "live.key")
    shutil.copy(pem, names[0])
    shutil.copy(key, names[1])
    with serve(authority, tls={"certificate": names[0], "key": names[1]}) as d:
        old, peer = setup(d)
        served(d, authority, "first")
        pem, key = authority.issue("second")
        shutil.copy(pem, names[0])
        shutil.copy(key, names[1])
        served(d, authority, "first")
        os.kill(d.pid, signal.SIGHUP)
        wait_reloads(d, 1)
        served(d, authority, "second")
        old.send_channel(0x4000, b"on")
        tap.equal(peer.recv(100), b"on", "over the old connection")
        peer.sendto(b"and on", old.relay)
        tap.equal(old.recv().payload, b"and on", "over the old connection")
        # Now files that cannot be used.
        shutil.copy(authority.issue("third")[1], names[1])
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("tls.key: %s: the key does not belong to the certificate; the old configuration stays" % names[1])
        os.unlink(names[1])
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("tls.key: cannot read %s: No such file or directory; the old configuration stays" % names[1])
        with open(names[0], "w", encoding="ascii") as f:
            f.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("tls.certificate: %s: " % names[0])
        served(d, authority, "second")
        old.send_channel(0x4000, b"still")
        tap.equal(peer.recv(100), b"still", "over the old connection")
        # And good again.
        pem, key = authority.issue("fourth")
        shutil.copy(pem, names[0])
        shutil.copy(key, names[1])
        os.kill(d.pid, signal.SIGHUP)
        served(d, authority, "fourth")


def test_reload_under_handshakes():
    """reloads while handshakes come and go: every one succeeds"""
    authority = Authority()
    with serve(authority) as d:
        context, failures, stop = authority.context(), [], threading.Event()

        def knock():
            while not stop.is_set():
                try:
                    with socket.create_connection(d.server, 30 * tap.SLOW) as raw, \
                            context.wrap_socket(raw, server_hostname="localhost"):
                        pass
                except OSError as why:
                    failures.append(why)
        threads = [threading.Thread(target=knock) for _ in range(3)]
        for t in threads:
            t.start()
        for i in range(10):
            os.kill(d.pid, signal.SIGHUP)
            wait_reloads(d, i + 1)
            time.sleep(0.05)
        stop.set()
        for t in threads:
            t.join()
        tap.equal(failures, [], "failed handshakes")


def write(text):
    path = os.path.join(folder(), "turnpike.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def test_bad_files_at_start():
    """a certificate that cannot be used: exit code 2 and one line that names the file and the reason, with --check too"""
    authority = Authority()
    pem, key = authority.issue()
    other = authority.issue("other")
    for tls, reason in (({"certificate": "/nonexistent.pem", "key": key},
                         "tls.certificate: cannot read /nonexistent.pem: No such file or directory"),
                        ({"certificate": pem, "key": other[1]},
                         "tls.key: %s: the key does not belong to the certificate" % other[1]),
                        ({"certificate": pem, "key": key, "ciphers": "NONE"},
                         'tls.ciphers: "NONE": no cipher match, allowed are those of openssl-ciphers(1)'),
                        ({"certificate": pem, "key": key, "client_ca": key},
                         "tls.client_ca: %s: there is no certificate in PEM form in it" % key)):
        port = free_port()
        path = write(config_text(settings(port, listen=[{"transport": "tls", "port": port}], tls=tls)))
        for args in ((), ("--check",)):
            code, _, err = run_daemon("-c", path, *args)
            lines = [line for line in err.splitlines() if "running as root" not in line]
            tap.equal((code, len(lines)), (2, 1), "exit code and lines of %s" % err)
            found = re.search(re.escape(path) + r":(\d+): (.*)$", lines[0])
            tap.check(found, "no file and line in " + lines[0])
            tap.equal(found[2], reason, "the mistake")
            with open(path, encoding="ascii") as f:
                line = f.read().splitlines()[int(found[1]) - 1]
            tap.check(reason[4:reason.index(":")] in line, "line %s has no such key: %s" % (found[1], line))


def test_expired_certificate():
    """an expired certificate is a warning in the log, and served"""
    authority = Authority()
    pem, key = authority.issue("old", days=-1)
    with serve(authority, tls={"certificate": pem, "key": key}) as d:
        d.wait_log("tls.certificate: %s: the certificate has expired" % pem)
        tap.check(d.client("tls").binding() is not None, "no answer")


def test_unreadable_at_reload():
    """as root with user set: a key that only root can read is a warning at start, and a reload keeps the old one"""
    if os.geteuid() != 0:
        raise tap.Skip("needs root")
    authority = Authority()
    pem, key = authority.issue("private")
    os.chmod(key, 0o600)
    with serve(authority, user="nobody", tls={"certificate": pem, "key": key}) as d:
        d.wait_log("tls.key: the user that we run as cannot read %s again at a reload: Permission denied" % key)
        os.kill(d.pid, signal.SIGHUP)
        d.wait_log("tls.key: cannot read %s: Permission denied; the old configuration stays" % key)
        served(d, authority, "private")


def test_idle_memory():
    """what a thousand idle TLS connections with an allocation take, and that it comes back"""
    authority = Authority()
    with serve(authority, limits={"tcp_connections": 4096, "tcp_idle": 3600}) as d:
        context = authority.context(3)
        warm = [d.client("tls", context=context) for _ in range(50)]
        for c in warm:
            c.allocate()
        before, count = d.rss(), 1000 // tap.SLOW
        many = [d.client("tls", context=context) for _ in range(count)]
        for c in many:
            c.allocate()
        growth = d.rss() - before
        tap.bounded(growth, count * 40, "%d TLS connections with allocations (%.1f KiB each)" % (count, growth / count))
        for c in many:
            c.close()
        end = time.monotonic() + 60 * tap.SLOW
        while len(os.listdir("/proc/%d/fd" % d.pid)) > 200:
            tap.check(time.monotonic() < end, "connections are left")
            time.sleep(0.05)


if __name__ == "__main__":
    tap.main()
