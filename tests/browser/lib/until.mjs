// SPDX-License-Identifier: BSD-2-Clause
import { setTimeout as sleep } from 'node:timers/promises';

// Asks `probe` until `good` likes the answer, which is returned; the last answer goes into the error.
export async function until(what, probe, good, limitMs = 90000) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const seen = await probe();
    if (good(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms; last seen ${JSON.stringify(seen)}`);
    await sleep(100);
  }
}
