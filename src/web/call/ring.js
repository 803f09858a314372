// SPDX-License-Identifier: BSD-2-Clause
// Calling somebody by name: a room with a name that nobody guesses, and four messages from user to user about it: `call`,
// then `call-accept`, `call-refuse` or `call-cancel`. The called page acknowledges the first, so that the caller knows that
// it rings. A room that is named in another way than that is not gone to, and who accepts stays only with the caller alone
// in it: nobody is led among others by a name that they know.
//
// Events: `change` when incoming or outgoing change; `problem` (detail: words).
import { isolate, randomWord } from '../lib/format.js';
import { ofEntry } from '../lib/words.js';

const PATIENCE_MS = 45000;
const FORGOTTEN_MS = 60000; // by a caller who is gone without a word
const PREFIX = 'call-';
const LENGTH = 20;
const ROOM = new RegExp(`^${PREFIX}[a-z2-9]{${LENGTH}}$`);

const called = (name) => ({
  kind: 'info',
  title: `${isolate(name)} called.`,
  text: 'Call back from the list of people.',
});

const notAlone = (name) => ({
  kind: 'warning',
  title: `${isolate(name)} is not alone in the call.`,
  text: 'You have left it again. Ask who else is there, or call back yourself.',
});

export class Ring extends EventTarget {
  incoming = null; // { name, room }
  outgoing = null; // { name, room, rings, inside }

  #signal;
  #room;
  #timer = null;
  #incomingTimer = null;
  #blocked = new Set();

  constructor(signal, room) {
    super();
    this.#signal = signal;
    this.#room = room;
    signal.addEventListener('message', ({ detail }) => this.#hear(detail));
    room.addEventListener('members', () => this.#follow());
  }

  // kinds: of media to bring.
  async call(name, kinds) {
    if (this.outgoing) await this.cancel();
    const room = PREFIX + randomWord(LENGTH);
    this.outgoing = { name, room, rings: false, inside: false };
    this.#changed();
    try {
      const inside = await this.#room.join(room, kinds);
      if (this.outgoing?.room !== room) {
        await this.#leave(room); // cancelled meanwhile
        return;
      }
      if (!inside) {
        this.#end();
        return;
      }
      this.outgoing.inside = true;
      this.#timer = setTimeout(() => this.#giveUp(name), PATIENCE_MS);
      const answer = await this.#signal.request({ type: 'message', to: name, data: { type: 'call', room }, ack: true });
      if (answer.ok === false) throw answer;
      if (this.outgoing?.room === room) this.outgoing.rings = true;
      this.#changed();
    } catch (error) {
      if (this.outgoing?.room === room) await this.#stop(ofEntry(error));
    }
  }

  async cancel(problem) {
    const { outgoing } = this;
    if (!outgoing) return;
    this.#tell(outgoing.name, 'call-cancel', outgoing.room);
    await this.#stop(problem);
  }

  // Resolves when in the room.
  async accept(kinds) {
    const { name, room } = this.incoming;
    this.#endIncoming();
    this.#withdraw(); // who calls and is called takes the call that is there
    try {
      const inside = await this.#room.join(room, kinds);
      const others = this.#room.others.map((other) => other.name);
      if (inside && others.length === 1 && others[0] === name) {
        this.#tell(name, 'call-accept', room);
        return;
      }
      await this.#leave(room);
      this.#tell(name, 'call-refuse', room);
      if (inside) this.#problem(others.length ? notAlone(name) : called(name));
    } catch (error) {
      this.#tell(name, 'call-refuse', room);
      this.#problem(ofEntry(error));
    }
  }

  // always: further calls of that name do not ring here, until allow() or until the page is loaded anew. By name, since whoever
  // is refused has another id as soon as they load their page again.
  refuse({ always = false } = {}) {
    const { name, room } = this.incoming;
    if (always) this.#blocked.add(name);
    this.#tell(name, 'call-refuse', room);
    this.#endIncoming();
  }

  allow(name) {
    this.#blocked.delete(name);
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
      this.#missed();
    }
  }

  #rung(from, name, room, id) {
    // One at a time: to the second caller this end does not answer.
    if (this.incoming || this.#blocked.has(name) || !ROOM.test(room)) {
      this.#tell(name, 'call-refuse', room);
      return;
    }
    if (id !== undefined) this.#signal.send({ type: 'ack', to: from, id, args: ['rings'] });
    this.incoming = { name, room };
    this.#incomingTimer = setTimeout(() => this.#missed(), FORGOTTEN_MS);
    this.#changed();
  }

  #missed() {
    const { name } = this.incoming;
    this.#endIncoming();
    this.#problem(called(name));
  }

  #endIncoming() {
    clearTimeout(this.#incomingTimer);
    this.incoming = null;
    this.#changed();
  }

  // The other has come; or this end has left the room where it rings for them.
  #follow() {
    if (!this.outgoing?.inside) return;
    if (this.#room.has(this.outgoing.name)) this.#end();
    else if (this.#room.name !== this.outgoing.room) this.#withdraw();
  }

  // The call that goes out is over; wherever this end is now, it stays.
  #withdraw() {
    if (!this.outgoing) return;
    const { name, room } = this.outgoing;
    this.#end();
    this.#tell(name, 'call-cancel', room);
  }

  #userGone(name) {
    if (this.incoming?.name === name) this.#missed();
    if (this.outgoing?.name === name)
      this.#stop({
        kind: 'warning',
        title: `${isolate(name)} is no longer connected.`,
        text: 'Choose somebody else from the list.',
      });
  }

  #giveUp(name) {
    return this.cancel({ kind: 'warning', title: `${isolate(name)} does not answer.`, text: 'Try again later.' });
  }

  async #stop(problem) {
    const { room } = this.outgoing;
    this.#end();
    if (problem) this.#problem(problem); // not behind the server's answer, when another call may be on
    await this.#leave(room);
  }

  // Out of the room of a call, and of no other that one has gone to meanwhile.
  async #leave(room) {
    if (this.#room.name === room) await this.#room.leave();
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
