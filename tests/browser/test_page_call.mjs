// SPDX-License-Identifier: BSD-2-Clause
// A call in a room of the page, from the first click to the next caller, as its users see it.
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';

const KINDS = ['string', 'blob', 'buffer', 'view'];
let ada;
let bob;

async function twoClicks(site) {
  ada = await site.visitor();
  bob = await site.visitor();
  for (const visitor of [ada, bob]) await visitor.state('init');
  await ada.join();
  await ada.state('joined');
  await ada.sees('#remote-blank', 'Waiting for somebody');
  await bob.join();
  await ada.state('joined_conn');
  await bob.state('joined_conn');
  await ada.frames();
  await bob.frames();
}

// What went over the server, from the start: both the messages and their direction.
async function messages() {
  for (const [visitor, rows] of [
    [ada, ['↑register', '↓registered', '↑join', '↓joined', '↓otherjoin', '↑offer', '↑candidate', '↓answer', '↓candidate']],
    [bob, ['↑join', '↓joined', '↓offer', '↓candidate', '↑answer', '↑candidate']],
  ]) {
    for (const row of rows) await visitor.said(row); // a call needs no candidate of both ends
    const seen = await visitor.messages();
    let at = -1;
    for (const row of rows.filter((name) => !name.endsWith('candidate'))) {
      at = seen.indexOf(row, at + 1);
      if (at < 0) throw new Error(`no ${row} in its place: ${seen}`);
    }
  }
}

async function full(site) {
  const third = await site.visitor();
  await third.join();
  await third.notice('The room is full.');
  await third.state('leaved');
  await third.said('↓full');
  await third.sees('#log li[data-type=full] .detail', '2 people at most');
  await third.close();
  // The two in it went on undisturbed.
  await ada.frames();
  await bob.frames();
}

// The server takes nothing out of a description and puts nothing in: what went in at one end is what came out at the other.
async function unaltered(site) {
  const passed = { sent: [], received: [] };
  const listen = (page, event, list) => page.on('websocket', (socket) => socket.on(event, ({ payload }) => {
    const { data } = JSON.parse(payload);
    if (data?.sdp) list.push(`${data.type} ${data.sdp}`);
  }));
  const [one, other] = [await site.visitor({ prepare: (page) => listen(page, 'framesent', passed.sent) }),
    await site.visitor({ prepare: (page) => listen(page, 'framereceived', passed.received) })];
  await one.join('unaltered');
  await one.state('joined');
  await other.join('unaltered');
  await one.frames();
  await other.settings();
  await one.button('Restart ICE').click();
  await until('a second offer', () => passed.received.length, (count) => count >= 2);
  // We hear of what one page has sent and of what the other has got in any order.
  await until('the same at both ends', () => passed.received.filter((text) => !passed.sent.includes(text)), ({ length }) => length === 0);
  await one.close();
  await other.close();
  return passed.sent.length >= 2;
}

async function payloads() {
  await ada.sees('#channel-state', 'open');
  await bob.sees('#channel-state', 'open');
  for (const kind of KINDS) {
    await ada.page.getByLabel('Text', { exact: true }).fill(`this is a ${kind}`);
    await ada.page.getByLabel('sent as').selectOption(kind);
    await ada.page.getByRole('button', { name: 'Send' }).click();
  }
  const received = bob.page.locator('#chat li[data-way=in]');
  await received.nth(KINDS.length - 1).waitFor();
  for (const text of ['this is a string', 'this is a blob', 'this is a buffer', `${'this is a view'.length * 2} bytes`]) {
    await bob.sees('#chat', text);
  }
  // What was sent as bytes arrived as the same bytes.
  const sums = (visitor, way) => visitor.page.locator(`#chat li[data-way=${way}]`).evaluateAll((items) =>
    items.map((item) => item.textContent.match(/SHA-256 ([0-9a-f]+)/)?.[1] ?? ''));
  const counted = (all) => all.length === KINDS.length && all.filter(Boolean).length === 3; // a string has none
  const sent = await until('the sums of what was sent', () => sums(ada, 'out'), counted);
  const got = await until('the sums of what came', () => sums(bob, 'in'), counted);
  return sent.join() === got.join();
}

async function mute() {
  await ada.page.getByRole('button', { name: 'Mute' }).click();
  await ada.page.getByRole('button', { name: 'Muted', pressed: true }).waitFor();
  await ada.page.getByRole('button', { name: 'Camera off' }).click();
  await ada.go('inside');
  await ada.sees('.track[data-whose=own][data-kind=audio] div', 'enabledfalse');
  await ada.sees('.track[data-whose=own][data-kind=video] div', 'enabledfalse');
  await ada.go('room');
  await ada.page.getByRole('button', { name: 'Muted' }).click();
  await ada.page.getByRole('button', { name: 'Camera is off' }).click();
  await ada.page.getByRole('button', { name: 'Mute', pressed: false }).waitFor();
}

