// SPDX-License-Identifier: BSD-2-Clause
// What axe-core, a checker of accessibility, has to say of what a visitor sees now.
import { readFileSync } from 'node:fs';
import { load, moduleFile } from './modules.mjs';

export const hasAxe = () => load('axe-core') !== null;

// Throws when it finds anything.
export async function checkAccess({ page }, what) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(readFileSync(moduleFile('axe-core', 'axe.min.js'), 'utf8'));
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ target }) => target).join(', ')}`);
  });
  if (found.length) throw new Error(`${what}: ${found.join('\n')}`);
}
