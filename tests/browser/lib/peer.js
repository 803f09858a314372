// SPDX-License-Identifier: BSD-2-Clause
// One end of the test call, as a page. The test script calls these functions and carries what `signal` (given by the
// script) is handed to the other end.
'use strict';

const PAYLOAD = 1 << 20;
const CHUNK = 16384;
const ERROR_WINDOW_MS = 60000;

let pc;
let channel;
const state = { presented: 0, received: null, errors: [] };

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function watchFrames(video) {
  video.requestVideoFrameCallback(() => {
    state.presented += 1;
    watchFrames(video);
  });
}

function receiveData(event) {
  const { channel: incoming } = event;
  const bytes = new Uint8Array(PAYLOAD);
  let length = 0;
  incoming.binaryType = 'arraybuffer';
  incoming.onmessage = async ({ data }) => {
    bytes.set(new Uint8Array(data), length);
    length += data.byteLength;
    if (length === PAYLOAD) state.received = await sha256(bytes);
  };
}

async function open(iceServer) {
  pc = new RTCPeerConnection({ iceServers: [iceServer], iceTransportPolicy: 'relay' });
  pc.onicecandidate = ({ candidate }) => {
    if (candidate?.candidate) signal({ candidate: candidate.toJSON() });
  };
  pc.onicecandidateerror = ({ errorCode, errorText }) => state.errors.push({ errorCode, errorText });
  pc.ontrack = ({ streams }) => {
    const video = document.getElementById('remote');
    video.srcObject = streams[0];
    watchFrames(video);
  };
  pc.ondatachannel = receiveData;
  const camera = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
  for (const track of camera.getTracks()) pc.addTrack(track, camera);
  channel = pc.createDataChannel(`payload-${Math.random()}`);
}

async function offer() {
  await pc.setLocalDescription();
  await signal({ description: pc.localDescription.toJSON() });
}

async function handle({ description, candidate }) {
  if (candidate) return pc.addIceCandidate(candidate);
  await pc.setRemoteDescription(description);
  if (description.type !== 'offer') return undefined;
  await pc.setLocalDescription();
  return signal({ description: pc.localDescription.toJSON() });
}

// Sends 1 MiB of random bytes; their SHA-256.
async function sendPayload() {
  const bytes = new Uint8Array(PAYLOAD);
  for (let at = 0; at < PAYLOAD; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  for (let at = 0; at < PAYLOAD; at += CHUNK) {
    while (channel.bufferedAmount > 8 * CHUNK) await new Promise((resolve) => setTimeout(resolve, 5));
    channel.send(bytes.subarray(at, at + CHUNK));
  }
  return sha256(bytes);
}

async function look() {
  const stats = await pc.getStats();
  const reports = [...stats.values()];
  const transport = reports.find((report) => report.type === 'transport' && report.selectedCandidatePairId);
  const pair = transport && stats.get(transport.selectedCandidatePairId);
  const video = reports.find((report) => report.type === 'inbound-rtp' && report.kind === 'video');
  const local = pair && stats.get(pair.localCandidateId);
  const remote = pair && stats.get(pair.remoteCandidateId);
  return {
    connection: pc.connectionState,
    channel: channel?.readyState,
    decoded: video?.framesDecoded ?? 0,
    presented: state.presented,
    received: state.received,
    errors: state.errors,
    pair: pair && { local: local.candidateType, remote: remote.candidateType, relayProtocol: local.relayProtocol },
  };
}

// Gathers with this server only, until it ends or a refusal was seen: the candidates and the errors.
async function gather(iceServer) {
  const lone = new RTCPeerConnection({ iceServers: [iceServer], iceTransportPolicy: 'relay' });
  const seen = { candidates: [], errors: [] };
  const complete = new Promise((resolve) => {
    lone.onicegatheringstatechange = () => lone.iceGatheringState === 'complete' && resolve();
    setTimeout(resolve, ERROR_WINDOW_MS);
  });
  lone.onicecandidate = ({ candidate }) => candidate?.candidate && seen.candidates.push(candidate.candidate);
  lone.onicecandidateerror = ({ errorCode, errorText, url }) => seen.errors.push({ errorCode, errorText, url });
  lone.createDataChannel('none');
  await lone.setLocalDescription();
  await complete;
  lone.close();
  return seen;
}

function close() {
  pc?.getSenders().forEach((sender) => sender.track?.stop());
  pc?.close();
}
