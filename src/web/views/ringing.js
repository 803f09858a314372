// SPDX-License-Identifier: BSD-2-Clause
// Somebody calls: who it is, and what happens to whoever accepts.
import { $, setText } from '../lib/dom.js';
import { isolate } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';

const BRING = {
  both: 'Your camera and microphone are on when you accept.',
  audio: 'Your microphone is on when you accept.',
  none: 'You will see and hear, and send neither picture nor sound.',
};

function leaving({ peer, inside, name, others }) {
  if (peer) return `You leave the call with ${others.map((other) => isolate(other.name)).join(', ')} then. `;
  return inside ? `You leave the room ${isolate(name)} then. ` : '';
}

// A name that comes with a token is somebody's; any other is that of whoever takes it first.
const whom = ({ token }) =>
  token
    ? 'That lasts until this page is loaded again.'
    : 'That goes by the name, and lasts until this page is loaded again: whoever has that name is refused, and under another name ' +
      'they can call.';

export function showRinging(app) {
  const { ring, room } = app;
  const dialog = $('ringing');
  const update = () => {
    const { incoming } = ring;
    if (!incoming) {
      if (dialog.open) dialog.close();
      return;
    }
    setText($('ringing-title'), `${isolate(incoming.name)} calls`);
    setText($('ringing-text'), `${leaving(room)}${BRING[$('bring').value]}`);
    // The title gets the focus: who is typing must not accept by that.
    if (!dialog.open) dialog.showModal();
  };
  $('ringing-accept').addEventListener('click', () => {
    dismiss('ring');
    app.go('room');
    ring.accept(app.bring);
  });
  $('ringing-refuse').addEventListener('click', () => ring.refuse());
  $('ringing-never').addEventListener('click', () => {
    const { name } = ring.incoming;
    ring.refuse({ always: true });
    notify(
      'never',
      { kind: 'info', title: `${isolate(name)} does not ring here any more.`, text: whom(app.signal) },
      [['Let it ring again', () => ring.allow(name)]],
    );
  });
  // Escape is a refusal too: otherwise the caller would wait. Without a click on the page before, it closes without asking.
  dialog.addEventListener('close', () => !dialog.open && ring.incoming && ring.refuse());
  for (const event of ['members', 'state']) room.addEventListener(event, update);
  ring.addEventListener('change', update);
}
