// SPDX-License-Identifier: BSD-2-Clause
// The view of the room: where one is, and in which state; what else is in it has a file of its own.
import { STATES } from '../call/room.js';
import { $, el, setHidden, setText } from '../lib/dom.js';
import { copyButton } from '../lib/copy.js';
import { isolate, plural } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';
import { showChannel } from './channel.js';
import { showControls } from './controls.js';
import { showEntry } from './entry.js';
import { showLog } from './log.js';
import { linkTo, parseHash } from './router.js';
import { showSettings } from './settings.js';
import { showStage } from './stage.js';

// More than so many browsers that send to each other are a burden for each.
const MANY = 6;

const REASONS = {
  leave: 'has left',
  disconnect: 'lost the connection',
  timeout: 'lost the connection',
  kick: 'was taken out',
  drain: 'was sent elsewhere',
};

function showStates({ room }) {
  for (const [name, text] of STATES) {
    $('states').append(el('li', { data: { name } }, el('code', {}, name), el('span', {}, text)));
  }
  const update = () => {
    for (const item of $('states').children) {
      if (item.dataset.name === room.state) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    }
  };
  room.addEventListener('state', update);
  update();
}

function countText({ count, capacity }) {
  return capacity ? `${count} of ${capacity} here` : plural(count, 'person', 'people');
}

function showPlace({ room }) {
  const title = $('room-title');
  const name = el('bdi', {});
  const tag = el('span', { class: 'tag' });
  const copy = copyButton('Copy link', () => linkTo(room.name), { class: 'quiet', id: 'copy-link' });
  title.after(copy);
  const update = () => {
    for (const id of ['entry', 'room-lead']) setHidden($(id), room.inside);
    setHidden($('data'), !room.inside);
    setHidden(copy, !room.peer || (room.capacity > 0 && room.count >= room.capacity));
    setText(name, room.name ?? '');
    setText(tag, countText(room));
    title.replaceChildren(...(room.inside ? [name, tag] : ['Room']));
    address();
  };
  // What is in the address bar can be sent to somebody, whichever way one came here.
  const address = () => {
    const { view, room: shown } = parseHash();
    if (room.inside && view === 'room' && !shown) history.replaceState(null, '', linkTo(room.name));
  };
  for (const event of ['state', 'members']) room.addEventListener(event, update);
  room.addEventListener('state', () => {
    if (room.inside && parseHash().view === 'room') history.replaceState(null, '', linkTo(room.name));
  });
  document.addEventListener('view', address);
  update();
}

function showComings({ room }) {
  room.addEventListener('gone', ({ detail: { name, reason, left } }) => {
    notify('gone', {
      kind: 'info',
      title: `${isolate(name)} ${REASONS[reason] ?? 'has left'}.`,
      text: left ? '' : 'The room is ready for the next caller.',
    });
  });
  room.addEventListener('state', () => !room.inside && dismiss('gone'));
  let count = 0;
  room.addEventListener('members', () => {
    if (room.count > count) dismiss('gone');
    if (room.count > MANY && count <= MANY) {
      notify('many', {
        kind: 'warning',
        title: `${room.count} people are in this room.`,
        text: 'Each browser sends to each of the others: let those who only listen turn their cameras off.',
      });
    }
    count = room.count;
  });
}

// Last of all: what had the focus is out of sight now, and without a mouse one would begin at the top of the page again.
function showFocus({ room }) {
  room.addEventListener('state', () => {
    if (document.activeElement?.closest('#view-room [hidden]')) $(room.inside ? 'room-title' : 'join').focus();
  });
}

export function showRoom(app) {
  for (const show of [
    showStage,
    showStates,
    showEntry,
    showPlace,
    showComings,
    showControls,
    showLog,
    showChannel,
    showSettings,
    showFocus,
  ])
    show(app);
}
