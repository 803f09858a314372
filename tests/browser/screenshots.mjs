// SPDX-License-Identifier: BSD-2-Clause
// Takes the pictures of doc/page.md, to be looked at whenever the page has changed: `contrib/dev screenshots`, or
//     TURNPIKED=…/src/turnpiked node tests/browser/screenshots.mjs FOLDER [SCENE...]
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { film, LOOKS } from './lib/portrait.mjs';
import { bailOut, Site, STRANGER } from './lib/site.mjs';

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const FOUR = [WIDE, PHONE].flatMap((size) => [false, true].map((dark) => ({ ...size, dark })));
const TWO = [{ ...WIDE, dark: false }, { ...PHONE, dark: true }];
const PLOTTED_MS = 30000; // for plots with something on them
const PAINTED_MS = 400;
const COLOURS = 160;

let folder;
let chosen;

// looks: sizes and themes. What is behind the window's edge comes along with `whole`.
async function shoot(visitor, name, looks, { whole = false } = {}) {
  const { page } = visitor;
  for (const { dark, ...size } of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(0, 0);
    if (whole) {
      // A bar that stays at the window's lower edge would stand in the middle.
      const height = await page.evaluate(() => document.documentElement.scrollHeight);
      await page.setViewportSize({ width: size.width, height: Math.max(height, size.height) });
    }
    await page.waitForTimeout(PAINTED_MS);
    const file = path.join(folder, `${name}-${size.width}-${dark ? 'dark' : 'light'}.png`);
    await page.screenshot({ path: file, caret: 'hide' });
    // A palette is enough for a page, and a quarter of the bytes.
    const { error } = spawnSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', file, COLOURS, file]);
    if (error) console.log(`pngquant: ${error.message}`);
    console.log(file);
  }
}

// What most visitors' systems have is closer to Inter than to a plain Debian's DejaVu.
function writeFonts(home) {
  const names = ['system-ui', 'sans-serif', 'DejaVu Sans'];
  const rules = names.map((name) => `<match target="pattern"><test name="family"><string>${name}</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>`);
  mkdirSync(path.join(home, '.config/fontconfig'), { recursive: true });
  writeFileSync(path.join(home, '.config/fontconfig/fonts.conf'), `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>${rules.join('')}</fontconfig>\n`);
}

async function write(visitor, text, kind = 'string') {
  await visitor.page.getByLabel('Text', { exact: true }).fill(text);
  await visitor.page.getByLabel('sent as').selectOption(kind);
  await visitor.page.getByRole('button', { name: 'Send' }).click();
}

// Named, connected, and in no room.
async function standBy(site, name, browser) {
  const visitor = await site.visitor({ browser });
  await visitor.join('elsewhere', name, 'none');
  await visitor.page.getByRole('button', { name: 'Leave' }).click();
  await visitor.state('leaved');
  await visitor.page.getByLabel('Bring').selectOption('both');
  return visitor;
}

async function call(site, [ada, grace]) {
  const browser = ada.page.context().browser();
  await ada.join('garden', 'Ada');
  await ada.state('joined');
  await shoot(ada, 'waiting', TWO);
  await grace.join('garden', 'Grace');
  await Promise.all([ada.frames(), grace.frames()]);
  await write(grace, 'Can you see me?');
  await write(ada, 'I can, and your window.');
  await write(grace, 'as bytes', 'buffer');
  await ada.page.locator('#chat li').nth(2).waitFor();
  await ada.page.waitForTimeout(PLOTTED_MS);
  await shoot(ada, 'room', FOUR);
  await ada.go('inside');
  await ada.sees('#inside-lead', 'Connected with');
  await ada.page.waitForTimeout(1500);
  await shoot(ada, 'inside', FOUR, { whole: true });
  const third = await site.visitor({ browser });
  await third.join('garden', 'Alan', 'none');
  await third.notice('The room is full.');
  await shoot(third, 'full', TWO);
  await third.close();
  for (const visitor of [ada, grace]) {
    await visitor.go('room');
    await visitor.page.getByRole('button', { name: 'Leave' }).click();
    await visitor.state('leaved');
  }
}

async function people(site, [ada, grace]) {
  const others = [];
  for (const name of ['Alan', 'דנה לוי', 'Wilhelmina-Charlotte of the long corridor behind the east stairs']) {
    others.push(await standBy(site, name, grace.page.context().browser()));
  }
  await ada.go('people');
  await ada.sees('.person', 'Alan');
  await shoot(ada, 'people-list', TWO);
  await grace.go('people');
  await grace.page.locator('.person', { hasText: 'Ada' }).click();
  await ada.sees('#ringing-title', 'Grace calls');
  await grace.sees('#outgoing', 'it rings there');
  await shoot(ada, 'people', FOUR);
  await shoot(grace, 'calling', TWO);
  await ada.page.getByRole('button', { name: 'Refuse', exact: true }).click();
  await grace.notice('does not take the call');
  for (const other of others) await other.close();
}

