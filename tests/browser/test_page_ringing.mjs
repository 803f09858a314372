// SPDX-License-Identifier: BSD-2-Clause
// Being called: what somebody is asked before, and that no caller takes them out of a call, or among others.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run } from './lib/site.mjs';
import { equal, Socket } from './lib/socket.mjs';

const ROOM = 'call-aaaaaaaaaaaaaaaaaaaa';
let ada;
let bob;
let cem; // no page: says what it likes

const ringing = ({ page }) => page.locator('#ringing');
const quiet = (visitor) => ringing(visitor).waitFor({ state: 'hidden' });
const rings = (visitor, who) => visitor.sees('#ringing[open] #ringing-title', `${who} calls`);
const settled = ({ page }) => page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));

async function enter(site) {
  ada = await site.visitor();
  await ada.join('talk', 'Ada', 'none');
  await ada.state('joined');
  bob = await site.visitor();
  await bob.join('talk', 'Bob', 'none');
  await ada.state('joined_conn');
  cem = await (await Socket.open(site.daemon)).register('Cem');
}

// Cem calls Ada; the answer to that.
async function answered(room, data = {}) {
  cem.say({ type: 'message', to: 'Ada', id: 1, data: { type: 'call', room, ...data } });
  await cem.expect('ack');
  return (await cem.expect('message')).data;
}

function calls(room = ROOM) {
  cem.say({ type: 'message', to: 'Ada', data: { type: 'call', room } });
  return rings(ada, 'Cem');
}

// Of rooms that only look like one for a call nobody is asked.
async function elsewhere() {
  for (const room of ['lobby', 'talk', '', 'call-', `${ROOM}a`, ` ${ROOM}`, 'call-<b>', 'call-AAAAAAAAAAAAAAAAAAAA']) {
    equal(await answered(room), { type: 'call-refuse', room }, `the answer to a call into “${room}”`);
    equal(await ringing(ada).isVisible(), false, 'whether it rings');
  }
  await ada.state('joined_conn');
}

// Who is in a call is told what becomes of it, and does not accept by typing on.
async function asked() {
  await ada.page.getByLabel('Text', { exact: true }).focus();
  await ada.page.keyboard.type('I was just ');
  await calls();
  await ada.sees('#ringing-text', 'You leave the call with Bob then.');
  await ada.page.keyboard.type('saying ');
  await ada.page.keyboard.press('Enter');
  await settled(ada);
  equal(await ringing(ada).isVisible(), true, 'whether it still rings');
  if (hasAxe()) await checkAccess(ada, 'ringing');
  await ada.button('Refuse').click();
  equal((await cem.expect('message')).data, { type: 'call-refuse', room: ROOM }, 'the answer');
  await ada.state('joined_conn');
  equal(await ada.page.evaluate(() => document.activeElement.id), 'data-text', 'what has the focus');
  // Closed in whatever way, it is an answer.
  await calls();
  await ada.page.evaluate(() => document.getElementById('ringing').close());
  equal((await cem.expect('message')).data, { type: 'call-refuse', room: ROOM }, 'the answer');
  await ada.state('joined_conn');
}

// With somebody else in the room, or nobody, the one who accepts does not stay.
async function company(site) {
  const eve = await (await Socket.open(site.daemon)).register('Eve');
  await eve.join(ROOM);
  await cem.join(ROOM);
  await calls();
  await ada.button('Accept').click();
  await ada.notice('Cem is not alone in the call.');
  await ada.state('leaved');
  equal((await cem.expect('message')).data, { type: 'call-refuse', room: ROOM }, 'the answer');
  for (const other of [eve, cem]) {
    other.say({ type: 'leave', room: ROOM });
    await other.expect('leaved');
  }
  await calls();
  await ada.button('Accept').click();
  await ada.notice('Cem called.');
  await ada.state('leaved');
  equal((await cem.expect('message')).data, { type: 'call-refuse', room: ROOM }, 'the answer');
  eve.ws.close();
}

async function called() {
  const { data, from, id } = await cem.expect('message');
  equal(data.type, 'call', 'what Cem gets');
  cem.say({ type: 'ack', to: from, id });
  return data.room;
}

