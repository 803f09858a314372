// SPDX-License-Identifier: BSD-2-Clause
// Two browser pages whose only way to each other is turnpiked: video both ways, 1 MiB over a data channel both ways,
// by UDP, TCP and TLS (with an authority of our own) to the relay; and a page with a wrong password.
import { findMissingTool, makeCertificates } from './lib/authority.mjs';
import { Browser } from './lib/browser.mjs';
import { Daemon } from './lib/daemon.mjs';
import { findChromium, load, missing } from './lib/modules.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';

const FRAMES = 10;

async function connect(browser, iceServer) {
  const pages = [];
  const carry = (to) => (message) => pages[to].evaluate((m) => handle(m), message);
  pages.push(await browser.page(carry(1), tap.comment));
  pages.push(await browser.page(carry(0), tap.comment));
  for (const page of pages) await page.evaluate((server) => open(server), iceServer);
  await pages[0].evaluate(() => offer());
  return pages;
}

function callTests(transport, [a, b]) {
  const ends = [['a', a, b], ['b', b, a]];
  const look = (page) => page.evaluate(() => look());
  const connected = async () => {
    for (const [name, page] of ends) {
      await until(`${name} connected`, () => look(page), (s) => s.connection === 'connected' && s.channel === 'open');
    }
  };
  const tests = [[`${transport}: both pages are connected`, connected]];
  for (const [name, page, other] of ends) {
    const frames = () => until('frames', () => look(other), (s) => s.decoded >= FRAMES && s.presented >= FRAMES);
    const payload = async () => {
      const sent = await page.evaluate(() => sendPayload());
      const { received } = await until('1 MiB', () => look(other), (s) => s.received !== null);
      tap.comment(`sent ${sent}\nreceived ${received}`);
      return received === sent;
    };
    const chosen = async () => {
      const { pair } = await look(page);
      tap.comment(JSON.stringify(pair));
      return pair?.local === 'relay' && pair.remote === 'relay' && pair.relayProtocol === transport;
    };
    tests.push(
      [`${transport}: ${FRAMES} frames of ${name}'s camera are decoded and presented`, frames],
      [`${transport}: 1 MiB from ${name} arrives with the same SHA-256`, payload],
      [`${transport}: ${name}'s chosen pair is relay/relay by ${transport}`, chosen],
    );
  }
  return tests;
}

async function call(browser, daemon, transport) {
  const pages = await connect(browser, daemon.iceServer(transport));
  const passed = await tap.chain(callTests(transport, pages));
  tap.cell(passed, 'Chromium', 'video and data channel, both ends relayed', transport);
  for (const page of pages) {
    await page.evaluate(() => close());
    await page.context().close();
  }
}
const CALL_TESTS = 7;

async function refused(browser, daemon, transport) {
  const page = await browser.page(() => {}, tap.comment);
  const seen = await page.evaluate((server) => gather(server), daemon.iceServer(transport, 'wrong'));
  tap.comment(JSON.stringify(seen));
  await page.context().close();
  return seen.candidates.length === 0 && seen.errors.some(({ errorCode }) => errorCode === 401);
}

async function main() {
  const playwright = load('playwright-core');
  if (!playwright) tap.skipAll(missing('playwright-core'));
  const chromium = findChromium();
  if (!chromium) tap.skipAll('no chromium in PATH (or set TP_CHROMIUM)');

  const lacking = findMissingTool();
  if (lacking) tap.comment(`${lacking} is not installed: nothing is tried over TLS`);
  const transports = lacking ? ['udp', 'tcp'] : ['udp', 'tcp', 'tls'];
  tap.plan(transports.length * (CALL_TESTS + 1) + 1);
  const daemon = await Daemon.start(lacking ? {} : { makeCertificates });
  const browser = await Browser.start(playwright, chromium, { authority: daemon.certificates?.authority });
  tap.comment(`Chromium ${browser.browser.version()}`);
  try {
    for (const transport of transports) {
      await call(browser, daemon, transport);
      await tap.test(`${transport}: a wrong password gets 401 and no candidate`, () =>
        refused(browser, daemon, transport));
    }
  } finally {
    await browser.close();
    const { code, signal, clean } = await daemon.stop();
    tap.report(code === 0 && clean, 'the daemon ends by SIGTERM with exit code 0');
    tap.comment(`exit code ${code}, signal ${signal}\n${daemon.output}`);
  }
  tap.finish();
}

main().catch((error) => {
  console.log(`Bail out! ${String(error.message).split('\n')[0]}`);
  tap.comment(error.stack);
  process.exit(1);
});
