// SPDX-License-Identifier: BSD-2-Clause
// The client of doc/signaling.md, as it stands there: two pages call each other through turnpiked, a third one is told
// that the room is full, and takes the place of one that leaves.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';

const FRAMES = 6;

function client() {
  const text = readFileSync(path.join(process.env.TP_SRCDIR, 'doc', 'signaling.md'), 'utf8');
  return /```js\n(function call[^]*?)```/.exec(text)[1];
}

async function caller(site, name) {
  const visitor = await site.visitor();
  await visitor.page.evaluate(`(() => { ${client()} window.call = call; })()`);
  await visitor.page.evaluate(async (who) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
    document.body.append(video);
    window.look = () => ({ told, left, frames: video.getVideoPlaybackQuality().totalVideoFrames });
    window.told = [];
    window.left = 0;
    const show = (remote) => {
      window.left += remote === null;
      video.srcObject = remote;
    };
    window.join = () => {
      window.socket = window.call({ room: 'documented', name: who, stream, show, tell: (text) => told.push(text) });
    };
    window.join();
  }, name);
  return visitor;
}

const look = ({ page }) => page.evaluate(() => window.look());
const frames = (who, name) => until(`frames at ${name}`, () => look(who), (seen) => seen.frames >= FRAMES);

const pages = {};

const tests = [
  ['the client has 30 lines', () => client().trimEnd().split('\n').length <= 30],
  ['two pages see each other', async (site) => {
    pages.ann = await caller(site, 'ann');
    pages.bob = await caller(site, 'bob <b>');
    await frames(pages.ann, 'ann');
    await frames(pages.bob, 'bob');
  }],
  ['a third one is told that the room is full', async (site) => {
    pages.cem = await caller(site, 'cem');
    await until('full', () => look(pages.cem), (seen) => seen.told.includes('full'));
  }],
  ['whoever stays hears of the one who leaves', async () => {
    await pages.ann.page.evaluate(() => window.socket.close(1000));
    await until('bye', () => look(pages.bob), (seen) => seen.left === 1);
  }],
  ['and is ready for the next', async () => {
    await pages.cem.page.evaluate(() => {
      window.socket.onclose = () => window.join();
      window.socket.close(1000);
    });
    await frames(pages.cem, 'cem');
  }],
];

run(tests).catch(bailOut);
