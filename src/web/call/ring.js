// SPDX-License-Identifier: BSD-2-Clause
// Calling somebody by name: a room with a name that nobody guesses, and four messages from user to user about it: `call`,
// then `call-accept`, `call-refuse` or `call-cancel`. The called page acknowledges the first, so that the caller knows that
// it rings.
//
// Events: `change` when incoming or outgoing change; `problem` (detail: words).
import { isolate, randomWord } from '../lib/format.js';
import { ofEntry } from '../lib/words.js';

const PATIENCE_MS = 45000;

export class Ring extends EventTarget {
  incoming = null; // { name, room }
  outgoing = null; // { name, room, rings }

  #signal;
  #room;
  #timer = null;

  constructor(signal, room) {
    super();
    this.#signal = signal;
    this.#room = room;
    signal.addEventListener('message', ({ detail }) => this.#hear(detail));
    room.addEventListener('members', () => this.outgoing && room.has(this.outgoing.name) && this.#end());
  }

  // kinds: of media to bring.
  async call(name, kinds) {
    if (this.outgoing) await this.cancel();
    const room = `call-${randomWord(20)}`;
    this.outgoing = { name, room, rings: false };
    this.#changed();
    try {
      if (!(await this.#room.join(room, kinds))) {
        this.#end();
        return;
      }
      if (this.outgoing?.room !== room) return; // cancelled meanwhile
      this.#timer = setTimeout(() => this.#giveUp(name), PATIENCE_MS);
      const answer = await this.#signal.request({ type: 'message', to: name, data: { type: 'call', room }, ack: true });
      if (answer.ok === false) throw answer;
      if (this.outgoing?.room === room) this.outgoing.rings = true;
      this.#changed();
    } catch (error) {
      if (this.outgoing?.room === room)
        await this.#stop(ofEntry(error));
    }
  }

  async cancel() {
    const { outgoing } = this;
    if (!outgoing) return;
    this.#tell(outgoing.name, 'call-cancel', outgoing.room);
    await this.#stop();
  }

  // Resolves when in the room.
  async accept(kinds) {
    const { name, room } = this.incoming;
    this.incoming = null;
    this.#changed();
    try {
      await this.#room.join(room, kinds);
      this.#tell(name, 'call-accept', room);
    } catch (error) {
      this.#tell(name, 'call-refuse', room);
      this.#problem(ofEntry(error));
    }
  }

  refuse() {
    const { name, room } = this.incoming;
    this.#tell(name, 'call-refuse', room);
    this.incoming = null;
    this.#changed();
  }

  #hear(message) {
    const { type, from, name, data, id } = message;
    if (type === 'userdel') this.#userGone(message.name);
    if (type !== 'message' || message.room || typeof data?.room !== 'string' || typeof name !== 'string') return;
    const mine = this.outgoing?.name === name && this.outgoing.room === data.room;
    const theirs = this.incoming?.name === name && this.incoming.room === data.room;
    if (data.type === 'call') this.#rung(from, name, data.room, id);
    else if (data.type === 'call-accept' && mine) this.#end();
    else if (data.type === 'call-refuse' && mine) {
      this.#stop({
        kind: 'warning',
        title: `${isolate(name)} does not take the call.`,
        text: 'Write first, or try again later.',
      });
    } else if (data.type === 'call-cancel' && theirs) {
      this.incoming = null;
      this.#changed();
      this.#problem({ kind: 'info', title: `${isolate(name)} called.`, text: 'Call back from the list of people.' });
    }
  }

  #rung(from, name, room, id) {
    // One at a time: to the second caller this end does not answer.
    if (this.incoming) {
      this.#tell(name, 'call-refuse', room);
      return;
    }
    if (id !== undefined) this.#signal.send({ type: 'ack', to: from, id, args: ['rings'] });
    this.incoming = { name, room };
    this.#changed();
  }

  #userGone(name) {
    if (this.incoming?.name === name) {
      this.incoming = null;
      this.#changed();
    }
    if (this.outgoing?.name === name)
      this.#stop({
        kind: 'warning',
        title: `${isolate(name)} is no longer connected.`,
        text: 'Choose somebody else from the list.',
      });
  }

  async #giveUp(name) {
    await this.cancel();
    this.#problem({ kind: 'warning', title: `${isolate(name)} does not answer.`, text: 'Try again later.' });
  }

  async #stop(problem) {
    this.#end();
    await this.#room.leave();
    if (problem) this.#problem(problem);
  }

  #end() {
    clearTimeout(this.#timer);
    this.outgoing = null;
    this.#changed();
  }

  #tell(to, type, room) {
    this.#signal.send({ type: 'message', to, data: { type, room } });
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  #problem(detail) {
    this.dispatchEvent(new CustomEvent('problem', { detail }));
  }
}
