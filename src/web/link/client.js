// SPDX-License-Identifier: BSD-2-Clause
// The connection to the server's signaling: registers, comes back by itself when it is lost, takes the session back while
// the server still has it, and begins anew when not.
//
// Events: `state` when state or problem change; `message` (detail: the object) for whatever the server says;
// `sent` (detail: the object); `fresh` when a new session began after a lost one, so that rooms must be joined again;
// `undelivered` (detail: how many) when messages to others had to be given up.
import { Outbox } from './outbox.js';
import { SocketTransport, StreamTransport } from './transport.js';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const BEAT_MS = 15000;
const SILENCE_MS = 12000;
const ANSWER_MS = 15000;
const UNAUTHORIZED = 4401;
const ELSEWHERE = 4409;

export class SignalClient extends EventTarget {
  // offline: not wanted yet; connecting; online: registered; waiting: lost, will be tried again; refused: by the server,
  // somebody has to do something.
  state = 'offline';
  name = '';
  token = '';
  resume = null;
  problem = null;
  people = new Set();
  // How many others there are; the server names no more than 1000.
  total = 0;

  #base;
  #transport = null;
  #kind = SocketTransport;
  #failures = 0;
  #everOpen = false;
  #retry = null;
  #retryAfter = 0;
  #beat = null;
  #silence = null;
  #next = 1;
  #waiting = new Map();
  #outbox = new Outbox();
  #missed = 0; // for want of room in it, or of the session
  #hadSession = false;

  constructor(base = document.baseURI) {
    super();
    this.#base = base;
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#hurry());
  }

  get kind() {
    return this.#kind.kind;
  }

  // Connects under this name, or again when the name is another.
  connect(name, { token = this.token, resume = null } = {}) {
    if (this.state === 'online' && name === this.name && token === this.token) return;
    if (name !== this.name) this.resume = null; // that of the other name
    Object.assign(this, { name, token, resume: resume ?? this.resume });
    this.#drop();
    this.#open();
  }

  // Ends the session on the server, too.
  close() {
    this.#drop();
    this.#outbox.clear();
    this.#missed = 0;
    this.#become('offline');
  }

  // A message to others waits while the connection is lost and may come back with its session; all else is of no use then.
  send(object) {
    const online = this.state === 'online';
    if (object.type !== 'message') return online && this.#put(object);
    if (!online && (this.state !== 'waiting' || this.resume === null)) return false;
    const kept = this.#outbox.add(object);
    if (online) return this.#put(kept ?? object);
    if (kept) return true;
    this.#missed += 1;
    this.#undelivered();
    return false;
  }

