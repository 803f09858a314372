# SPDX-License-Identifier: BSD-2-Clause
"""testssl.sh on the TLS port: no finding above "low"."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import certs
import tap
from daemon import Daemon, die_with_parent, folder, free_port, need

# WARN is no finding of the server: the tool tells what it could not try, for want of an engine of its openssl, or because its
# own s_client left before the tickets of TLS 1.3 had come. It is printed, and the scan has to have found enough in order.
HARMLESS = ("OK", "INFO", "LOW", "DEBUG", "WARN")
LEAST = 25


def scan(port, authority, *flags):
    """The findings, as the tool writes them."""
    program = need("testssl")
    path = os.path.join(folder(), "findings.json")
    done = subprocess.run([program, "--quiet", "--color", "0", "--nodns", "none", "--warnings", "off", "--ip", "127.0.0.1",
                           "--add-ca", authority.pem, "--jsonfile", path, *flags, "localhost:%d" % port],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="backslashreplace",
                          timeout=600 * tap.SLOW, preexec_fn=die_with_parent, check=False)
    tap.on_failure(lambda: done.stdout[-4000:])
    with open(path, encoding="utf-8", errors="backslashreplace") as f:
        return json.load(f)


@tap.limit(630)
def test_findings():
    """testssl.sh finds nothing above low on a TLS port, and sees TLS 1.2 and 1.3 and ALPN stun.turn"""
    authority = certs.Authority()
    # What a certificate of a public authority has, so that only the server is left to be judged.
    certificate = authority.issue(days=90, extensions=["crlDistributionPoints=URI:http://localhost/ca.crl"])
    port = free_port()
    with Daemon(port=port, tls=authority.settings(certificate), log={"level": "notice"},
                listen=[{"transport": "udp", "address": "*", "port": port},
                        {"transport": "tls", "address": "*", "port": port}]) as d:
        findings = scan(port, authority)
        tap.check(d.answers(), "no answer afterwards")
    tap.diag("%d findings" % len(findings))
    for f in findings:
        if f["severity"] == "WARN":
            tap.diag("%s: %s" % (f["id"], f["finding"]))
    bad = ["%s %s: %s" % (f["severity"], f["id"], f["finding"]) for f in findings if f["severity"] not in HARMLESS]
    tap.equal(bad, [], "findings")
    good = sum(f["severity"] == "OK" for f in findings)
    tap.check(good >= LEAST, "only %d things were found in order: %r" % (good, findings))
    said = {f["id"]: f["finding"] for f in findings}
    for name, want in (("TLS1_2", "offered"), ("TLS1_3", "offered"), ("TLS1", "not offered"), ("TLS1_1", "not offered")):
        tap.check(said.get(name, "").startswith(want), "%s: %s" % (name, said.get(name)))
    tap.check("stun.turn" in said.get("ALPN", ""), "ALPN: %s" % said.get("ALPN"))


if __name__ == "__main__":
    tap.main()
