// SPDX-License-Identifier: BSD-2-Clause
// Candidates as they come in, by type; the checks between them; the chosen pair; who controls.
import { readIce } from '../call/stats.js';
import { el, setText, table } from '../lib/dom.js';
import { bytes, endpoint, milliseconds, plural } from '../lib/format.js';

const TYPES = {
  host: 'an address of the machine itself',
  srflx: 'its address as a STUN server sees it',
  prflx: 'its address as the other saw it in a check',
  relay: 'an address on a TURN server',
};

const CHECKS = {
  succeeded: 'works',
  failed: 'does not work',
  'in-progress': 'being checked',
  waiting: 'waits',
  frozen: 'waits for another',
  cancelled: 'given up',
};

// Those that were told, and those that only turned up in checks.
function collect(told, found) {
  const key = ({ address, port, protocol }) => `${address} ${port} ${protocol}`;
  const known = new Set(told.map(key));
  const more = found
    .filter((report) => report.candidateType === 'prflx')
    .map((report) => ({
      type: 'prflx',
      address: report.address,
      port: report.port,
      protocol: report.protocol,
      priority: report.priority,
      url: '',
      relayProtocol: '',
    }));
  return [...told, ...more.filter((candidate) => !known.has(key(candidate)))];
}

function describe({ protocol, tcpType, relayProtocol, url, relatedAddress, relatedPort }) {
  return [
    tcpType ? `${protocol} ${tcpType}` : protocol,
    relayProtocol ? `by ${relayProtocol} to the relay` : '',
    url
      ? `from ${url}`
      : relatedAddress && relatedAddress !== '0.0.0.0' && relatedAddress !== '::'
        ? `for ${endpoint(relatedAddress, relatedPort)}`
        : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function sideNode(title, candidates) {
  const groups = Object.entries(TYPES).map(([type, what]) => {
    const of = candidates.filter((candidate) => candidate.type === type);
    return el(
      'div',
      { class: 'type', data: { type } },
      el('h4', {}, el('code', {}, type), ` ${of.length}`, el('small', {}, what)),
      el(
        'ul',
        {},
        of.map((candidate) =>
          el(
            'li',
            {},
            el('code', {}, endpoint(candidate.address || 'hidden', candidate.port)),
            el('span', {}, describe(candidate)),
          ),
        ),
      ),
    );
  });
  return el('div', {}, el('h3', {}, title), groups);
}

const candidateText = (report) => `${report.candidateType} ${endpoint(report.address || 'hidden', report.port)}`;

function pairRow(pair) {
  return {
    kind: pair.chosen ? 'chosen' : undefined,
    cells: [
      pair.chosen ? 'chosen' : (CHECKS[pair.state] ?? pair.state),
      candidateText(pair.local),
      candidateText(pair.remote),
      pair.local.relayProtocol ?? pair.local.protocol,
      `${pair.requestsSent ?? 0} / ${pair.responsesReceived ?? 0}`,
      `${pair.requestsReceived ?? 0} / ${pair.responsesSent ?? 0}`,
      milliseconds((pair.currentRoundTripTime ?? NaN) * 1000),
      pair.nominated ? 'yes' : '',
      bytes((pair.bytesSent ?? 0) + (pair.bytesReceived ?? 0)),
    ],
  };
}

export function makeCandidates() {
  const chosen = el('p', { class: 'chosen', id: 'chosen-pair' });
  const role = el('p', { class: 'hint', id: 'ice-role' });
  const sides = el('div', { class: 'two' });
  const pairs = el('div', {});
  const errors = el('div', {});
  const node = el(
    'section',
    { class: 'card', id: 'inside-candidates', 'aria-labelledby': 'inside-candidates-title' },
    el('h2', { id: 'inside-candidates-title' }, 'Candidates and checks'),
    chosen,
    role,
    sides,
    el('h3', {}, 'Checks'),
    pairs,
    errors,
  );
  let last = {};
  // Only what is another is drawn anew: a selection or a scrolled table stays.
  const changed = (name, value) => {
    const text = JSON.stringify(value);
    if (last[name] === text) return false;
    last[name] = text;
    return true;
  };
  const update = ({ room: { connection }, sampler }) => {
    const ice = sampler?.report ? readIce(sampler.report) : { pairs: [], role: 'unknown', locals: [], remotes: [] };
    const pair = ice.pairs.find((one) => one.chosen);
    setText(
      chosen,
      pair ? `Chosen: ${candidateText(pair.local)}  ↔  ${candidateText(pair.remote)}` : 'No pair is chosen yet.',
    );
    setText(
      role,
      {
        controlling: 'This end is the controlling one: it decides which pair is used.',
        controlled: 'The other end is the controlling one: it decides which pair is used.',
      }[ice.role] ?? 'Who controls is not known yet.',
    );
    const local = collect(connection.candidates.local, ice.locals);
    const remote = collect(connection.candidates.remote, ice.remotes);
    if (changed('sides', [local, remote])) {
      sides.replaceChildren(
        sideNode(`Of this end: ${plural(local.length, 'candidate')}`, local),
        sideNode(`Of the other: ${plural(remote.length, 'candidate')}`, remote),
      );
    }
    const rows = ice.pairs.map(pairRow);
    if (changed('pairs', rows)) {
      const scrolled = pairs.firstElementChild?.scrollLeft ?? 0;
      const focused = pairs.contains(document.activeElement);
      pairs.replaceChildren(
        table(
          'Checks between candidates',
          [
            'Check',
            'Here',
            'There',
            'By',
            '#Asked / answered',
            '#Was asked / answered',
            '#Round trip',
            'Nominated',
            '#Carried',
          ],
          rows,
        ),
      );
      pairs.firstElementChild.scrollLeft = scrolled;
      if (focused) pairs.firstElementChild.focus();
    }
    if (changed('errors', connection.errors)) {
      errors.replaceChildren(
        ...(connection.errors.length
          ? [
              el('h3', {}, 'What servers refused'),
              el(
                'ul',
                { class: 'refusals' },
                connection.errors.map(({ url, errorCode, errorText }) =>
                  el('li', {}, el('code', {}, url), ` ${errorCode} ${errorText}`),
                ),
              ),
            ]
          : []),
      );
    }
  };
  return { node, update };
}
