# SPDX-License-Identifier: BSD-2-Clause
"""T9: what an outsider could guess: relay ports, nonces, reservation tokens."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import stun
import tap
from daemon import Daemon


def chi_square(samples, low, high, bins):
    """Of the samples over equal parts of [low, high)."""
    counts = [0] * bins
    for s in samples:
        counts[(s - low) * bins // (high - low)] += 1
    expected = len(samples) / bins
    return sum((n - expected) ** 2 / expected for n in counts)


def check_uniform(samples, low, high, what):
    """15 degrees of freedom: an even source exceeds 60 in 2 runs of 10 million; a constant or a counter is far above."""
    value = chi_square(samples, low, high, 16)
    tap.diag("%s: chi-square %.1f with 15 degrees of freedom, %d samples" % (what, value, len(samples)))
    tap.check(value < 60, "%s: not spread over the range (chi-square %.1f)" % (what, value))


def check_unordered(samples, what):
    """Neighbouring samples rise as often as they fall, and hardly ever by one."""
    rises = sum(b > a for a, b in zip(samples, samples[1:]))
    steps = sum(abs(b - a) <= 2 for a, b in zip(samples, samples[1:]))
    n = len(samples) - 1
    tap.check(abs(rises - n / 2) < 6 * (n / 12) ** 0.5, "%s: %d of %d rise" % (what, rises, n))
    tap.check(steps < n // 50 + 5, "%s: %d of %d are neighbours" % (what, steps, n))


def test_ports():
    """T9: relay ports are spread over the whole range, in no order"""
    with Daemon(workers=1) as d:
        ports = []
        c = d.client()
        for _ in range(1000):
            ports.append(c.allocate()[1])
            c.refresh(0)
        check_uniform(ports, 49152, 65536, "relay ports")
        check_unordered(ports, "relay ports")
        tap.check(len(set(ports)) > 900, "%d different ports of 1000" % len(set(ports)))


def test_ports_of_another_start():
    """T9: another start gives other ports"""
    runs = []
    for _ in range(2):
        with Daemon(workers=1) as d:
            c = d.client()
            ports = []
            for _ in range(20):
                ports.append(c.allocate()[1])
                c.refresh(0)
            runs.append(ports)
    tap.check(sum(a == b for a, b in zip(*runs)) < 3, "the same ports again: %r" % runs)


def test_nonces():
    """T9: nonces differ for every client; their secret part is spread and differs in half of its bits"""
    nonces = []
    with Daemon() as d:
        for i in range(600):
            with d.client(source="127.0.%d.%d" % (i // 200 + 1, i % 200 + 1)) as c:
                c.challenge()
                nonces.append(c.nonce)
    tap.equal(len(set(nonces)), len(nonces), "different nonces")
    check_bits([n[-16:] for n in nonces], 4, "end of the nonce")
    # The same client after a restart: another key.
    with Daemon() as d, d.client(source="127.0.1.1") as c:
        c.challenge()
        tap.check(c.nonce[-16:] not in {n[-16:] for n in nonces}, "the same nonce after a restart")


def check_bits(samples, least, what):
    """Every byte position takes many values, so no part of it counts up or stands still."""
    for position in range(len(samples[0])):
        values = {s[position] for s in samples}
        tap.check(len(values) > least * 4, "%s: position %d takes only %d values" % (what, position, len(values)))


def test_tokens():
    """T9: reservation tokens are 8 bytes without pattern"""
    tokens = []
    with Daemon() as d:
        for n in range(300):  # by two users: one alone cannot hold so many
            with d.client(**({"user": "other", "password": "word"} if n % 2 == 0 else {})) as c:
                c.allocate(even_port=True)
                tokens.append(c.token)
                c.refresh(0)
        tap.equal(len(set(tokens)), len(tokens), "different tokens")
        check_bits(tokens, 16, "token")
        # Neighbours of a real token open nothing.
        with d.client() as c:
            value = int.from_bytes(tokens[-1], "big")
            for guess in (value ^ 1, value + 1, value - 1, value ^ 1 << 63):
                guess %= 1 << 64
                tap.equal(c.try_allocate(token=guess.to_bytes(8, "big")).code, 508, "code for a guessed token")


def test_transaction_ids():
    """T9: transaction ids of Data indications are not predictable"""
    from client import name_of, udp_socket
    with Daemon() as d, d.client() as c, udp_socket("127.0.0.2") as peer:
        relayed = c.allocate()
        c.permit(name_of(peer)[0])
        txids = []
        for i in range(100):
            peer.sendto(b"x", relayed)
            txids.append(stun.Message(c.recv_raw(c.timeout)).txid)
        tap.equal(len(set(txids)), 100, "different transaction ids")
        tap.diag("first two: %s %s" % (txids[0].hex(), txids[1].hex()))


if __name__ == "__main__":
    tap.main()
