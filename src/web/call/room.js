// SPDX-License-Identifier: BSD-2-Clause
// A place in a room, with the client states of the notes:
//
//   init ── join ──> joined ── the other comes, or its offer ──> joined_conn ── bye ──> joined_unbind ──> joined_conn …
//                                 from each of them: leave, or the room is full ──> leaved
//
// A room may be larger than two: everyone is connected with everyone then, and one of the others is in front. What is
// joined_conn for two stays so until the last of the others has left.
//
// Events: `state`; `connection` when there is another one, or another in front; `change` when one of them changes; `problem`
// (detail: words); `members`; `gone` (detail: { name, reason, left }).
import * as words from '../lib/words.js';
import { isolate } from '../lib/format.js';
import { keepTab } from '../link/memory.js';
import { Connection } from './connection.js';

export const STATES = [
  ['init', 'not in a room yet'],
  ['joined', 'in the room, nobody to talk to yet'],
  ['joined_conn', 'in the room, connecting or connected with the other'],
  ['joined_unbind', 'the other has left; ready for the next'],
  ['leaved', 'out of the room'],
];

const HEARD = 50; // offers of each of the others; far more than can wait in a client
const LONG = 64; // letters of what names one

export class Room extends EventTarget {
  state = 'init';
  name = null;
  id = null;
  capacity = 0;
  iceServers = [];
  iceUntil = 0;
  options = { policy: 'all', bundle: 'max-bundle', voiceActivityDetection: true, sendLimit: 0, receiveLimit: 0 };

  #signal;
  #media;
  #others = new Map(); // by id: { id, name, connection, heard }
  #front = null;
  #holding = false;
  #rejoining = false;
  #joining = false;

