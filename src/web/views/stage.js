// SPDX-License-Identifier: BSD-2-Clause
// Who is seen: the one in front large, further ones in a row below, oneself in the corner; or why nobody is.
import { $, el, keyed, setHidden, setText } from '../lib/dom.js';
import { copyButton } from '../lib/copy.js';
import { isolate } from '../lib/format.js';
import { notify } from '../lib/notices.js';
import { linkTo } from './router.js';

const LOCAL = /^(localhost|127\.|\[::1\])/;

const STATES = {
  connected: '',
  disconnected: ' – the way broke, looking for another',
  failed: ' – no way found',
  closed: '',
};

// Without a click on this page before, sound may be held back: then it is silent and says so.
function play(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
  if (!stream) return;
  video.play?.().catch((error) => {
    if (error.name !== 'NotAllowedError' || video.muted) return;
    notify('sound', { kind: 'info', title: 'The browser holds the sound back.', text: 'It wants a click first.' }, [
      ['Play', () => video.play()],
    ]);
  });
}

function useOutput(video, { chosen }) {
  if ((video.sinkId ?? '') !== chosen.output) video.setSinkId?.(chosen.output).catch(() => {});
}

const caption = ({ name, connection }) =>
  `${isolate(name)}${STATES[connection?.pc.connectionState] ?? ' – connecting'}`;

const isLive = ({ connection }) => connection?.remote.getVideoTracks().some((track) => !track.muted) ?? false;

function waiting(room) {
  const link = linkTo(room.name);
  const share = navigator.share && { type: 'button', onclick: () => navigator.share({ url: link }).catch(() => {}) };
  return [
    el(
      'p',
      {},
      room.state === 'joined_unbind'
        ? 'The other has left. The next one who comes is connected.'
        : 'Waiting for somebody. Send them this link:',
    ),
    el('p', { class: 'mono address', dir: 'ltr' }, link),
    el('div', { class: 'row' }, copyButton('Copy the link', () => link), share && el('button', share, 'Share it')),
    LOCAL.test(location.host) && el('p', { class: 'hint' }, 'It leads to this machine: open it in a second tab or window.'),
  ];
}

// What stands where there is no picture, null where there is one.
function blankFor(room) {
  const { peer } = room;
  if (!peer) return room.inside ? waiting(room) : [];
  if (isLive(peer)) return null;
  const connected = peer.connection?.pc.connectionState === 'connected';
  return [el('p', {}, connected ? `${isolate(peer.name)} sends no picture.` : 'Connecting …')];
}

function showBlank(room, last) {
  const blank = blankFor(room)?.filter(Boolean) ?? null;
  // The same words again would take the focus from the button in them.
  const key = blank ? blank.map((node) => node.textContent).join() : '';
  if (key !== last || !blank) $('remote-blank').replaceChildren(...(blank ?? []));
  setHidden($('remote-blank'), !blank);
  $('stage').toggleAttribute('data-alone', !room.peer);
  return key;
}

function showOthers({ room, media }) {
  const others = room.others.filter((other) => other !== room.peer);
  const video = () => el('video', { autoplay: true, playsinline: true, 'aria-hidden': 'true' });
  keyed(
    $('others'),
    others,
    ({ id }) => id,
    ({ id }) =>
      el(
        'li',
        {},
        el(
          'button',
          { type: 'button', class: 'tile other', onclick: () => room.select(id) },
          video(),
          el('span', { class: 'caption' }),
        ),
      ),
    (node, other) => {
      const button = node.firstElementChild;
      play(button.firstElementChild, other.connection?.remote ?? null);
      useOutput(button.firstElementChild, media);
      setText(button.lastElementChild, caption(other));
      button.setAttribute('aria-label', `Bring ${isolate(other.name)} to the front`);
    },
  );
  setHidden($('others'), !others.length);
}

function showOwn(media) {
  const camera = media.track('video');
  setHidden($('own-tile'), !camera);
  if (camera) play($('own-video'), media.stream);
  else $('own-video').srcObject = null;
  $('own-tile').toggleAttribute('data-screen', Boolean(media.screen));
  setText($('own-caption'), media.screen ? 'Your screen' : media.muted.video ? 'You, camera off' : 'You');
}

export function showStage(app) {
  const { room, media } = app;
  let blank = '';
  const update = () => {
    setHidden($('stage'), !room.inside);
    blank = showBlank(room, blank);
    setText($('remote-caption'), room.peer ? caption(room.peer) : '');
    play($('remote-video'), room.connection?.remote ?? null);
    useOutput($('remote-video'), media);
    showOthers(app);
    showOwn(media);
  };
  for (const event of ['connection', 'members', 'state', 'change']) room.addEventListener(event, update);
  media.addEventListener('change', update);
  update();
}
