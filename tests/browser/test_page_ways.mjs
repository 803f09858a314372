// SPDX-License-Identifier: BSD-2-Clause
// The ways of a call: candidates of every type, the policies that choose among them, and other ways in the middle of it.
import { Nat, rewrite } from './lib/middlebox.mjs';
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';

let ada;
let bob;

async function meet(site, room, prepare) {
  ada = await site.visitor({ hash: `#room/${room}`, prepare });
  bob = await site.visitor({ hash: `#room/${room}` });
  await ada.join();
  await ada.state('joined');
  await bob.join();
  await ada.frames();
  await bob.frames();
  await ada.go('inside');
  await ada.sees('#inside-lead', 'Connected with');
}

async function part() {
  for (const visitor of [ada, bob]) await visitor.close();
}

const side = (visitor, title) => visitor.page.locator('#inside-candidates .two > div', { hasText: title });
const typed = (visitor, title, type) => side(visitor, title).locator(`.type[data-type=${type}] li`);

// What leads to the server by UDP leads to these NATs in front of it.
function behind(nats, port) {
  const replace = (url) => (url.includes('transport=tcp') ? [url] : nats.map((nat) => url.replace(`:${port}`, `:${nat.port}`)));
  return (page) => rewrite(page, (message) => {
    for (const server of message.iceServers ?? []) server.urls = [server.urls].flat().flatMap(replace);
    return message;
  });
}

async function reflexive(site) {
  const nat = site.with(await Nat.start(site.daemon.port));
  await meet(site, 'nat', behind([nat], site.daemon.port));
  await until('an address as the server sees it', () => typed(ada, 'Of this end', 'srflx').allTextContents(),
    (shown) => shown.some((text) => nat.mapped.some((port) => text.includes(`127.0.0.1:${port}`))));
  await bob.go('inside');
  await typed(bob, 'Of the other', 'srflx').first().waitFor();
  await part();
}

// Ada is told none of Bob's candidates, and finds him by the checks that come from him.
async function discovered(site) {
  await meet(site, 'silence', (page) => rewrite(page, (message) => {
    const { data } = message;
    if (message.type !== 'message') return message;
    if (typeof data?.candidate === 'string') return null;
    if (data?.sdp) data.sdp = data.sdp.replace(/^a=candidate:.*\r\n/gm, '');
    return message;
  }));
  await typed(ada, 'Of the other', 'prflx').first().waitFor();
  await ada.sees('#chosen-pair', /↔\s+prflx /);
  await part();
}

async function checkNat(site, nats) {
  const prepare = nats.length ? behind(nats, site.daemon.port) : undefined;
  const visitor = await site.visitor({ hash: '#network', prepare });
  await visitor.connected();
  await visitor.button('Check').click();
  await visitor.button('Check again').waitFor();
  await visitor.sees('#check-summary', 'Calls will work from here.');
  return visitor;
}

async function natTypes(site) {
  const nats = [];
  for (let i = 0; i < 2; i += 1) nats.push(site.with(await Nat.start(site.daemon.port)));
  const plain = await checkNat(site, []);
  await plain.sees('#checks li', 'None was seen on the way to this server.');
  await plain.close();
  const seen = await checkNat(site, nats.slice(0, 1));
  await seen.sees('#checks li', 'There is one. With one STUN server only');
  await seen.sees('#checks li', `The server sees you as 127.0.0.1:`);
  await seen.close();
  const symmetric = await checkNat(site, nats);
  await symmetric.sees('#checks li', 'another address for each destination (symmetric)');
  await symmetric.close();
}

async function host(site) {
  await meet(site, 'ways');
  await bob.go('inside');
  for (const visitor of [ada, bob]) {
    await visitor.sees('#chosen-pair', /Chosen: (host|prflx) .*↔\s+(host|prflx) /);
    await visitor.sees('#inside-lead', 'directly from browser to browser');
    await visitor.sees('#inside-candidates tr[data-kind=chosen]', /\d+ \/ \d+/);
    for (const title of ['Of this end', 'Of the other']) await typed(visitor, title, 'host').first().waitFor();
  }
  const roles = [await ada.page.locator('#ice-role').textContent(), await bob.page.locator('#ice-role').textContent()];
  return /This end is/.test(roles.join()) && /The other end is/.test(roles.join());
}

const choose = async (visitor, label, value) => {
  await visitor.settings();
  await visitor.page.getByLabel(label).selectOption(value);
};

async function relay() {
  for (const visitor of [ada, bob]) await choose(visitor, 'iceTransportPolicy', 'relay');
  await ada.go('inside');
  await ada.sees('#chosen-pair', /Chosen: relay .*↔\s+relay /);
  await ada.sees('#inside-lead', 'relayed by this server');
  for (const title of ['Of this end', 'Of the other']) await typed(ada, title, 'relay').first().waitFor();
  for (const type of ['host', 'srflx', 'prflx']) await side(ada, 'Of this end').locator(`.type[data-type=${type}] h4`, { hasText: '0' }).waitFor();
  await bob.frames();
}

