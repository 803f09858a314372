// SPDX-License-Identifier: BSD-2-Clause
// Four plots of the last two minutes. The newest value stands beside each as text; the line never slides: it is drawn anew
// once a second.
import { el, setText, svg } from '../lib/dom.js';
import { bitrate, milliseconds, percent } from '../lib/format.js';

const WIDTH = 480;
const HEIGHT = 120;
const SPAN_MS = 120000;

const PLOTS = [
  {
    id: 'bitrate',
    title: 'Bitrate',
    format: bitrate,
    least: 100000,
    lines: [
      ['received', 'received', 'in'],
      ['sent', 'sent', 'out'],
    ],
  },
  {
    id: 'round-trip',
    title: 'Round trip',
    format: milliseconds,
    least: 10,
    lines: [['roundTrip', 'there and back', 'in']],
  },
  {
    id: 'loss',
    title: 'Loss',
    format: percent,
    least: 5,
    lines: [
      ['lossIn', 'received', 'in'],
      ['lossOut', 'sent', 'out'],
    ],
  },
  { id: 'jitter', title: 'Jitter', format: milliseconds, least: 10, lines: [['jitter', 'received', 'in']] },
];

// The next of 1, 2, 5, 10, 20, 50 … so that the scale stays for a while.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

// A path with gaps where nothing was measured.
function pathOf(samples, key, end, top) {
  let path = '';
  let pen = 'M';
  for (const sample of samples) {
    const value = sample[key];
    if (!Number.isFinite(value)) {
      pen = 'M';
      continue;
    }
    const x = WIDTH - ((end - sample.at) / SPAN_MS) * WIDTH;
    const y = HEIGHT - Math.min(value / top, 1) * (HEIGHT - 2) - 1;
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  }
  return path;
}

function makePlot({ id, title, format, least, lines }) {
  const values = lines.map(([, label, colour]) => ({ label, colour, node: el('strong', {}) }));
  const paths = lines.map(([, , colour]) => svg('path', { class: `line ${colour}` }));
  const scale = el('span', { class: 'scale' });
  const grid = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) => svg('path', { class: 'grid', d: `M0 ${y}H${WIDTH}` }));
  const picture = svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' },
    grid,
    paths,
  );
  const node = el(
    'figure',
    { class: 'plot', id: `plot-${id}` },
    el(
      'figcaption',
      {},
      el('h2', {}, title),
      el(
        'p',
        { class: 'values' },
        values.map(({ label, colour, node: value }) => el('span', { class: colour }, value, ` ${label}`)),
      ),
    ),
    el('div', { class: 'frame' }, scale, picture),
    el('p', { class: 'ends', 'aria-hidden': 'true' }, el('span', {}, '2 min ago'), el('span', {}, 'now')),
  );
  const update = (samples) => {
    const end = samples.at(-1)?.at ?? Date.now();
    const most = Math.max(
      least,
      ...samples.flatMap((sample) => lines.map(([key]) => sample[key])).filter(Number.isFinite),
    );
    const top = roundUp(most);
    setText(scale, format(top));
    lines.forEach(([key], i) => {
      paths[i].setAttribute('d', pathOf(samples, key, end, top));
      setText(values[i].node, format(samples.at(-1)?.[key]));
    });
    picture.setAttribute(
      'aria-label',
      `${title} over two minutes, at most ${format(Math.max(0, ...samples.flatMap((sample) => lines.map(([key]) => sample[key])).filter(Number.isFinite)))}`,
    );
  };
  return { node, update };
}

export function makePlots() {
  const plots = PLOTS.map(makePlot);
  const node = el(
    'section',
    { class: 'card plots', 'aria-label': 'How it goes' },
    plots.map((plot) => plot.node),
  );
  const update = ({ sampler }) => {
    for (const plot of plots) plot.update(sampler?.samples ?? []);
  };
  return { node, update };
}
