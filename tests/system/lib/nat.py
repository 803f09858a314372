# SPDX-License-Identifier: BSD-2-Clause
"""A small internet in network namespaces: a wide area network, hosts on it, and hosts behind NAT routers (nftables)."""

import itertools
import subprocess

import daemon
import netns
import tap

_lan = itertools.count(1)

# What a router does with UDP, by name. {wan} is its outer device, {host} the host behind it.
RULES = {
    # Keeps the port where it can, lets in answers only: port-restricted cone.
    "masquerade": "chain post { type nat hook postrouting priority 100; oifname {wan} masquerade; }",
    # Another port for each destination: symmetric.
    "random": "chain post { type nat hook postrouting priority 100; oifname {wan} masquerade fully-random; }",
    # All that comes goes to the host: full cone.
    "static": "chain post { type nat hook postrouting priority 100; oifname {wan} masquerade; }\n"
              "chain pre { type nat hook prerouting priority -100; iifname {wan} meta l4proto udp dnat to {host}; }",
    # What comes from an address that the host has sent to goes to the host: restricted cone.
    "restricted": "set known { type ipv4_addr; flags dynamic; timeout 1m; }\n"
                  "chain post { type nat hook postrouting priority 100; oifname {wan} masquerade; }\n"
                  "chain learn { type filter hook forward priority 0; oifname {wan} add @known { ip daddr }; }\n"
                  "chain pre { type nat hook prerouting priority -100;"
                  " iifname {wan} meta l4proto udp ip saddr @known dnat to {host}; }",
}
# As home routers have it: what comes for the router itself is dropped, and leaves no trace in its tables.
DROP = "chain in { type filter hook input priority 0; iifname {wan} meta l4proto udp drop; }"


def nft(ns, text):
    done = subprocess.run([daemon.need("nft"), "-f", "-"], input=text, text=True, capture_output=True, check=False,
                          preexec_fn=ns.enter)
    if done.returncode and "syntax error" in done.stderr:
        raise AssertionError(done.stderr)
    if done.returncode:
        raise tap.Skip("nftables does not do this here: %s" % done.stderr.strip().splitlines()[0])


def forward(ns):
    try:
        with ns.inside(), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")
    except OSError as why:
        raise tap.Skip("packets cannot be forwarded here: %s" % why) from None


class Internet:
    """203.0.113.0/24: hosts on it, and routers with one host each behind them."""

    def __init__(self):
        netns.need()
        daemon.need("nft")
        self.wan = netns.Namespace()
        self.wan.ip("link", "add", "name", "wan0", "type", "bridge")
        self.wan.ip("link", "set", "wan0", "up")

    def _plug(self, ns, *addresses):
        outer, inner = netns.pair(self.wan, (), ns, ["%s/24" % a for a in addresses])
        self.wan.ip("link", "set", outer, "master", "wan0")
        return inner

    def host(self, *addresses, firewall=False):
        """A host with public addresses; a firewall lets in only what it has asked for."""
        ns = netns.Namespace()
        self._plug(ns, *addresses)
        if firewall:
            nft(ns, "table ip t { chain in { type filter hook input priority 0; policy drop;"
                    " ct state established,related accept; iifname lo accept; }\n}\n")
        return ns

    def behind(self, kind):
        """A host behind a router, which does as RULES has it and whose address becomes host.public."""
        number = next(_lan)
        router, host = netns.Namespace(), netns.Namespace()
        host.public = "203.0.113.%d" % (100 + number)
        wan = self._plug(router, host.public)
        lan = "192.168.%d." % number
        netns.pair(router, [lan + "1/24"], host, [lan + "10/24"])
        host.ip("route", "add", "default", "via", lan + "1")
        forward(router)
        rules = (RULES[kind] + "\n" + DROP).replace("{wan}", wan).replace("{host}", lan + "10")
        nft(router, "table ip t {\n%s\n}\n" % rules)
        return host
