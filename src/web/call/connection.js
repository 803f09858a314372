// SPDX-License-Identifier: BSD-2-Clause
// One RTCPeerConnection from the first offer to its end: offers and answers by perfect negotiation, candidates both ways,
// ICE restarts, and a record of all that happened for whoever wants to look inside.
//
// Events: `state`, `remote` (a track of the other came or went), `channel`, `candidate`, `step`, `description`, `failed`.
//
// A description that goes out has more than type and sdp: `offer`, a name made up for an offer and for the answers to it;
// `again` in an offer, how often it was sent before; `knows` in an offer, the session of the other's description that its sender
// has. The other may come without any of them, from another kind of client.
import { randomWord } from '../lib/format.js';
import { fragmentsOf, limitBandwidth, sessionOf } from './sdp.js';

const PATIENCE_MS = 6000;
const RESTARTS = 2;
const ANSWER_MS = 8000;
const REPEATS = 3;
const DESCRIPTIONS = new Set(['offer', 'answer']); // the other has no rollback to make here
const NAME = 16; // letters that name an offer
const LONG = 64; // of the other's
const EARLY = 200; // candidates without a description: the other may send any number

// The ten steps of offer and answer between A, who calls, and B.
export const STEPS = [
  ['A', 'gets its camera and microphone'],
  ['A', 'makes an offer: createOffer'],
  ['A', 'keeps it: setLocalDescription'],
  ['A', 'sends it to B by the server'],
  ['B', 'keeps it: setRemoteDescription'],
  ['B', 'makes an answer: createAnswer'],
  ['B', 'keeps it: setLocalDescription'],
  ['B', 'sends it to A by the server'],
  ['A', 'keeps it: setRemoteDescription'],
  ['both', 'check candidates, and talk'],
];

export class Connection extends EventTarget {
  remote = new MediaStream();
  channel = null;
  role = '';
  steps = new Array(STEPS.length).fill(0);
  timeline = [];
  candidates = { local: [], remote: [] };
  errors = [];

  #send;
  #polite;
  #mayOffer;
  #makingOffer = false;
  #again = false;
  #restarting = false;
  #ignored = false;
  #early = [];
  #turn = Promise.resolve();
  #options;
  #restarts = 0;
  #patience = null;
  #repeats = 0;
  #unanswered = null;
  #offered = null; // the name of this end's last offer
  #answered = null; // that of the other's that was taken last
  #stream;

  // send(data) carries to the other. options: { iceServers, policy, bundle, voiceActivityDetection, sendLimit, receiveLimit };
  // limits are in kbit/s, 0 for none. offering: this end makes the first offer. polite: this end gives way.
  constructor({ stream, send, options, offering, polite }) {
    super();
    this.#send = send;
    this.#polite = polite;
    this.#mayOffer = offering;
    this.#options = options;
    this.#stream = stream;
    this.pc = new RTCPeerConnection(Connection.configuration(options));
    this.#listen();
    for (const track of stream.getTracks()) this.pc.addTrack(track, stream);
    this.#step(0);
    if (offering) this.#open();
  }

  static configuration({ iceServers, policy, bundle }) {
    // `public` stood for `all` without host candidates once; browsers know it no more.
    return { iceServers, iceTransportPolicy: policy === 'relay' ? 'relay' : 'all', bundlePolicy: bundle };
  }

  // True for a description of another RTCPeerConnection than the one that this one speaks with: it needs a new one here too.
  isOther(description) {
    const known = sessionOf(this.pc.remoteDescription?.sdp);
    if (typeof description.sdp !== 'string') return false;
    return description.type === 'offer' && known !== null && known !== sessionOf(description.sdp);
  }

  // True for an offer that was meant for a connection before this one. Its sender is about to get an offer of this one.
  isLate({ type, knows }) {
    if (type !== 'offer' || typeof knows !== 'string') return false;
    const own = sessionOf(this.pc.localDescription?.sdp);
    return own === null ? this.#mayOffer : own !== knows;
  }

