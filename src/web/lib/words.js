// SPDX-License-Identifier: BSD-2-Clause
// What went wrong, in words, and what to do about it.
import { isolate, plural } from './format.js';

const MEDIA = {
  NotAllowedError: [
    'The browser was not allowed to use your camera or microphone.',
    'Click the camera sign next to the address, allow both for this page, and try again. Or join with nothing: you will see and hear the other, and can write.',
  ],
  SecurityError: [
    'The browser was not allowed to use your camera or microphone.',
    'A setting of this browser or of the page around this one forbids it.',
  ],
  NotFoundError: [
    'No camera or microphone was found.',
    'Plug one in, or choose “microphone only” or “nothing” beside the room’s name.',
  ],
  NotReadableError: [
    'Your camera or microphone is in use.',
    'Another program has it. Close that program, or choose another device under “Devices and quality”.',
  ],
  AbortError: ['Your camera or microphone did not start.', 'Unplug it, plug it in again, and try again.'],
  OverconstrainedError: ['The chosen device is gone.', 'Choose another one under “Devices and quality”.'],
};

const SERVER = {
  full: ['The room is full.', 'Wait until somebody leaves and join again, or take another room.'],
  name_taken: ['That name is taken.', 'Somebody who is connected now has it. Choose another one.'],
  no_such_user: ['Nobody of that name is connected.', 'Choose somebody from the list.'],
  not_in_room: ['The server says that you are not in this room.', 'Join it again.'],
  unauthorized: [
    'The server does not let you in.',
    'It wants a token that is valid now. Ask whoever runs it, put it into “Token”, and join again.',
  ],
  other_room: [
    'Your token is not for this room.',
    'Take the room that it is for, or ask whoever runs this server for another token.',
  ],
  rate_limited: ['Too much at once for the server.', 'It is tried again in a moment.'],
  bad_request: [
    'The server did not take what this page sent.',
    'Try another name or room: shorter, and without unusual characters.',
  ],
  quota_exceeded: ['You are in as many rooms as the server allows.', 'Leave one first.'],
  elsewhere: ['This session goes on in another tab.', 'Use that one, or join again here under another name.'],
};

const OTHER = {
  insecure: [
    'The browser keeps camera and microphone from this page, because its address is not secure.',
    'Open it by https, or on the machine itself as http://localhost. You can join with nothing, to watch and write.',
  ],
  no_media: ['This browser has no camera access (getUserMedia).', 'Use a current Firefox, Chromium, Edge or Safari.'],
  no_screen: [
    'This browser cannot share a screen (getDisplayMedia).',
    'Browsers on phones cannot. Use a current browser on a computer.',
  ],
  no_webrtc: [
    'This browser has no WebRTC.',
    'Use a current Firefox, Chromium, Edge or Safari, and look whether an extension turns it off.',
  ],
  gone: ['The server is gone.', 'This page tries again by itself. What is already connected goes on.'],
  call_failed: [
    'No way to the other was found.',
    'Try “Restart ICE”. If that fails too, “Check my network” tells what gets through from here; the other should look there too.',
  ],
};

function make(entry, detail, kind = 'error') {
  return { kind, title: entry[0], text: entry[1], detail };
}

// For a DOMException of getUserMedia or getDisplayMedia.
export function ofMedia(error, { screen = false } = {}) {
  if (error.code === 'words') return error.words;
  if (screen && error.name === 'NotAllowedError') {
    return make(
      ['The screen is not shared.', 'You cancelled, or the system forbids this browser to record the screen.'],
      '',
      'warning',
    );
  }
  if (screen)
    return make(
      ['The screen is not shared.', 'The system did not give it. Try again, or share something else.'],
      `${error.name}: ${error.message}`,
    );
  return MEDIA[error.name]
    ? make(MEDIA[error.name], error.message)
    : make(
        ['The camera or microphone did not start.', 'Try again, or choose another device.'],
        `${error.name}: ${error.message}`,
      );
}

// For an error message of the server: its code, or what its text says.
export function ofServer({ code, message, retry_ms: retry }) {
  const wait = code === 'rate_limited' && retry ? ` (${Math.ceil(retry / 1000)} s)` : '';
  const entry = SERVER[code] ?? OTHER[code];
  return entry ? make(entry, wait) : make(['The server refused.', message ?? ''], code);
}

export const of = (key, detail) => make(OTHER[key] ?? SERVER[key], detail, key === 'gone' ? 'warning' : 'error');

export function ofFull(room, capacity) {
  const [title, text] = SERVER.full;
  const place = `“${isolate(room)}” has place for ${plural(capacity, 'person', 'people')}.`;
  return { kind: 'warning', title, text: `${place} ${text}` };
}

export const isMedia = (error) => error instanceof DOMException || error.code === 'words';

// For whatever went wrong on the way into a room: with the devices, or with the server.
export function ofEntry(error) {
  if (isMedia(error)) return ofMedia(error);
  // Who is let in at all is refused a room only for the sake of the token.
  return error.code === 'unauthorized' ? of('other_room') : ofServer(error);
}

// An error that already has its words.
export function failure(key) {
  const error = new Error(OTHER[key][0]);
  error.code = 'words';
  error.words = of(key);
  return error;
}
