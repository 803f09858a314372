// SPDX-License-Identifier: BSD-2-Clause
// The view of the room: who is on stage, how to get in and out, the state, the messages.
import { STATES } from '../call/room.js';
import { $, el, setHidden, setText } from '../lib/dom.js';
import { plural, randomWord } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';
import { ofEntry, ofServer } from '../lib/words.js';
import { keepName } from '../link/memory.js';
import { showChannel } from './channel.js';
import { showControls } from './controls.js';
import { showLog } from './log.js';
import { linkTo, parseHash } from './router.js';
import { showSettings } from './settings.js';

const DEFAULT_ROOM = 'lobby';

function play(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
  // Without a click on this page before, sound may be held back: then it is silent and says so.
  video.play?.().catch((error) => {
    if (error.name !== 'NotAllowedError' || video.muted) return;
    notify('sound', { kind: 'info', title: 'The browser holds the sound back.', text: 'It wants a click first.' }, [
      ['Play', () => video.play()],
    ]);
  });
}

function describePeer(room) {
  if (!room.peer) return '';
  const state = room.connection?.pc.connectionState;
  const text = {
    connected: '',
    disconnected: ' – the way broke, looking for another',
    failed: ' – no way found',
    closed: '',
  };
  return `${room.peer.name}${text[state] ?? ' – connecting'}`;
}

function blankFor({ room, signal }) {
  if (room.peer) {
    const live = room.connection?.remote.getVideoTracks().some((track) => !track.muted);
    return live
      ? null
      : [
          el(
            'p',
            {},
            room.connection?.pc.connectionState === 'connected'
              ? `${room.peer.name} sends no picture.`
              : 'Connecting …',
          ),
        ];
  }
  const link = linkTo(room.name);
  const copy = el(
    'button',
    {
      type: 'button',
      onclick: () =>
        navigator.clipboard.writeText(link).then(
          () => setText(copy, 'Copied'),
          () => setText(copy, 'Select it and copy'),
        ),
    },
    'Copy the link',
  );
  return [
    el(
      'p',
      {},
      room.state === 'joined_unbind'
        ? 'The other has left. The next one who comes is connected.'
        : 'Waiting for somebody. Send them this link:',
    ),
    el('p', { class: 'mono address' }, link),
    signal.state === 'online' && navigator.clipboard ? copy : null,
  ];
}

function showStage(app) {
  const { room, media } = app;
  let blankKey = '';
  const update = () => {
    const { connection } = room;
    const blank = blankFor(app);
    // The same words again would take the focus from the button in them.
    const key = blank ? blank.map((node) => node?.textContent).join() : '';
    if (key !== blankKey || !blank) $('remote-blank').replaceChildren(...(blank ?? []).filter(Boolean));
    blankKey = key;
    setHidden($('remote-blank'), !blank);
    setHidden($('stage'), !room.inside);
    setText($('remote-caption'), describePeer(room));
    if (connection) play($('remote-video'), connection.remote);
    else $('remote-video').srcObject = null;
    const camera = media.track('video');
    setHidden($('own-tile'), !camera);
    if (camera) play($('own-video'), media.stream);
    else $('own-video').srcObject = null;
    $('own-tile').toggleAttribute('data-screen', Boolean(media.screen));
    setText($('own-caption'), media.screen ? 'Your screen' : media.muted.video ? 'You, camera off' : 'You');
  };
  const follow = () => {
    room.connection?.addEventListener('remote', update);
    room.connection?.addEventListener('state', update);
    update();
  };
  room.addEventListener('connection', follow);
  room.addEventListener('members', update);
  room.addEventListener('state', update);
  app.signal.addEventListener('state', update);
  media.addEventListener('change', update);
  update();
}

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

function nameProblem(words) {
  setHidden($('name-error'), !words);
  setText($('name-error'), words ? `${words.title} ${words.text}` : '');
}

// Connected under the name that is in the form; the promise rejects with words when the server refuses.
function connectAs(app, name, token) {
  const { signal } = app;
  if (signal.state === 'online' && signal.name === name && signal.token === token) return Promise.resolve();
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
  nameProblem(null);
  try {
    await connectAs(app, name, $('token').value);
  } catch (problem) {
    refuse(app, ofServer(problem));
    return;
  }
  if (app.nameTyped) keepName(name);
  try {
    dismiss('media');
    await room.join($('room').value.trim(), app.bring);
  } catch (error) {
    notify('media', ofEntry(error), [
      [
        'Join with nothing',
        () => {
          $('bring').value = 'none';
          join(app);
        },
      ],
    ]);
  }
}

function refuse(app, words) {
  nameProblem(words);
  const unauthorized = app.signal.problem?.code === 'unauthorized';
  if (unauthorized) setHidden($('token-row'), false);
  $(unauthorized ? 'token' : 'name').focus();
}

function showEntry(app) {
  const { room, signal } = app;
  $('room').value = parseHash().room || DEFAULT_ROOM;
  $('name').addEventListener('input', () => (app.nameTyped = true));
  addEventListener('hashchange', () => {
    const { view, room: wanted } = parseHash();
    if (view === 'room' && wanted && !room.inside) $('room').value = wanted;
  });
  $('new-room').addEventListener('click', () => {
    $('room').value = randomWord(12);
    $('room').focus();
  });
  $('entry').addEventListener('submit', async (event) => {
    event.preventDefault();
    $('join').disabled = true;
    await join(app);
    $('join').disabled = false;
  });
  app.addEventListener('refused', ({ detail }) => refuse(app, detail));
  signal.addEventListener('state', () => {
    if (signal.state !== 'online') return;
    if (!app.nameTyped) $('name').value = signal.name;
    nameProblem(null);
  });
}

function showPlace({ room }) {
  const title = $('room-title');
  const update = () => {
    setHidden($('entry'), room.inside);
    setHidden($('room-lead'), room.inside);
    setHidden($('data'), !room.inside);
    title.replaceChildren(
      ...(room.inside
        ? [
            room.name,
            el(
              'span',
              { class: 'tag' },
              room.capacity ? `${room.count} of ${room.capacity} here` : plural(room.count, 'person', 'people'),
            ),
          ]
        : ['Room']),
    );
    if (room.inside && parseHash().view === 'room') history.replaceState(null, '', linkTo(room.name));
  };
  room.addEventListener('state', update);
  room.addEventListener('members', update);
  room.addEventListener('gone', ({ detail: { name, reason } }) => {
    const how = {
      leave: 'has left',
      disconnect: 'lost the connection',
      timeout: 'lost the connection',
      kick: 'was taken out',
      drain: 'was sent elsewhere',
    };
    notify('gone', {
      kind: 'info',
      title: `${name} ${how[reason] ?? 'has left'}.`,
      text: 'The room is ready for the next caller.',
    });
  });
  room.addEventListener('connection', () => room.connection && dismiss('gone'));
}

export function showRoom(app) {
  for (const show of [showStage, showStates, showEntry, showPlace, showControls, showLog, showChannel, showSettings])
    show(app);
}
