// SPDX-License-Identifier: BSD-2-Clause
// What the page shows of the inside of a call, and what its settings do to it.
import { bailOut, run } from './lib/site.mjs';

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
  for (const [title, type] of [['Of this end', 'host'], ['Of this end', 'relay'], ['Of the other', 'host']]) {
    const side = ada.page.locator('#inside-candidates .two > div', { hasText: title });
    await side.locator(`.type[data-type=${type}] li`).first().waitFor();
  }
  for (const type of ['srflx', 'prflx']) await ada.sees(`.type[data-type=${type}] h4`, type);
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
    await ada.page.waitForFunction((name) => document.querySelector(`#plot-${name} .line`).getAttribute('d')?.includes('L'), id);
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

async function settings(visitor) {
  await visitor.go('room');
  const details = visitor.page.locator('#settings');
  if (await details.getAttribute('open') === null) await details.locator('summary').click();
}

// The other end is asked by a b= line, and this one keeps to a limit of its own.
async function bitrate() {
  await settings(bob);
  await bob.page.getByLabel('Receive at most').selectOption('250');
  await ada.page.waitForFunction(() => document.querySelectorAll('#inside-sdp pre')[1]?.textContent.match(/^b=(AS:250|TIAS:250000)\r?$/m));
  await settings(ada);
  await ada.page.getByLabel('Send at most').selectOption('100');
  await bob.frames();
  await bob.go('inside');
  await bob.page.waitForFunction(() => {
    const [, number, unit] = document.querySelector('#plot-bitrate .values strong').textContent.match(/([\d.]+) (.*)/) ?? [];
    return unit === 'kbit/s' && Number(number) < 250;
  });
}

async function relay() {
  await settings(ada);
  await settings(bob);
  for (const visitor of [ada, bob]) await visitor.page.getByLabel('iceTransportPolicy').selectOption('relay');
  await ada.go('inside');
  await ada.sees('#chosen-pair', /Chosen: relay .* relay /);
  await ada.sees('#inside-lead', 'relayed by this server');
  await bob.frames();
}

async function iceRestart() {
  await ada.go('room');
  await ada.page.getByRole('button', { name: 'Restart ICE' }).click();
  await ada.go('inside');
  await ada.sees('.timeline li', 'ICE restart');
  await ada.frames();
  await bob.frames();
}

async function bundle() {
  await settings(ada);
  await ada.page.getByLabel('bundlePolicy').selectOption('max-compat');
  await ada.page.getByLabel('voiceActivityDetection').uncheck();
  await ada.page.getByRole('button', { name: 'Connect again' }).click();
  await bob.frames();
  await ada.frames();
  // With this policy every section of the offer has a port of its own until the answer says otherwise.
  await ada.go('inside');
  await ada.sees('#inside-steps .hint', 'A is you');
  await ada.sees('#inside-lead', 'Connected with');
}

async function devices() {
  await settings(ada);
  const camera = ada.page.locator('#device-video');
  const cameras = camera.locator('option');
  await cameras.nth(1).waitFor({ state: 'attached' });
  const [, first] = await cameras.evaluateAll((options) => options.map(({ value }) => value));
  await camera.selectOption(first);
  await bob.go('room');
  await bob.frames();
}

run([
  ['two pages are in a call', call],
  ['the states are shown, and how they came about (R14)', states],
  ['the ten steps of offer and answer are shown (R37)', steps],
  ['candidates by type, checks, the chosen pair, who controls, iceServers (R39, R40)', candidates],
  ['bitrate, round trip, loss and jitter are plotted (R26)', plots],
  ['the tracks of both ends are shown in detail (R36)', tracks],
  ['both descriptions are taken apart (R27)', description],
  ['the bitrate is limited from both ends (R20)', bitrate],
  ['iceTransportPolicy relay leads the call over the server (R45)', relay],
  ['ICE is restarted in the call (R29)', iceRestart],
  ['another bundlePolicy is used by a new connection (R45)', bundle],
  ['another camera can be chosen (R14)', devices],
]).catch(bailOut);
