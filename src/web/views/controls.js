// SPDX-License-Identifier: BSD-2-Clause
// The buttons of a call: mute, camera, screen, ICE restart, leave.
import { $, el, setHidden, setText } from '../lib/dom.js';
import { dismiss, notify } from '../lib/notices.js';
import { ofMedia } from '../lib/words.js';
import { chooseRegion } from './region.js';

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
  const restart = button('Restart ICE', () => room.restart());
  const leave = button('Leave', () => room.leave(), { class: 'danger' });
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
