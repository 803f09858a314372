// SPDX-License-Identifier: BSD-2-Clause
// Camera, microphone and screen: asked for on a click, chosen, pulled out, added, shared.
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';

let ada;
let bob;

// Counts who asks for devices, and has them wait until release() is called.
function gate() {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.asked = 0;
  const released = new Promise((resolve) => (window.release = resolve));
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    window.asked += 1;
    await released;
    return ask(constraints);
  };
}

async function onClick(site) {
  const visitor = await site.visitor({ init: gate });
  await visitor.connected();
  await visitor.state('init');
  if (await visitor.page.evaluate(() => window.asked)) throw new Error('the camera was asked for without a click');
  await visitor.button('Join the room').click();
  await visitor.page.waitForFunction(() => window.asked === 1);
  const early = await visitor.messages();
  if (early.includes('↑join')) throw new Error(`joined without its media: ${early}`);
  await visitor.state('init');
  await visitor.page.evaluate(() => window.release());
  await visitor.said('↑join');
  await visitor.state('joined');
  await visitor.sees('#own-caption', 'You');
  await visitor.page.waitForFunction(() => document.getElementById('own-video').videoWidth > 0);
  await visitor.close();
}

async function none(site) {
  const visitor = await site.visitor({
    prepare: (page) => page.addInitScript(() => {
      delete MediaDevices.prototype.getUserMedia;
      delete MediaDevices.prototype.getDisplayMedia;
    }),
  });
  await visitor.join('none');
  await visitor.notice('This browser has no camera access');
  await visitor.button('Join with nothing').click();
  await visitor.state('joined');
  await visitor.button('Share').click();
  await visitor.notice('This browser cannot share a screen');
  await visitor.close();
}

const labels = (visitor, device) => visitor.page.locator(`#device-${device} option`).allTextContents();

// What was asked for in a room that one has left since is turned off as it comes.
async function late(site) {
  const visitor = await site.visitor({ init: gate });
  const { page } = visitor;
  await page.evaluate(() => {
    window.given = [];
    for (const name of ['getUserMedia', 'getDisplayMedia']) {
      const ask = navigator.mediaDevices[name].bind(navigator.mediaDevices);
      navigator.mediaDevices[name] = async (constraints) => {
        const stream = await ask(constraints);
        window.given.push(stream);
        return stream;
      };
    }
  });
  const ended = (count) => page.waitForFunction((wanted) => window.given.length === wanted &&
    window.given.every((stream) => stream.getTracks().every(({ readyState }) => readyState === 'ended')), count);
  await visitor.join('late', null, 'none');
  await visitor.button('Add camera').click();
  await page.waitForFunction(() => window.asked === 1);
  await visitor.leave();
  await page.evaluate(() => window.release());
  await ended(1);
  await visitor.join('late', null, 'none');
  await page.getByLabel('What to share').selectOption('region');
  await visitor.button('Share').click();
  await visitor.button('Share this part').waitFor();
  await visitor.leave();
  await visitor.button('Share this part').waitFor({ state: 'hidden' });
  await ended(2);
  await visitor.close();
}

// Another camera is chosen, and does not start: none is on then, and the page says so.
async function broken(site) {
  const visitor = await site.visitor();
  await visitor.join('broken');
  await visitor.button('Camera off').waitFor();
  await visitor.settings();
  await until('the list of cameras', () => labels(visitor, 'video'), (all) => all.length >= 3);
  await visitor.page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException('it is made to fail', 'NotReadableError');
    };
  });
  await visitor.page.locator('#device-video').selectOption({ index: 2 });
  await visitor.notice('Your camera or microphone is in use.');
  await visitor.button('Add camera').waitFor();
  await visitor.close();
}

// Only the microphone at first.
async function call(site) {
  ada = await site.visitor({ hash: '#room/media' });
  bob = await site.visitor({ hash: '#room/media' });
  await ada.join(null, 'Ada', 'audio');
  await ada.state('joined');
  await bob.join();
  await ada.frames();
  await bob.sees('#remote-blank', 'Ada sends no picture.');
}

async function add() {
  const before = (await ada.messages()).filter((message) => message === '↑offer').length;
  await ada.button('Add camera').click();
  await bob.frames();
  await ada.said('↑offer', before + 1);
  await bob.go('inside');
  await bob.page.getByText('Everything that changed').click();
  await bob.sees('#inside-states .timeline li', 'video track came');
}

async function pulledOut() {
  await ada.page.evaluate(() => {
    const [track] = document.getElementById('own-video').srcObject.getVideoTracks();
    track.stop();
    track.dispatchEvent(new Event('ended')); // as when the device is pulled out
  });
  await ada.notice('The camera is gone.');
  await bob.sees('#inside-states .timeline li', 'video track went');
  await bob.go('room');
  await bob.sees('#remote-blank', 'Ada sends no picture.');
  await ada.button('Add camera').click();
  await bob.frames();
}

