// SPDX-License-Identifier: BSD-2-Clause
// A server that lets people in by token, as its visitors meet it.
import { bailOut, run } from './lib/site.mjs';
import { makeToken } from './lib/token.mjs';

const SECRET = 'of the web site and of turnpike';
const HOUR = 3600;
const SHORT = 30; // long enough to get in on a busy machine
let ada;
let bob;
let cem; // whose token is good for that long

const field = ({ page }) => page.getByLabel('Token', { exact: false });

// Asked for a token, gives this one, or what makes one whose time is to begin now.
async function enter(visitor, token, room) {
  await visitor.sees('#name-error', 'The server does not let you in.');
  await visitor.sees('#link', 'Not let in');
  await field(visitor).fill(typeof token === 'string' ? token : token());
  if (room) await visitor.page.getByRole('textbox', { name: 'Room' }).fill(room);
  await visitor.button('Join the room').click();
}

async function asks(site) {
  ada = await site.visitor();
  await ada.sees('#name-error', 'put it into “Token”');
  await field(ada).waitFor();
  await ada.page.waitForFunction(() => document.activeElement.id === 'token');
}

async function wrong() {
  for (const token of ['nonsense', makeToken('another secret', 'Ada', HOUR), makeToken(SECRET, 'Ada', -HOUR)]) {
    const before = (await ada.messages()).filter((message) => message === '↓error').length;
    await enter(ada, token);
    await ada.said('↓error', before + 1);
  }
  await ada.sees('#name-error', 'The server does not let you in.');
}

async function right(site) {
  await enter(ada, makeToken(SECRET, 'Ada of the token', HOUR));
  await ada.state('joined');
  bob = await site.visitor();
  await enter(bob, makeToken(SECRET, 'Bob', HOUR));
  await ada.frames();
  await bob.frames();
  await bob.sees('#remote-caption', 'Ada of the token');
}

async function network() {
  await ada.go('network');
  await ada.button('Check').click();
  await ada.button('Check again').waitFor();
  await ada.sees('#check-summary', 'Calls will work from here.');
}

async function restart(site) {
  await bob.page.goto('about:blank');
  await bob.close();
  await ada.go('room');
  await site.daemon.restart(() => ada.sees('#link', 'Server gone'));
  await ada.connected();
  await ada.sees('#room-title', '1 of 2 here');
}

async function oneRoom(site) {
  const eve = await site.visitor();
  await enter(eve, makeToken(SECRET, 'Eve', HOUR, { room: 'cellar' }), 'attic');
  await eve.notice('Your token is not for this room.');
  await eve.page.getByRole('textbox', { name: 'Room' }).fill('cellar');
  await eve.button('Join the room').click();
  await eve.sees('#room-title', 'cellar');
  await eve.state('joined');
  await eve.close();
}

async function short(site) {
  cem = await site.visitor();
  await enter(cem, () => makeToken(SECRET, 'Cem', SHORT), 'for a while');
  await cem.state('joined');
}

async function expires() {
  await cem.state('leaved');
  await enter(cem, makeToken(SECRET, 'Cem', HOUR));
  await cem.state('joined');
  await cem.sees('#room-title', 'for a while');
  await cem.close();
}

run(
  [
    ['the page asks for a token (R18)', asks],
    ['one that is wrong, forged or too old is not taken', wrong],
    ['a good one is, and its names are those of the call (R16, R18)', right],
    ['after a restart of the server the token is used again', restart],
    ['one that is not good for long is one for now', short],
    ['the network check works with a token', network],
    ['a token for one room opens no other', oneRoom],
    ['when a token has expired the page asks again, and goes on', expires],
  ],
  { settings: { 'signal.jwt_secrets': `[ "${SECRET}" ]` } },
).catch(bailOut);
