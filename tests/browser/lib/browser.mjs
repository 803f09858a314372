// SPDX-License-Identifier: BSD-2-Clause
// A headless Chromium with a fake camera, the page that it opens, and the carrier between two pages.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { trust } from './authority.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const FILES = {
  '/': ['page.html', 'text/html'],
  '/peer.js': ['peer.js', 'text/javascript'],
};
const FLAGS = [
  '--headless',
  // It opens our own page only, and neither root nor most containers can have its sandbox.
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream=fps=5', // few pictures a second, since they are encoded without hardware
  '--use-fake-ui-for-media-stream',
];
const PATIENCE_MS = 90000;
// Without it candidates are gathered on interfaces other than loopback only, of which a test machine may have none.
const LOOPBACK_FLAG = '--allow-loopback-in-peer-connection';

// A page needs a secure context for the camera: http on 127.0.0.1 is one.
async function serve() {
  const server = http.createServer((request, response) => {
    const [name, type] = FILES[request.url] ?? [];
    if (!name) return response.writeHead(404).end();
    return response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` }).end(readFileSync(path.join(here, name)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

export class Browser {
  // ordinary: as people have it, without the flag for loopback.
  // authority: a PEM file to be trusted.
  static async start(playwright, executablePath, { ordinary = false, authority } = {}) {
    const self = new Browser();
    self.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-browser-'));
    // Playwright ends the browser with us; this removes what it wrote.
    process.on('exit', () => rmSync(self.folder, { recursive: true, force: true, maxRetries: 5 }));
    self.server = await serve();
    // HOME and TMPDIR: the profile, caches and crash reports all go with our folder.
    const env = { ...process.env, HOME: self.folder, TMPDIR: self.folder };
    if (authority) trust(self.folder, authority);
    const args = ordinary ? FLAGS : [...FLAGS, LOOPBACK_FLAG];
    self.browser = await playwright.chromium.launch({ executablePath, args, env, timeout: 60000 });
    return self;
  }

  // A page of its own context. onSignal gets what the page has for the other end.
  async page(onSignal, onProblem) {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => onProblem(`page: ${error}`));
    page.on('console', (message) => onProblem(`console: ${message.text()}`));
    await page.exposeFunction('signal', onSignal);
    await page.goto(`http://127.0.0.1:${this.server.address().port}/`);
    return page;
  }

  async close() {
    await this.browser?.close();
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
