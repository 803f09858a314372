// SPDX-License-Identifier: BSD-2-Clause
// Everybody who is connected; a name is a button that calls.
import { $, el, keyed, setHidden, setText } from '../lib/dom.js';
import { isolate, plural } from '../lib/format.js';

const BRING = {
  both: 'Your camera and microphone are turned on when you accept.',
  audio: 'Your microphone is turned on when you accept.',
  none: 'You will see and hear, and send neither picture nor sound.',
};
const ON_CHANGE = new Set(['users', 'useradd', 'userdel', 'registered']);

function showList({ signal, room, ring, bring }, call) {
  const others = [...signal.people].filter((name) => name !== signal.name).sort((a, b) => a.localeCompare(b));
  setText(
    $('people-lead'),
    signal.state === 'refused'
      ? 'The server has not let you in: “Room” says why, and what to do.'
      : signal.state !== 'online'
        ? 'The server is not connected: nobody can be seen now.'
        : others.length
        ? `You are ${isolate(signal.name)}. Choose a name to call; a room for the two of you is made for it.`
        : `You are ${isolate(signal.name)}, and nobody else is connected now. Who opens this page appears here.`,
  );
  setText($('people-count'), String(others.length));
  setHidden($('people-count'), !others.length);
  $('people-count').setAttribute('aria-label', plural(others.length, 'other', 'others'));
  const names = signal.state === 'online' ? others : [];
  keyed(
    $('people'),
    names,
    (name) => name,
    (name) =>
      el(
        'li',
        {},
        el(
          'button',
          { type: 'button', class: 'person', onclick: () => call(name) },
          el('bdi', { class: 'who' }, name),
          el('span', { class: 'what' }),
        ),
      ),
    (node, name) => {
      const button = node.firstElementChild;
      const here = room.has(name);
      button.disabled = Boolean(ring.outgoing) || here;
      setText(button.lastElementChild, here ? 'in your room' : 'Call');
    },
  );
}

function showOutgoing({ ring }) {
  const { outgoing } = ring;
  $('outgoing').replaceChildren(
    ...(outgoing
      ? [
          el(
            'div',
            { class: 'card row calling', role: 'status' },
            el(
              'p',
              {},
              el('strong', {}, `Calling ${isolate(outgoing.name)}`),
              ` – ${outgoing.rings ? 'it rings there' : 'asking the server'}`,
            ),
            el('button', { type: 'button', class: 'danger', onclick: () => ring.cancel() }, 'Cancel'),
          ),
        ]
      : []),
  );
}

function showRinging(app) {
  const { ring, room } = app;
  const dialog = $('ringing');
  const update = () => {
    if (!ring.incoming) {
      if (dialog.open) dialog.close();
      return;
    }
    setText($('ringing-title'), `${isolate(ring.incoming.name)} calls`);
    setText(
      $('ringing-text'),
      room.peer
        ? 'If you accept, you leave the call that you are in.'
        : BRING[$('bring').value],
    );
    if (!dialog.open) dialog.showModal();
  };
  $('ringing-accept').addEventListener('click', () => {
    app.go('room');
    ring.accept(app.bring);
  });
  $('ringing-refuse').addEventListener('click', () => ring.refuse());
  // Escape is a refusal too: otherwise the caller would wait.
  dialog.addEventListener('cancel', () => ring.incoming && ring.refuse());
  ring.addEventListener('change', update);
}

export function showPeople(app) {
  const { signal, room, ring } = app;
  const call = (name) => ring.call(name, app.bring);
  const update = () => {
    showList({ signal, room, ring }, call);
    showOutgoing(app);
  };
  signal.addEventListener('state', update);
  signal.addEventListener('message', ({ detail }) => ON_CHANGE.has(detail.type) && update());
  room.addEventListener('members', update);
  ring.addEventListener('change', update);
  // Accepted there: on to the call.
  room.addEventListener('connection', () => room.connection && location.hash === '#people' && app.go('room'));
  showRinging(app);
  update();
}
