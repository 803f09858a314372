// SPDX-License-Identifier: BSD-2-Clause
// What the page says when something is missing; the check of the network; who uses it without a mouse, or in the dark.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run, STRANGER } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';

const VIEWS = ['room', 'people', 'inside', 'network'];

async function noCamera(site) {
  const visitor = await site.visitor();
  await visitor.join('alone');
  await visitor.notice('No camera or microphone was found.');
  await visitor.page.getByRole('button', { name: 'Join with nothing' }).click();
  await visitor.state('joined');
  await visitor.close();
}

async function insecure(site) {
  const visitor = await site.visitor({ host: STRANGER });
  await visitor.notice('its address is not secure');
  await visitor.join('insecure');
  await visitor.notice('keeps camera and microphone from this page');
  await visitor.page.getByRole('button', { name: 'Join with nothing' }).click();
  await visitor.state('joined');
  await visitor.close();
}

async function gone(site) {
  const visitor = await site.visitor();
  await visitor.connected();
  await site.daemon.restart(async () => {
    await visitor.sees('#link', 'Server gone');
    await visitor.notice('The server is gone.');
  });
  await visitor.connected();
  await visitor.page.locator('.notice', { hasText: 'The server is gone.' }).waitFor({ state: 'detached' });
  await visitor.close();
}

async function network(site) {
  const visitor = await site.visitor({ hash: '#network' });
  await visitor.connected();
  await visitor.page.getByRole('button', { name: 'Check' }).click();
  await visitor.page.getByRole('button', { name: 'Check again' }).waitFor();
  await visitor.sees('#check-summary', 'Calls will work from here.');
  for (const what of ['Signaling', 'STUN by UDP', 'Relay by UDP', 'Relay by TCP']) {
    await visitor.sees('#checks li[data-kind=good] strong', what);
  }
  await visitor.sees('#checks', 'data goes through it');
  await visitor.close();
}

async function keyboard(site) {
  const visitor = await site.visitor();
  const { page } = visitor;
  await visitor.connected();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  if (!(await page.evaluate(() => document.activeElement.id === 'main'))) throw new Error('the skip link does not skip');
  await page.getByLabel('Bring').selectOption('none');
  await page.getByRole('textbox', { name: 'Room' }).focus();
  await page.keyboard.press('Enter');
  await visitor.state('joined');
  await visitor.close();
}

// What has the focus goes out of sight, and the next thing has it.
async function focus(site) {
  const visitor = await site.visitor();
  const { page } = visitor;
  const focused = async (id, when) => {
    const name = await page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
    if (name !== id) throw new Error(`${when}, ${name} has the focus`);
  };
  const press = async (locator) => {
    await locator.focus();
    await page.keyboard.press('Enter');
  };
  await visitor.connected();
  await press(visitor.button('Join the room'));
  await visitor.notice('No camera or microphone was found.');
  await focused('join', 'when the room was not joined');
  await press(visitor.button('Join with nothing'));
  await visitor.state('joined');
  await focused('main', 'behind a notice');
  await press(visitor.button('Leave'));
  await visitor.state('leaved');
  await focused('join', 'when the room is left');
  await page.keyboard.press('Enter');
  await visitor.state('joined');
  await focused('room-title', 'in the room');
  await visitor.close();
}

async function theme(site) {
  const ground = (visitor) => visitor.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await site.visitor({ dark: true });
  const light = await site.visitor();
  if ((await ground(dark)) === (await ground(light))) throw new Error('the system’s theme is not followed');
  await light.page.getByRole('button', { name: 'Use the dark theme' }).click();
  const same = (await ground(dark)) === (await ground(light));
  await light.page.reload();
  const stays = (await ground(dark)) === (await ground(light));
  await dark.close();
  await light.close();
  return same && stays;
}

