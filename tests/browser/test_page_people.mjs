// SPDX-License-Identifier: BSD-2-Clause
// Calling by name, and names that mean harm.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run } from './lib/site.mjs';

const MARKUP = '<img src=x onerror=alert(1)>';
let ada;
let bob;

// Takes a name, and is in no room.
async function named(site, name) {
  const visitor = await site.visitor();
  await visitor.join('name', name, 'none');
  await visitor.page.getByRole('button', { name: 'Leave' }).click();
  await visitor.state('leaved');
  await visitor.page.getByLabel('Bring').selectOption('both');
  await visitor.go('people');
  return visitor;
}

async function list(site) {
  ada = await named(site, 'Ada');
  await ada.sees('#people-lead', 'nobody else is connected');
  bob = await named(site, MARKUP);
  await ada.sees('.person .who', MARKUP);
  await bob.sees('.person .who', 'Ada');
}

const call = async () => {
  await ada.go('people');
  await ada.page.locator('.person', { hasText: MARKUP }).click();
  await ada.sees('#outgoing', `Calling ${MARKUP}`);
  await bob.sees('#ringing-title', 'Ada calls');
  await ada.sees('#outgoing', 'it rings there');
};

async function accessible() {
  await call();
  await checkAccess(ada, 'calling');
  await checkAccess(bob, 'ringing');
  await bob.page.keyboard.press('Escape');
  await ada.notice(`${MARKUP} does not take the call.`);
}

async function accept() {
  await call();
  await bob.page.getByRole('button', { name: 'Accept' }).click();
  await ada.frames();
  await bob.frames();
  await ada.sees('#remote-caption', MARKUP);
  await ada.sees('#log', MARKUP);
  await ada.page.getByRole('button', { name: 'Leave' }).click();
  await bob.state('joined_unbind');
  await bob.page.getByRole('button', { name: 'Leave' }).click();
  await bob.state('leaved');
}

async function refuse() {
  await call();
  await bob.page.getByRole('button', { name: 'Refuse', exact: true }).click();
  await ada.notice(`${MARKUP} does not take the call.`);
  await ada.page.locator('#outgoing:empty').waitFor({ state: 'attached' });
  await bob.page.locator('#ringing[open]').waitFor({ state: 'detached' });
}

async function cancel() {
  await call();
  await ada.page.getByRole('button', { name: 'Cancel' }).click();
  await bob.notice('Ada called.');
  await bob.page.locator('#ringing[open]').waitFor({ state: 'detached' });
}

async function text() {
  for (const visitor of [ada, bob]) {
    if (await visitor.page.locator('img').count()) return false;
  }
  return true;
}

async function taken(site) {
  const other = await site.visitor();
  await other.join('any', 'Ada', 'none');
  await other.sees('#name-error', 'That name is taken.');
  await other.page.getByLabel('Your name').fill('Eve');
  await other.page.getByRole('button', { name: 'Join the room' }).click();
  await other.state('joined');
  await ada.sees('.person .who', 'Eve');
  await other.page.getByRole('button', { name: 'Leave' }).click();
  await other.state('leaved');
  await other.close();
  await ada.page.locator('.person .who', { hasText: 'Eve' }).waitFor({ state: 'detached' });
}

// The room of a link, which people send each other.
async function link(site) {
  const room = 'a room / with <b>';
  const first = await site.visitor({ hash: `#room/${encodeURIComponent(room)}` });
  await first.join(null, null, 'none');
  await first.sees('#room-title', room);
  await first.sees('#remote-blank .address', encodeURIComponent(room));
  await first.close();
}

const tests = [
  ['everybody who is connected is listed, a name with markup as text (R18)', list],
  ['a name is clicked, the call is accepted, and both see each other (R18)', accept],
  ['a call is refused', refuse],
  ['a call is cancelled', cancel],
  ['nothing became markup', text],
  ['a name that is taken is refused in words, and another one is taken', taken],
  ['a link leads to its room (R16)', link],
];
if (hasAxe()) tests.splice(4, 0, ['axe-core finds nothing while it rings, and Escape refuses', accessible]);

run(tests).catch(bailOut);
