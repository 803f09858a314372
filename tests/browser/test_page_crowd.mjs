// SPDX-License-Identifier: BSD-2-Clause
// People, when there are a thousand: found by some letters, with the keyboard, while others come and go.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';
import { wire } from './lib/wire.mjs';

const CROWD = Array.from({ length: 999 }, (_, i) => `Guest ${i + 1}`).concat('Élodie');
let ada;

const hear = (message) => ada.page.evaluate((one) => window.wire.hear(one), message);
const shown = () => ada.page.locator('#people .who').allTextContents();
const find = (text) => ada.page.getByRole('searchbox', { name: 'Find somebody' }).fill(text);
const focused = () => ada.page.evaluate(() => document.activeElement.closest('[data-key]')?.dataset.key ?? document.activeElement.textContent);

async function same(what, got, wanted) {
  if (JSON.stringify(await got) !== JSON.stringify(wanted)) throw new Error(`${what}: ${JSON.stringify(await got)}`);
}

async function few(site) {
  // The server's own list must have come: later it would take the place of ours.
  const listed = [];
  const prepare = (page) => page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => {
    if (JSON.parse(payload).type === 'users') listed.push(payload);
  }));
  ada = await site.visitor({ init: wire, hash: '#people', prepare });
  await until('the list of the server', () => listed.length, Boolean);
  await ada.connected();
  await ada.sees('#people-lead', 'nobody else is connected');
  await hear({ type: 'users', users: ['Zoe', 'Bob'], count: 2 });
  await until('the two', shown, (all) => all.join() === 'Bob,Zoe');
  await same('a field to find two', ada.page.locator('#people-find').isVisible(), false);
}

async function crowd() {
  const took = await ada.page.evaluate(async (users) => {
    const began = performance.now();
    window.wire.hear({ type: 'users', users, count: users.length });
    const people = document.getElementById('people');
    while (people.childElementCount < users.length) await new Promise((resolve) => setTimeout(resolve));
    const listed = performance.now();
    people.getBoundingClientRect();
    return [listed - began, performance.now() - listed].map(Math.round);
  }, CROWD);
  tap.comment(`1000 names: ${took[0]} ms to list them, ${took[1]} ms to lay them out`);
  const all = await shown();
  await same('in order', all.slice(0, 3), ['Élodie', 'Guest 1', 'Guest 2']);
  await same('the count', ada.page.locator('#people-count').textContent(), '1000');
}

async function search() {
  await find('elo');
  await until('who it is', shown, (all) => all.join() === 'Élodie');
  await ada.sees('#people-found', '1 of 1000 have “elo” in their name.');
  await find('GUEST 99');
  await until('those of that number', shown, (all) => all.length === 11);
  await find('nobody of that name');
  await until('nobody', shown, (all) => all.length === 0);
  await ada.sees('#people-found', 'Nobody who is connected has “nobody of that name” in the name.');
  await same('a call to nobody', ada.page.locator('#people-more button').count(), 0);
  if (hasAxe()) await checkAccess(ada, 'nobody is found');
  await find('');
  await until('all', shown, (all) => all.length === 1000);
  await same('what is said of all', ada.page.locator('#people-found').textContent(), '');
}

async function keyboard() {
  await find('guest 500');
  await until('one', shown, (all) => all.length === 1);
  await ada.page.keyboard.press('Enter');
  await same('the focus after Enter', focused(), 'Guest 500');
  await find('guest 50');
  await until('eleven', shown, (all) => all.length === 11);
  await ada.page.keyboard.press('ArrowDown');
  await same('the focus after Down', focused(), 'Guest 50');
}

// Others come and go before and behind.
async function stays() {
  await find('');
  await until('all', shown, (all) => all.length === 1000);
  await ada.page.locator('[data-key="Guest 500"] button').focus();
  await hear({ type: 'userdel', name: 'Guest 1' });
  await hear({ type: 'userdel', name: 'Guest 900' });
  await hear({ type: 'useradd', name: 'Aaron' });
  await until('the change', shown, (all) => all.length === 999 && all[0] === 'Aaron');
  await same('the focus', focused(), 'Guest 500');
}

// A call takes the focus along, and gives it back; what is said of it is in sight.
async function calling() {
  await ada.page.locator('#bring').evaluate((bring) => (bring.value = 'none'));
  await ada.page.locator('[data-key="Guest 500"] button').focus();
  await ada.page.keyboard.press('Enter');
  await ada.notice('Nobody of that name is connected.');
  await same('the focus', focused(), 'Guest 500');
  const inSight = await ada.page.locator('.notice').first().evaluate((notice) => {
    const { top, bottom } = notice.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
  await same('the notice is in sight', inSight, true);
}

async function unlisted() {
  await ada.page.getByRole('button', { name: /^Dismiss/ }).click();
  await hear({ type: 'users', users: CROWD, count: 4321 });
  await ada.sees('#people-found', '4321 are connected, and 1000 of them are listed.');
  await find('Somebody else');
  await ada.button('Call Somebody else').click();
  await ada.notice('Nobody of that name is connected.');
  if (hasAxe()) await checkAccess(ada, 'not all are listed');
}

run([
  ['a few need no search', few],
  ['a thousand are listed in order', crowd],
  ['some letters find a name, whatever the case and accents; nobody is said, too', search],
  ['Enter and Down go to the first that is found', keyboard],
  ['who comes and goes does not take the focus away', stays],
  ['a call that fails is told where one is, and gives the focus back', calling],
  ['who is not listed can be called by name', unlisted],
]).catch(bailOut);