async function choose() {
  for (const kind of ['audio', 'video']) {
    const track = ada.page.locator(`.track[data-whose=own][data-kind=${kind}] div`, { hasText: /^label/ }).first();
    const use = async (label) => {
      await ada.settings();
      await ada.page.locator(`#device-${kind}`).selectOption({ label });
      await ada.go('inside');
      await track.locator('dd', { hasText: label }).waitFor();
    };
    await ada.go('inside');
    const current = (await track.locator('dd').textContent()).trim();
    const all = await until(`the list of ${kind} devices`, () => labels(ada, kind), (seen) => seen.length >= 3);
    await use(all.slice(1).find((label) => label !== current));
    // The second of Chromium's fake cameras is good for a page, but no picture of it goes to a peer connection.
    await use(current);
  }
  await ada.go('room');
  await bob.frames();
}

// Another camera is plugged in, and pulled out again.
async function change(site) {
  const cem = await site.visitor({
    prepare: (page) => page.addInitScript(() => {
      const { mediaDevices } = navigator;
      const list = mediaDevices.enumerateDevices.bind(mediaDevices);
      let plugged = [];
      mediaDevices.enumerateDevices = async () => [...(await list()), ...plugged];
      window.plug = (devices) => {
        plugged = devices;
        mediaDevices.dispatchEvent(new Event('devicechange'));
      };
    }),
  });
  await cem.join('devices');
  await cem.state('joined');
  await cem.settings();
  const before = await until('the list of cameras', () => labels(cem, 'video'), (all) => all.length >= 3);
  await cem.page.evaluate(() => window.plug([{ kind: 'videoinput', deviceId: 'plugged', groupId: '', label: 'A third camera' }]));
  await cem.notice('New device: A third camera');
  await until('it is in the list', () => labels(cem, 'video'), (all) => all.includes('A third camera'));
  await cem.page.evaluate(() => window.plug([]));
  await until('it is gone from the list', () => labels(cem, 'video'), (all) => all.join() === before.join());
  await cem.close();
}

const size = ({ page }) => page.evaluate(() => {
  const { videoWidth, videoHeight } = document.getElementById('remote-video');
  return [videoWidth, videoHeight];
});

async function cancelled() {
  await ada.page.getByLabel('What to share').selectOption('region');
  await ada.button('Share').click();
  await ada.button('Cancel').click();
  await until('the focus is back', () => ada.page.evaluate(() => document.activeElement.textContent), (text) => text === 'Share');
}

async function screens() {
  const shapes = {};
  for (const surface of ['monitor', 'window', 'region']) {
    await ada.page.getByLabel('What to share').selectOption(surface);
    await ada.button('Share').click();
    if (surface === 'region') {
      await ada.page.getByLabel('Left in percent').fill('0');
      await ada.page.getByLabel('Width in percent').fill('20');
      await ada.page.getByLabel('Height in percent').fill('80');
      await ada.page.getByLabel('Height in percent').press('Tab');
      await ada.button('Share this part').click();
    }
    await ada.sees('#own-caption', 'Your screen');
    await bob.frames();
    if (surface === 'region') {
      // A fifth of the width by most of the height is higher than wide, as no screen here is.
      await until('the part alone is seen', () => size(bob), ([width, height]) => width > 0 && width < height);
    } else shapes[surface] = await until('the whole is seen', () => size(bob), ([width]) => width > 0);
    await ada.button('Stop sharing').click();
    await ada.sees('#own-caption', /^You$/);
    await ada.button('Share').waitFor();
    await bob.frames();
  }
  for (const [surface, [width, height]] of Object.entries(shapes)) {
    if (!(width > height)) throw new Error(`${surface}: ${width} x ${height}`);
  }
}

run([
  ['devices are asked for on a click, and the room is joined with them (R33, R35)', onClick],
  ['a browser that has no devices says so, with words for each (R35)', none],
  ['a camera or a screen that comes when one has left is turned off (R33)', late],
  ['a camera that does not start leaves none that seems to be on', broken],
  ['a call begins with a microphone alone', call],
  ['a camera is added: a new offer, and a track comes (R14, R19, R26)', add],
  ['a camera that is pulled out: its track goes, and another may be added (R14)', pulledOut],
  ['another camera and another microphone are chosen (R14)', choose],
  ['a device that comes or goes changes the list (R14)', change],
  ['who chooses no part of the screen is back where they were', cancelled],
  ['the screen, a window and a part of the screen are shared (R34)', screens],
], { devices: 2 }).catch(bailOut);
