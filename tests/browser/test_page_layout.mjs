// SPDX-License-Identifier: BSD-2-Clause
// How the page stands in small windows, with long and foreign names, without a mouse, and between its views.
import { checkAccess, hasAxe } from './lib/axe.mjs';
import { bailOut, run } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';

const VIEWS = ['room', 'people', 'inside', 'network'];
// A desk, a phone, the narrowest that WCAG 2.2 asks for (1.4.10), and a laptop's window at 200 % and at 400 %.
const SIZES = [[1280, 800], [390, 844], [320, 640], [640, 400], [320, 200]];
const LONG = 'Wilhelmina-Charlotte_of_the_long_corridor_behind_the_east_stairs';
const HEBREW = 'דנה לוי';
let ada;
let bob;

async function call(site) {
  ada = await site.visitor();
  bob = await site.visitor();
  await ada.join(LONG, HEBREW);
  await ada.state('joined');
  await bob.join(LONG, LONG);
  await Promise.all([ada.frames(), bob.frames()]);
  await ada.sees('#channel-state', 'open');
  await ada.page.getByLabel('Text', { exact: true }).fill('w'.repeat(300));
  await ada.page.getByRole('button', { name: 'Send' }).click();
}

async function fits({ page }, what) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) throw new Error(`${what} is ${over} pixels too wide`);
}

async function sizes() {
  for (const [width, height] of SIZES) {
    await ada.page.setViewportSize({ width, height });
    for (const view of VIEWS) {
      await ada.go(view);
      await ada.page.locator(`#view-${view}`).waitFor();
      await fits(ada, `${view} at ${width}`);
    }
  }
  await ada.page.setViewportSize({ width: 1280, height: 800 });
}

// A name that is written from right to left must not turn the words around it.
async function direction() {
  await bob.go('inside');
  await bob.sees('#inside-lead', `Connected with \u2068${HEBREW}\u2069`);
  await bob.go('room');
  await bob.sees('#remote-caption', HEBREW);
}

async function accessible() {
  await ada.go('inside');
  await ada.page.getByText('Everything that changed').click();
  await ada.page.locator('#inside-report summary').click();
  for (const summary of await ada.page.locator('#inside-sdp details.media > summary').all()) await summary.click();
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of SIZES.slice(0, 2)) {
      await ada.page.setViewportSize({ width, height });
      await ada.page.emulateMedia({ colorScheme });
      for (const view of VIEWS) {
        await ada.go(view);
        await checkAccess(ada, `${view}, ${colorScheme}, ${width} pixels`);
      }
    }
  }
  await ada.page.setViewportSize({ width: 1280, height: 800 });
}

// Nothing on the page moves by itself, whatever the visitor's system asks for.
async function still() {
  for (const view of VIEWS) {
    await ada.go(view);
    await ada.page.locator(`#view-${view}`).waitFor();
    const moving = await ada.page.evaluate(() => document.getAnimations().length);
    if (moving) throw new Error(`${view}: ${moving} animations`);
  }
}

// Every stop of the Tab key can be seen, and none is left out of sight behind the views' bar.
async function focus() {
  const { page } = ada;
  for (const [width, height] of SIZES.slice(0, 2)) {
    await page.setViewportSize({ width, height });
    await ada.go('people');
    await page.locator('#view-people').waitFor();
    await ada.go('room');
    await page.locator('#view-room').waitFor();
    await page.waitForFunction(() => document.activeElement.id === 'main'); // where a change of views puts it
    const stops = new Set();
    for (let i = 0; i < 60; i += 1) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(() => {
        const node = document.activeElement;
        if (node === document.body) return null;
        const { outlineStyle, outlineWidth } = getComputedStyle(node);
        const box = node.getBoundingClientRect();
        const seen = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
        const inside = box.bottom > 0 && box.top < innerHeight;
        return { name: node.id || node.textContent.trim().slice(0, 40) || node.tagName, seen, inside };
      });
      if (!stop) break;
      if (!stop.seen) throw new Error(`${stop.name} has the focus, and nobody sees it`);
      if (!stop.inside) throw new Error(`${stop.name} has the focus, out of the window`);
      stops.add(stop.name);
    }
    for (const name of ['Mute', 'Camera off', 'Leave', 'log', 'data-text']) {
      if (!stops.has(name)) throw new Error(`the Tab key does not stop at ${name}: ${[...stops]}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

async function backForward() {
  const { page } = ada;
  const shows = (view) => page.locator(`#view-${view}`).waitFor();
  for (const view of ['people', 'network', 'room']) {
    await ada.go(view);
    await shows(view);
  }
  await page.waitForFunction((room) => decodeURIComponent(location.hash) === `#room/${room}`, LONG);
  for (const view of ['network', 'people']) {
    await page.goBack();
    await shows(view);
  }
  for (const view of ['network', 'room']) {
    await page.goForward();
    await shows(view);
  }
  await ada.state('joined_conn');
  await ada.frames();
}

// Whoever opens the link has the room in the form, and is told so.
async function link(site) {
  const host = await site.visitor();
  await host.page.context().grantPermissions(['clipboard-read', 'clipboard-write', 'camera', 'microphone']);
  await host.join('a room & more', 'Host', 'none');
  await host.state('joined');
  await host.page.getByRole('button', { name: 'Copy the link' }).click();
  await host.page.getByRole('button', { name: 'Copied' }).waitFor();
  const address = await host.page.evaluate(() => navigator.clipboard.readText());
  const guest = await site.visitor({ hash: new URL(address).hash });
  await guest.sees('#room-lead', 'leads to the room a room & more');
  await guest.join(null, 'Guest', 'none');
  await guest.state('joined_conn');
  await host.state('joined_conn');
  // A link to another room does not lead out of this one by itself.
  await guest.page.evaluate(() => (location.hash = '#room/other'));
  await guest.notice('You are in the room a room & more.');
  await guest.page.getByRole('button', { name: 'Leave, and go there' }).click();
  await guest.state('leaved');
  if ((await guest.page.getByRole('textbox', { name: 'Room' }).inputValue()) !== 'other') throw new Error('the other room is not in the form');
  await guest.close();
  await host.close();
}

const tests = [
  ['two are in a call, with names as long as they may be and from right to left', call],
  ['no view is wider than its window, from 1280 pixels to 320', sizes],
  ['a name from right to left leaves the words around it alone', direction],
  ['nothing moves by itself', still],
  ['every stop of the Tab key is seen', focus],
  ['back and forward lead from view to view, and the call goes on', backForward],
  ['the link of a room is copied, opened, and leads there (R16)', link],
];
if (hasAxe()) tests.push(['axe-core finds nothing in a call: every view, both themes, desk and phone', accessible]);
else tap.comment('axe-core is not installed: accessibility is not checked');

run(tests).catch(bailOut);
