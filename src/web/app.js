// SPDX-License-Identifier: BSD-2-Clause
// What the views share.
import { Media } from './call/media.js';
import { Ring } from './call/ring.js';
import { Room } from './call/room.js';
import { Sampler } from './call/stats.js';
import { $ } from './lib/dom.js';
import { notify } from './lib/notices.js';
import { SignalClient } from './link/client.js';

// Events: `sampler` when another one is in front or came; `refused` (detail: words) when the server does not let in.
export class App extends EventTarget {
  media = new Media();
  signal = new SignalClient();
  room = new Room(this.signal, this.media);
  ring = new Ring(this.signal, this.room);
  nameTyped = false;

  #samplers = new Map();

  constructor() {
    super();
    this.room.addEventListener('connection', () => this.#sample());
    for (const [key, source] of [
      ['ring', this.ring],
      ['device', this.media],
      ['room', this.room],
    ])
      source.addEventListener('problem', ({ detail }) => notify(key, detail));
  }

  // What to bring into a room, as chosen in its form.
  get bring() {
    return { both: ['audio', 'video'], audio: ['audio'], none: [] }[$('bring').value];
  }

  // That of whoever is in front.
  get sampler() {
    return this.#samplers.get(this.room.connection) ?? null;
  }

  // One for each connection, whoever is in front now: what was measured stays when another one is looked at.
  #sample() {
    const { connections } = this.room;
    for (const [connection, sampler] of this.#samplers) {
      if (connections.includes(connection)) continue;
      sampler.stop();
      this.#samplers.delete(connection);
    }
    for (const connection of connections) {
      if (!this.#samplers.has(connection)) this.#samplers.set(connection, new Sampler(connection.pc));
    }
    this.dispatchEvent(new Event('sampler'));
  }
}
