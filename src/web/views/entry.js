// SPDX-License-Identifier: BSD-2-Clause
// The way into a room: a name, a room, what to bring, and a token where the server wants one.
import { $, setHidden, setText } from '../lib/dom.js';
import { isolate, randomWord } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';
import { isMedia, ofEntry, ofServer } from '../lib/words.js';
import { keepName } from '../link/memory.js';
import { parseHash } from './router.js';

const DEFAULT_ROOM = 'lobby';

// Words about the name, or about the token; null takes them away.
function showProblem(words, field = 'name') {
  setHidden($('name-error'), !words);
  setText($('name-error'), words ? `${words.title} ${words.text}` : '');
  for (const id of ['name', 'token']) {
    if (words && id === field) $(id).setAttribute('aria-invalid', 'true');
    else $(id).removeAttribute('aria-invalid');
  }
}

// Connected under the name that is in the form; the promise rejects with words when the server refuses.
function connectAs(app, name, token) {
  const { signal } = app;
  const same = token || signal.name === name; // with a token the name is the token's
  if (signal.state === 'online' && signal.token === token && same) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const end = new AbortController();
    signal.addEventListener(
      'state',
      () => {
        if (signal.state === 'online') resolve();
        else if (signal.state === 'refused' && (app.nameTyped || signal.problem.code !== 'name_taken'))
          reject(signal.problem);
        else return;
        end.abort();
      },
      { signal: end.signal },
    );
    signal.connect(name, { token });
  });
}

async function join(app) {
  const { room } = app;
  const name = $('name').value.trim();
  dismiss('room');
  showProblem(null);
  try {
    await connectAs(app, name, $('token').value);
  } catch (problem) {
    refuse(app, ofServer(problem));
    return;
  }
  if (app.nameTyped) keepName(app.signal.name);
  try {
    dismiss('media');
    await room.join($('room').value.trim(), app.bring);
  } catch (error) {
    const without = () => {
      $('bring').value = 'none';
      $('entry').requestSubmit();
    };
    notify('media', ofEntry(error), isMedia(error) ? [['Join with nothing', without]] : []);
  }
}

function refuse(app, words) {
  const unauthorized = app.signal.problem?.code === 'unauthorized';
  if (unauthorized) setHidden($('token-row'), false);
  showProblem(words, unauthorized ? 'token' : 'name');
  $(unauthorized ? 'token' : 'name').focus();
}

// Whoever came by a link is told where it leads; inside a room another one needs a step out of this.
function followLink({ room }) {
  const { view, room: wanted } = parseHash();
  const invited = room.state === 'init' && wanted !== '';
  setText(
    $('room-lead'),
    invited
      ? `The link that you followed leads to the room ${isolate(wanted)}. Say who you are, and join.`
      : 'A call between browsers. Open this page a second time, here or on another device, and join the same room.',
  );
  if (view !== 'room' || !wanted) return;
  if (!room.inside) $('room').value = wanted;
  else if (wanted !== room.name) {
    notify(
      'elsewhere',
      {
        kind: 'info',
        title: `You are in the room ${isolate(room.name)}.`,
        text: `The link leads to ${isolate(wanted)}.`,
      },
      [
        [
          'Leave, and go there',
          () => {
            // First, since the form is seen before the server knows that one has left.
            $('room').value = wanted;
            room.leave();
            $('join').focus();
          },
        ],
      ],
    );
  }
}

export function showEntry(app) {
  const { room, signal } = app;
  $('room').value = parseHash().room || DEFAULT_ROOM;
  $('name').addEventListener('input', () => (app.nameTyped = true));
  addEventListener('hashchange', () => followLink(app));
  $('new-room').addEventListener('click', () => {
    $('room').value = randomWord(12);
    $('room').focus();
  });
  const label = $('join').textContent;
  let joining = false;
  const update = () => setText($('join'), joining && signal.state === 'waiting' ? 'Waiting for the server' : label);
  const busy = (now) => {
    joining = now;
    // A button that is disabled loses the focus.
    $('join').setAttribute('aria-disabled', String(joining));
    update();
  };
  signal.addEventListener('state', update);
  $('entry').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (joining) return;
    busy(true);
    await join(app);
    busy(false);
  });
  app.addEventListener('refused', ({ detail }) => refuse(app, detail));
  signal.addEventListener('state', () => {
    if (signal.state !== 'online') return;
    // A token tells whose it is, whatever was typed.
    if (!app.nameTyped || signal.token) $('name').value = signal.name;
    showProblem(null);
  });
  room.addEventListener('state', () => dismiss('elsewhere'));
  followLink(app);
}