// What a member may send that no browser would.
function misbehave(room) {
  const long = 'x'.repeat(60000);
  const junk = [
    0, true, 'text', [], [[]], {}, { sdp: {} }, { sdp: 5, type: 'offer' }, { type: 'offer', sdp: { split: 1 } },
    { type: { toString: 1 }, sdp: 'v=0' }, { type: { toString: 1, valueOf: 1 } }, { type: 'offer', sdp: 'm=\r\nm=audio\r\na' },
    { type: 'answer', sdp: long }, { type: 'rollback', sdp: 'v=0' }, { type: 'rollback', sdp: '' }, { candidate: long }, { candidate: {} },
    { candidate: 'candidate:', sdpMid: {} }, { type: '<img src=x onerror=alert(1)>' }, { type: 'call', room: {} }, null,
  ].map((data) => JSON.stringify(data));
  junk.push('{"__proto__":{"type":"offer"},"sdp":"v=0"}', '{"constructor":{"prototype":{"sdp":1}}}');
  const socket = new WebSocket(new URL('signal', document.baseURI.replace('http', 'ws')));
  const send = (text) => socket.send(text);
  return new Promise((resolve) => {
    socket.onopen = () => {
      send(JSON.stringify({ type: 'register', name: '__proto__' }));
      send(JSON.stringify({ type: 'join', room }));
      for (const data of junk) send(`{"type":"message","room":"${room}","data":${data}}`);
      for (let i = 0; i < 120; i += 1) send(JSON.stringify({ candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host', sdpMid: '0' }));
      send(JSON.stringify({ type: 'leave', room, id: 'end' }));
    };
    socket.onmessage = ({ data }) => JSON.parse(data).type === 'leaved' && resolve(socket.close(1000));
  });
}

async function hostile(site) {
  const visitor = await site.visitor({ hash: '#constructor' });
  const errors = [];
  visitor.page.on('pageerror', (error) => errors.push(error.stack));
  await visitor.join('junk', null, 'none');
  await visitor.state('joined');
  const other = await site.visitor();
  await other.connected();
  await other.page.evaluate(misbehave, 'junk');
  await visitor.state('joined_unbind');
  await visitor.sees('#log', '<img src=x');
  await other.join('junk', null, 'none');
  await other.state('joined_conn');
  await visitor.state('joined_conn');
  await visitor.go('inside');
  await visitor.sees('#inside-lead', 'Connected with');
  await other.close();
  await visitor.close();
  if (errors.length) throw new Error(errors.join('\n'));
}

async function phone(site) {
  const visitor = await site.visitor({ width: 390 });
  for (const view of VIEWS) {
    await visitor.go(view);
    await visitor.page.locator(`#view-${view}`).waitFor();
    const over = await visitor.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) throw new Error(`${view} is ${over} pixels too wide`);
  }
  await visitor.close();
}

async function accessible(site) {
  for (const dark of [false, true]) {
    const visitor = await site.visitor({ dark });
    await visitor.connected();
    for (const view of VIEWS) {
      await visitor.go(view);
      await visitor.page.locator(`#view-${view}`).waitFor();
      await checkAccess(visitor, `${view}, ${dark ? 'dark' : 'light'}`);
    }
    await visitor.button('Check').click();
    await visitor.button('Check again').waitFor();
    await checkAccess(visitor, `what was found, ${dark ? 'dark' : 'light'}`);
    await visitor.close();
  }
}

const tests = [
  ['without a camera the page says so, and joins with nothing (R35)', noCamera],
  ['from an insecure address the page says what to do (R35)', insecure],
  ['without the server the page says so, and goes on when it is back', gone],
  ['the network check tells what works (R39-R42)', network],
  ['everything is reached by the keyboard', keyboard],
  ['the focus goes along into the room and out of it', focus],
  ['the theme is the system’s or the chosen one', theme],
  ['what a hostile member sends changes nothing for the others', hostile],
  ['nothing is wider than a phone', phone],
];
if (hasAxe()) tests.push(['axe-core finds nothing in either theme', accessible]);
else tap.comment('axe-core is not installed: accessibility is not checked');

run(tests, { devices: 0 }).catch(bailOut);
