// SPDX-License-Identifier: BSD-2-Clause
// The page of src/web as its visitors have it: opened in a browser from a turnpiked of our own, and looked at.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { findMissingTool, makeCertificates, trust } from './authority.mjs';
import { Daemon } from './daemon.mjs';
import { findChromium, load, missing } from './modules.mjs';
import * as tap from './tap.mjs';
import { until } from './until.mjs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
const MORE = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
const DEVICES = '--use-fake-device-for-media-stream';
const FAKE_UI = '--use-fake-ui-for-media-stream';
const LOOPBACK = '--allow-loopback-in-peer-connection';
// A name that is not this machine's for the browser, and so no secure context.
export const STRANGER = 'elsewhere.test';
const RESOLVE = `--host-resolver-rules=MAP ${STRANGER} 127.0.0.1`;

export const PATIENCE_MS = Number(process.env.TP_PATIENCE_MS ?? 90000);

class Visitor {
  constructor(page) {
    this.page = page;
    page.context().setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => tap.comment(`page: ${error.stack || error}`));
    // What the policy of the page forbids, above all.
    this.complaints = [];
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
    this.sockets = [];
    page.on('websocket', (socket) => this.sockets.push(socket.url()));
  }

  button(name) {
    return this.page.getByRole('button', { name, exact: true });
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
  async frames(more = 6) {
    const shown = () => document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames;
    const before = await this.page.evaluate(shown);
    const seen = this.page.waitForFunction(
      ([from, count]) => {
        const now = document.getElementById('remote-video').getVideoPlaybackQuality().totalVideoFrames;
        return now >= count && (now < from || now >= from + count);
      },
      [before, more],
      { timeout: PATIENCE_MS, polling: 200 }, // not by the frames of the page, which a busy machine leaves out
    );
    await seen.catch(async (error) => {
      throw new Error(`${error.message}\n${before} frames at first; ${await this.page.evaluate(() => {
        const video = document.getElementById('remote-video');
        const tracks = video.srcObject?.getTracks().map(({ kind, readyState, muted }) => `${kind} ${readyState}${muted ? ' muted' : ''}`);
        return `${video.getVideoPlaybackQuality().totalVideoFrames} now, ready ${video.readyState}, ${tracks}, ${document.body.innerText}`;
      })}`);
    });
  }

  async leave() {
    await this.go('room');
    await this.button('Leave').click();
    await this.state('leaved');
  }

  // Unfolds "Devices and quality".
  async settings() {
    await this.go('room');
    const details = this.page.locator('#settings');
    if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  }

  // The messages that are shown, such as "↑offer" for one that this page sent.
  messages() {
    return this.page.locator('#log li').evaluateAll((items) =>
      items.map((item) => item.querySelector('.way').textContent + item.querySelector('code').textContent));
  }

  // Waits until so many of these were shown.
  async said(message, count = 1) {
    const { length } = await until(message, () => this.messages(), (all) => all.filter((one) => one === message).length >= count);
    return length;
  }

  // The description of this end ('This end') or of the other ('The other'), as it stands under "Inside the call".
  async sdp(whose) {
    const text = await this.page.locator('#inside-sdp pre').evaluateAll((all, title) =>
      all.find((pre) => pre.getAttribute('aria-label').startsWith(title))?.textContent, whose);
    return text ?? '';
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
  // devices: with how many cameras, and microphones. ask: false when everything is granted without a question, as the tests
  // want it. secure: by HTTPS, with an authority of our own; shared: on the port of TURN over TLS. settings: of the daemon,
  // as { KEY: VALUE }. authority: a PEM file to be trusted, too. fps: pictures a second of the cameras; they are encoded and shown
  // without hardware, so that more leave little time for everything else.
  static async start({ devices = 1, ask = false, shared = false, secure = shared, settings = {}, authority, fps = 5 } = {}) {
    const playwright = load('playwright-core');
    if (!playwright) tap.skipAll(missing('playwright-core'));
    const executablePath = findChromium();
    if (!executablePath) tap.skipAll('no chromium in PATH (or set TP_CHROMIUM)');
    const lacking = secure && findMissingTool();
    if (lacking) tap.skipAll(`${lacking} is not installed`);
    const site = new Site();
    site.others = [];
    site.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-browser-'));
    process.on('exit', () => rmSync(site.folder, { recursive: true, force: true, maxRetries: 5 }));
    site.shared = shared;
    site.daemon = shared ? await Daemon.start({ makeCertificates, http: true })
      // Served by that name, too.
      : await Daemon.startDev({ realm: `"${STRANGER}"`, ...settings }, { makeCertificates: secure ? makeCertificates : undefined });
    const trusted = authority ?? site.daemon.certificates?.authority;
    if (trusted) trust(site.folder, trusted);
    if (!shared) await site.served();
    const env = { ...process.env, HOME: site.folder, TMPDIR: site.folder };
    const media = [...(devices ? [`${DEVICES}=device-count=${devices},fps=${fps}`] : []), ...(ask ? [] : [FAKE_UI])];
    site.launch = (...more) => {
      const args = [...FLAGS, ...MORE, ...media, LOOPBACK, RESOLVE, ...more];
      return playwright.chromium.launch({ executablePath, args, env, timeout: 60000 });
    };
    site.browser = await site.launch();
    return site;
  }

  // Another browser, whose camera shows this film (Y4M).
  withFilm(file) {
    return this.launch(`--use-file-for-fake-video-capture=${file}`);
  }

  get secure() {
    return Boolean(this.daemon.certificates);
  }

  at(host) {
    return `${this.secure ? 'https' : 'http'}://${host}:${this.shared ? this.daemon.port : this.daemon.pagePort}/`;
  }

  get url() {
    return this.at(this.secure ? 'localhost' : '127.0.0.1');
  }

  served() {
    // The daemon listens on 127.0.0.1 alone, and for older Node localhost is ::1 first.
    const family = 4;
    const [client, options] = this.secure ? [https, { ca: readFileSync(this.daemon.certificates.authority), family }] : [http, {}];
    const answers = () => new Promise((resolve) => {
      client.get(this.url, { ...options, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      }).on('error', () => resolve(false));
    });
    return until('the page is served', answers, Boolean);
  }

  // Somebody with a browser profile of their own. permissions: what was allowed before. url: another way to the page.
  // init: runs in the page before its own scripts; prepare(page) before it is opened. browser: another than the site's.
  async visitor({
    hash = '', host, url, dark = false, width = 1280, permissions = ['camera', 'microphone'], init, prepare,
    browser = this.browser,
  } = {}) {
    const context = await browser.newContext({
      viewport: { width, height: 800 },
      colorScheme: dark ? 'dark' : 'light',
      permissions: host === STRANGER ? [] : permissions,
    });
    const visitor = new Visitor(await context.newPage());
    if (init) await visitor.page.addInitScript(init);
    await prepare?.(visitor.page);
    await visitor.page.goto(`${url ?? (host ? this.at(host) : this.url)}${hash}`);
    return visitor;
  }

  // Has `other` closed with the site.
  with(other) {
    this.others.push(other);
    return other;
  }

  async close() {
    await this.browser?.close();
    for (const other of this.others) other.close();
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
