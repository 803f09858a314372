// SPDX-License-Identifier: BSD-2-Clause
// Clients of the signaling protocol in Node.js: by the WebSocket of npm's ws, and by server-sent events and POST.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { load, missing } from './modules.mjs';
import * as tap from './tap.mjs';

const PATIENCE_MS = Number(process.env.TP_PATIENCE_MS ?? 60000);

export const WebSocket = load('ws');
if (!WebSocket) tap.skipAll(missing('ws'));

export function equal(got, wanted, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what} is ${a}, expected ${b}`);
}

function patiently(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What both kinds have: messages in the order in which they came.
class Client {
  constructor() {
    this.messages = [];
    this.wakers = [];
    this.closed = new Promise((resolve) => (this.onClosed = resolve));
  }

  put(message) {
    this.messages.push(message);
    for (const wake of this.wakers.splice(0)) wake();
  }

  // The next one of that type; those before it are passed over, and what they were is in `passed`.
  async expect(type) {
    const next = async () => {
      for (;;) {
        while (this.messages.length === 0) await new Promise((resolve) => this.wakers.push(resolve));
        const message = this.messages.shift();
        if (message.type === type) return message;
        this.passed.push(message.type);
      }
    };
    this.passed = [];
    return patiently(`${type} (seen: ${this.messages.map((m) => m.type)})`, next());
  }

  // The code of an `error`.
  async error() {
    return (await this.expect('error')).code;
  }

  // Everything that was sent has been handled, and what it led to here has come: all of that.
  async settle() {
    const id = randomBytes(8).toString('hex');
    await this.say({ type: 'ping', id });
    const seen = [];
    for (;;) {
      while (this.messages.length === 0) await patiently('pong', new Promise((resolve) => this.wakers.push(resolve)));
      const message = this.messages.shift();
      if (message.type === 'pong' && message.id === id) return seen;
      seen.push(message);
    }
  }

  async register(name, more = {}) {
    await this.say({ type: 'register', name, ...more });
    this.registered = await this.expect('registered');
    return this;
  }

  async join(room) {
    await this.say({ type: 'join', room });
    this.joined = await this.expect('joined');
    return this;
  }

  end() {
    return patiently('the end', this.closed);
  }
}

export class Socket extends Client {
  static opened = [];

  // Opened; or an exception with the status that was sent instead.
  static async open(daemon, { site = `ws://127.0.0.1:${daemon.pagePort}`, path = '/signal', protocols = [], ...options } = {}) {
    const self = new Socket();
    self.ws = new WebSocket(`${site}${path}`, protocols, options);
    self.ws.on('message', (data, binary) => self.put(binary ? { type: 'binary' } : JSON.parse(data)));
    self.ws.on('close', (code, reason) => self.onClosed({ code, reason: String(reason) }));
    self.pings = 0;
    self.ws.on('ping', () => (self.pings += 1));
    self.ws.on('upgrade', ({ headers }) => (self.headers = headers));
    const refused = once(self.ws, 'unexpected-response').then(([, response]) => {
      const error = new Error(`status ${response.statusCode}`);
      throw Object.assign(error, { status: response.statusCode, headers: response.headers });
    });
    refused.catch(() => {}); // when it is not waited for any more
    try {
      await patiently('the opening handshake', Promise.race([once(self.ws, 'open'), refused]));
    } catch (error) {
      self.ws.on('error', () => {});
      self.ws.terminate();
      throw Object.assign(error, { upgrade: self.headers });
    }
    self.ws.on('error', (error) => tap.comment(`ws: ${error.message}`));
    Socket.opened.push(self);
    return self;
  }

  say(message) {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  // The code that the connection ends with.
  async code() {
    return (await this.end()).code;
  }
}

export class Stream extends Client {
  static async open(daemon, { id = randomBytes(16).toString('hex'), token } = {}) {
    const self = new Stream();
    self.url = `http://127.0.0.1:${daemon.pagePort}/signal/${id}`;
    self.abort = new AbortController();
    const headers = { Accept: 'text/event-stream', ...(token && { Authorization: `Bearer ${token}` }) };
    self.response = await fetch(self.url, { headers, signal: self.abort.signal });
    self.read();
    return self;
  }

  async read() {
    let text = '';
    let how = null;
    try {
      for await (const chunk of this.response.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const events = text.split('\n\n');
        text = events.pop();
        for (const event of events) how = this.take(event) ?? how;
      }
    } catch {
      // ended by us
    }
    this.onClosed(how ?? { code: 1006 });
  }

  take(event) {
    const fields = event.split('\n').map((line) => /^(\w*):? ?(.*)$/.exec(line));
    const data = fields.filter(([, name]) => name === 'data').map(([, , value]) => value).join('\n');
    if (!data) return null;
    if (fields.some(([, name, value]) => name === 'event' && value === 'close')) return JSON.parse(data);
    this.put(JSON.parse(data));
    return null;
  }

  async post(body, headers = {}) {
    const { status } = await fetch(this.url, { method: 'POST', body, headers });
    return status;
  }

  async say(message) {
    equal(await this.post(JSON.stringify(message)), 204, 'status of a post');
  }
}
