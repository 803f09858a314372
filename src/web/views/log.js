// SPDX-License-Identifier: BSD-2-Clause
// What this page and the server say to each other, newest below.
import { parseSdp } from '../call/sdp.js';
import { $, el, setHidden } from '../lib/dom.js';
import { clock, endpoint, plural } from '../lib/format.js';

const KEEP = 200;
const LONG = 80; // characters of what somebody else wrote
// Of no interest to somebody who wants to see a call come about.
const SILENT = new Set(['ping', 'pong', 'useradd', 'userdel', 'users', 'ack']);

function describeCandidate(text) {
  if (!text) return 'no more candidates';
  const [, , protocol, , address, port, , type] = text.slice(0, LONG).split(' ');
  return `${type} ${protocol?.toLowerCase()} ${endpoint(address, port)}`;
}

function describeData(data) {
  if (data === null) return ['candidate', 'no more candidates'];
  if (typeof data !== 'object') return ['message', String(data).slice(0, LONG)];
  // Whatever somebody else has made up: objects where words belong, too.
  const type = typeof data.type === 'string' ? data.type.slice(0, LONG) : 'message';
  if (typeof data.sdp === 'string')
    return [
      type,
      parseSdp(data.sdp)
        .media.map(({ kind }) => kind)
        .join(', ')
        .slice(0, LONG),
    ];
  if (typeof data.candidate === 'string') return ['candidate', describeCandidate(data.candidate)];
  return [type, ''];
}

function describe(message) {
  const { type, room, name, count, capacity, code, reason, data, to } = message;
  switch (type) {
    case 'message': {
      const [what, detail] = describeData(data);
      return [what, detail || (to ?? name ?? '')];
    }
    case 'joined':
      return [type, `${room}, ${count} of ${capacity}`];
    case 'full':
      return [type, `${room}, ${plural(capacity, 'person', 'people')} at most`];
    case 'otherjoin':
      return [type, name];
    case 'bye':
      return [type, `${name}, ${reason}`];
    case 'error':
      return [type, `${code}: ${message.message ?? ''}`];
    case 'register':
    case 'registered':
      return [type, name ?? 'by token'];
    case 'resume':
      return [type, 'the session from before'];
    case 'goaway':
      return [type, 'the server ends, and will be back'];
    case 'ice':
      return [type, 'fresh iceServers'];
    default:
      return [type ?? '?', room ?? ''];
  }
}

export function showLog({ signal }) {
  const list = $('log');
  const add = (message, way) => {
    if (SILENT.has(message.type)) return;
    const [what, detail] = describe(message);
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
    const last = list.lastElementChild;
    list.append(
      el(
        'li',
        { data: { way, type: what } },
        el(
          'span',
          { class: 'way', role: 'img', 'aria-label': way === 'out' ? 'sent' : 'received' },
          way === 'out' ? '↑' : '↓',
        ),
        el('code', {}, what),
        el('span', { class: 'detail' }, detail),
        el('time', {}, clock()),
      ),
    );
    if (list.childElementCount > KEEP) list.firstElementChild.remove();
    setHidden($('log-empty'), true);
    if (atEnd || !last) list.scrollTop = list.scrollHeight;
  };
  signal.addEventListener('sent', ({ detail }) => add(detail, 'out'));
  signal.addEventListener('message', ({ detail }) => add(detail, 'in'));
}
