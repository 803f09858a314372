// SPDX-License-Identifier: BSD-2-Clause
// A place in a room, with the client states of the notes:
//
//   init ── join ──> joined ── the other comes, or its offer ──> joined_conn ── bye ──> joined_unbind ──> joined_conn …
//                                 from each of them: leave, or the room is full ──> leaved
//
// Events: `state`; `connection` when there is another one or none; `problem` (detail: words); `members`.
import * as words from '../lib/words.js';
import { keepTab } from '../link/memory.js';
import { Connection } from './connection.js';

export const STATES = [
  ['init', 'not in a room yet'],
  ['joined', 'in the room, nobody to talk to yet'],
  ['joined_conn', 'in the room, connecting or connected with the other'],
  ['joined_unbind', 'the other has left; ready for the next'],
  ['leaved', 'out of the room'],
];

export class Room extends EventTarget {
  state = 'init';
  name = null;
  id = null;
  capacity = 0;
  peer = null;
  connection = null;
  iceServers = [];
  iceUntil = 0;
  options = { policy: 'all', bundle: 'max-bundle', voiceActivityDetection: true, sendLimit: 0, receiveLimit: 0 };

  #signal;
  #media;
  #others = new Map();
  #holding = false;
  #rejoining = false;
  #joining = false;

  constructor(signal, media) {
    super();
    this.#signal = signal;
    this.#media = media;
    signal.addEventListener('message', ({ detail }) => this.#hear(detail));
    signal.addEventListener('fresh', () => this.#rejoin());
    media.addEventListener('track', ({ detail: { kind, track } }) => this.connection?.setTrack(kind, track));
  }

  get inside() {
    return this.state.startsWith('joined');
  }

  get count() {
    return this.#others.size + 1;
  }

  // kinds: of media to bring, opened before the server is asked: a connection without its media would have to be made twice.
  async join(name, kinds) {
    if (this.inside) await this.leave({ keepMedia: true });
    if (kinds.length) await this.#media.open(kinds);
    this.name = name;
    this.#holding = false;
    this.#joining = true;
    keepTab({ room: name, bring: kinds });
    const answer = await this.#signal
      .request({ type: 'join', room: name }, ['joined', 'full'])
      .catch((error) => {
        this.#forget();
        throw error;
      })
      .finally(() => (this.#joining = false));
    return answer.type === 'joined';
  }

  // Takes over what a reload left: the place is taken back by the client; without media this waits for proceed().
  restore(name, id, { hold }) {
    Object.assign(this, { name, id });
    this.#holding = hold;
  }

  proceed() {
    this.#holding = false;
    if (this.peer && !this.connection) this.#connect({ offering: true });
  }

  async leave({ keepMedia = false } = {}) {
    const { name } = this;
    if (!name) return;
    this.#out();
    if (!keepMedia) this.#media.close();
    await this.#signal.request({ type: 'leave', room: name }, ['leaved']).catch(() => {}); // gone is left too
  }

  // Takes effect in the call that is on; another way into it needs another connection.
  change(options) {
    const { policy } = this.options;
    this.options = { ...this.options, ...options };
    if (this.options.policy !== policy) this.rebuild();
    else this.connection?.change(this.#connectionOptions());
  }

  // Closes the connection and builds another one: the bundle policy cannot be changed on the old one.
  rebuild() {
    if (this.peer) this.#connect({ offering: true });
  }

  #hear(message) {
    // The server may write the name in its own way.
    if (this.#joining && (message.type === 'joined' || message.type === 'full')) this.name = message.room;
    const mine = message.room === this.name;
    if (message.type === 'joined' && mine) this.#joined(message);
    // Left while the server was not there, and taken back with the session.
    else if (message.type === 'joined') this.#signal.send({ type: 'leave', room: message.room });
    else if (message.type === 'full' && mine) this.#full(message);
    else if (message.type === 'leaved' && mine && this.inside) this.#kicked();
    else if (message.type === 'otherjoin' && mine && this.inside) this.#otherJoined(message);
    else if (message.type === 'bye' && mine) this.#bye(message);
    else if (message.type === 'message' && mine) this.#relayed(message);
    else if (message.type === 'ice') this.#ice(message);
  }

  #joined(message) {
    const { id, members = [], capacity } = message;
    const resumed = this.id === id;
    this.#others = new Map(members.filter((member) => member.id !== id).map((member) => [member.id, member]));
    Object.assign(this, { id, capacity });
    this.#ice(message);
    keepTab({ id });
    const other = this.#others.get(this.peer?.id) ?? [...this.#others.values()][0] ?? null;
    const same = resumed && this.peer?.id === other?.id && this.connection;
    if (!same) {
      this.#disconnect();
      this.peer = other;
      if (other && !this.#holding) this.#connect({ offering: resumed });
    }
    this.#become(this.peer && (same || resumed) ? 'joined_conn' : 'joined');
    this.#membersChanged();
  }

  #otherJoined({ id, name }) {
    this.#others.set(id, { id, name });
    // A room may be larger than two; this page talks with one at a time.
    const taken = this.peer && this.peer.id !== id && this.#others.has(this.peer.id);
    if (!taken) this.#meet({ id, name });
    this.#membersChanged();
  }

  #meet(peer) {
    this.peer = peer;
    if (!this.#holding) this.#connect({ offering: true });
    this.#become('joined_conn');
  }

  #bye({ id, reason }) {
    if (id === this.id) {
      this.#kicked();
      return;
    }
    this.#others.delete(id);
    if (this.peer?.id === id) {
      const { name } = this.peer;
      this.peer = null;
      this.#disconnect();
      this.#become('joined_unbind');
      this.dispatchEvent(new CustomEvent('gone', { detail: { name, reason } }));
    }
    this.#membersChanged();
  }

  async #relayed({ from, name, data }) {
    if (!this.inside || !this.#others.has(from)) return;
    if (this.peer && this.peer.id !== from) return;
    if (data !== null && typeof data !== 'object') return;
    this.peer ??= { id: from, name };
    if (this.#holding) return;
    if (!this.connection || this.connection.isOther(data ?? {})) this.#connect({ offering: false });
    if (data?.type === 'offer') this.#become('joined_conn');
    try {
      await this.connection.handle(data);
    } catch (error) {
      this.#problem({
        kind: 'error',
        title: 'What the other sent could not be used.',
        text: 'If this stays, both should reload.',
        detail: error.message,
      });
    }
  }

  #full({ room }) {
    this.#out();
    this.#media.close();
    this.#problem({ ...words.of('full'), detail: `(${room})` });
  }

  #kicked() {
    this.#out();
    this.#media.close();
    this.#problem({
      kind: 'warning',
      title: 'You were taken out of the room.',
      text: 'Join again if you think that this was a mistake.',
    });
  }

  #ice({ iceServers, ttl }) {
    if (!Array.isArray(iceServers)) return;
    this.iceServers = iceServers;
    this.iceUntil = Date.now() + (ttl ?? 0) * 1000;
    this.connection?.change(this.#connectionOptions());
    this.#membersChanged();
  }

  // The server is another one, or has given this place up: in again, if that is where we were.
  async #rejoin() {
    if (!this.name || this.#rejoining) return;
    this.#rejoining = true;
    this.#others.clear();
    this.id = null;
    await this.#signal.request({ type: 'join', room: this.name }, ['joined', 'full']).catch(() => {});
    this.#rejoining = false;
  }

  #connectionOptions() {
    return { ...this.options, iceServers: this.iceServers };
  }

  #connect({ offering }) {
    this.#disconnect();
    const { name: room, peer } = this;
    const to = this.capacity > 2 ? { to: peer.id } : {};
    const send = (data) => this.#signal.send({ type: 'message', room, ...to, data });
    // Both ends come to opposite answers, and to the same ones after a reload.
    const polite = this.id > peer.id;
    const connection = new Connection({
      stream: this.#media.stream,
      send,
      options: this.#connectionOptions(),
      offering,
      polite,
    });
    connection.addEventListener('failed', () => this.#problem(words.of('call_failed')));
    this.connection = connection;
    this.dispatchEvent(new Event('connection'));
  }

  #disconnect() {
    if (!this.connection) return;
    this.connection.close();
    this.connection = null;
    this.dispatchEvent(new Event('connection'));
  }

  #out() {
    this.#disconnect();
    this.#forget();
    this.#become('leaved');
  }

  #forget() {
    Object.assign(this, { name: null, id: null, peer: null });
    this.#others.clear();
    keepTab({ room: null, id: null });
    this.#membersChanged();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  #membersChanged() {
    this.dispatchEvent(new Event('members'));
  }

  #problem(detail) {
    this.dispatchEvent(new CustomEvent('problem', { detail }));
  }
}
