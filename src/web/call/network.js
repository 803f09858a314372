// SPDX-License-Identifier: BSD-2-Clause
// Tries one server of an iceServers configuration by one way, and a relay by sending through it.

const GATHER_MS = 8000;
const RELAY_MS = 12000;
const PING_MS = 8000;
const PINGS = 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// [{ kind: stun | turn, transport: udp | tcp | tls, url, server }], one for each URL that a browser can use.
export function listWays(iceServers) {
  return iceServers
    .flatMap(({ urls, ...rest }) =>
      [urls].flat().map((url) => {
        const [, scheme, query] = url.match(/^(stuns?|turns?):[^?]*(?:\?transport=(\w+))?$/) ?? [];
        const transport = scheme?.endsWith('s') ? 'tls' : (query ?? 'udp');
        return { kind: scheme?.slice(0, 4), transport, url, server: { urls: url, ...rest } };
      }),
    )
    .filter(({ kind, url, transport }) => kind && !(transport === 'tls' && url.endsWith('transport=udp')));
}

// Gathers candidates with these servers: { candidates, errors, took }.
export async function gather(iceServers, policy = 'all') {
  const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: policy });
  const start = performance.now();
  const seen = { candidates: [], errors: [], took: NaN };
  const complete = new Promise((resolve) => {
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return resolve();
      if (candidate.candidate) {
        if (Number.isNaN(seen.took) && candidate.type !== 'host') seen.took = performance.now() - start;
        seen.candidates.push(candidate);
      }
      return undefined;
    };
    pc.onicecandidateerror = ({ errorCode, errorText, url }) => seen.errors.push({ errorCode, errorText, url });
  });
  pc.createDataChannel('check');
  await pc.setLocalDescription(await pc.createOffer());
  await Promise.race([complete, sleep(GATHER_MS)]);
  pc.close();
  return seen;
}

async function connectThrough(a, b, opened) {
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate).catch(() => {});
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate).catch(() => {});
  await a.setLocalDescription(await a.createOffer());
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await a.setRemoteDescription(b.localDescription);
  await Promise.race([opened, sleep(RELAY_MS).then(() => Promise.reject(new Error('no connection')))]);
}

function ping(channel) {
  return new Promise((resolve) => {
    const start = performance.now();
    channel.onmessage = () => resolve(performance.now() - start);
    channel.send('ping');
  });
}

// Two connections of this page with the relay between them: the median of the round trips in ms; rejects when none comes about.
export async function tryRelay(server) {
  const make = () => new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: 'relay' });
  const [a, b] = [make(), make()];
  try {
    const channel = a.createDataChannel('check');
    b.ondatachannel = ({ channel: other }) => (other.onmessage = ({ data }) => other.send(data));
    await connectThrough(a, b, new Promise((resolve) => (channel.onopen = resolve)));
    const times = [];
    while (times.length < PINGS) {
      const time = await Promise.race([ping(channel), sleep(PING_MS).then(() => NaN)]);
      if (Number.isNaN(time)) throw new Error('no answer by the relay');
      times.push(time);
    }
    return times.sort((x, y) => x - y)[PINGS / 2];
  } finally {
    a.close();
    b.close();
  }
}

// What a browser can see of the NAT: mapped addresses of one local port as several servers or ports see it.
export function judgeNat(candidates) {
  const reflexive = candidates.filter(({ type, protocol }) => type === 'srflx' && protocol === 'udp');
  const bases = new Map();
  for (const { address, port, relatedAddress, relatedPort } of reflexive) {
    const base = `${relatedAddress} ${relatedPort}`;
    if (!bases.has(base)) bases.set(base, new Set());
    bases.get(base).add(`${address} ${port}`);
  }
  if ([...bases.values()].some((mapped) => mapped.size > 1)) return 'symmetric';
  return reflexive.length ? 'mapped' : 'unseen';
}
