// SPDX-License-Identifier: BSD-2-Clause
// A room for more than two: everyone sees everyone, and one of the others is in front.
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';

const NAMES = ['Ada', 'Bob', 'Cem'];
const here = {};

// Frames of somebody in the row below the stage.
async function framesBelow({ page }, name) {
  const shown = () => page.locator('#others li', { hasText: name }).locator('video').evaluate((video) => video.getVideoPlaybackQuality().totalVideoFrames);
  await page.locator('#others li', { hasText: name }).waitFor();
  const before = await shown();
  await page.waitForFunction(
    ([who, from]) => {
      const item = [...document.querySelectorAll('#others li')].find(({ textContent }) => textContent.includes(who));
      return item?.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > from + 4;
    },
    [name, before],
  );
}

async function everyone(site) {
  for (const name of NAMES) {
    here[name] = await site.visitor();
    await here[name].join('table', name);
    await here[name].sees('#room-title', `${NAMES.indexOf(name) + 1} of 4 here`);
  }
  for (const name of NAMES) {
    await here[name].frames();
    const others = NAMES.filter((other) => other !== name);
    const front = (await here[name].page.locator('#remote-caption').textContent()).split(' ')[0];
    await framesBelow(here[name], others.find((other) => other !== front));
    await here[name].state('joined_conn');
  }
}

async function front() {
  const { page } = here.Ada;
  await page.getByRole('button', { name: 'Bring Cem to the front' }).click();
  await here.Ada.sees('#remote-caption', 'Cem');
  await page.locator('#others li', { hasText: 'Bob' }).waitFor();
  await here.Ada.frames();
  await here.Ada.go('inside');
  await here.Ada.sees('#inside-lead', 'Connected with Cem');
  await page.getByLabel('The connection with').selectOption({ label: 'Bob' });
  await here.Ada.sees('#inside-lead', 'Connected with Bob');
  await here.Ada.sees('#plot-bitrate .values strong', /[1-9]\d* .bit\/s/);
  await here.Ada.go('room');
}

async function data() {
  await here.Ada.sees('#channel-state', 'open to 2 of 2');
  await here.Ada.page.getByLabel('Text', { exact: true }).fill('to both of you');
  await here.Ada.page.getByRole('button', { name: 'Send' }).click();
  for (const name of ['Bob', 'Cem']) {
    await here[name].sees('#chat li[data-way=in]', 'to both of you');
    await here[name].sees('#chat .who', 'Ada');
  }
}

// What is read out as it comes is all there is to say of it.
async function whole() {
  await here.Bob.page.evaluate(() => {
    window.came = [];
    const look = (changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(({ textContent }) => window.came.push(textContent)));
    new MutationObserver(look).observe(document.getElementById('chat'), { childList: true });
  });
  await here.Ada.page.getByLabel('Text', { exact: true }).fill('in one piece');
  await here.Ada.page.getByLabel('sent as').selectOption('blob');
  await here.Ada.page.getByRole('button', { name: 'Send' }).click();
  const [came] = await until('what came', () => here.Bob.page.evaluate(() => window.came), ({ length }) => length > 0);
  if (!/Ada.*SHA-256.*in one piece/.test(came)) throw new Error(came);
}

async function leaves() {
  await here.Bob.page.getByRole('button', { name: 'Leave' }).click();
  await here.Ada.notice('Bob has left.');
  await here.Ada.state('joined_conn');
  await here.Ada.sees('#remote-caption', 'Cem');
  await here.Ada.frames();
  await here.Cem.page.getByRole('button', { name: 'Leave' }).click();
  await here.Ada.state('joined_unbind');
}

// Before the grace is over: the others never hear of it, and all connections come back.
async function reload() {
  for (const name of ['Bob', 'Cem']) {
    await here[name].join('table');
    await here[name].state('joined_conn');
  }
  await here.Ada.sees('#room-title', '3 of 4 here');
  await here.Ada.page.reload();
  await here.Ada.state('joined_conn');
  await here.Ada.frames();
  await here.Ada.page.locator('#others li').waitFor();
  for (const name of ['Bob', 'Cem']) await here[name].frames();
}

run(
  [
    ['three in a room for four see each other', everyone],
    ['another one is brought to the front, and is whom the inside shows', front],
    ['text goes to everyone', data],
    ['what comes in is shown when all of it is there', whole],
    ['one leaves, the others go on', leaves],
    ['a reload brings all connections back', reload],
  ],
  { settings: { 'signal.capacity': 4 } },
).catch(bailOut);
