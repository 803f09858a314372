// SPDX-License-Identifier: BSD-2-Clause
// `turnpiked --dev` as a newcomer meets it: what it prints for the console of a browser is pasted into one.
import os from 'node:os';
import { Browser } from './lib/browser.mjs';
import { Daemon } from './lib/daemon.mjs';
import { findChromium, load, missing } from './lib/modules.mjs';
import { PATIENCE_MS } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';

// The indented lines behind "Paste this".
function snippetOf(output) {
  const [, rest] = output.split(/^Paste this.*\n\n/m);
  return rest?.match(/^(?: {2}.*\n)+/)?.[0] ?? '';
}

async function paste(browser, snippet) {
  const heard = [];
  const page = await browser.page(() => {}, (text) => heard.push(text));
  await page.evaluate(snippet);
  await until('the end of gathering', () => heard, (lines) => lines.some((line) => line.endsWith('done')));
  await page.context().close();
  tap.comment(heard.join('\n'));
  return heard;
}

// Two tabs of the page that is named, in one browser, until both show the other's picture: how often somebody had to click.
async function callInTabs(browser, output) {
  const [, url] = /^Open this page .*\n\n {2}(\S+)/m.exec(output);
  const context = await browser.browser.newContext({ permissions: ['camera', 'microphone'] });
  context.setDefaultTimeout(PATIENCE_MS);
  let hands = 0;
  await context.exposeFunction('hand', () => (hands += 1));
  await context.addInitScript(() => {
    for (const event of ['click', 'keydown', 'change']) addEventListener(event, ({ isTrusted }) => isTrusted && window.hand(), true);
  });
  const tabs = [];
  for (let i = 0; i < 2; i += 1) {
    const tab = await context.newPage();
    await tab.goto(url);
    await tab.locator('#link', { hasText: /^Connected$/ }).waitFor();
    await tab.getByRole('button', { name: 'Join the room' }).click();
    tabs.push(tab);
  }
  const shown = (tab) => tab.evaluate(() => document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames);
  for (const tab of tabs) await until('the picture of the other tab', () => shown(tab), (frames) => frames >= 6);
  await context.close();
  return hands;
}

async function main() {
  const playwright = load('playwright-core');
  if (!playwright) tap.skipAll(missing('playwright-core'));
  const chromium = findChromium();
  if (!chromium) tap.skipAll('no chromium in PATH (or set TP_CHROMIUM)');

  const daemon = await Daemon.startDev();
  // Without libjansson there is no page.
  const hasPage = /^Open this page/m.test(await until('the greeting', () => daemon.output, (text) => /^Another user/m.test(text)));
  tap.plan(hasPage ? 5 : 4);
  // A machine with no interface but loopback needs the flag that nobody sets; the others show what everybody gets.
  const ordinary = Object.values(os.networkInterfaces()).some((all) => all.some(({ internal }) => !internal));
  const browser = await Browser.start(playwright, chromium, { ordinary });
  try {
    const output = await until('the snippet', () => daemon.output, (text) => snippetOf(text).includes('iceServers'));
    const snippet = snippetOf(output);
    tap.comment(snippet);
    await tap.test('what --dev prints, pasted into an ordinary browser, gathers relay candidates', async () => {
      const heard = await paste(browser, snippet);
      return heard.some((line) => line.includes('typ relay'));
    });
    await tap.test('with another password it gathers none', async () => {
      const heard = await paste(browser, snippet.replace(/credential: "[^"]*"/, 'credential: "guess"'));
      return !heard.some((line) => line.includes('typ relay'));
    });
    if (hasPage) {
      await tap.test('two tabs of the page that it names are in a call by two clicks', async () => {
        const hands = await callInTabs(browser, output);
        tap.comment(`${hands} clicks`);
        return hands === 2;
      });
    }
  } finally {
    await browser.close();
    const { code, clean, left } = await daemon.stop('SIGINT');
    tap.comment(daemon.output);
    tap.report(code === 0 && clean, 'Ctrl-C ends it with exit code 0');
    tap.comment(`left: ${left}`);
    tap.report(left.length === 0, 'its store goes with it');
  }
  tap.finish();
}

main().catch((error) => {
  console.log(`Bail out! ${String(error.message).split('\n')[0]}`);
  tap.comment(error.stack);
  process.exit(1);
});
