// SPDX-License-Identifier: BSD-2-Clause
// What the page shows of the inside of a call, and what its settings do to it.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run } from './lib/site.mjs';
import { comment } from './lib/tap.mjs';
import { until } from './lib/until.mjs';

let ada;
let bob;

async function call(site) {
  ada = await site.visitor({ hash: '#room/inside' });
  bob = await site.visitor({ hash: '#room/inside' });
  await ada.join();
  await ada.state('joined');
  await bob.join();
  await ada.frames();
  await ada.go('inside');
  await ada.sees('#inside-lead', 'Connected with');
}

async function states() {
  for (const [name, value] of [
    ['connectionState', 'connected'], ['iceGatheringState', 'complete'], ['signalingState', 'stable'],
  ]) await ada.sees(`#inside-states [data-name=${name}]`, value);
  await ada.page.getByText('Everything that changed').click();
  for (const what of ['signalingState: have-local-offer', 'iceGatheringState: gathering', 'connectionState: connected', 'video track came']) {
    await ada.sees('#inside-states .timeline li', what);
  }
}

async function steps() {
  await ada.page.waitForFunction(() => document.querySelectorAll('#inside-steps li[data-done]').length === 10);
  await ada.sees('#inside-steps .hint', 'A is you');
}

async function candidates() {
  for (const title of ['Of this end', 'Of the other']) {
    const side = ada.page.locator('#inside-candidates .two > div', { hasText: title });
    await side.locator('.type[data-type=host] li').first().waitFor();
  }
  for (const type of ['srflx', 'prflx', 'relay']) await ada.sees(`.type[data-type=${type}] h4`, type);
  await ada.sees('#chosen-pair', 'Chosen: ');
  await ada.sees('#inside-candidates tr[data-kind=chosen]', 'chosen');
  await ada.sees('#inside-servers', 'stun:');
  await ada.sees('#inside-servers', 'turn:');
  await bob.go('inside');
  await bob.sees('#chosen-pair', 'Chosen: ');
  const roles = [await ada.page.locator('#ice-role').textContent(), await bob.page.locator('#ice-role').textContent()];
  return /This end is/.test(roles.join()) && /The other end is/.test(roles.join());
}

async function plots() {
  for (const [id, unit] of [['bitrate', /[1-9]\d* .bit\/s/], ['round-trip', /\d ms/], ['loss', /\d %/], ['jitter', /\d ms/]]) {
    await ada.sees(`#plot-${id} .values strong`, unit);
    const line = () => ada.page.locator(`#plot-${id} .line`).first().getAttribute('d');
    const before = await until(`a line of ${id}`, line, (path) => path?.includes('L'));
    await until(`${id} moves`, line, (path) => path !== before);
  }
}

async function tracks() {
  for (const whose of ['own', 'other']) {
    for (const kind of ['audio', 'video']) {
      const facts = ada.page.locator(`.track[data-whose=${whose}][data-kind=${kind}]`, { hasText: 'getConstraints()' });
      for (const name of ['id', 'kind', 'label', 'enabled', 'muted']) {
        await facts.locator('dt', { hasText: new RegExp(`^${name}$`) }).waitFor();
      }
    }
  }
  await ada.sees('.track[data-whose=other][data-kind=video] dd', /video\/.* frames so far/);
}

async function description() {
  const [own, other] = [ada.page.locator('#inside-sdp .description').nth(0), ada.page.locator('#inside-sdp .description').nth(1)];
  await own.locator('h3', { hasText: 'offer' }).waitFor();
  await other.locator('h3', { hasText: 'answer' }).waitFor();
  for (const side of [own, other]) {
    const video = side.locator('details.media', { hasText: 'mid 1' });
    await video.locator('summary').first().click();
    for (const fact of ['Format', 'Transport', 'Address', 'Port', 'Payload types']) await video.locator('dt', { hasText: new RegExp(`^${fact}$`) }).waitFor();
    await video.locator('td', { hasText: 'VP8/90000' }).first().waitFor();
    for (const group of ['Network', 'Streams', 'Security', 'Quality of service']) {
      await video.locator('.group summary', { hasText: group }).waitFor();
    }
    await side.locator('summary', { hasText: 'Session level' }).waitFor();
  }
}

// What Bob's page says that it receives, in kbit/s.
const received = () => bob.page.evaluate(() => {
  const [, number, unit] = document.querySelector('#plot-bitrate .values strong').textContent.match(/([\d.]+) (.*)/) ?? [];
  return Number(number) * { 'bit/s': 0.001, 'kbit/s': 1, 'Mbit/s': 1000 }[unit];
});

const LOW = 100;

// This end keeps to a limit of its own, and the other end asks for one by a b= line.
async function bitrate() {
  await bob.go('inside');
  const free = await until('more than a low limit', received, (now) => now > 3 * LOW);
  await ada.settings();
  await ada.page.getByLabel('Send at most').selectOption(String(LOW));
  await until('less by setParameters', received, (now) => now < 2 * LOW);
  await ada.page.getByLabel('Send at most').selectOption('0');
  await until('as much as before', received, (now) => now > 3 * LOW);
  await bob.settings();
  await bob.page.getByLabel('Receive at most').selectOption(String(LOW));
  await bob.go('inside');
  await until('less by the other’s word', received, (now) => now < 2 * LOW);
  await ada.go('inside');
  await until('the b= line', () => ada.sdp('The other'), (sdp) => new RegExp(`^b=(AS:${LOW}|TIAS:${LOW}000)\r?$`, 'm').test(sdp));
  await bob.frames();
  comment(`${free} kbit/s without a limit`);
}

// All that there is to see, in both themes.
async function accessible() {
  await ada.page.locator('#inside details').evaluateAll((all) => all.forEach((details) => (details.open = true)));
  for (const colorScheme of ['light', 'dark']) {
    await ada.page.emulateMedia({ colorScheme });
    for (const view of ['inside', 'room']) {
      await ada.go(view);
      await checkAccess(ada, `${view} in a call, ${colorScheme}`);
    }
  }
}

const tests = [
  ['two pages are in a call', call],
  ['the states are shown, and how they came about (R14)', states],
  ['the ten steps of offer and answer are shown (R37)', steps],
  ['candidates by type, checks, the chosen pair, who controls, iceServers (R39, R40)', candidates],
  ['bitrate, round trip, loss and jitter are plotted (R26)', plots],
  ['the tracks of both ends are shown in detail (R36)', tracks],
  ['both descriptions are taken apart (R27)', description],
  ['the bitrate is limited from both ends (R20)', bitrate],
];
if (hasAxe()) tests.push(['axe-core finds nothing in a call', accessible]);

// As many pictures a second as a bitrate needs that can be limited.
run(tests, { fps: 20 }).catch(bailOut);
