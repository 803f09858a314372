// SPDX-License-Identifier: BSD-2-Clause
// Every track of both ends in detail.
import { readTracks } from '../call/stats.js';
import { el, keyed, setText } from '../lib/dom.js';

const FACTS = ['id', 'kind', 'label', 'enabled', 'muted', 'readyState', 'coded'];
const OBJECTS = ['getSettings', 'getConstraints'];

function show(value) {
  if (typeof value === 'number') return String(Number(value.toFixed(3)));
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function coding(stats) {
  if (!stats) return '';
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

function trackNode({ whose, track }) {
  return el(
    'article',
    { class: 'track', data: { whose, kind: track.kind } },
    el('h3', {}, `${whose === 'own' ? 'Yours' : 'The other’s'}: ${track.kind}`),
    el(
      'dl',
      {},
      FACTS.map((name) => el('div', {}, el('dt', {}, el('code', {}, name)), el('dd', { data: { name } }))),
    ),
    OBJECTS.map((name) =>
      el('details', { data: { name } }, el('summary', {}, el('code', {}, `${name}()`)), el('ul', { class: 'plain' })),
    ),
  );
}

// Text by text: what was unfolded stays so, and so does a selection.
function updateTrack(node, { track, stats }) {
  for (const fact of node.querySelectorAll('dd')) {
    const { name } = fact.dataset;
    const value = name === 'coded' ? coding(stats) : String(track[name]);
    setText(fact, value || '–');
  }
  for (const details of node.querySelectorAll('details')) {
    const entries = Object.entries(track[details.dataset.name]());
    keyed(
      details.lastElementChild,
      entries.length ? entries : [['none', '']],
      ([key]) => key,
      ([key]) => el('li', {}, el('code', {}, key), el('span', {})),
      (item, [, value]) => setText(item.lastElementChild, ` ${show(value)}`),
    );
  }
}

export function makeTracks() {
  const body = el('div', { class: 'tracks' });
  const node = el(
    'section',
    { class: 'card', id: 'inside-tracks', 'aria-labelledby': 'inside-tracks-title' },
    el('h2', { id: 'inside-tracks-title' }, 'Tracks'),
    body,
  );
  const update = ({ room: { connection }, media, sampler }) => {
    const stats = sampler?.report ? readTracks(sampler.report) : [];
    const find = (direction, kind) => stats.find((one) => one.direction === direction && one.kind === kind);
    const tracks = [
      ...media.stream.getTracks().map((track) => ({ whose: 'own', track, stats: find('sent', track.kind) })),
      ...connection.remote.getTracks().map((track) => ({ whose: 'other', track, stats: find('received', track.kind) })),
    ];
    keyed(body, tracks, ({ whose, track }) => `${whose} ${track.id}`, trackNode, updateTrack);
  };
  return { node, update };
}
