// SPDX-License-Identifier: BSD-2-Clause
// How it stands with the server, and under which name.
import { $, setText } from '../lib/dom.js';
import { isolate, plural, randomWord } from '../lib/format.js';
import { dismiss, notify } from '../lib/notices.js';
import { of, ofServer } from '../lib/words.js';
import { keepTab } from '../link/memory.js';

const LINK = {
  offline: 'Not connected',
  connecting: 'Connecting',
  online: 'Connected',
  waiting: 'Server gone, trying again',
  refused: 'Not let in',
};

export function showLink(signal) {
  const show = () => {
    $('link').dataset.state = signal.state;
    setText($('link'), LINK[signal.state]);
    $('link').title = signal.state === 'online' ? `as ${isolate(signal.name)}, by ${signal.kind}` : '';
    // A moment without the server is nobody's business; what lasts is said.
    if (signal.state === 'waiting' && !showLink.timer)
      showLink.timer = setTimeout(() => notify('link', of('gone')), 3000);
    if (signal.state === 'online' || signal.state === 'refused') {
      clearTimeout(showLink.timer);
      showLink.timer = null;
      dismiss('link');
    }
  };
  signal.addEventListener('state', show);
  signal.addEventListener('undelivered', ({ detail }) =>
    notify('undelivered', {
      kind: 'warning',
      title: `${plural(detail, 'message')} to others could not be sent.`,
      text: 'The server was away for too long. If a call does not come back, leave the room and join again.',
    }),
  );
  show();
}

// A name that nobody typed gives way to one that is taken; a typed one is for who typed it to change.
export function settleName(app) {
  app.signal.addEventListener('state', () => {
    const { state, problem, name, token } = app.signal;
    if (state === 'online') keepTab({ name, token });
    if (state !== 'refused') return;
    if (problem.code === 'name_taken' && !app.nameTyped) {
      app.signal.connect(`${name.replace(/ \w{3}$/, '').slice(0, 40)} ${randomWord(3)}`);
      return;
    }
    app.room.evict(); // before the words: they stand in the form
    app.dispatchEvent(new CustomEvent('refused', { detail: ofServer(problem) }));
  });
}
