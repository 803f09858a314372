// SPDX-License-Identifier: BSD-2-Clause
// Puts the page together and gives every view its part.
import { Media, isAllowed } from './call/media.js';
import { Ring } from './call/ring.js';
import { Room } from './call/room.js';
import { Sampler } from './call/stats.js';
import { $, setText } from './lib/dom.js';
import { randomWord } from './lib/format.js';
import { dismiss, notify } from './lib/notices.js';
import { of, ofMedia, ofServer } from './lib/words.js';
import { SignalClient } from './link/client.js';
import { claimTab, keepTab, recallName, recallTab } from './link/memory.js';
import { showInside } from './views/inside.js';
import { showNetwork } from './views/network.js';
import { showPeople } from './views/people.js';
import { showRoom } from './views/room.js';
import { startRouter } from './views/router.js';

const LINK = {
  offline: 'Not connected',
  connecting: 'Connecting',
  online: 'Connected',
  waiting: 'Server gone, trying again',
  refused: 'Not let in',
};

function showLink(signal) {
  const show = () => {
    $('link').dataset.state = signal.state;
    setText($('link'), LINK[signal.state]);
    $('link').title = signal.state === 'online' ? `as ${signal.name}, by ${signal.kind}` : '';
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
  show();
}

// A name that nobody typed gives way to one that is taken; a typed one is for who typed it to change.
function settleName(app) {
  app.signal.addEventListener('state', () => {
    const { state, problem, name } = app.signal;
    if (state === 'online') keepTab({ name });
    if (state !== 'refused') return;
    if (problem.code === 'name_taken' && !app.nameTyped) {
      app.signal.connect(`${name.replace(/ \w{3}$/, '').slice(0, 40)} ${randomWord(3)}`);
      return;
    }
    app.dispatchEvent(new CustomEvent('refused', { detail: ofServer(problem) }));
  });
}

// Back where this tab was before it was reloaded.
async function restore(app, { room, id, bring = [] }) {
  if (!room) return;
  const hold = bring.length > 0 && !(await isAllowed(bring));
  if (!hold) await app.media.open(bring).catch((error) => app.problem('media', ofMedia(error)));
  app.room.restore(room, id, { hold });
  if (hold) {
    notify(
      'hold',
      {
        kind: 'info',
        title: `You are still in the room ${room}.`,
        text: 'Your camera and microphone are off since this page was loaded again.',
      },
      [
        [
          'Turn them on and go on',
          async () => {
            await app.media.open(bring).catch((error) => app.problem('media', ofMedia(error)));
            app.room.proceed();
          },
        ],
      ],
    );
  }
}

let resumeKept = null;

function keepResume(resume) {
  if (resume === resumeKept) return;
  resumeKept = resume;
  keepTab({ resume });
}

class App extends EventTarget {
  media = new Media();
  signal = new SignalClient();
  room = new Room(this.signal, this.media);
  ring = new Ring(this.signal, this.room);
  sampler = null;
  nameTyped = false;

  // What to bring into a room, as chosen in its form.
  get bring() {
    return { both: ['audio', 'video'], audio: ['audio'], none: [] }[$('bring').value];
  }

  problem(key, words) {
    notify(key, words);
  }
}

async function main() {
  const app = new App();
  app.go = startRouter();
  if (!globalThis.RTCPeerConnection) notify('webrtc', of('no_webrtc'));
  else if (!isSecureContext) notify('media', of('insecure'));
  app.room.addEventListener('connection', () => {
    app.sampler?.stop();
    app.sampler = app.room.connection ? new Sampler(app.room.connection.pc) : null;
    app.dispatchEvent(new Event('sampler'));
  });
  app.ring.addEventListener('problem', ({ detail }) => app.problem('ring', detail));
  app.media.addEventListener('problem', ({ detail }) => app.problem('device', detail));
  app.room.addEventListener('problem', ({ detail }) => app.problem('room', detail));
  await claimTab();
  const kept = recallTab();
  showLink(app.signal);
  settleName(app);
  for (const show of [showRoom, showPeople, showInside, showNetwork]) show(app);
  await restore(app, kept);
  const name = kept.name || recallName() || `Guest ${randomWord(3)}`;
  $('name').value ||= name;
  app.signal.addEventListener('message', () => keepResume(app.signal.resume));
  // Who is in no room has nothing to come back to: the name is free at once.
  addEventListener('pagehide', ({ persisted }) => !persisted && !app.room.inside && app.signal.close());
  app.signal.connect($('name').value, { resume: kept.resume });
}

main();
