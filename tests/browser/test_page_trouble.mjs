// SPDX-License-Identifier: BSD-2-Clause
// What the page says when something is missing; the check of the network; who uses it without a mouse, or in the dark.
import { readFileSync } from 'node:fs';
import { load, moduleFile } from './lib/modules.mjs';
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

async function phone(site) {
  const visitor = await site.visitor({ width: 390 });
  for (const view of VIEWS) {
    await visitor.go(view);
    const over = await visitor.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) throw new Error(`${view} is ${over} pixels too wide`);
  }
  await visitor.close();
}

async function accessible(site) {
  const axe = readFileSync(moduleFile('axe-core', 'axe.min.js'), 'utf8');
  for (const dark of [false, true]) {
    const visitor = await site.visitor({ dark });
    await visitor.connected();
    await visitor.page.evaluate(axe);
    for (const view of VIEWS) {
      await visitor.go(view);
      const found = await visitor.page.evaluate(async () => {
        const { violations } = await axe.run(document, { resultTypes: ['violations'] });
        return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ target }) => target).join(', ')}`);
      });
      if (found.length) throw new Error(`${view}, ${dark ? 'dark' : 'light'}: ${found.join('\n')}`);
    }
    await visitor.close();
  }
}

const tests = [
  ['without a camera the page says so, and joins with nothing (R35)', noCamera],
  ['from an insecure address the page says what to do (R35)', insecure],
  ['without the server the page says so, and goes on when it is back', gone],
  ['the network check tells what works (R39-R42)', network],
  ['everything is reached by the keyboard', keyboard],
  ['the theme is the system’s or the chosen one', theme],
  ['nothing is wider than a phone', phone],
];
if (load('axe-core')) tests.push(['axe-core finds nothing in either theme', accessible]);
else tap.comment('axe-core is not installed: accessibility is not checked');

run(tests, { devices: false }).catch(bailOut);
