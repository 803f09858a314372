// SPDX-License-Identifier: BSD-2-Clause
// A call in a room of the page, from the first click to the next caller, as its users see it.
import { bailOut, run } from './lib/site.mjs';

const KINDS = ['string', 'blob', 'buffer', 'view'];
let ada;
let bob;

async function twoClicks(site) {
  ada = await site.visitor();
  bob = await site.visitor();
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
    [bob, ['↑join', '↓joined', '↓offer', '↑answer']],
  ]) {
    const seen = await visitor.page.locator('#log li').evaluateAll((items) =>
      items.map((item) => item.querySelector('.way').textContent + item.querySelector('code').textContent));
    let at = -1;
    for (const row of rows.filter((name) => !name.endsWith('candidate'))) {
      at = seen.indexOf(row, at + 1);
      if (at < 0) throw new Error(`no ${row} in its place: ${seen}`);
    }
    for (const row of rows) if (!seen.includes(row)) throw new Error(`no ${row}: ${seen}`);
  }
}

async function full(site) {
  const third = await site.visitor();
  await third.join();
  await third.notice('The room is full.');
  await third.state('leaved');
  await third.close();
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
  await bob.sees('#chat', 'this is a string');
  await bob.sees('#chat', '“this is a blob”'.slice(1, -1));
  await bob.sees('#chat', '22 bytes'.replace('22', String('this is a view'.length * 2)));
  // What was sent as bytes arrived as the same bytes.
  const sums = (visitor, way) => visitor.page.locator(`#chat li[data-way=${way}]`).evaluateAll((items) =>
    items.map((item) => item.textContent.match(/SHA-256 ([0-9a-f]+)/)?.[1] ?? ''));
  const [sent, got] = [await sums(ada, 'out'), await sums(bob, 'in')];
  return sent.length === KINDS.length && sent.join() === got.join() && sent.filter(Boolean).length === 3;
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

async function screen() {
  await ada.page.getByLabel('What to share').selectOption('monitor');
  await ada.page.getByRole('button', { name: 'Share' }).click();
  await ada.sees('#own-caption', 'Your screen');
  await bob.frames();
  await ada.page.getByRole('button', { name: 'Stop sharing' }).click();
  await ada.sees('#own-caption', 'You');
  await ada.page.getByLabel('What to share').selectOption('region');
  await ada.page.getByRole('button', { name: 'Share' }).click();
  await ada.page.getByLabel('Width in percent').fill('30');
  await ada.page.getByRole('button', { name: 'Share this part' }).click();
  await ada.sees('#own-caption', 'Your screen');
  await bob.frames();
  await ada.page.getByRole('button', { name: 'Stop sharing' }).click();
  await ada.page.getByRole('button', { name: 'Share' }).waitFor();
  await bob.frames();
}

async function bye(site) {
  await bob.page.getByRole('button', { name: 'Leave' }).click();
  await bob.state('leaved');
  await ada.state('joined_unbind');
  await ada.notice('has left.');
  const next = await site.visitor();
  await next.join();
  await ada.state('joined_conn');
  await ada.frames();
  await next.frames();
  await next.page.getByRole('button', { name: 'Leave' }).click();
  await next.state('leaved');
  await next.close();
  await ada.state('joined_unbind');
  await bob.join();
  await bob.frames();
}

// Back before the grace time is over: the room never heard that anybody was away.
async function reload() {
  await ada.state('joined_conn');
  const before = await ada.page.locator('#log li', { hasText: /bye|otherjoin/ }).count();
  await bob.page.reload();
  await bob.state('joined_conn');
  await bob.frames();
  await ada.frames();
  return before === (await ada.page.locator('#log li', { hasText: /bye|otherjoin/ }).count());
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

run([
  ['two clicks and two pages see each other (R16, R19, R31-R33, R35, R46)', twoClicks],
  ['the messages of the call are shown as they pass (R30, R31)', messages],
  ['a third is told that the room is full (R31)', full],
  ['a string, a Blob, an ArrayBuffer and a view go over the data channel (R14)', payloads],
  ['microphone and camera can be turned off and on', mute],
  ['a screen and a part of one are shared, and the camera comes back (R34)', screen],
  ['one leaves, and the other is ready for the next (R32, R33)', bye],
  ['a reload within the grace time is not noticed in the room', reload],
  ['the server is restarted and both pages recover by themselves', restart],
  ['nothing that the page did was against its own policy', allowed],
]).catch(bailOut);