// The session's number tells one RTCPeerConnection from another.
async function session(visitor) {
  await visitor.go('inside');
  await visitor.sees('#inside-lead', 'Connected with');
  const sdp = await until('a description', () => visitor.sdp('This end'), Boolean);
  await visitor.go('room');
  return /^o=\S+ (\d+)/m.exec(sdp)[1];
}

async function bye(site) {
  const before = await session(ada);
  await bob.page.getByRole('button', { name: 'Leave' }).click();
  await bob.state('leaved');
  for (const message of ['↑leave', '↓leaved']) await bob.said(message);
  await ada.state('joined_unbind');
  await ada.said('↓bye');
  await ada.notice('has left.');
  await ada.go('inside');
  await ada.page.locator('#inside-empty').waitFor();
  await ada.go('room');
  const next = await site.visitor();
  await next.join();
  await ada.state('joined_conn');
  await ada.frames();
  await next.frames();
  if ((await session(ada)) === before) throw new Error('the old connection went on');
  await next.page.getByRole('button', { name: 'Leave' }).click();
  await next.state('leaved');
  await next.close();
  await ada.state('joined_unbind');
  await bob.join();
  await bob.frames();
}

const kept = (page) => page.evaluate(() => sessionStorage.getItem('turnpike.tab'));

// Somebody else of this browser has what a page lets go of, for so long.
async function delay(site, visitor, milliseconds) {
  const { owner } = JSON.parse(await kept(visitor.page));
  const page = await visitor.page.context().newPage();
  await page.goto(`${site.url}style/base.css`);
  await page.evaluate(([name, hold]) => {
    navigator.locks.request(name, () => new Promise((resolve) => setTimeout(resolve, hold)));
  }, [`turnpike ${owner}`, milliseconds]);
  return page;
}

// Back before the grace time is over: the room never heard that anybody was away.
async function reload(site) {
  await ada.state('joined_conn');
  const before = await ada.page.locator('#log li', { hasText: /bye|otherjoin/ }).count();
  const other = await delay(site, bob, 2000);
  await bob.page.reload();
  await bob.state('joined_conn');
  await bob.frames();
  await ada.frames();
  await other.close();
  return before === (await ada.page.locator('#log li', { hasText: /bye|otherjoin/ }).count());
}

// It has a copy of what a reload needs.
async function duplicate(site) {
  const copy = await kept(bob.page);
  const page = await bob.page.context().newPage();
  await page.addInitScript((text) => sessionStorage.setItem('turnpike.tab', text), copy);
  await page.goto(site.url);
  await page.locator('#link', { hasText: /^Connected$/ }).waitFor();
  const [own, its] = [JSON.parse(copy), JSON.parse(await kept(page))];
  if (its.owner === own.owner || its.name === own.name || its.room) throw new Error(`${JSON.stringify(its)} of ${copy}`);
  await page.close();
  await bob.connected();
  await bob.frames();
}

async function restart(site) {
  await site.daemon.restart(async () => {
    for (const visitor of [ada, bob]) await visitor.sees('#link', 'Server gone');
  });
  for (const visitor of [ada, bob]) {
    await visitor.connected();
    await visitor.state('joined_conn');
    await visitor.frames();
  }
}

async function allowed() {
  const complaints = [...ada.complaints, ...bob.complaints].filter((text) => /Content Security Policy|Refused/.test(text));
  if (complaints.length) throw new Error(complaints.join('\n'));
}

const tests = [
  ['two clicks and two pages see each other (R16, R19, R31-R33, R35, R46)', twoClicks],
  ['the messages of the call are shown as they pass (R30, R31)', messages],
  ['a third is told that the room is full (R31)', full],
  ['descriptions arrive as they were sent (R19, R20)', unaltered],
  ['a string, a Blob, an ArrayBuffer and a view go over the data channel (R14)', payloads],
  ['microphone and camera can be turned off and on', mute],
  ['one leaves, and the other is ready for the next (R32, R33)', bye],
  ['a reload within the grace time is not noticed in the room, even where the page before is slow to go', reload],
  ['a duplicated tab is somebody else', duplicate],
  ['the server is restarted and both pages recover by themselves', restart],
  ['nothing that the page did was against its own policy', allowed],
];

run(tests, { settings: { 'signal.grace': 120 } }).catch(bailOut);
