# SPDX-License-Identifier: BSD-2-Clause
"""aioice's TURN client against turnpiked: allocate, relay both ways, refresh, delete, on UDP and TCP."""

import asyncio
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system", "lib"))

import tap
from daemon import Daemon

try:
    import aioice
    from aioice import turn
except ModuleNotFoundError as why:
    if why.name != "aioice":
        raise  # it is there and broken, such as by a module of ours that has the name of one of its own
    aioice = None


class Receiver(asyncio.DatagramProtocol):
    """Queues what arrives."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.queue.put_nowait((data, addr))

    def connection_lost(self, exc):
        self.lost.set()

    async def get(self, seconds=30 * tap.SLOW):
        return await asyncio.wait_for(self.queue.get(), seconds)


def need():
    if aioice is None:
        raise tap.Skip("aioice is not installed (Debian: python3-aioice)")


async def endpoint(d, transport, lifetime=600, **kw):
    return await turn.create_turn_endpoint(Receiver, server_addr=("127.0.0.1", d.port), username="user", password="pass",
                                           lifetime=lifetime, transport=transport, **kw)


async def peer():
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Receiver, local_addr=("127.0.0.2", 0))
    return protocol, protocol.transport.get_extra_info("sockname")


async def ping(transport, client, other, name, count=100):
    """count packets each way."""
    for n in range(count):
        transport.sendto(b"ping %d" % n, name)
        data, source = await other.get()
        tap.equal(data, b"ping %d" % n, "at the peer")
        tap.equal(source, transport.get_extra_info("sockname"), "source at the peer")
        other.transport.sendto(b"pong %d" % n, source)
        tap.equal(await client.get(), (b"pong %d" % n, name), "at the client")


async def whole_life(transport):
    with Daemon() as d:
        relay, client = await endpoint(d, transport)
        tap.equal(relay.get_extra_info("sockname")[0], "127.0.0.1", "relayed address")
        other, name = await peer()
        await ping(relay, client, other, name)
        second, second_name = await peer()
        await ping(relay, client, second, second_name, 10)
        relay.close()
        await asyncio.wait_for(client.lost.wait(), 30 * tap.SLOW)
        d.wait_log("deleted")


async def short_life(transport):
    """With a lifetime of 3 s the client refreshes after 2.5 s. The server gives 6 s, so that neither has to be punctual; without
    a Refresh the relay would be gone."""
    with Daemon(limits={"lifetime": 6, "lifetime_max": 6, "unauthenticated_rate": 0}) as d:
        relay, client = await endpoint(d, transport, lifetime=3, channel_refresh_time=2)
        other, name = await peer()
        began = time.monotonic()
        while time.monotonic() - began < 7.5:
            await ping(relay, client, other, name, 1)
            await asyncio.sleep(0.25)
        relay.close()
        await asyncio.wait_for(client.lost.wait(), 30 * tap.SLOW)


async def stale(transport):
    """Nonces that live for 2 s: the client is told 438 and goes on."""
    auth = {"nonce_lifetime": 2, "users": [{"name": "user", "password": "pass"}]}
    with Daemon(auth=auth) as d:
        relay, client = await endpoint(d, transport)
        await asyncio.sleep(3.2)
        other, name = await peer()
        await ping(relay, client, other, name, 5)
        relay.close()
        await asyncio.wait_for(client.lost.wait(), 30 * tap.SLOW)


async def wrong_password():
    with Daemon() as d:
        try:
            await turn.create_turn_endpoint(Receiver, server_addr=("127.0.0.1", d.port), username="user", password="wrong",
                                            transport="udp")
        except aioice.stun.TransactionFailed as why:
            tap.equal(why.response.attributes["ERROR-CODE"][0], 401, "code")
            return
        raise AssertionError("let in with a wrong password")


async def whole_ice():
    """Two ICE agents whose candidates are reduced to the relayed ones."""
    with Daemon() as d:
        agents = [aioice.Connection(ice_controlling=controlling, turn_server=("127.0.0.1", d.port), turn_username="user",
                                    turn_password="pass", turn_transport=transport)
                  for controlling, transport in ((True, "udp"), (False, "tcp"))]
        for a in agents:
            await a.gather_candidates()
        for a, b in (agents, agents[::-1]):
            relays = [c for c in a.local_candidates if c.type == "relay"]
            tap.equal(len(relays), 1, "relay candidates of %r" % a.local_candidates)
            for c in relays:
                await b.add_remote_candidate(c)
            await b.add_remote_candidate(None)
            b.remote_username, b.remote_password = a.local_username, a.local_password
        await asyncio.wait_for(asyncio.gather(*(a.connect() for a in agents)), 50 * tap.SLOW)
        for n in range(50):
            await agents[0].send(b"there %d" % n)
            tap.equal(await agents[1].recv(), b"there %d" % n, "at the second")
            await agents[1].send(b"back %d" % n)
            tap.equal(await agents[0].recv(), b"back %d" % n, "at the first")
        for a in agents:
            await a.close()


def run(feature, case, transport):
    with tap.cell("aioice", feature, transport):
        asyncio.run(case(transport))


def test_udp():
    """UDP: allocate, relay to two peers both ways, delete"""
    need()
    run("channels to two peers, deletion", whole_life, "udp")


def test_tcp():
    """TCP: allocate, relay to two peers both ways, delete"""
    need()
    run("channels to two peers, deletion", whole_life, "tcp")


def test_refresh_udp():
    """UDP: a short lifetime is refreshed, channels are refreshed"""
    need()
    run("Refresh, channels bound again", short_life, "udp")


def test_refresh_tcp():
    """TCP: a short lifetime is refreshed, channels are refreshed"""
    need()
    run("Refresh, channels bound again", short_life, "tcp")


def test_stale_nonce():
    """a stale nonce is replaced"""
    need()
    for transport in ("udp", "tcp"):
        run("stale nonce (438)", stale, transport)


def test_wrong_password():
    """a wrong password is told as 401"""
    need()
    asyncio.run(wrong_password())


def test_ice():
    """two ICE agents meet through their relayed candidates"""
    need()
    with tap.cell("aioice", "ICE by relayed candidates", "udp"), tap.cell("aioice", "ICE by relayed candidates", "tcp"):
        asyncio.run(whole_ice())


if __name__ == "__main__":
    tap.main()
