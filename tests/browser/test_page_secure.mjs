// SPDX-License-Identifier: BSD-2-Clause
// The page by HTTPS and WSS, and the relay by TLS, with a certificate of an authority that the browser trusts.
import { bailOut, run } from './lib/site.mjs';

let ada;
let bob;

async function call(site) {
  ada = await site.visitor();
  bob = await site.visitor();
  await ada.join();
  await ada.state('joined');
  await bob.join();
  await ada.frames();
  await bob.frames();
}

function sockets() {
  const all = [...ada.sockets, ...bob.sockets];
  if (!all.length || !all.every((url) => url.startsWith('wss://localhost:'))) throw new Error(`${all}`);
  if (!ada.page.url().startsWith('https://localhost:')) throw new Error(ada.page.url());
}

async function servers() {
  await ada.go('inside');
  await ada.sees('#inside-servers code', 'turns:localhost:');
}

async function network() {
  await ada.go('network');
  await ada.button('Check').click();
  await ada.button('Check again').waitFor();
  await ada.sees('#check-summary', 'UDP and TCP and TLS');
  const line = ada.page.locator('#checks li[data-kind=good]', { hasText: 'Relay by TLS' });
  await line.filter({ hasText: 'data goes through it' }).waitFor();
  await ada.sees('#checks li[data-kind=good]', 'Secure address');
}

async function again(site) {
  await ada.go('room');
  await site.daemon.restart(() => ada.sees('#link', 'Server gone'));
  for (const visitor of [ada, bob]) {
    await visitor.connected();
    await visitor.state('joined_conn');
    await visitor.frames();
  }
}

run(
  [
    ['two pages by HTTPS are in a call (R19, R35)', call],
    ['they are connected by WSS (R17)', sockets],
    ['they were told how to reach the relay by TLS (R39)', servers],
    ['the network check gets data through the relay by TLS (R39)', network],
    ['after a restart of the server they are back', again],
  ],
  { secure: true },
).catch(bailOut);
