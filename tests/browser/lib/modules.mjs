// SPDX-License-Identifier: BSD-2-Clause
// Finds what the tests need and the build does not: npm modules and a Chromium. Out-of-tree builds have their modules in
// the source folder or where TP_NODE_MODULES says.
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));

function moduleFolders() {
  const source = process.env.TP_SRCDIR ?? path.join(here, '../../..');
  const folders = [path.join(source, 'tests/browser/node_modules')];
  if (process.env.TP_NODE_MODULES) folders.unshift(process.env.TP_NODE_MODULES);
  return folders.map((folder) => path.resolve(folder));
}

// The module, or null when it is not installed. One that is installed and does not load is an error.
export function load(name) {
  for (const folder of moduleFolders()) {
    if (existsSync(path.join(folder, name))) {
      return createRequire(path.join(folder, 'resolve.cjs'))(path.join(folder, name));
    }
  }
  return null;
}

// A file of a module that is installed.
export function moduleFile(name, file) {
  return path.join(moduleFolders().find((folder) => existsSync(path.join(folder, name))), name, file);
}

export const missing = (name) =>
  `the module ${name} is not installed (npm ci in tests/browser, or set TP_NODE_MODULES)`;

export function findChromium() {
  if (process.env.TP_CHROMIUM) return process.env.TP_CHROMIUM;
  for (const folder of (process.env.PATH ?? '').split(':')) {
    for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
      const file = path.join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not here
      }
    }
  }
  return null;
}
