// SPDX-License-Identifier: BSD-2-Clause
// getStats() once a second, made into what people ask: how much, how far, how much is lost, how even; and what ICE did.

const EVERY_MS = 1000;
const KEEP = 120;

export const SERIES = ['received', 'sent', 'roundTrip', 'lossIn', 'lossOut', 'jitter'];

const of = (report, type, more = () => true) =>
  [...report.values()].filter((entry) => entry.type === type && more(entry));
const sum = (entries, field) => entries.reduce((total, entry) => total + (entry[field] ?? 0), 0);
const mean = (entries, field) => {
  const values = entries.map((entry) => entry[field]).filter(Number.isFinite);
  return values.length ? values.reduce((a, b) => a + b) / values.length : NaN;
};

function totals(report, time) {
  const inbound = of(report, 'inbound-rtp');
  const outbound = of(report, 'outbound-rtp');
  const remoteInbound = of(report, 'remote-inbound-rtp');
  const transports = of(report, 'transport');
  return {
    time,
    bytesIn: sum(transports, 'bytesReceived'),
    bytesOut: sum(transports, 'bytesSent'),
    packetsIn: sum(inbound, 'packetsReceived'),
    lostIn: sum(inbound, 'packetsLost'),
    packetsOut: sum(outbound, 'packetsSent'),
    lostOut: sum(remoteInbound, 'packetsLost'),
    jitter: mean(inbound, 'jitter') * 1000,
  };
}

const share = (lost, got) => (lost + got > 0 ? (Math.max(0, lost) * 100) / (Math.max(0, lost) + got) : NaN);

// The pairs of candidates with what was checked, the chosen ones first, and which side controls.
export function readIce(report) {
  const transports = of(report, 'transport');
  const chosen = new Set(transports.map((transport) => transport.selectedCandidatePairId));
  const pairs = of(report, 'candidate-pair')
    .map((pair) => ({
      ...pair,
      chosen: chosen.has(pair.id),
      local: report.get(pair.localCandidateId),
      remote: report.get(pair.remoteCandidateId),
    }))
    .filter(({ local, remote }) => local && remote);
  pairs.sort((a, b) => b.chosen - a.chosen || (b.priority ?? 0) - (a.priority ?? 0));
  return {
    pairs,
    role: transports[0]?.iceRole ?? 'unknown',
    locals: of(report, 'local-candidate'),
    remotes: of(report, 'remote-candidate'),
    transports,
  };
}

export function readTracks(report) {
  const codec = (entry) => report.get(entry.codecId)?.mimeType ?? '';
  const read = (entry, direction) => ({
    direction,
    kind: entry.kind,
    codec: codec(entry),
    width: entry.frameWidth,
    height: entry.frameHeight,
    rate: entry.framesPerSecond,
    frames: entry.framesDecoded ?? entry.framesEncoded,
    trackId: entry.trackIdentifier,
    mid: entry.mid,
  });
  return [
    ...of(report, 'outbound-rtp').map((entry) => read(entry, 'sent')),
    ...of(report, 'inbound-rtp').map((entry) => read(entry, 'received')),
  ];
}

// Events: `sample` after each reading.
export class Sampler extends EventTarget {
  samples = [];
  report = null;

  #pc;
  #last = null;
  #timer;

  constructor(pc) {
    super();
    this.#pc = pc;
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
    this.#read();
  }

  stop() {
    clearInterval(this.#timer);
  }

  async #read() {
    if (this.#pc.signalingState === 'closed') {
      this.stop();
      return;
    }
    this.report = await this.#pc.getStats();
    const now = totals(this.report, performance.now());
    const last = this.#last;
    this.#last = now;
    if (last) this.#keep(now, last);
    this.dispatchEvent(new Event('sample'));
  }

  #keep(now, last) {
    const seconds = (now.time - last.time) / 1000;
    const { pairs } = readIce(this.report);
    const chosen = pairs.find((pair) => pair.chosen);
    this.samples.push({
      at: Date.now(),
      received: (Math.max(0, now.bytesIn - last.bytesIn) * 8) / seconds,
      sent: (Math.max(0, now.bytesOut - last.bytesOut) * 8) / seconds,
      roundTrip: (chosen?.currentRoundTripTime ?? NaN) * 1000,
      lossIn: share(now.lostIn - last.lostIn, now.packetsIn - last.packetsIn),
      lossOut: share(now.lostOut - last.lostOut, now.packetsOut - last.packetsOut),
      jitter: now.jitter,
    });
    if (this.samples.length > KEEP) this.samples.shift();
  }
}
