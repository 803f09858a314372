// SPDX-License-Identifier: BSD-2-Clause
// What happens inside the call. Brought up to date once a second, and only while it is looked at.
import { STEPS } from '../call/connection.js';
import { readIce } from '../call/stats.js';
import { $, el, setHidden, setText } from '../lib/dom.js';
import { clock } from '../lib/format.js';
import { makeCandidates } from './candidates.js';
import { makePlots } from './plots.js';
import { makeDescriptions } from './descriptions.js';
import { makeTracks } from './tracks.js';

const STATES = [
  ['connectionState', 'the whole'],
  ['iceConnectionState', 'ways'],
  ['iceGatheringState', 'own addresses'],
  ['signalingState', 'offer and answer'],
];
const KINDS = {
  connected: 'good',
  completed: 'good',
  complete: 'good',
  stable: 'good',
  failed: 'bad',
  disconnected: 'bad',
  closed: 'bad',
};

function card(id, title, hint, ...content) {
  return el(
    'section',
    { class: 'card', id, 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, title),
    hint && el('p', { class: 'hint' }, hint),
    ...content,
  );
}

function makeStates() {
  const values = new Map(STATES.map(([name]) => [name, el('dd', { class: 'tag', data: { name } })]));
  const list = el(
    'dl',
    { class: 'states-now' },
    STATES.map(([name, what]) => el('div', {}, el('dt', {}, el('code', {}, name), ` ${what}`), values.get(name))),
  );
  const changes = el('ol', { class: 'timeline', tabindex: 0, 'aria-label': 'What changed, and when' });
  let shown = null;
  let count = 0;
  const update = ({ room: { connection } }) => {
    for (const [name, node] of values) {
      setText(node, connection.pc[name]);
      node.dataset.kind = KINDS[connection.pc[name]] ?? 'warn';
    }
    const { timeline } = connection;
    if (shown !== connection || count > timeline.length) {
      changes.replaceChildren();
      count = 0;
    }
    shown = connection;
    for (const { at, what } of timeline.slice(count))
      changes.append(el('li', {}, el('time', {}, clock(at)), ` ${what}`));
    count = timeline.length;
  };
  return {
    node: card(
      'inside-states',
      'States',
      null,
      list,
      el('details', {}, el('summary', {}, 'Everything that changed'), changes),
    ),
    update,
  };
}

function makeSteps() {
  const times = STEPS.map(() => el('time', {}));
  const actors = STEPS.map(() => el('span', { class: 'actor' }));
  const items = STEPS.map(([, what], i) => el('li', {}, actors[i], el('span', { class: 'what' }, what), times[i]));
  const lead = el('p', { class: 'hint' });
  const list = el('ol', { class: 'steps' }, items);
  const update = ({ room: { connection, peer } }) => {
    const { role, steps } = connection;
    setText(
      lead,
      role === ''
        ? 'No offer yet.'
        : `A is ${role === 'A' ? 'you' : (peer?.name ?? 'the other')}, B is ${role === 'B' ? 'you' : (peer?.name ?? 'the other')}. Times of the other’s steps are when this end learned of them.`,
    );
    STEPS.forEach(([actor], i) => {
      setText(actors[i], actor === 'both' ? 'A B' : actor);
      items[i].dataset.own = String(actor === role || actor === 'both');
      items[i].toggleAttribute('data-done', steps[i] > 0);
      setText(times[i], steps[i] ? clock(steps[i]) : '–');
    });
  };
  return { node: card('inside-steps', 'Offer and answer, in ten steps', null, lead, list), update };
}

function makeServers() {
  const list = el('ul', { class: 'servers' });
  const until = el('p', { class: 'hint' });
  let shown = '';
  const update = ({ room }) => {
    const text = JSON.stringify(room.iceServers);
    setText(
      until,
      room.iceUntil > Date.now()
        ? `The credential is good until ${clock(room.iceUntil)}; the server sends a fresh one in time.`
        : '',
    );
    if (text === shown) return;
    shown = text;
    list.replaceChildren(
      ...room.iceServers.map(({ urls, username }) =>
        el(
          'li',
          {},
          [urls].flat().map((url) => el('code', {}, url)),
          username ? el('span', { class: 'hint' }, `as ${username}`) : null,
        ),
      ),
    );
  };
  return {
    node: card(
      'inside-servers',
      'iceServers',
      'The servers that this connection was given for finding its ways.',
      list,
      until,
    ),
    update,
  };
}

function lead({ room, sampler }) {
  const { connection, peer } = room;
  if (!connection)
    return 'There is no call now. Join a room, and when somebody else is there too, this shows how the two find each other and how well it goes.';
  const name = peer?.name ?? 'the other';
  const chosen = sampler?.report && readIce(sampler.report).pairs.find((pair) => pair.chosen);
  if (connection.pc.connectionState !== 'connected' || !chosen) return `Connecting with ${name}.`;
  const relayed = chosen.local.candidateType === 'relay' || chosen.remote.candidateType === 'relay';
  return `Connected with ${name}, ${relayed ? 'relayed by this server' : 'directly from browser to browser'}.`;
}

export function showInside(app) {
  const [plots, states, servers, steps, ...rest] = [
    makePlots(),
    makeStates(),
    makeServers(),
    makeSteps(),
    makeCandidates(),
    makeTracks(),
    makeDescriptions(),
  ];
  const parts = [plots, states, servers, steps, ...rest];
  $('inside').append(
    plots.node,
    el('div', { class: 'column' }, states.node, servers.node),
    steps.node,
    ...rest.map(({ node }) => node),
  );
  const visible = () => !$('view-inside').hidden && document.visibilityState === 'visible';
  const update = () => {
    if (!visible()) return;
    setText($('inside-lead'), lead(app));
    setHidden($('inside'), !app.room.connection);
    if (app.room.connection) for (const part of parts) part.update(app);
  };
  const follow = () => {
    app.sampler?.addEventListener('sample', update);
    for (const event of ['state', 'candidate', 'step', 'description'])
      app.room.connection?.addEventListener(event, update);
    update();
  };
  app.addEventListener('sampler', follow);
  document.addEventListener('view', update);
  update();
}