async function all() {
  for (const visitor of [ada, bob]) await choose(visitor, 'iceTransportPolicy', 'public');
  // Bob's first: his is the last connection that was made for this, and so the one that stays.
  for (const visitor of [bob, ada]) {
    await visitor.go('inside');
    await visitor.sees('#inside-lead', 'directly from browser to browser');
  }
  await typed(ada, 'Of this end', 'host').first().waitFor();
  await bob.frames();
}

const ufrag = (sdp) => /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
const session = (sdp) => /^o=\S+ (\d+)/m.exec(sdp)?.[1];

async function restart() {
  await ada.go('inside');
  const before = { own: await ada.sdp('This end'), other: await ada.sdp('The other') };
  await ada.go('room');
  await ada.button('Restart ICE').click();
  await ada.go('inside');
  await ada.page.getByText('Everything that changed').click();
  await ada.sees('.timeline li', 'ICE restart');
  for (const [whose, old] of [['This end', before.own], ['The other', before.other]]) {
    const now = await until(`new candidates of ${whose}`, () => ada.sdp(whose), (sdp) => sdp && ufrag(sdp) !== ufrag(old));
    if (session(now) !== session(old)) throw new Error(`${whose}: another connection, not a restart`);
  }
  await ada.sees('#inside-lead', 'Connected with');
  await ada.frames();
  await bob.frames();
}

const origin = ({ sdp }) => /^o=.*$/m.exec(sdp)[0];

// The offers as they went out, with the sections that candidates went out for behind each: [{ sdp, mids, complete }].
// One that is sent again for want of an answer is no other.
function offers(visitor) {
  const seen = [];
  visitor.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
    const { type, data } = JSON.parse(payload);
    if (type !== 'message') return;
    if (data?.type === 'offer' && seen.length && origin(seen.at(-1)) === origin(data)) return;
    if (data?.type === 'offer') seen.push({ sdp: data.sdp, mids: new Set(), complete: false });
    else if (data === null && seen.length) seen.at(-1).complete = true;
    else if (data?.candidate) seen.at(-1)?.mids.add(data.sdpMid);
  }));
  return seen;
}

const withNoise = ({ sdp }) => /^a=rtpmap:\d+ CN\//m.test(sdp);
const sections = ({ sdp }) => sdp.match(/^m=/gm).length;

async function bundle() {
  const sent = offers(ada);
  await ada.go('room');
  await ada.page.reload(); // a socket that is listened to
  await ada.state('joined_conn');
  await ada.frames();
  const look = async (policy, more) => {
    const before = sent.length;
    await choose(ada, 'bundlePolicy', policy);
    await more?.();
    await ada.button('Connect again').click();
    await until(`an offer with ${policy}`, () => sent[before]?.complete, Boolean);
    await ada.frames();
    await bob.frames();
    await ada.go('inside');
    await ada.sees('#inside-lead', 'Connected with');
    return sent[before];
  };
  const most = await look('max-bundle');
  const balanced = await look('balanced');
  const compat = await look('max-compat');
  // How many transports the other is offered: one for all, or one for each.
  const counts = [most, balanced, compat].map(({ mids }) => mids.size);
  if (counts[0] !== 1 || counts[1] < counts[0] || counts[2] !== sections(compat)) throw new Error(`${counts}`);
  await ada.sees('#inside-steps .hint', 'A is you');
}

// Without it no comfort noise is offered.
async function voice() {
  const sent = offers(ada);
  await ada.go('room');
  await ada.page.reload();
  await ada.state('joined_conn');
  await ada.frames();
  await ada.settings();
  const look = async (how) => {
    const before = sent.length;
    await ada.page.getByLabel('voiceActivityDetection')[how]();
    await ada.button('Connect again').click();
    await until('an offer', () => sent.length, (length) => length > before);
    await ada.frames();
    await bob.frames();
    return withNoise(sent[before]);
  };
  const [without, kept] = [await look('uncheck'), await look('check')];
  if (without || !kept) throw new Error(`comfort noise without: ${without}, with: ${kept}`);
}

run([
  ['behind a NAT there is an address as the server sees it: srflx (R40)', reflexive],
  ['an end whose candidates nobody told is found by its checks: prflx (R40)', discovered],
  ['the network check tells a NAT with one face from one with many (R41, R42)', natTypes],
  ['host candidates, the checks, the chosen pair, who controls (R40)', host],
  ['iceTransportPolicy relay leads the call over the server, by relay candidates (R40, R45)', relay],
  ['iceTransportPolicy public is all (R45)', all],
  ['ICE is restarted in the call: new fragments, the same session (R29)', restart],
  ['each bundlePolicy is that of the next offer (R45)', bundle],
  ['voiceActivityDetection is that of the next offer (R29)', voice],
]).catch(bailOut);
