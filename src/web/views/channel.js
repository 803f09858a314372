// SPDX-License-Identifier: BSD-2-Clause
// The data channels: a string, a Blob, an ArrayBuffer or a view of one goes out to everyone; what comes in is shown as what
// it is.
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

async function append(way, kind, payload, from) {
  const list = $('chat');
  const parts = (await describe(payload)).flatMap((part) => part || []);
  const item = el(
    'li',
    { data: { way, kind } },
    from && el('bdi', { class: 'who' }, from),
    el('span', { class: 'tag' }, kind),
    el('div', { dir: 'auto' }, ...parts),
  );
  if (way === 'in' && typeof payload !== 'string') {
    item.append(el('button', { type: 'button', class: 'quiet', onclick: () => save(payload) }, 'Save'));
  }
  list.append(item);
  if (list.childElementCount > KEEP) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
}

let last = Promise.resolve();

// from: who sent it, where that could be several. In order, and each when there is all to say of it: it is read out as it comes.
function add(way, kind, payload, from = '') {
  const turn = last.then(() => append(way, kind, payload, from));
  last = turn.catch(() => {});
  return turn;
}

const openOf = (room) => room.connections.filter(({ channel }) => channel?.readyState === 'open');

async function send(app, kind, payload) {
  const open = openOf(app.room);
  const most = Math.min(...open.map(({ pc }) => pc.sctp?.maxMessageSize ?? 65536));
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
    if (!open.length) throw new Error('nobody is connected');
    for (const { channel } of open) await transmit(channel, payload);
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
  const { room } = app;
  const update = () => {
    const open = openOf(room).length;
    const state = open ? 'open' : (room.connection?.channel?.readyState ?? 'closed');
    setText($('channel-state'), room.others.length > 1 && open ? `open to ${open} of ${room.others.length}` : state);
    $('channel-state').dataset.kind = open ? 'good' : '';
    $('data-send').disabled = !open;
    $('data-file').disabled = !open;
  };
  const seen = new WeakSet();
  const adopt = () => {
    for (const { name, connection } of room.others) {
      const channel = connection?.channel;
      if (!channel || seen.has(channel)) continue;
      seen.add(channel);
      channel.addEventListener('message', ({ data }) => {
        const kind = typeof data === 'string' ? 'string' : data instanceof Blob ? 'Blob' : 'ArrayBuffer';
        add('in', kind, data, room.others.length > 1 ? name : '');
      });
    }
    update();
  };
  for (const event of ['connection', 'members', 'change']) room.addEventListener(event, adopt);
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
