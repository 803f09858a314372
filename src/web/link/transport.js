// SPDX-License-Identifier: BSD-2-Clause
// Two ways to the server for the same JSON objects: a WebSocket, or where something on the way does not let one through,
// an event stream down and POST requests up. Both: open, message and close events, send(text), close().
import { randomWord } from '../lib/format.js';

const OPEN_MS = 10000;
const DELIBERATE = 1000;

class Transport extends EventTarget {
  #timer = setTimeout(() => this.fail('no answer'), OPEN_MS);
  #over = false;

  opened() {
    clearTimeout(this.#timer);
    if (!this.#over) this.dispatchEvent(new Event('open'));
  }

  received(text) {
    if (!this.#over) this.dispatchEvent(new MessageEvent('message', { data: text }));
  }

  // Ends it, for everyone once.
  fail(reason, code = 1006) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.end(code);
    this.dispatchEvent(Object.assign(new Event('close'), { code, reason }));
  }

  close() {
    this.fail('closed here', DELIBERATE);
  }
}

export class SocketTransport extends Transport {
  static kind = 'WebSocket';

  #socket;

  constructor(base) {
    super();
    const url = new URL('signal', base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (!globalThis.WebSocket) {
      setTimeout(() => this.fail('this browser has no WebSocket'));
      return;
    }
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => this.opened();
    this.#socket.onmessage = ({ data }) => typeof data === 'string' && this.received(data);
    this.#socket.onclose = ({ code, reason }) => this.fail(reason, code);
  }

  send(text) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  // 1000 ends the session; without a code the server keeps it for the grace time.
  end(code) {
    if (code === DELIBERATE) this.#socket?.close(code);
    else this.#socket?.close();
  }
}

export class StreamTransport extends Transport {
  static kind = 'event stream';

  #url;
  #source;
  #sending = Promise.resolve();

  constructor(base) {
    super();
    // The session's name is its secret: who knows it can speak in it.
    this.#url = new URL(`signal/${randomWord(32)}`, base);
    this.#source = new EventSource(this.#url);
    this.#source.onopen = () => this.opened();
    this.#source.onmessage = ({ data }) => this.received(data);
    // What a Close frame says on a WebSocket is an event here.
    this.#source.addEventListener('close', ({ data }) => {
      const { code, reason } = JSON.parse(data);
      this.fail(reason, code);
    });
    // By itself it would come back to a session that the server may have given up: that is for the client to see to.
    this.#source.onerror = () => this.fail('the stream broke');
  }

  send(text) {
    if (this.#source.readyState !== EventSource.OPEN) return false;
    // One after the other, for the order.
    this.#sending = this.#sending.then(() => this.#post(text)).catch((error) => this.fail(String(error)));
    return true;
  }

  end() {
    this.#source.close();
  }

  async #post(text) {
    const response = await fetch(this.#url, {
      method: 'POST',
      body: text,
      headers: { 'Content-Type': 'application/json' },
    });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
  }
}