async function network(site, [ada]) {
  await ada.go('network');
  await ada.page.getByRole('button', { name: 'Check' }).click();
  await ada.page.getByRole('button', { name: 'Check again' }).waitFor();
  await shoot(ada, 'network', FOUR, { whole: true });
}

async function firstVisit(site, [, browser]) {
  const visitor = await site.visitor({ browser });
  await visitor.connected();
  await shoot(visitor, 'first', TWO);
  await visitor.go('inside');
  await shoot(visitor, 'inside-empty', TWO);
  await visitor.close();
}

async function troubles(site, [browser]) {
  const taken = await standBy(site, 'Grace Hopper', browser);
  const visitor = await site.visitor({ browser });
  await visitor.join('garden', 'Grace Hopper');
  await visitor.sees('#name-error', 'That name is taken.');
  await shoot(visitor, 'name', TWO);
  await taken.close();
  await visitor.page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = async () => {
      throw new DOMException('Permission denied', 'NotAllowedError');
    };
  });
  await visitor.page.getByLabel('Your name').fill('Edsger');
  await visitor.page.getByRole('button', { name: 'Join the room' }).click();
  await visitor.notice('was not allowed');
  await shoot(visitor, 'denied', TWO);
  await visitor.page.getByRole('button', { name: 'Dismiss' }).click();
  await site.daemon.restart(async () => {
    await visitor.notice('The server is gone.');
    await shoot(visitor, 'gone', TWO);
  });
  await visitor.close();
  const insecure = await site.visitor({ host: STRANGER, browser });
  await insecure.notice('its address is not secure');
  await shoot(insecure, 'insecure', TWO);
  await insecure.close();
}

async function token([browser]) {
  const site = await Site.start({ settings: { 'signal.jwt_secrets': '[ "of no use to anybody else" ]' } });
  try {
    const visitor = await site.visitor({ browser });
    await visitor.page.getByLabel('Token').waitFor();
    await shoot(visitor, 'token', TWO);
  } finally {
    await site.close();
  }
}

// Larger than two.
async function four(browsers) {
  const site = await Site.start({ settings: { 'signal.capacity': 4 } });
  try {
    const visitors = [];
    for (const [i, name] of ['Ada', 'Grace', 'Alan'].entries()) {
      visitors.push(await site.visitor({ browser: browsers[i] ?? browsers[0] }));
      await visitors[i].join('garden', name);
    }
    await Promise.all(visitors.map((visitor) => visitor.frames()));
    await visitors[0].page.waitForTimeout(3000);
    await shoot(visitors[0], 'three', TWO, { whole: true });
  } finally {
    await site.close();
  }
}

async function main() {
  [folder, ...chosen] = process.argv.slice(2);
  if (!folder) throw new Error('which folder?');
  mkdirSync(folder, { recursive: true });
  const wanted = (scene) => !chosen.length || chosen.includes(scene.name);
  // Each of them has its own browser profile, and so its own connections.
  const site = await Site.start({ settings: { 'signal.address_connections': 200 } });
  const browsers = [];
  try {
    writeFonts(site.folder);
    folder = path.resolve(folder);
    process.chdir(site.folder); // the film's path is what the camera is called
    for (const [name, look] of Object.entries(LOOKS)) {
      film(path.join(site.folder, `${name}.y4m`), look);
      browsers.push(await site.withFilm(`${name}.y4m`));
    }
    const pair = [];
    for (const browser of browsers) pair.push(await site.visitor({ browser }));
    if (wanted(firstVisit)) await firstVisit(site, browsers);
    if (wanted(call)) await call(site, pair);
    else {
      for (const [i, name] of ['Ada', 'Grace'].entries()) {
        await pair[i].close();
        pair[i] = await standBy(site, name, browsers[i]);
      }
    }
    for (const scene of [people, network]) if (wanted(scene)) await scene(site, pair);
    for (const visitor of pair) await visitor.close();
    if (wanted(troubles)) await troubles(site, browsers);
    if (wanted(token)) await token(browsers);
    if (wanted(four)) await four(browsers);
  } finally {
    for (const browser of browsers) await browser.close();
    await site.close();
  }
}

main().catch(bailOut);
