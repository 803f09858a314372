// SPDX-License-Identifier: BSD-2-Clause
// Every track of both ends in detail.
import { readTracks } from '../call/stats.js';
import { el } from '../lib/dom.js';

function show(value) {
  if (typeof value === 'number') return String(Number(value.toFixed(3)));
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const list = (object) => {
  const entries = Object.entries(object);
  return entries.length
    ? entries.map(([key, value]) => el('li', {}, el('code', {}, key), ` ${show(value)}`))
    : [el('li', {}, 'none')];
};

function coding(stats) {
  if (!stats) return null;
  const { codec, width, height, rate, frames } = stats;
  return [
    codec,
    width && `${width} × ${height}`,
    rate && `${Math.round(rate)} frames/s`,
    Number.isFinite(frames) && `${frames} frames so far`,
  ]
    .filter(Boolean)
    .join(', ');
}

function trackNode({ whose, track, stats }) {
  const facts = [
    ['id', track.id],
    ['kind', track.kind],
    ['label', track.label || '–'],
    ['enabled', String(track.enabled)],
    ['muted', String(track.muted)],
    ['readyState', track.readyState],
    ['coded', coding(stats) || '–'],
  ];
  return el(
    'article',
    { class: 'track', data: { whose, kind: track.kind } },
    el('h3', {}, `${whose === 'own' ? 'Yours' : 'The other’s'}: ${track.kind}`),
    el(
      'dl',
      {},
      facts.map(([name, value]) => el('div', {}, el('dt', {}, el('code', {}, name)), el('dd', {}, value))),
    ),
    el(
      'div',
      { class: 'two' },
      el('div', {}, el('h4', {}, 'getSettings()'), el('ul', { class: 'plain' }, list(track.getSettings()))),
      el('div', {}, el('h4', {}, 'getConstraints()'), el('ul', { class: 'plain' }, list(track.getConstraints()))),
    ),
  );
}

export function makeTracks() {
  const body = el('div', { class: 'tracks' });
  const node = el(
    'section',
    { class: 'card', id: 'inside-tracks', 'aria-labelledby': 'inside-tracks-title' },
    el('h2', { id: 'inside-tracks-title' }, 'Tracks'),
    body,
  );
  let shown = '';
  const update = ({ room: { connection }, media, sampler }) => {
    const stats = sampler?.report ? readTracks(sampler.report) : [];
    const find = (direction, kind) => stats.find((one) => one.direction === direction && one.kind === kind);
    const tracks = [
      ...media.stream.getTracks().map((track) => ({ whose: 'own', track, stats: find('sent', track.kind) })),
      ...connection.remote.getTracks().map((track) => ({ whose: 'other', track, stats: find('received', track.kind) })),
    ];
    const nodes = tracks.map(trackNode);
    const text = nodes.map((one) => one.textContent).join();
    if (text !== shown) body.replaceChildren(...nodes);
    shown = text;
  };
  return { node, update };
}
