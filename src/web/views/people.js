// SPDX-License-Identifier: BSD-2-Clause
// Everybody who is connected; a name is a button that calls. Where they are many, some letters of it find it.
import { $, el, keyed, setHidden, setText } from '../lib/dom.js';
import { isolate, plural } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';
import { showRinging } from './ringing.js';

const FEW = 8; // that are seen at a glance
const AGAIN_MS = 100; // where many come and go
const ON_CHANGE = new Set(['users', 'useradd', 'userdel', 'registered']);

const { compare } = new Intl.Collator(undefined, { numeric: true });

// Case and accents do not count for who looks for a name.
const fold = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

const othersOf = ({ state, people, name }) => (state === 'online' ? [...people].filter((one) => one !== name) : []);

function leadOf({ state, name }, count) {
  if (state === 'refused') return 'The server has not let you in: “Room” says why, and what to do.';
  if (state !== 'online') return 'The server is not connected: nobody can be seen now.';
  return count
    ? `You are ${isolate(name)}. Choose a name to call; a room for the two of you is made for it.`
    : `You are ${isolate(name)}, and nobody else is connected now. Who opens this page appears here.`;
}

function foundText(found, listed, total, query) {
  const missing = total > listed ? ` ${total} are connected, and ${listed} of them are listed.` : '';
  if (!query) return missing.trim();
  return found
    ? `${found} of ${listed} have “${isolate(query)}” in their name.${missing}`
    : `Nobody ${missing ? 'in the list' : 'who is connected'} has “${isolate(query)}” in the name.${missing}`;
}

function personNode(name, call) {
  return el(
    'li',
    {},
    el(
      'button',
      { type: 'button', class: 'person', onclick: () => call(name) },
      el('bdi', { class: 'who' }, name),
      el('span', { class: 'what' }),
    ),
  );
}

function showList({ signal, room, ring }, call) {
  const listed = othersOf(signal);
  const total = signal.state === 'online' ? Math.max(signal.total, listed.length) : 0;
  setText($('people-count'), String(total));
  setHidden($('people-count'), !total);
  $('people-count').setAttribute('aria-label', plural(total, 'other', 'others'));
  if ($('view-people').hidden) return;
  setText($('people-lead'), leadOf(signal, total));
  const query = $('people-filter').value.trim();
  setHidden($('people-find'), listed.length <= FEW && !query);
  const wanted = fold(query);
  const found = (query ? listed.filter((name) => fold(name).includes(wanted)) : listed).sort(compare);
  setText($('people-found'), signal.state === 'online' ? foundText(found.length, listed.length, total, query) : '');
  keyed(
    $('people'),
    found,
    (name) => name,
    (name) => personNode(name, call),
    (node, name) => {
      const button = node.firstElementChild;
      const here = room.has(name);
      const disabled = Boolean(ring.outgoing) || here;
      if (button.disabled !== disabled) button.disabled = disabled;
      setText(button.lastElementChild, here ? 'in your room' : 'Call');
    },
  );
  // Somebody of whom the server has not told can be called all the same.
  const unlisted = query && total > listed.length && !signal.people.has(query) ? [query] : [];
  keyed(
    $('people-more'),
    unlisted,
    (name) => name,
    (name) => el('button', { type: 'button', onclick: () => call(name) }, `Call ${isolate(name)}`),
    (button) => (button.disabled = Boolean(ring.outgoing)),
  );
}

// The focus follows: to the button that cancels, and back to the name.
function showOutgoing({ ring }) {
  const words = el('p', {});
  const cancel = el('button', { type: 'button', class: 'danger', onclick: () => ring.cancel() }, 'Cancel');
  const card = el('div', { class: 'card row calling' }, words, cancel);
  let calling = null;
  return () => {
    const { outgoing } = ring;
    if (outgoing)
      words.replaceChildren(
        el('strong', {}, `Calling ${isolate(outgoing.name)}`),
        ` – ${outgoing.rings ? 'it rings there' : 'asking the server'}`,
      );
    if (Boolean(outgoing) === card.isConnected) return;
    if (outgoing) {
      const { activeElement } = document;
      calling = outgoing.name;
      $('outgoing').append(card);
      if ($('view-people').contains(activeElement)) cancel.focus();
    } else {
      const focused = document.activeElement === cancel;
      card.remove();
      const person = [...$('people').children].find(({ dataset }) => dataset.key === calling);
      if (focused) (person?.firstElementChild ?? $('main')).focus();
    }
  };
}

// A click on a name must not end a call without a word.
function callFrom({ room, ring, bring }, name) {
  for (const key of ['instead', 'ring']) dismiss(key); // of a call before
  if (!room.peer) {
    ring.call(name, bring);
    return;
  }
  notify(
    'instead',
    {
      kind: 'info',
      title: `You are in a call with ${isolate(room.peer.name)}.`,
      text: `To call ${isolate(name)} is to leave it.`,
    },
    [[`Leave it, and call ${isolate(name)}`, () => ring.call(name, bring)]],
  );
}

function showFilter(update) {
  const filter = $('people-filter');
  const first = () => $('people').querySelector('button:enabled') ?? $('people-more').querySelector('button:enabled');
  filter.addEventListener('input', update);
  filter.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    first()?.focus();
  });
  $('people-find').addEventListener('submit', (event) => {
    event.preventDefault();
    first()?.focus();
  });
}

export function showPeople(app) {
  const { signal, room, ring } = app;
  const updateOutgoing = showOutgoing(app);
  let timer = null;
  const update = () => {
    clearTimeout(timer);
    timer = null;
    showList(app, (name) => callFrom(app, name));
    updateOutgoing();
  };
  const soon = () => (timer ??= setTimeout(update, AGAIN_MS));
  signal.addEventListener('state', update);
  signal.addEventListener('message', ({ detail }) => ON_CHANGE.has(detail.type) && soon());
  room.addEventListener('members', () => {
    if (!room.peer) dismiss('instead');
    update();
  });
  ring.addEventListener('change', update);
  document.addEventListener('view', update);
  showFilter(update);
  // Accepted there: on to the call.
  room.addEventListener('connection', () => room.connection && location.hash === '#people' && app.go('room'));
  showRinging(app);
  update();
}
