# SPDX-License-Identifier: BSD-2-Clause
"""Access tokens (RFC 7635) against Debian's turnutils_oauth, which seals and opens them, and turnutils_uclient -J."""

import base64
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import tap
from daemon import Daemon, folder, free_port, json_of, must_ctl, need, overflows, Process, tail, wait_for_udp

ACCESS_TOKEN = 0x001B
SERVER = "turn.example.org"
NORTH, UNION, EMPIRE = b"01234567890123456789012345678901", b"1234567890123456", b"12345678901234567890123456789012"
# turnutils_uclient has these three built in, each with a newline behind it that is not used.
KEYS = [{"id": "north", "key": base64.b64encode(NORTH).decode()},
        {"id": "union", "key": base64.b64encode(UNION).decode(), "algorithm": "A128GCM"},
        {"id": "oldempire", "key": base64.b64encode(EMPIRE).decode()}]
TOKENS = {"server": SERVER, "keys": KEYS}


def oauth(*args, key=KEYS[0]):
    """Runs turnutils_oauth with a key that began an hour ago."""
    done = subprocess.run([need("turnutils_oauth"), "-i", SERVER, "-j", key["id"], "-k", key["key"], "-n",
                           key.get("algorithm", "A256GCM"), "-l", str(int(time.time()) - 3600), "-m", "86400", *args],
                          capture_output=True, check=False, timeout=10 * tap.SLOW)
    return done.stdout.decode("utf-8", "backslashreplace") + done.stderr.decode("utf-8", "backslashreplace")


def test_opened_by_coturn():
    """turnutils_oauth opens what turnpikectl token makes"""
    need("turnutils_oauth")
    with Daemon(tokens=TOKENS) as d:
        for key in KEYS:
            made = json_of(must_ctl("-c", d.config, "token", "--kid", key["id"], "--ttl", "10m"))
            out = oauth("-d", "-v", "-t", made["access_token"], key=key)
            tap.check("Valid token" in out and "lifetime: 600" in out and "mac key length: 20" in out, out)
            spoiled = bytearray(base64.b64decode(made["access_token"]))
            spoiled[-1] ^= 1
            out = oauth("-d", "-v", "-t", base64.b64encode(spoiled).decode(), key=key)
            tap.check("Valid token" not in out, "turnutils_oauth finds everything valid")


def test_sealed_by_coturn():
    """the daemon takes what turnutils_oauth seals"""
    need("turnutils_oauth")
    with Daemon(tokens=TOKENS) as d:
        for key in KEYS:
            mac_key = b"a mac key, 160 bits."
            out = oauth("-e", "-p", base64.b64encode(mac_key).decode(), "-o", base64.b64encode(os.urandom(12)).decode(),
                        "-r", "500", key=key)
            sealed = base64.b64decode(json.loads(out[out.index("{"):out.index("}") + 1])["access_token"])
            with d.client(user=key["id"]) as c:
                c.key = lambda: mac_key
                msg = c.try_allocate(extra=[(ACCESS_TOKEN, sealed)])
                tap.equal((msg.code, msg.lifetime), (None, 500), "Allocate with a token of " + key["id"])
                c.permit("127.0.0.1")


def uclient(d, peer_port, flags, interval):
    log = os.path.join(folder(), "log")
    child = Process([need("turnutils_uclient"), "-J", "-p", str(d.port), "-e", "127.0.0.1", "-r", str(peer_port), "-m", "4",
                     "-n", "200", "-z", str(interval), "-l", "160", *flags, "127.0.0.1"], log, cwd=d.folder)
    return child, log, flags


FEATURES = {("-c",): "access token (-J): channels", (): "access token (-J): RTP and RTCP pairs",
            ("-s", "-c"): "access token (-J): Send indications", ("-t", "-c"): "access token (-J): channels",
            ("-T", "-t", "-y", "-c"): "access token (-J): TCP relays"}


def judge(child, log, flags, before, last):
    """Whether it was a run to judge. It is not, unless it is the last one, when packets were lost and the kernel has dropped
    some at a full receive buffer: the tool's are small, and a busy machine may be long in giving it a processor."""
    child.wait(150 * tap.SLOW)
    with open(log, encoding="utf-8", errors="backslashreplace") as f:
        out = f.read()
    totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", out)
    tap.check(totals, "uclient -J %s: no summary:\n%s" % (" ".join(flags), tail(log, 15)))
    sent, received = (int(n) for n in totals[-1])
    tap.diag("uclient -J %s: sent %d, came back %d" % (" ".join(flags), sent, received))
    if received < sent and not last and overflows() > before:
        tap.diag("%d datagrams found full receive buffers: once more, at half the rate" % (overflows() - before))
        return False
    with tap.cell("turnutils_uclient", FEATURES[flags], "tcp" if "-t" in flags else "udp"):
        tap.equal((sent >= 800, received), (True, sent), "uclient -J " + " ".join(flags))
    return True


@tap.limit(600)
def test_uclient():
    """turnutils_uclient -J: a new token with every Allocate and Refresh, sealed with one of three keys at random"""
    need("turnutils_uclient")
    peer_port = free_port()
    peer = Process([need("turnutils_peer"), "-L", "127.0.0.1", "-p", str(peer_port)], os.path.join(folder(), "log"))
    wait_for_udp(peer, peer_port)
    with Daemon(log={"level": "info"}, tokens=TOKENS) as d:
        left = list(FEATURES)
        for interval in (10, 20, 40, 80):
            before = overflows()
            runs = [uclient(d, peer_port, flags, interval * tap.SLOW) for flags in left]
            left = [run[2] for run in runs if not judge(*run, before, interval == 80)]
            if not left:
                break
        users = set(re.findall(r"allocation created.* user ([a-z]+)#[0-9a-f]{16},", d.read_log()))
        tap.check(users and users <= {"north", "union", "oldempire"}, "users of the allocations: %r" % users)


if __name__ == "__main__":
    tap.main()
