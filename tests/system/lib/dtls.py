# SPDX-License-Identifier: BSD-2-Clause
"""DTLS 1.2 for a client, which Python's ssl module has not: OpenSSL by way of ctypes, over two memory BIOs.

Every datagram passes through here, so that a test can look at it, lose it, or send it again.
"""

import ctypes
import select
import socket
import time

WANT_READ, ZERO_RETURN = 2, 6
DGRAM_MTU = 1200
SSL_CTRL_SET_MTU, SSL_CTRL_MIN_VERSION, SSL_CTRL_SET_TLSEXT_HOSTNAME, DTLS_CTRL_HANDLE_TIMEOUT = 17, 123, 55, 74
BIO_CTRL_PENDING, BIO_C_SET_BUF_MEM_EOF_RETURN = 10, 130
SSL_OP_NO_QUERY_MTU, SSL_OP_ALLOW_CLIENT_RENEGOTIATION = 1 << 12, 1 << 8
VERIFY_PEER = 1

_ssl = _crypto = None


def _load():
    """The two libraries, with the types of what is used of them."""
    global _ssl, _crypto
    if _ssl:
        return
    ssl, crypto = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
    p, i, size, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
    for lib, name, result, *args in (
            (ssl, "DTLS_client_method", p), (ssl, "SSL_CTX_new", p, p), (ssl, "SSL_CTX_free", None, p),
            (ssl, "SSL_CTX_set_options", ctypes.c_uint64, p, ctypes.c_uint64), (ssl, "SSL_new", p, p),
            (ssl, "SSL_CTX_load_verify_file", i, p, text), (ssl, "SSL_CTX_use_certificate_chain_file", i, p, text),
            (ssl, "SSL_CTX_use_PrivateKey_file", i, p, text, i), (ssl, "SSL_CTX_set_cipher_list", i, p, text),
            (ssl, "SSL_set_verify", None, p, i, p), (ssl, "SSL_set_alpn_protos", i, p, text, ctypes.c_uint),
            (ssl, "SSL_get0_alpn_selected", None, p, p, p), (ssl, "SSL_get_version", text, p),
            (ssl, "SSL_free", None, p), (ssl, "SSL_set_bio", None, p, p, p), (ssl, "SSL_set_connect_state", None, p),
            (ssl, "SSL_ctrl", ctypes.c_long, p, i, ctypes.c_long, p), (ssl, "SSL_do_handshake", i, p),
            (ssl, "SSL_read", i, p, text, i), (ssl, "SSL_write", i, p, text, i), (ssl, "SSL_shutdown", i, p),
            (ssl, "SSL_get_error", i, p, i), (ssl, "SSL_renegotiate", i, p), (ssl, "SSL_is_init_finished", i, p),
            (crypto, "BIO_new", p, p), (crypto, "BIO_s_mem", p), (crypto, "BIO_read", i, p, text, i),
            (crypto, "BIO_write", i, p, text, i), (crypto, "BIO_ctrl", ctypes.c_long, p, i, ctypes.c_long, p),
            (crypto, "ERR_clear_error", None), (crypto, "ERR_get_error", ctypes.c_ulong),
            (crypto, "ERR_reason_error_string", text, ctypes.c_ulong)):
        fn = getattr(lib, name)
        fn.restype, fn.argtypes = result, list(args)
    _ssl, _crypto = ssl, crypto


class DtlsError(Exception):
    """What the server did not agree to, or said in an alert."""


def records(data):
    """The records in a piece of output: each may travel in a datagram of its own."""
    while len(data) >= 13:
        end = 13 + int.from_bytes(data[11:13], "big")
        yield data[:end]
        data = data[end:]


