// SPDX-License-Identifier: BSD-2-Clause
// What a reload must not lose: who this tab is and where. Kept for the tab alone, and for the name that was typed, for
// the next visit.

const TAB = 'turnpike.tab';
const NAME = 'turnpike.name';
const LOCK_MS = 5000; // a busy machine takes its time to end the page that was

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

// { name, token, room, resume, id, owner }
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
  const { owner = crypto.getRandomValues(new Uint32Array(2)).join('-') } = recallTab();
  keepTab({ owner });
  if (!navigator.locks) return;
  const alone = await new Promise((resolve) => {
    const late = AbortSignal.timeout(LOCK_MS);
    // Held as long as this page lives: a promise that never settles. A page that is being reloaded lets go in a moment.
    navigator.locks
      .request(`turnpike ${owner}`, { signal: late }, () => {
        resolve(true);
        return new Promise(() => {});
      })
      .catch(() => resolve(false));
  });
  if (alone) return;
  write(tab, TAB, null);
  await claimTab();
}
