// SPDX-License-Identifier: BSD-2-Clause
// Takes the pictures of doc/page, to be looked at whenever the page has changed:
//     TURNPIKED=…/src/turnpiked node tests/browser/screenshots.mjs FOLDER
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { bailOut, Site } from './lib/site.mjs';

const WIDTHS = [1280, 390];
const SETTLE_MS = 5000; // for plots with something on them

async function take(site, folder, width, dark) {
  const shoot = (visitor, name) => {
    const file = path.join(folder, `${name}-${width}-${dark ? 'dark' : 'light'}.png`);
    return visitor.page.screenshot({ path: file, caret: 'hide' });
  };
  const ada = await site.visitor({ width, dark });
  const grace = await site.visitor();
  await ada.join('garden', 'Ada');
  await ada.state('joined');
  await grace.join('garden', 'Grace');
  await ada.frames();
  await ada.page.waitForTimeout(SETTLE_MS);
  await shoot(ada, 'room');
  await ada.go('inside');
  await ada.sees('#inside-lead', 'Connected with');
  await ada.page.waitForTimeout(1500);
  await shoot(ada, 'inside');
  await ada.go('people');
  await ada.sees('.person', 'Grace');
  await shoot(ada, 'people');
  await ada.go('network');
  await ada.page.getByRole('button', { name: 'Check' }).click();
  await ada.page.getByRole('button', { name: 'Check again' }).waitFor();
  await shoot(ada, 'network');
  for (const visitor of [ada, grace]) {
    await visitor.go('room');
    await visitor.page.getByRole('button', { name: 'Leave' }).click();
    await visitor.state('leaved');
    await visitor.page.goto('about:blank'); // the names are free again
    await visitor.close();
  }
}

async function main() {
  const [folder] = process.argv.slice(2);
  if (!folder) throw new Error('which folder?');
  mkdirSync(folder, { recursive: true });
  const site = await Site.start();
  try {
    for (const width of WIDTHS) for (const dark of [false, true]) await take(site, folder, width, dark);
  } finally {
    await site.close();
  }
}

main().catch(bailOut);
