// SPDX-License-Identifier: BSD-2-Clause
// How a connection came about: its states with all that changed, and the ten steps of offer and answer.
import { STEPS } from '../call/connection.js';
import { card, el, setText } from '../lib/dom.js';
import { clock, isolate } from '../lib/format.js';

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

export function makeStates() {
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

export function makeSteps() {
  const times = STEPS.map(() => el('time', {}));
  const actors = STEPS.map(() => el('span', { class: 'actor' }));
  const items = STEPS.map(([, what], i) => el('li', {}, actors[i], el('span', { class: 'what' }, what), times[i]));
  const lead = el('p', { class: 'hint' });
  const list = el('ol', { class: 'steps' }, items);
  const update = ({ room: { connection, peer } }) => {
    const { role, steps } = connection;
    const who = (side) => (role === side ? 'you' : isolate(peer.name));
    setText(
      lead,
      role === ''
        ? 'No offer yet.'
        : `A is ${who('A')}, B is ${who('B')}. Times of the other’s steps are when this end learned of them.`,
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
