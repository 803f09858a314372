// SPDX-License-Identifier: BSD-2-Clause
// What a reload must not lose: who this tab is and where. Kept for the tab alone, and for the name that was typed, for
// the next visit.

const TAB = 'turnpike.tab';
const NAME = 'turnpike.name';
const LOCK_MS = 1000;
const LEAVING_MS = 10000;

function read(storage, key) {
  try {
    return JSON.parse(storage().getItem(key));
  } catch {
    return null; // forbidden, or written by somebody else
  }
}

function write(storage, key, value) {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
  } catch {
    // forbidden: a reload begins anew
  }
}

const tab = () => sessionStorage;
const browser = () => localStorage;

// { name, token, room, resume, id, owner, left }
export const recallTab = () => {
  const kept = read(tab, TAB);
  return kept && typeof kept === 'object' ? kept : {};
};
export const keepTab = (change) => write(tab, TAB, { ...recallTab(), ...change });

export const recallName = () => {
  const name = read(browser, NAME);
  return typeof name === 'string' ? name : '';
};
export const keepName = (name) => write(browser, NAME, name);

// A duplicated tab has a copy of all that. Only one page at a time is the owner; the other begins anew.
export async function claimTab() {
  addEventListener('pagehide', () => keepTab({ left: true }));
  addEventListener('pageshow', ({ persisted }) => persisted && keepTab({ left: false }));
  await claim();
}

async function claim() {
  const { owner = crypto.getRandomValues(new Uint32Array(2)).join('-'), left = false } = recallTab();
  keepTab({ owner, left: false });
  if (!navigator.locks) return;
  const alone = await new Promise((resolve) => {
    // A page that was here before and said that it goes lets go soon, but a busy browser may take its time over that.
    const late = AbortSignal.timeout(left ? LEAVING_MS : LOCK_MS);
    // Held as long as this page lives: a promise that never settles.
    navigator.locks
      .request(`turnpike ${owner}`, { signal: late }, () => {
        resolve(true);
        return new Promise(() => {});
      })
      .catch(() => resolve(false));
  });
  if (alone) return;
  write(tab, TAB, null);
  await claim();
}
