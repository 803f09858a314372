// SPDX-License-Identifier: BSD-2-Clause
// The page of src/web as its visitors have it: opened in a browser from a turnpiked of our own, and looked at.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findMissingTool, makeCertificates, trust } from './authority.mjs';
import { Daemon } from './daemon.mjs';
import { findChromium, load, missing } from './modules.mjs';
import * as tap from './tap.mjs';
import { until } from './until.mjs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
const MORE = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
const MEDIA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
const LOOPBACK = '--allow-loopback-in-peer-connection';
// A name that is not this machine's for the browser, and so no secure context.
export const STRANGER = 'elsewhere.test';
const RESOLVE = `--host-resolver-rules=MAP ${STRANGER} 127.0.0.1`;

export const PATIENCE_MS = Number(process.env.TP_PATIENCE_MS ?? 90000);

export class Visitor {
  constructor(page) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => tap.comment(`page: ${error.stack}`));
    // What the policy of the page forbids, above all.
    this.complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
  }

  go(view) {
    return this.page.locator(`nav a[href="#${view}"]`).click();
  }

  async connected() {
    await this.page.locator('#link', { hasText: /^Connected$/ }).waitFor();
  }

  async join(room, name, bring) {
    await this.connected();
    if (name) await this.page.getByLabel('Your name').fill(name);
    if (room) await this.page.getByRole('textbox', { name: 'Room' }).fill(room);
    if (bring) await this.page.getByLabel('Bring').selectOption(bring);
    await this.page.getByRole('button', { name: 'Join the room' }).click();
  }

  // Waits until this is the client state that is marked.
  state(name) {
    return this.page.locator(`#states [aria-current=step] code:text-is("${name}")`).waitFor();
  }

  notice(text) {
    return this.page.locator('.notice', { hasText: text }).waitFor();
  }

  // Waits until the other's video has shown so many frames more than now.
  async frames(more = 20) {
    const shown = () => document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames;
    const before = await this.page.evaluate(shown);
    await this.page.waitForFunction(
      ([from, count]) => {
        const now = document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames;
        return now >= count && (now < from || now >= from + count);
      },
      [before, more],
      { timeout: PATIENCE_MS },
    );
  }

  // Waits for a text in a part of the page.
  sees(selector, hasText) {
    return this.page.locator(selector, { hasText }).first().waitFor();
  }

  close() {
    return this.page.context().close();
  }
}

export class Site {
  // devices: with a camera and a microphone. shared: by HTTPS on the port of TURN over TLS, with an authority of our own.
  static async start({ devices = true, shared = false } = {}) {
    const playwright = load('playwright-core');
    if (!playwright) tap.skipAll(missing('playwright-core'));
    const executablePath = findChromium();
    if (!executablePath) tap.skipAll('no chromium in PATH (or set TP_CHROMIUM)');
    const lacking = shared && findMissingTool();
    if (lacking) tap.skipAll(`${lacking} is not installed`);
    const site = new Site();
    site.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-browser-'));
    process.on('exit', () => rmSync(site.folder, { recursive: true, force: true, maxRetries: 5 }));
    site.shared = shared;
    site.daemon = shared ? await Daemon.start({ makeCertificates, http: true }) : await Daemon.startDev({ realm: `"${STRANGER}"` }); // served by that name, too
    if (shared) trust(site.folder, site.daemon.certificates.authority);
    else await site.served();
    const env = { ...process.env, HOME: site.folder, TMPDIR: site.folder };
    const media = devices ? MEDIA : ['--use-fake-ui-for-media-stream'];
    const args = [...FLAGS, ...MORE, ...media, LOOPBACK, RESOLVE];
    site.browser = await playwright.chromium.launch({ executablePath, args, env, timeout: 60000 });
    return site;
  }

  get url() {
    return this.at('127.0.0.1');
  }

  at(host) {
    return this.shared ? `https://localhost:${this.daemon.port}/` : `http://${host}:${this.daemon.pagePort}/`;
  }

  served() {
    const answers = () => fetch(this.url).then(({ ok }) => ok, () => false);
    return until('the page is served', answers, Boolean);
  }

  // Somebody with a browser profile of their own. permissions: what was allowed before; init: runs in the page before its own scripts.
  async visitor({ hash = '', host = '127.0.0.1', dark = false, width = 1280, permissions = ['camera', 'microphone'], init } = {}) {
    const context = await this.browser.newContext({
      viewport: { width, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
      permissions: host === STRANGER ? [] : permissions,
    });
    const visitor = new Visitor(await context.newPage());
    if (init) await visitor.page.addInitScript(init);
    await visitor.page.goto(this.at(host) + hash);
    return visitor;
  }

  async close() {
    await this.browser?.close();
    const { code, clean } = await this.daemon.stop();
    tap.comment(this.daemon.output);
    rmSync(this.folder, { recursive: true, force: true });
    return code === 0 && clean;
  }
}

// Runs the tests of a script: tests is a list of [name, body(site)].
export async function run(tests, options) {
  const site = await Site.start(options);
  tap.plan(tests.length + 1);
  try {
    for (const [name, body] of tests) await tap.test(name, () => body(site));
  } finally {
    const ended = await site.close();
    tap.report(ended, 'the daemon ends by SIGTERM with exit code 0');
  }
  tap.finish();
}

export function bailOut(error) {
  console.log(`Bail out! ${String(error.message).split('\n')[0]}`);
  tap.comment(error.stack);
  process.exit(1);
}
