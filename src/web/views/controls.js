// SPDX-License-Identifier: BSD-2-Clause
// The buttons of a call: mute, camera, screen, ICE restart, leave; and the choice of a part of the screen.
import { $, el, setHidden, setText } from '../lib/dom.js';
import { dismiss, notify } from '../lib/notices.js';
import { ofMedia } from '../lib/words.js';

const FULL = { x: 0, y: 0, width: 1, height: 1 };
const SIDES = [
  ['x', 'Left'],
  ['y', 'Top'],
  ['width', 'Width'],
  ['height', 'Height'],
];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function rectangle(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

function drag(frame, change) {
  const at = (event) => {
    const box = frame.getBoundingClientRect();
    return {
      x: clamp((event.clientX - box.left) / box.width, 0, 1),
      y: clamp((event.clientY - box.top) / box.height, 0, 1),
    };
  };
  let from = null;
  frame.addEventListener('pointerdown', (event) => {
    from = at(event);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener('pointermove', (event) => from && change(rectangle(from, at(event))));
  frame.addEventListener('pointerup', () => (from = null));
}

// Shows the stream and lets a part of it be chosen, with the pointer or by numbers; null when cancelled.
function chooseRegion(stream) {
  return new Promise((resolve) => {
    const mark = el('div', { class: 'mark-region' });
    const video = el('video', { muted: true, playsinline: true });
    const frame = el('div', { class: 'frame' }, video, mark);
    const inputs = new Map(
      SIDES.map(([key, label]) => [
        key,
        el('input', { type: 'number', min: 0, max: 100, step: 1, 'aria-label': `${label} in percent` }),
      ]),
    );
    let part = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
    const show = (next) => {
      part = next.width > 0.01 && next.height > 0.01 ? next : FULL;
      for (const [key] of SIDES) {
        mark.style.setProperty(`--${key}`, `${part[key] * 100}%`);
        inputs.get(key).value = Math.round(part[key] * 100);
      }
    };
    const read = () => {
      const [x, y, width, height] = SIDES.map(([key]) => clamp(Number(inputs.get(key).value) / 100 || 0, 0, 1));
      show({ x, y, width: Math.min(width, 1 - x), height: Math.min(height, 1 - y) });
    };
    for (const input of inputs.values()) input.addEventListener('change', read);
    drag(frame, show);
    const end = (result) => {
      setHidden($('region'), true);
      $('region').replaceChildren();
      resolve(result);
    };
    const share = el('button', { type: 'button', class: 'primary', onclick: () => end(part) }, 'Share this part');
    $('region').replaceChildren(
      el('p', {}, 'Draw a rectangle over what is to be seen, or give its sides in percent.'),
      frame,
      el(
        'div',
        { class: 'row sides' },
        SIDES.map(([key, label]) => el('label', {}, `${label} %`, inputs.get(key))),
      ),
      el('div', { class: 'row' }, share, el('button', { type: 'button', onclick: () => end(null) }, 'Cancel')),
    );
    video.srcObject = stream;
    video.play();
    show(part);
    setHidden($('region'), false);
    share.focus();
    stream.getVideoTracks()[0].addEventListener('ended', () => end(null));
  });
}

async function guarded(run, screen) {
  dismiss('media');
  try {
    await run();
  } catch (error) {
    notify('media', ofMedia(error, { screen }));
  }
}

export function showControls({ room, media }) {
  const button = (label, run, props = {}) => el('button', { type: 'button', onclick: run, ...props }, label);
  const toggle = (kind) =>
    media.track(kind) ? media.mute(kind, !media.muted[kind]) : guarded(() => media.open([kind]));
  const microphone = button('Mute', () => toggle('audio'));
  const camera = button('Camera off', () => toggle('video'));
  const surface = el(
    'select',
    { 'aria-label': 'What to share' },
    [
      ['monitor', 'Entire screen'],
      ['window', 'A window'],
      ['region', 'Part of the screen'],
    ].map(([value, text]) => el('option', { value }, text)),
  );
  const share = button('Share', () =>
    media.screen ? media.unshare() : guarded(() => media.share(surface.value, chooseRegion), true),
  );
  const restart = button('Restart ICE', () => room.connection?.restart());
  const leave = button(
    'Leave',
    async () => {
      await room.leave();
      $('join').focus();
    },
    { class: 'danger' },
  );
  $('controls').append(microphone, camera, el('span', { class: 'joint' }, surface, share), restart, leave);

  const update = () => {
    setHidden($('controls'), !room.inside);
    for (const [node, kind, on, off, none] of [
      [microphone, 'audio', 'Mute', 'Muted', 'Add microphone'],
      [camera, 'video', 'Camera off', 'Camera is off', 'Add camera'],
    ]) {
      const muted = media.muted[kind] && media.track(kind);
      setText(node, !media.track(kind) ? none : muted ? off : on);
      node.setAttribute('aria-pressed', String(Boolean(muted)));
    }
    setHidden(surface, Boolean(media.screen));
    setText(share, media.screen ? 'Stop sharing' : 'Share');
    restart.disabled = !room.connection;
  };
  for (const event of ['state', 'connection']) room.addEventListener(event, update);
  media.addEventListener('change', update);
  update();
}
