// SPDX-License-Identifier: BSD-2-Clause
// Camera, microphone and screen of this end, and which devices there are.
//
// Events: `track` (detail: { kind, track }, track null when there is none any more) when what is to be sent changes;
// `change` for everything that can be shown; `devices`; `problem` (detail: words).
import { failure } from '../lib/words.js';
import { cutRegion } from './region.js';

const KINDS = ['audio', 'video'];

const stop = (stream) => stream.getTracks().forEach((track) => track.stop());

export class Media extends EventTarget {
  stream = new MediaStream();
  devices = [];
  // What was chosen: a device's id, or '' for whatever the browser takes.
  chosen = { audio: '', video: '', output: '' };
  // Who shares a screen has the camera aside, not off.
  screen = null;
  muted = { audio: false, video: false };

  #camera = null;
  #cut = null;
  #choosing = null;
  #closed = 0; // how often: what was asked for before is not wanted any more when it comes

  constructor() {
    super();
    const devices = navigator.mediaDevices;
    if (!devices?.enumerateDevices) return;
    devices.addEventListener('devicechange', () => this.#devicesChanged());
    this.#list();
  }

  track(kind) {
    return this.stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  // kinds: of audio and video. Only what is not open yet is asked for.
  async open(kinds) {
    const missing = kinds.filter((kind) => !this.track(kind));
    if (!missing.length) return;
    const closed = this.#closed;
    const stream = await this.#ask(missing);
    if (closed !== this.#closed) return stop(stream);
    for (const track of stream.getTracks()) this.#use(track);
    return this.#list();
  }

  // Another device, now if its kind is open, else for later.
  async choose(kind, deviceId) {
    this.chosen[kind] = deviceId;
    const current = kind === 'video' && this.screen ? this.#camera : this.track(kind);
    if (!current) return;
    current.stop(); // many cameras and systems open one at a time
    const closed = this.#closed;
    const stream = await this.#ask([kind]).catch((error) => {
      if (this.track(kind) === current) this.#remove(kind); // and nothing is in its place
      throw error;
    });
    if (closed !== this.#closed) {
      stop(stream);
      return;
    }
    const [track] = stream.getTracks();
    if (kind === 'video' && this.screen) this.#camera = track;
    else this.#use(track);
  }

  // Where the others are to be heard; whoever shows them follows.
  useOutput(deviceId) {
    this.chosen.output = deviceId;
    this.#changed();
  }

  mute(kind, muted) {
    this.muted[kind] = muted;
    const track = this.track(kind);
    if (track) track.enabled = !muted;
    this.#changed();
  }

  // surface: monitor, window or region. choose: shows the stream and lets a part be chosen, as fractions of it.
  async share(surface, choose) {
    if (!navigator.mediaDevices?.getDisplayMedia) throw failure(isSecureContext ? 'no_screen' : 'insecure');
    const closed = this.#closed;
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: surface === 'region' ? true : { displaySurface: surface },
      audio: false,
    });
    if (closed !== this.#closed) return stop(stream);
    let [track] = stream.getVideoTracks();
    if (surface === 'region') {
      this.#choosing = track;
      const part = await choose(stream)
        .catch((error) => {
          track.stop();
          throw error;
        })
        .finally(() => (this.#choosing = null));
      const cut = part && closed === this.#closed ? await cutRegion(track, part) : null;
      if (!cut || closed !== this.#closed) {
        cut?.stop();
        return track.stop();
      }
      this.#cut = cut;
      track = cut.track;
    }
    if (!this.screen) this.#camera = this.track('video');
    this.screen?.stop();
    this.screen = track;
    const source = this.#cut?.source ?? track;
    source.addEventListener('ended', () => this.screen === track && this.unshare());
    return this.#use(track, { keepOld: true });
  }

  unshare() {
    if (!this.screen) return;
    this.#cut?.stop();
    this.screen.stop();
    Object.assign(this, { screen: null });
    this.#cut = null;
    const camera = this.#camera;
    this.#camera = null;
    if (camera?.readyState === 'live') this.#use(camera);
    else this.#remove('video');
  }

  close() {
    this.#closed += 1;
    this.#choosing?.dispatchEvent(new Event('ended')); // of which a part was to be chosen
    this.unshare();
    for (const kind of KINDS) {
      this.track(kind)?.stop();
      this.#remove(kind);
    }
    this.muted = { audio: false, video: false };
    this.#changed();
  }

  async #ask(kinds) {
    if (!navigator.mediaDevices?.getUserMedia) throw failure(isSecureContext ? 'no_media' : 'insecure');
    const constraints = {};
    for (const kind of kinds) {
      const device = this.chosen[kind] && { deviceId: { exact: this.chosen[kind] } };
      constraints[kind] =
        kind === 'video' ? { width: { ideal: 1280 }, height: { ideal: 720 }, ...device } : device || true;
    }
    return navigator.mediaDevices.getUserMedia(constraints);
  }

  #use(track, { keepOld = false } = {}) {
    const old = this.track(track.kind);
    if (old && old !== track) {
      this.stream.removeTrack(old);
      if (!keepOld && old !== this.#camera) old.stop();
    }
    this.stream.addTrack(track);
    track.enabled = !this.muted[track.kind];
    // A device that is pulled out ends its track; mute events come when the system takes it away for a while.
    track.addEventListener('ended', () => this.#ended(track));
    track.addEventListener('mute', () => this.#changed());
    track.addEventListener('unmute', () => this.#changed());
    this.dispatchEvent(new CustomEvent('track', { detail: { kind: track.kind, track } }));
    this.#changed();
  }

  #ended(track) {
    if (this.track(track.kind) !== track || track === this.screen) return;
    this.#remove(track.kind);
    this.dispatchEvent(
      new CustomEvent('problem', {
        detail: {
          kind: 'warning',
          title: `${track.kind === 'audio' ? 'The microphone' : 'The camera'} is gone.`,
          text: 'Choose another one under “Devices and quality”, or plug it in again.',
        },
      }),
    );
  }

  #remove(kind) {
    const track = this.track(kind);
    if (!track) return;
    this.stream.removeTrack(track);
    this.dispatchEvent(new CustomEvent('track', { detail: { kind, track: null } }));
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  async #list() {
    this.devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    this.dispatchEvent(new Event('devices'));
  }

  async #devicesChanged() {
    const before = new Set(this.devices.map((device) => device.deviceId));
    await this.#list();
    const come = this.devices.filter((device) => device.deviceId && !before.has(device.deviceId));
    if (!come.length || !come[0].label) return;
    this.dispatchEvent(
      new CustomEvent('problem', {
        detail: {
          kind: 'info',
          title: `New device: ${come[0].label}`,
          text: 'It can be chosen under “Devices and quality”.',
        },
      }),
    );
  }
}

// True when the devices can be opened without a question to the user: then a reload needs no click.
export async function isAllowed(kinds) {
  try {
    const names = kinds.map((kind) => (kind === 'audio' ? 'microphone' : 'camera'));
    const answers = await Promise.all(names.map((name) => navigator.permissions.query({ name })));
    return answers.every(({ state }) => state === 'granted');
  } catch {
    return false;
  }
}
