// SPDX-License-Identifier: BSD-2-Clause
// One port for all: the page by HTTPS, its WebSocket, and the relay by TURN over TLS, for a call that has nothing else.
import { bailOut, run } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';

// A network that lets nothing out but TLS to one port.
function onlyTls() {
  const Real = RTCPeerConnection;
  window.peers = [];
  window.RTCPeerConnection = class extends Real {
    constructor(config, ...more) {
      const iceServers = (config?.iceServers ?? [])
        .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => url.startsWith('turns:')) }))
        .filter(({ urls }) => urls.length);
      super({ ...config, iceServers, iceTransportPolicy: 'relay' }, ...more);
      window.peers.push(this);
    }
  };
}

async function selectedPair() {
  const stats = [...(await window.peers.at(-1).getStats()).values()];
  const byId = (id) => stats.find((entry) => entry.id === id);
  const pair = byId(stats.find((entry) => entry.type === 'transport')?.selectedCandidatePairId);
  const local = byId(pair?.localCandidateId);
  return local && { type: local.candidateType, by: local.relayProtocol, url: local.url };
}

let ada;
let bob;

async function call(site) {
  ada = await site.visitor({ init: onlyTls });
  bob = await site.visitor({ init: onlyTls });
  await ada.join();
  await ada.state('joined');
  await bob.join();
  await ada.state('joined_conn');
  await bob.state('joined_conn');
  await ada.frames();
  await bob.frames();
}

async function overOnePort(site) {
  const want = `turns:localhost:${site.daemon.port}?transport=tcp`;
  for (const visitor of [ada, bob]) {
    const pair = await until('a pair', () => visitor.page.evaluate(selectedPair), Boolean);
    tap.comment(JSON.stringify(pair));
    if (pair.type !== 'relay' || pair.by !== 'tls' || pair.url !== want) return false;
    if (new URL(visitor.page.url()).origin !== `https://localhost:${site.daemon.port}`) return false;
  }
  return ada.complaints.length === 0 && bob.complaints.length === 0;
}

async function resumes() {
  await ada.page.reload();
  await ada.state('joined_conn');
  await ada.frames();
  await bob.frames();
}

run([
  ['two pages by https are in a call over turns: alone', call],
  ['page, WebSocket and relay are all on one port', overOnePort],
  ['after a reload the call goes on', resumes],
], { shared: true }).catch(bailOut);