  constructor(signal, media) {
    super();
    this.#signal = signal;
    this.#media = media;
    signal.addEventListener('message', ({ detail }) => this.#hear(detail));
    signal.addEventListener('fresh', () => this.#rejoin());
    media.addEventListener('track', ({ detail: { kind, track } }) => {
      for (const connection of this.connections) connection.setTrack(kind, track);
    });
  }

  get inside() {
    return this.state.startsWith('joined');
  }

  get count() {
    return this.#others.size + 1;
  }

  // The others: { id, name, connection }, the connection null as long as there is none.
  get others() {
    return [...this.#others.values()];
  }

  get connections() {
    return this.others.map(({ connection }) => connection).filter(Boolean);
  }

  // Whoever is in front, and the connection with them.
  get peer() {
    return this.#others.get(this.#front) ?? this.others[0] ?? null;
  }

  get connection() {
    return this.peer?.connection ?? null;
  }

  has(name) {
    return this.others.some((other) => other.name === name);
  }

  // Puts another one in front.
  select(id) {
    this.#front = id;
    this.#connectionChanged();
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
      .request({ type: 'join', room: name })
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
    for (const other of this.others) if (!other.connection) this.#connect(other, { offering: true });
  }

  // The server has ended the session, and with it the place.
  evict() {
    if (!this.name) return;
    this.#out();
    this.#media.close();
  }

  async leave({ keepMedia = false } = {}) {
    const { name } = this;
    if (!name) return;
    this.#out();
    if (!keepMedia) this.#media.close();
    await this.#signal.request({ type: 'leave', room: name }).catch(() => {}); // gone is left too
  }

  // Takes effect in the call that is on; another way into it needs another connection.
  change(options) {
    const { policy } = this.options;
    this.options = { ...this.options, ...options };
    if (this.options.policy !== policy) this.rebuild();
    else this.#changeConnections();
  }

  // Closes the connections and builds others: the bundle policy cannot be changed on an old one.
  rebuild() {
    for (const other of this.others) this.#connect(other, { offering: true });
  }

  restart() {
    for (const connection of this.connections) connection.restart();
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

  // Who is there already offers to a newcomer; after a reload or a gap this end is the one that wants to know.
  #joined(message) {
    const { id, members = [], capacity } = message;
    const resumed = this.id === id;
    const here = new Map(members.filter((member) => member.id !== id).map((member) => [member.id, member]));
    Object.assign(this, { id, capacity });
    this.#ice(message);
    keepTab({ id });
    const talking = resumed && this.state !== 'joined' && this.inside;
    for (const other of this.others) if (!resumed || !here.has(other.id)) this.#drop(other);
    for (const [other, { name }] of here) {
      if (!this.#others.has(other)) this.#others.set(other, { id: other, name, connection: null, heard: [] });
      const entry = this.#others.get(other);
      if (!entry.connection && !this.#holding) this.#connect(entry, { offering: resumed });
    }
    if (here.size) this.#become(resumed ? 'joined_conn' : 'joined');
    else this.#become(talking ? 'joined_unbind' : 'joined');
    this.#membersChanged();
  }

  #otherJoined({ id, name }) {
    if (this.#others.has(id)) this.#drop(this.#others.get(id));
    const other = { id, name, connection: null, heard: [] };
    this.#others.set(id, other);
    if (!this.#holding) this.#connect(other, { offering: true });
    this.#become('joined_conn');
    this.#membersChanged();
  }

  #bye({ id, reason }) {
    if (id === this.id) {
      this.#kicked();
      return;
    }
    const other = this.#others.get(id);
    if (!other) return;
    this.#drop(other);
    if (!this.#others.size) this.#become('joined_unbind');
    this.dispatchEvent(new CustomEvent('gone', { detail: { name: other.name, reason, left: this.#others.size } }));
    this.#membersChanged();
  }

  async #relayed({ from, data }) {
    const other = this.#others.get(from);
    if (!this.inside || !other || this.#holding) return;
    if (data !== null && typeof data !== 'object') return;
    if (this.#isRepeated(other, data)) {
      other.connection?.answerAgain(data.offer);
      return;
    }
    if (other.connection?.isLate(data ?? {})) return;
    if (!other.connection || other.connection.isOther(data ?? {})) this.#connect(other, { offering: false });
    if (data?.type === 'offer') this.#become('joined_conn');
    try {
      await other.connection.handle(data);
    } catch (error) {
      this.#problem({
        kind: 'error',
        title: `What ${isolate(other.name)} sent could not be used.`,
        text: 'If this stays, both should reload.',
        detail: error.message,
      });
    }
  }

  // Behind a session that was taken back all comes again that was not confirmed. A browser would take the last offer twice, but one
  // from before leads it back to what is over, and one of a connection that was replaced since to another connection.
  #isRepeated({ heard }, data) {
    if (data?.type !== 'offer' || typeof data.offer !== 'string') return false;
    const again = typeof data.again === 'number' ? data.again : 0; // meant to be sent again, to be taken again
    const name = `${again} ${data.offer.slice(0, LONG)}`;
    if (heard.includes(name)) return true;
    heard.push(name);
    if (heard.length > HEARD) heard.shift();
    return false;
  }

  #full({ room, capacity }) {
    this.#out();
    this.#media.close();
    this.#problem(words.ofFull(room, capacity));
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
    this.#changeConnections();
    this.#membersChanged();
  }

  // The server is another one, or has given this place up: in again, if that is where we were.
  async #rejoin() {
    if (!this.name || this.#rejoining) return;
    this.#rejoining = true;
    this.id = null;
    await this.#signal.request({ type: 'join', room: this.name }).catch(() => {});
    this.#rejoining = false;
  }

  #changeConnections() {
    for (const connection of this.connections) connection.change(this.#connectionOptions());
  }

  #connectionOptions() {
    return { ...this.options, iceServers: this.iceServers };
  }

  #connect(other, { offering }) {
    other.connection?.close();
    const { name: room } = this;
    // In a room for two nobody else could be meant.
    const to = this.capacity > 2 ? { to: other.id } : {};
    const send = (data) => this.#signal.send({ type: 'message', room, ...to, data });
    // Both ends come to opposite answers, and to the same ones after a reload.
    const polite = this.id > other.id;
    const connection = new Connection({
      stream: this.#media.stream,
      send,
      options: this.#connectionOptions(),
      offering,
      polite,
    });
    connection.addEventListener('failed', () => this.#problem(words.of('call_failed')));
    for (const event of ['remote', 'state', 'channel'])
      connection.addEventListener(event, () => this.dispatchEvent(new Event('change')));
    other.connection = connection;
    this.#connectionChanged();
  }

  #drop(other) {
    this.#others.delete(other.id);
    other.connection?.close();
    this.#connectionChanged();
  }

  #out() {
    this.#forget();
    this.#become('leaved');
  }

  #forget() {
    const { connections } = this;
    this.#others.clear();
    for (const connection of connections) connection.close();
    Object.assign(this, { name: null, id: null });
    this.#joining = false; // whatever the answer will be
    keepTab({ room: null, id: null });
    this.#connectionChanged();
    this.#membersChanged();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  #connectionChanged() {
    this.dispatchEvent(new Event('connection'));
  }

  #membersChanged() {
    this.dispatchEvent(new Event('members'));
  }

  #problem(detail) {
    this.dispatchEvent(new CustomEvent('problem', { detail }));
  }
}
