// SPDX-License-Identifier: BSD-2-Clause
// One end of the test call, as a process of its own: libwebrtc in node, no browser. The parent says what to do over IPC,
// gets a reply to each order, and carries what is signalled to the other end.
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from '../../browser/lib/modules.mjs';

const { RTCPeerConnection, MediaStream, nonstandard } = load('@roamhq/wrtc');
const PAYLOAD = 1 << 20;
const CHUNK = 16384;
const WIDTH = 160;
const HEIGHT = 120;
const FRAME_MS = 33;

let pc;
let channel;
const state = { frames: 0, received: null };

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const signal = (message) => process.send({ signal: message });
let turn = Promise.resolve(); // what the other end says is handled one by one: a candidate wants its description first

// A grey picture that gets brighter with each frame.
function camera() {
  const source = new nonstandard.RTCVideoSource();
  const data = new Uint8ClampedArray((WIDTH * HEIGHT * 3) / 2).fill(128);
  let count = 0;
  setInterval(() => {
    data.fill(count++ % 256, 0, WIDTH * HEIGHT);
    source.onFrame({ width: WIDTH, height: HEIGHT, data });
  }, FRAME_MS);
  return source.createTrack();
}

// Counts the frames that show another brightness than the one before: the camera's, not a repeated or empty picture.
function receiveVideo({ track }) {
  const sink = new nonstandard.RTCVideoSink(track);
  let last = null;
  sink.onframe = ({ frame }) => {
    const luma = frame.data[(frame.width * frame.height) / 2];
    if (last !== null && luma !== last) state.frames += 1;
    last = luma;
  };
}

function receiveData({ channel: incoming }) {
  const bytes = Buffer.alloc(PAYLOAD);
  let length = 0;
  incoming.binaryType = 'arraybuffer';
  incoming.onmessage = ({ data }) => {
    length += Buffer.from(data).copy(bytes, length);
    if (length === PAYLOAD) state.received = sha256(bytes);
  };
}

async function take({ description, candidate }) {
  if (candidate) return pc.addIceCandidate(candidate);
  await pc.setRemoteDescription(description);
  if (description.type !== 'offer') return undefined;
  await pc.setLocalDescription(await pc.createAnswer());
  return signal({ description: pc.localDescription });
}

const orders = {
  open({ iceServer }) {
    pc = new RTCPeerConnection({ iceServers: [iceServer], iceTransportPolicy: 'relay' });
    pc.onicecandidate = ({ candidate }) => candidate && signal({ candidate });
    pc.ontrack = receiveVideo;
    pc.ondatachannel = receiveData;
    pc.addTrack(camera(), new MediaStream());
    channel = pc.createDataChannel('payload');
  },
  async offer() {
    await pc.setLocalDescription(await pc.createOffer());
    signal({ description: pc.localDescription });
  },
  handle(message) {
    const handled = turn.then(() => take(message));
    turn = handled.catch(() => {});
    return handled;
  },
  async sendPayload() {
    const bytes = randomBytes(PAYLOAD);
    for (let at = 0; at < PAYLOAD; at += CHUNK) {
      while (channel.bufferedAmount > 8 * CHUNK) await sleep(5);
      channel.send(new Uint8Array(bytes.subarray(at, at + CHUNK)));
    }
    return sha256(bytes);
  },
  async look() {
    const reports = new Map(await pc.getStats());
    const all = [...reports.values()];
    const transport = all.find((report) => report.type === 'transport');
    const pair = transport && reports.get(transport.selectedCandidatePairId);
    const local = pair && reports.get(pair.localCandidateId);
    const remote = pair && reports.get(pair.remoteCandidateId);
    return {
      connection: pc.connectionState,
      channel: channel.readyState,
      ...state,
      pair: pair && { local: local.candidateType, remote: remote.candidateType, relayProtocol: local.relayProtocol },
    };
  },
};

process.on('message', async ({ id, order, argument }) => {
  try {
    process.send({ id, result: await orders[order](argument ?? {}) });
  } catch (error) {
    process.send({ id, error: String(error.stack) });
  }
});
process.on('disconnect', () => process.exit(0));
