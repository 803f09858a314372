// SPDX-License-Identifier: BSD-2-Clause
// The data channel: a string, a Blob, an ArrayBuffer or a view of one goes out; what comes in is shown as what it is.
import { $, el, setText } from '../lib/dom.js';
import { bytes, fingerprint } from '../lib/format.js';
import { notify } from '../lib/notices.js';

const KEEP = 100;
const SHOWN = 400;
const NAMES = { string: 'string', blob: 'Blob', buffer: 'ArrayBuffer', view: 'Uint16Array' };

// text as one of the four kinds of payload.
function encode(text, kind) {
  if (kind === 'string') return text;
  if (kind === 'blob') return new Blob([text], { type: 'text/plain' });
  if (kind === 'view') return Uint16Array.from(text, (letter) => letter.charCodeAt(0));
  return new TextEncoder().encode(text).buffer;
}

// Browsers of before 2024 do not send a Blob themselves.
async function transmit(channel, payload) {
  try {
    channel.send(payload);
  } catch (error) {
    if (!(payload instanceof Blob) || error.name === 'OperationError') throw error;
    channel.send(await payload.arrayBuffer());
  }
}

async function bufferOf(payload) {
  if (payload instanceof Blob) return payload.arrayBuffer();
  return ArrayBuffer.isView(payload) ? payload.buffer : payload;
}

// The text of these bytes when they are text, else null.
function textOf(buffer) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(buffer);
    return /[\x00-\x08\x0e-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}

async function describe(payload) {
  if (typeof payload === 'string') return [payload.slice(0, SHOWN)];
  const buffer = await bufferOf(payload);
  const sum = await fingerprint(buffer);
  const text = buffer.byteLength <= SHOWN ? textOf(buffer) : null;
  return [
    `${bytes(buffer.byteLength)}${sum && `, SHA-256 ${sum}…`}`,
    text !== null && text !== '' && el('q', {}, text),
  ];
}

function save(payload) {
  const url = URL.createObjectURL(new Blob([payload]));
  const link = el('a', { href: url, download: 'received.bin' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

async function add(way, kind, payload) {
  const list = $('chat');
  const item = el('li', { data: { way, kind } }, el('span', { class: 'tag' }, kind));
  list.append(item);
  if (list.childElementCount > KEEP) list.firstElementChild.remove();
  item.append(el('div', {}, ...(await describe(payload)).flatMap((part) => part || [])));
  if (way === 'in' && typeof payload !== 'string') {
    item.append(el('button', { type: 'button', class: 'quiet', onclick: () => save(payload) }, 'Save'));
  }
  list.scrollTop = list.scrollHeight;
}

async function send(app, kind, payload) {
  const { channel, pc } = app.room.connection ?? {};
  const most = pc?.sctp?.maxMessageSize ?? 65536;
  const size = typeof payload === 'string' ? payload.length : (payload.size ?? payload.byteLength);
  if (size > most) {
    notify('channel', {
      kind: 'warning',
      title: `This is ${bytes(size)}, and one message may have ${bytes(most)}.`,
      text: 'Choose a smaller file.',
    });
    return;
  }
  try {
    await transmit(channel, payload);
    await add('out', kind, payload);
  } catch (error) {
    notify('channel', {
      kind: 'error',
      title: 'It was not sent.',
      text: 'The data channel is not open, or too much is on its way. Try again.',
      detail: error.message,
    });
  }
}

export function showChannel(app) {
  const update = () => {
    const state = app.room.connection?.channel?.readyState ?? 'closed';
    setText($('channel-state'), state);
    $('channel-state').dataset.kind = state === 'open' ? 'good' : '';
    $('data-send').disabled = state !== 'open';
    $('data-file').disabled = state !== 'open';
  };
  const seen = new WeakSet();
  const adopt = () => {
    const channel = app.room.connection?.channel;
    if (channel && !seen.has(channel)) {
      seen.add(channel);
      channel.addEventListener('message', ({ data }) => {
        const kind = typeof data === 'string' ? 'string' : data instanceof Blob ? 'Blob' : 'ArrayBuffer';
        add('in', kind, data);
      });
    }
    update();
  };
  app.room.addEventListener('connection', () => {
    app.room.connection?.addEventListener('channel', adopt);
    adopt();
  });
  $('data-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const kind = $('data-kind').value;
    send(app, NAMES[kind], encode($('data-text').value, kind));
    $('data-text').value = '';
  });
  $('data-file').addEventListener('change', () => {
    const [file] = $('data-file').files;
    if (file) send(app, 'Blob', file);
    $('data-file').value = '';
  });
  update();
}