class DtlsSocket:
    """A connected UDP socket with DTLS on top of it, as a socket: send, recv, settimeout, close, fileno.

    authority: a PEM file; the server's certificate must be signed by one in it. certificate: (path, path of the key) of
    the client's own. handshake=False leaves the handshake to the caller (start, step).
    """

    def __init__(self, sock, timeout, authority=None, certificate=None, alpn=(), name=None, ciphers=None, handshake=True):
        _load()
        self.sock = sock
        self.timeout = timeout
        self.sent = []      # every datagram so far
        self.lose = None    # a function: whether that datagram is lost, on the way there
        self.finished = False
        self.ssl = self._session(authority, certificate, alpn, name, ciphers)
        if handshake:
            try:
                self.handshake()
            except BaseException:
                self.abandon()
                raise

    def _session(self, authority, certificate, alpn, name, ciphers):
        context = _ssl.SSL_CTX_new(_ssl.DTLS_client_method())
        _ssl.SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_ALLOW_CLIENT_RENEGOTIATION)
        ok = not authority or _ssl.SSL_CTX_load_verify_file(context, authority.encode()) == 1
        if ok and certificate:
            ok = _ssl.SSL_CTX_use_certificate_chain_file(context, certificate[0].encode()) == 1 and \
                _ssl.SSL_CTX_use_PrivateKey_file(context, certificate[1].encode(), 1) == 1
        if ok and ciphers:
            ok = _ssl.SSL_CTX_set_cipher_list(context, ciphers.encode()) == 1
        session = _ssl.SSL_new(context)
        _ssl.SSL_CTX_free(context)
        if not ok:
            raise DtlsError(self._reason())
        if authority:
            _ssl.SSL_set_verify(session, VERIFY_PEER, None)
        if name:
            _ssl.SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, name.encode())
        protocols = b"".join(bytes([len(a)]) + a.encode() for a in alpn)
        if protocols:
            _ssl.SSL_set_alpn_protos(session, protocols, len(protocols))
        self.into, self.out = (_crypto.BIO_new(_crypto.BIO_s_mem()) for _ in range(2))
        _crypto.BIO_ctrl(self.into, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, None)
        _ssl.SSL_set_bio(session, self.into, self.out)
        _ssl.SSL_ctrl(session, SSL_CTRL_SET_MTU, DGRAM_MTU, None)
        _ssl.SSL_set_connect_state(session)
        return session

    @staticmethod
    def _reason():
        first = _crypto.ERR_get_error()
        text = _crypto.ERR_reason_error_string(first) if first else None
        _crypto.ERR_clear_error()
        return text.decode() if text else "no reason"

    # Datagrams

    def output(self):
        """Takes what OpenSSL wants to send: a list of datagrams."""
        pending = _crypto.BIO_ctrl(self.out, BIO_CTRL_PENDING, 0, None)
        buffer = ctypes.create_string_buffer(max(pending, 1))
        got = _crypto.BIO_read(self.out, buffer, pending) if pending else 0
        return list(records(buffer.raw[:max(got, 0)]))

    def flush(self):
        for datagram in self.output():
            self.sent.append(datagram)
            if not (self.lose and self.lose(datagram)):
                self.sock.send(datagram)

    def _receive(self, seconds):
        """Feeds one datagram to OpenSSL; False when none came in time."""
        ready = select.poll()  # select() takes no descriptor above 1023
        ready.register(self.sock, select.POLLIN)
        if not ready.poll(max(seconds, 0) * 1000):
            return False
        try:
            self.feed(self.sock.recv(65536))
        except ConnectionRefusedError:
            pass
        return True

    def feed(self, datagram):
        _crypto.BIO_write(self.into, datagram, len(datagram))

    # The handshake

    def step(self):
        """Goes as far as it gets without another datagram; True when it is complete."""
        _crypto.ERR_clear_error()
        ret = _ssl.SSL_do_handshake(self.ssl)
        error = _ssl.SSL_get_error(self.ssl, ret)
        self.flush()
        if ret != 1 and error != WANT_READ:
            raise DtlsError(self._reason())
        self.finished = ret == 1
        return self.finished

    def handshake(self):
        end = time.monotonic() + self.timeout
        while not self.step():
            left = end - time.monotonic()
            if left <= 0:
                raise socket.timeout("no end of the DTLS handshake")
            if not self._receive(min(left, 0.2)):
                _ssl.SSL_ctrl(self.ssl, DTLS_CTRL_HANDLE_TIMEOUT, 0, None)
                self.flush()

    def renegotiate(self):
        """Asks for a new handshake within this one."""
        if _ssl.SSL_renegotiate(self.ssl) != 1:
            raise DtlsError(self._reason())
        self.step()

    @property
    def version(self):
        return _ssl.SSL_get_version(self.ssl).decode()

    @property
    def alpn(self):
        data, length = ctypes.c_char_p(), ctypes.c_uint()
        _ssl.SSL_get0_alpn_selected(self.ssl, ctypes.byref(data), ctypes.byref(length))
        return ctypes.string_at(data, length.value).decode() if length.value else None

    # As a socket

    def fileno(self):
        return self.sock.fileno()

    def getsockname(self):
        return self.sock.getsockname()

    def settimeout(self, seconds):
        self.timeout = seconds

    def send(self, data):
        _crypto.ERR_clear_error()
        if _ssl.SSL_write(self.ssl, data, len(data)) != len(data):
            raise DtlsError(self._reason())
        self.flush()

    def recv(self, size):
        """One datagram's plain text; empty when the server has closed the session."""
        buffer = ctypes.create_string_buffer(size)
        end = time.monotonic() + self.timeout
        while True:
            _crypto.ERR_clear_error()
            got = _ssl.SSL_read(self.ssl, buffer, size)
            error = _ssl.SSL_get_error(self.ssl, got)
            self.flush()
            if got > 0:
                return buffer.raw[:got]
            if error == ZERO_RETURN:
                return b""
            if error != WANT_READ:
                raise ConnectionResetError(self._reason())
            if not self._receive(end - time.monotonic()):
                raise socket.timeout("timed out")

    def abandon(self):
        """Goes without a word, as a client that crashed."""
        if self.ssl:
            _ssl.SSL_free(self.ssl)
            self.ssl = None
        self.sock.close()

    def close(self):
        if self.ssl and self.finished and self.sock.fileno() >= 0:
            _crypto.ERR_clear_error()
            _ssl.SSL_shutdown(self.ssl)
            try:
                self.flush()
            except OSError:
                pass
        self.abandon()