async function adaCalls() {
  await ada.go('people');
  await ada.page.locator('.person', { hasText: 'Cem' }).click();
  const room = await called();
  await ada.sees('#outgoing', 'it rings there');
  return room;
}

// Who calls one and is called by another: the first one's answer does not end the call with the second.
async function crossed() {
  await bob.leave();
  const room = await adaCalls();
  await bob.go('people');
  await bob.page.locator('.person', { hasText: 'Ada' }).click();
  await rings(ada, 'Bob');
  await ada.button('Accept').click();
  equal((await cem.expect('message')).data, { type: 'call-cancel', room }, 'what Cem is told');
  await ada.sees('#remote-caption', 'Bob');
  cem.say({ type: 'message', to: 'Ada', data: { type: 'call-refuse', room } });
  await settled(ada);
  await ada.state('joined_conn');
  await bob.state('joined_conn');
  equal(await ada.page.locator('#outgoing').textContent(), '', 'what is said of calls');
}

// A click on a name does not end a call without a word.
async function instead() {
  await ada.go('people');
  await ada.page.locator('.person', { hasText: 'Cem' }).click();
  await ada.notice('You are in a call with Bob.');
  await settled(ada);
  await ada.go('room');
  await ada.state('joined_conn');
  await ada.button('Leave it, and call Cem').click();
  await called();
  await bob.state('joined_unbind');
}

// Who leaves the room does not leave it ringing.
async function left() {
  await ada.leave();
  equal((await cem.expect('message')).data.type, 'call-cancel', 'what Cem is told');
  await ada.go('people');
  await ada.page.locator('#outgoing:empty').waitFor({ state: 'attached' });
}

// Has them wait who ask for devices, until release() is called.
function gate() {
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  const released = new Promise((resolve) => (window.release = resolve));
  mediaDevices.getUserMedia = async (constraints) => {
    await released;
    return ask(constraints);
  };
}

// Cancelled while the browser still asks for the camera.
async function early(site) {
  const dan = await site.visitor({ init: gate, hash: '#people' });
  await dan.connected();
  await dan.page.locator('.person', { hasText: 'Cem' }).click();
  await dan.button('Cancel').click();
  equal((await cem.expect('message')).data.type, 'call-cancel', 'what Cem is told');
  await dan.page.evaluate(() => window.release());
  await dan.go('room');
  await dan.state('leaved');
  await dan.close();
}

async function never() {
  await calls();
  await ada.button('Refuse always').click();
  await ada.notice('Cem does not ring here any more.');
  await cem.expect('message');
  equal(await answered(ROOM), { type: 'call-refuse', room: ROOM }, 'the answer');
  await quiet(ada);
}

// It goes by the name, as the page says: without tokens the server cannot tell who comes back under it.
async function namesake(site) {
  await ada.notice('That goes by the name');
  const dan = await (await Socket.open(site.daemon)).register('Dan');
  cem.ws.close(1000);
  while ((await dan.expect('userdel')).name !== 'Cem'); // and the name is free
  cem = await (await Socket.open(site.daemon)).register('Cem');
  equal(await answered(ROOM), { type: 'call-refuse', room: ROOM }, 'the answer to a namesake');
  dan.say({ type: 'message', to: 'Ada', data: { type: 'call', room: ROOM } });
  await rings(ada, 'Dan');
  await ada.button('Refuse').click();
  equal((await dan.expect('message')).data, { type: 'call-refuse', room: ROOM }, 'the answer to another name');
  dan.ws.close();
  await ada.button('Let it ring again').click();
  await calls();
  await ada.button('Refuse').click();
  await cem.expect('message');
}

run(
  [
    ['two are in a call, and somebody else is about', enter],
    ['a call into another room than one for a call is refused', elsewhere],
    ['who is in a call is asked, and told that it ends; typing on accepts nothing', asked],
    ['who accepts stays with the caller alone', company],
    ['the call that one has taken outlives the call that one has made', crossed],
    ['a click on a name in a call asks first', instead],
    ['leaving the room ends the ringing', left],
    ['a call that is cancelled before the camera is there leads nowhere', early],
    ['a caller is refused for good', never],
    ['that goes by the name, and can be taken back', namesake],
  ],
  { settings: { 'signal.capacity': 4 } },
).catch(bailOut);
