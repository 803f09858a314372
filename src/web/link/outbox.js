// SPDX-License-Identifier: BSD-2-Clause
// Messages to others that the server has not confirmed yet. A connection that breaks takes along what was on its way, and
// without one nothing goes at all; an offer or a candidate that is missing costs the call. So they are kept, in order, until the
// server says of each that it went out. There is an end to how many.

const MOST = 100; // half of what the server takes at once
const MOST_CHARACTERS = 256 * 1024;

export class Outbox {
  #kept = new Map(); // by id: the object, as it was or is to be sent
  #characters = 0;
  #next = 1;

  // The object with an id to confirm it by, or null when no more are kept.
  add(object) {
    const { length } = JSON.stringify(object);
    if (this.#kept.size >= MOST || this.#characters + length > MOST_CHARACTERS) return null;
    const kept = { ...object, id: `m${this.#next++}` };
    this.#kept.set(kept.id, { kept, length });
    this.#characters += length;
    return kept;
  }

  // The server has answered: it went out, or never will.
  settle(id) {
    const entry = this.#kept.get(id);
    if (!entry) return;
    this.#kept.delete(id);
    this.#characters -= entry.length;
  }

  get all() {
    return [...this.#kept.values()].map(({ kept }) => kept);
  }

  // Gives them all up; how many there were.
  clear() {
    const { size } = this.#kept;
    this.#kept.clear();
    this.#characters = 0;
    return size;
  }
}