  // Sends it and waits for the answer, which carries the id that goes along. An `error` rejects.
  request(object) {
    const id = `q${this.#next++}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(id, { type: 'error', code: 'timeout', message: 'The server did not answer.' }),
        ANSWER_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      if (!this.#put({ ...object, id })) this.#settle(id, { type: 'error', code: 'gone' });
    });
  }

  #put(object) {
    if (!this.#transport?.send(JSON.stringify(object))) return false;
    this.dispatchEvent(new CustomEvent('sent', { detail: object }));
    return true;
  }

  #become(state, problem = null) {
    if (this.state === state && !problem && !this.problem) return;
    Object.assign(this, { state, problem });
    this.dispatchEvent(new Event('state'));
  }

  #open() {
    clearTimeout(this.#retry);
    this.#become(this.#hadSession ? 'waiting' : 'connecting');
    const transport = new this.#kind(this.#base);
    this.#transport = transport;
    const mine = (run) => (event) => this.#transport === transport && run(event);
    transport.addEventListener(
      'open',
      mine(() => this.#enter()),
    );
    transport.addEventListener(
      'message',
      mine(({ data }) => this.#hear(data)),
    );
    transport.addEventListener(
      'close',
      mine(({ code, reason }) => this.#lost(code, reason)),
    );
  }

  async #enter() {
    this.#everOpen = true;
    this.#watch();
    const transport = this.#transport;
    try {
      const resumed = this.resume !== null && (await this.#tryResume());
      if (!resumed && this.#transport === transport) await this.#register();
    } catch (error) {
      if (this.#transport === transport) this.#refused(error);
    }
  }

  async #tryResume() {
    const token = this.resume;
    this.#hadSession = true; // by this page, or before it was reloaded
    try {
      await this.request({ type: 'resume', token });
    } catch (error) {
      if (error.code === 'gone' || error.code === 'timeout') throw error;
      // Too late, or another server process: what it was is over.
      this.resume = null;
      return false;
    }
    for (const object of this.#outbox.all) this.#put(object);
    this.#missed = 0;
    this.#ready();
    return true;
  }

  async #register() {
    // A token says itself whose it is.
    const { name, token } = this;
    const answer = await this.request({ type: 'register', ...(token ? { token } : { name }) });
    this.name = answer.name ?? this.name;
    const again = this.#hadSession;
    this.#giveUp();
    this.#ready();
    if (again) this.dispatchEvent(new Event('fresh'));
    this.#undelivered();
    this.#missed = 0;
  }

  #ready() {
    this.#failures = 0;
    this.#hadSession = true;
    this.#become('online');
    this.#put({ type: 'users' });
  }

  #refused(error) {
    if (error.code === 'gone' || error.code === 'timeout') {
      this.#transport?.fail('no answer');
      return;
    }
    this.#drop();
    this.resume = null;
    this.#refuse(error);
  }

  #refuse(problem) {
    this.#giveUp();
    this.#become('refused', problem);
    this.#undelivered();
  }

  // What waits was for rooms that the next session is not in.
  #giveUp() {
    this.#missed += this.#outbox.clear();
  }

  #undelivered() {
    if (this.#missed) this.dispatchEvent(new CustomEvent('undelivered', { detail: this.#missed }));
  }

  #hear(text) {
    this.#watch();
    let object;
    try {
      object = JSON.parse(text);
    } catch {
      return;
    }
    if (object === null || typeof object !== 'object') return;
    object.type ??= object.event;
    this.#note(object);
    if (object.type !== 'pong') this.dispatchEvent(new CustomEvent('message', { detail: object }));
    this.#answer(object);
  }

  // What this client itself has to know of what the server says.
  #note(object) {
    if (typeof object.resume === 'string') this.resume = object.resume;
    if (object.type === 'ack' || object.type === 'error') this.#outbox.settle(object.id);
    if (object.type === 'users') {
      this.people = new Set(object.users.map((user) => user.name ?? user));
      this.total = object.count ?? this.people.size;
    } else if (object.type === 'useradd') {
      this.people.add(object.name);
      this.total += 1;
    } else if (object.type === 'userdel') {
      this.people.delete(object.name);
      this.total -= 1;
    } else if (object.type === 'goaway') this.#retryAfter = Date.now() + (object.retry_ms ?? 0);
  }

  #answer(object) {
    if (object.type === 'message') return; // its id is the other's
    // In `joined` and `leaved` the id is that of a peer.
    for (const id of [object.re, object.id]) {
      if (this.#waiting.has(id)) this.#settle(id, object);
    }
  }

  #settle(id, answer) {
    const { resolve, reject, timer } = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(timer);
    if (answer.type === 'error') reject(Object.assign(new Error(answer.message ?? answer.code), answer));
    else resolve(answer);
  }

  // A browser does not show the server's pings; without a sign of life for long, it is asked for one.
  #watch() {
    clearTimeout(this.#beat);
    clearTimeout(this.#silence);
    this.#beat = setTimeout(() => {
      this.#put({ type: 'ping' });
      this.#silence = setTimeout(() => this.#transport?.fail('silence'), SILENCE_MS);
    }, BEAT_MS);
  }

  #lost(code, reason) {
    this.#drop();
    this.people.clear();
    this.total = 0;
    // The token's time is over. Before that, a refusal has an answer of its own; without one this end was too slow to register.
    if (code === UNAUTHORIZED && this.state === 'online') {
      this.resume = null;
      this.#refuse({ code: 'unauthorized', message: reason });
      return;
    }
    if (code === ELSEWHERE) {
      this.#refuse({ code: 'elsewhere', message: reason });
      return;
    }
    this.#failures += 1;
    // Never through, twice: something on the way may not like WebSockets. Every other try takes the other way.
    if (!this.#everOpen && this.#failures % 2 === 0) {
      this.#kind = this.#kind === SocketTransport ? StreamTransport : SocketTransport;
    }
    const backOff = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), LAST_RETRY_MS);
    // Not all pages at once.
    const wait = Math.max(backOff * (0.75 + Math.random() / 2), this.#retryAfter - Date.now());
    this.#retryAfter = 0;
    this.#become('waiting', { code: 'gone', message: reason });
    this.#retry = setTimeout(() => this.#open(), wait);
  }

  // The network is back, or somebody looks: no reason to wait any longer.
  #hurry() {
    if (this.state === 'waiting' && !this.#transport) this.#open();
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#beat);
    clearTimeout(this.#silence);
    const transport = this.#transport;
    this.#transport = null;
    transport?.close();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, { type: 'error', code: 'gone' });
  }
}
