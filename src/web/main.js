// SPDX-License-Identifier: BSD-2-Clause
// Puts the page together and gives every view its part.
import { App } from './app.js';
import { isAllowed } from './call/media.js';
import { $ } from './lib/dom.js';
import { isolate, randomWord } from './lib/format.js';
import { notify } from './lib/notices.js';
import { of, ofMedia } from './lib/words.js';
import { claimTab, keepTab, recallName, recallTab } from './link/memory.js';
import { showInside } from './views/inside.js';
import { showNetwork } from './views/network.js';
import { showPeople } from './views/people.js';
import { showRoom } from './views/room.js';
import { startRouter } from './views/router.js';
import { settleName, showLink } from './views/status.js';

// Back where this tab was before it was reloaded.
async function restore(app, { room, id, bring = [] }) {
  if (!room) return;
  const hold = bring.length > 0 && !(await isAllowed(bring));
  if (!hold) await app.media.open(bring).catch((error) => notify('media', ofMedia(error)));
  app.room.restore(room, id, { hold });
  if (hold) {
    notify(
      'hold',
      {
        kind: 'info',
        title: `You are still in the room ${isolate(room)}.`,
        text: 'Your camera and microphone are off since this page was loaded again.',
      },
      [
        [
          'Turn them on and go on',
          async () => {
            await app.media.open(bring).catch((error) => notify('media', ofMedia(error)));
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

async function main() {
  const app = new App();
  app.go = startRouter();
  if (!globalThis.RTCPeerConnection) notify('webrtc', of('no_webrtc'));
  else if (!isSecureContext) notify('media', of('insecure'));
  await claimTab();
  const kept = recallTab();
  showLink(app.signal);
  settleName(app);
  for (const show of [showRoom, showPeople, showInside, showNetwork]) show(app);
  await restore(app, kept);
  const name = kept.name || recallName() || `Guest ${randomWord(3)}`;
  $('name').value ||= name;
  $('token').value ||= kept.token ?? '';
  app.signal.addEventListener('message', () => keepResume(app.signal.resume));
  // Who is in no room has nothing to come back to: the name is free at once.
  addEventListener('pagehide', ({ persisted }) => !persisted && !app.room.inside && app.signal.close());
  app.signal.connect($('name').value, { resume: kept.resume, token: $('token').value });
}

main();
