// SPDX-License-Identifier: BSD-2-Clause
// `turnpiked --dev` as a newcomer meets it: what it prints for the console of a browser is pasted into one.
import os from 'node:os';
import { Browser } from './lib/browser.mjs';
import { Daemon } from './lib/daemon.mjs';
import { findChromium, load, missing } from './lib/modules.mjs';
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

async function main() {
  const playwright = load('playwright-core');
  if (!playwright) tap.skipAll(missing('playwright-core'));
  const chromium = findChromium();
  if (!chromium) tap.skipAll('no chromium in PATH (or set TP_CHROMIUM)');

  tap.plan(4);
  const daemon = await Daemon.startDev();
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
