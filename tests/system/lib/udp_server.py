# SPDX-License-Identifier: BSD-2-Clause
"""A server on a UDP port of loopback whose answers a test makes."""

import socket
import threading

import tap


class Server:
    """Whoever inherits has answer(datagram): bytes, or None for no answer. It runs until the test ends."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(0.2)
        self.port = self.sock.getsockname()[1]
        self.done = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        tap.cleanup(self.stop)

    def stop(self):
        self.done = True
        self.thread.join()
        self.sock.close()

    def serve(self):
        while not self.done:
            try:
                data, client = self.sock.recvfrom(4096)
            except socket.timeout:
                continue
            out = self.answer(data)
            if out:
                self.sock.sendto(out, client)
