// SPDX-License-Identifier: BSD-2-Clause
// Devices, bitrate limits, and how the connection is made.
import { $, el } from '../lib/dom.js';
import { notify } from '../lib/notices.js';
import { ofMedia } from '../lib/words.js';

const LIMITS = [
  [0, 'no limit'],
  [2500, '2.5 Mbit/s'],
  [1000, '1 Mbit/s'],
  [500, '500 kbit/s'],
  [250, '250 kbit/s'],
  [100, '100 kbit/s'],
];
const POLICIES = [
  ['all', 'all: direct if possible'],
  ['relay', 'relay: by this server only'],
  ['public', 'public: old word for all'],
];
const BUNDLES = [
  ['max-bundle', 'max-bundle'],
  ['balanced', 'balanced'],
  ['max-compat', 'max-compat'],
];
const DEVICES = [
  ['audio', 'audioinput', 'Microphone'],
  ['video', 'videoinput', 'Camera'],
  ['output', 'audiooutput', 'Loudspeaker'],
];

const options = (pairs) => pairs.map(([value, text]) => el('option', { value }, text));

function field(label, id, pairs, onchange, hint) {
  const select = el('select', { id, onchange: () => onchange(select.value) }, options(pairs));
  return el('label', {}, label, select, hint && el('small', {}, hint));
}

function fillDevices(media) {
  for (const [key, kind, label] of DEVICES) {
    const select = $(`device-${key}`);
    const found = media.devices.filter((device) => device.kind === kind && device.deviceId !== '');
    // Names are told only to pages that were let in once.
    select.replaceChildren(
      ...options([
        ['', found.length ? 'as the browser chooses' : 'known after the first use'],
        ...found.map((device, i) => [device.deviceId, device.label || `${label} ${i + 1}`]),
      ]),
    );
    const chosen = media.chosen[key];
    if (found.some(({ deviceId }) => deviceId === chosen)) select.value = chosen;
    else media.chosen[key] = '';
    select.disabled = !found.length;
  }
}

async function choose(media, key, value) {
  try {
    if (key === 'output') {
      await $('remote-video').setSinkId(value);
      media.useOutput(value);
    } else await media.choose(key, value);
  } catch (error) {
    notify('media', ofMedia(error));
  }
}

export function showSettings({ media, room }) {
  const devices = DEVICES.filter(([key]) => key !== 'output' || 'setSinkId' in HTMLMediaElement.prototype).map(
    ([key, , label]) => field(label, `device-${key}`, [], (value) => choose(media, key, value)),
  );
  if (!$('remote-video').setSinkId) DEVICES.length = 2;
  const rebuild = el('button', { type: 'button', id: 'rebuild', onclick: () => room.rebuild() }, 'Connect again');
  const silence = el('input', {
    type: 'checkbox',
    id: 'vad',
    checked: true,
    onchange: () => room.change({ voiceActivityDetection: silence.checked }),
  });
  $('settings-body').append(
    el(
      'div',
      { class: 'fields' },
      devices,
      field(
        'Send at most',
        'limit-send',
        LIMITS,
        (value) => room.change({ sendLimit: Number(value) }),
        'video, by setParameters',
      ),
      field(
        'Receive at most',
        'limit-receive',
        LIMITS,
        (value) => room.change({ receiveLimit: Number(value) }),
        'video, asked for by a b= line in the SDP',
      ),
      field(
        'iceTransportPolicy',
        'policy',
        POLICIES,
        (value) => room.change({ policy: value }),
        'takes effect now, by a new connection',
      ),
      field(
        'bundlePolicy',
        'bundle',
        BUNDLES,
        (value) => room.change({ bundle: value }),
        'takes effect with the next connection',
      ),
    ),
    el(
      'div',
      { class: 'row' },
      rebuild,
      el('label', { class: 'tick' }, silence, 'voiceActivityDetection in the next offer'),
    ),
  );
  const update = () => (rebuild.disabled = !room.peer);
  for (const event of ['members', 'connection']) room.addEventListener(event, update);
  media.addEventListener('devices', () => fillDevices(media));
  fillDevices(media);
  update();
}