  // The other's offer has come once more, since nobody knew whether it had arrived; so it may be with its answer.
  answerAgain(offer) {
    const turn = this.#turn.then(() => {
      const { signalingState, localDescription } = this.pc;
      if (this.#answered !== offer || signalingState !== 'stable' || localDescription?.type !== 'answer') return;
      this.#sendDescription();
    });
    this.#turn = turn.catch(() => {});
  }

  // Whatever the other has sent: an offer, an answer, a candidate, or null behind the last one.
  // One after the other, in the order in which they came.
  handle(data) {
    const turn = this.#turn.then(() => this.#take(data));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #take(data) {
    if (this.pc.signalingState === 'closed') return;
    if (DESCRIPTIONS.has(data?.type) && typeof data.sdp === 'string') await this.#handleDescription(data);
    else if (data === null || typeof data?.candidate === 'string') await this.#handleCandidate(data);
  }

  // Another track for a kind, or none.
  async setTrack(kind, track) {
    const transceiver = this.pc
      .getTransceivers()
      .find(({ receiver, stopped }) => receiver.track.kind === kind && !stopped);
    if (!transceiver) {
      if (track) this.pc.addTrack(track, this.#stream);
      return;
    }
    await transceiver.sender.replaceTrack(track);
    transceiver.sender.setStreams?.(this.#stream);
    const direction = track ? 'sendrecv' : 'recvonly';
    if (transceiver.direction !== direction) transceiver.direction = direction;
    await this.#limitSending();
  }

  // Options that changed. Limits take effect now, policies with the next connection: browsers stay on a way that works,
  // whatever an ICE restart brings.
  async change(options) {
    const before = this.#options;
    this.#options = options;
    await this.#limitSending();
    if (this.pc.signalingState === 'closed') return;
    if (options.iceServers !== before.iceServers) {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: options.iceServers });
    }
    if (options.receiveLimit !== before.receiveLimit) await this.#offer();
  }

  // New candidates and checks, on the same connection. The browser remembers it until a round has brought it about.
  restart() {
    this.#note('ICE restart');
    this.#restarting = true;
    this.pc.restartIce(); // and negotiationneeded comes
  }

  close() {
    clearTimeout(this.#patience);
    clearTimeout(this.#unanswered);
    this.channel?.close();
    this.pc.close();
    this.#note('closed');
    this.dispatchEvent(new Event('state'));
  }

  #open() {
    // What this end cannot send it still wants to see and hear.
    for (const kind of ['audio', 'video']) {
      if (!this.#stream.getTracks().some((track) => track.kind === kind))
        this.pc.addTransceiver(kind, { direction: 'recvonly' });
    }
    this.#adopt(this.pc.createDataChannel('turnpike'));
  }

  #listen() {
    const { pc } = this;
    pc.onnegotiationneeded = () => this.#mayOffer && this.#offer();
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#record('local', candidate);
      this.#send(candidate ? candidate.toJSON() : null);
    };
    pc.onicecandidateerror = ({ url, errorCode, errorText }) => {
      this.errors.push({ url, errorCode, errorText });
      this.dispatchEvent(new Event('candidate'));
    };
    pc.ontrack = ({ track, streams }) => this.#showRemote(track, streams[0]);
    pc.ondatachannel = ({ channel }) => this.#adopt(channel);
    for (const name of ['signaling', 'icegathering', 'iceconnection', 'connection']) {
      const property = name.replace(/^ice(.)/, (_, first) => `ice${first.toUpperCase()}`) + 'State';
      pc.addEventListener(`${name}statechange`, () => {
        this.#note(`${property}: ${pc[property]}`);
        if (property === 'connectionState') this.#watch();
        if (pc.signalingState === 'stable' && this.#again) this.#offer();
        this.dispatchEvent(new Event('state'));
      });
    }
  }

  #showRemote(track, stream) {
    const changed = () => this.dispatchEvent(new Event('remote'));
    this.remote.addTrack(track);
    this.#note(`${track.kind} track came`);
    // The other has stopped sending it; it may come back.
    stream?.addEventListener('removetrack', ({ track: gone }) => {
      if (gone !== track || !this.remote.getTracks().includes(track)) return;
      this.remote.removeTrack(track);
      this.#note(`${track.kind} track went`);
      changed();
    });
    for (const event of ['mute', 'unmute', 'ended']) track.addEventListener(event, changed);
    changed();
  }

  #adopt(channel) {
    this.channel = channel;
    channel.binaryType = 'arraybuffer';
    for (const event of ['open', 'close']) {
      channel.addEventListener(event, () => {
        this.#note(`data channel: ${channel.readyState}`);
        this.dispatchEvent(new Event('channel'));
      });
    }
    this.dispatchEvent(new Event('channel'));
  }

  async #offer() {
    if (this.pc.signalingState !== 'stable' || this.#makingOffer) {
      this.#again = true; // behind this round
      return;
    }
    this.#makingOffer = true;
    this.#again = false;
    try {
      const { voiceActivityDetection } = this.#options;
      const offer = await this.pc.createOffer({ voiceActivityDetection, iceRestart: this.#restarting });
      if (this.pc.signalingState !== 'stable') {
        this.#again = true;
        return;
      }
      this.#begin('A', 1);
      await this.pc.setLocalDescription(offer);
      this.#restarting = false;
      this.#step(2);
      this.#repeats = REPEATS;
      this.#offered = randomWord(NAME);
      this.#sendDescription();
      this.#step(3);
    } catch (error) {
      // The other was faster, perhaps: then behind its round.
      if (this.pc.signalingState !== 'closed') this.#note(String(error));
      this.#again = this.pc.signalingState !== 'stable';
    } finally {
      this.#makingOffer = false;
    }
  }

  async #handleDescription({ type, sdp, offer }) {
    const { pc } = this;
    const named = typeof offer === 'string' ? offer.slice(0, LONG) : undefined;
    // To an offer before, of which that may be on its way yet; for the one that is out it would be the wrong one.
    if (type === 'answer' && named !== undefined && named !== this.#offered) return;
    const collision = type === 'offer' && (this.#makingOffer || pc.signalingState !== 'stable');
    this.#ignored = collision && !this.#polite;
    if (this.#ignored || (type === 'answer' && pc.signalingState !== 'have-local-offer')) return;
    if (type === 'offer') {
      // Of this end's own offer, which is taken back now, nothing else would be left.
      if (collision) this.#again = true;
      this.#begin('B', 3);
    }
    // While an offer of ours is out this takes it back first.
    await pc.setRemoteDescription({ type, sdp });
    this.#step(type === 'offer' ? 4 : 8);
    this.dispatchEvent(new Event('description'));
    await this.#flush();
    if (type !== 'offer') {
      await this.#limitSending();
      return;
    }
    this.#mayOffer = true;
    const answer = await pc.createAnswer();
    this.#step(5);
    await pc.setLocalDescription(answer);
    this.#answered = named;
    this.#step(6);
    this.#sendDescription();
    this.#step(7);
    await this.#limitSending();
  }

  #sendDescription() {
    const { type, sdp } = this.pc.localDescription;
    const described = { type, sdp: limitBandwidth(sdp, this.#options.receiveLimit) };
    if (type === 'answer') this.#send({ ...described, offer: this.#answered });
    else {
      const knows = sessionOf(this.pc.currentRemoteDescription?.sdp);
      this.#send({ ...described, offer: this.#offered, again: REPEATS - this.#repeats, knows });
    }
    this.dispatchEvent(new Event('description'));
    clearTimeout(this.#unanswered);
    if (type === 'offer') this.#unanswered = setTimeout(() => this.#repeat(), ANSWER_MS);
  }

  // The offer or its answer may have been on its way to a connection that was dead already; the server knows that no sooner
  // than the ends. Who has it gets the same once more, and answers once more.
  #repeat() {
    if (this.pc.signalingState !== 'have-local-offer' || this.#repeats === 0) return;
    this.#repeats -= 1;
    this.#note('no answer: the offer is sent again');
    this.#sendDescription();
  }

  async #handleCandidate(init) {
    if (!this.pc.remoteDescription) {
      if (this.#early.length < EARLY) this.#early.push(init);
      return;
    }
    // Of an offer that was not taken, or of a connection that is no more.
    const fragment = init?.usernameFragment;
    if (this.#ignored || (fragment && !fragmentsOf(this.pc.remoteDescription.sdp).includes(fragment))) return;
    try {
      await this.pc.addIceCandidate(init ?? undefined);
      if (init?.candidate) this.#record('remote', new RTCIceCandidate(init));
    } catch (error) {
      this.#note(`candidate not taken: ${error.message}`);
    }
  }

  async #flush() {
    const early = this.#early;
    this.#early = [];
    for (const init of early) await this.#handleCandidate(init);
  }

  #record(side, candidate) {
    const { type, address, port, protocol, tcpType, priority, relatedAddress, relatedPort, sdpMid, usernameFragment } =
      candidate;
    this.candidates[side].push({
      type,
      address,
      port,
      protocol,
      tcpType,
      priority,
      relatedAddress,
      relatedPort,
      sdpMid,
      usernameFragment,
      url: candidate.url ?? '',
      relayProtocol: candidate.relayProtocol ?? '',
      at: Date.now(),
    });
    this.dispatchEvent(new Event('candidate'));
  }

  async #limitSending() {
    const sender = this.pc.getSenders().find(({ track }) => track?.kind === 'video');
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return;
    const [encoding] = parameters.encodings;
    const limit = this.#options.sendLimit * 1000;
    if ((encoding.maxBitrate ?? 0) === limit) return;
    if (limit) encoding.maxBitrate = limit;
    else delete encoding.maxBitrate;
    await sender.setParameters(parameters).catch((error) => this.#note(String(error)));
  }

  // A way that broke may come back by itself; if not, one end looks for another.
  #watch() {
    clearTimeout(this.#patience);
    const { connectionState } = this.pc;
    if (connectionState === 'connected') {
      this.#restarts = 0;
      this.#step(9);
    }
    if (connectionState === 'disconnected') this.#patience = setTimeout(() => this.#repair(), PATIENCE_MS);
    if (connectionState === 'failed') this.#repair();
  }

  #repair() {
    if (!this.#polite && this.#restarts < RESTARTS) {
      this.#restarts += 1;
      this.restart();
    } else if (this.pc.connectionState === 'failed') this.dispatchEvent(new Event('failed'));
  }

  // A new round of offer and answer; what the other did for it is known from what it sent.
  #begin(role, last) {
    this.role = role;
    this.steps.fill(0, 1);
    for (let step = 1; step <= last; step += 1) this.#step(step);
    if (this.pc.connectionState === 'connected') this.steps[9] = Date.now();
  }

  #step(index) {
    const now = Date.now();
    this.steps[index] = now;
    // An answer says that the other end has done its four.
    if (index === 8) for (let step = 4; step < 8; step += 1) this.steps[step] ||= now;
    this.dispatchEvent(new Event('step'));
  }

  #note(what) {
    this.timeline.push({ at: Date.now(), what });
    if (this.timeline.length > 200) this.timeline.shift();
  }
}
