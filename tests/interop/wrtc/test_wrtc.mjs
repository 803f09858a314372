// SPDX-License-Identifier: BSD-2-Clause
// Two node processes with libwebrtc whose only way to each other is turnpiked: video both ways and 1 MiB over a data
// channel both ways, by UDP and by TCP to the relay.
import { fork } from 'node:child_process';
import { Daemon } from '../../browser/lib/daemon.mjs';
import { load, missing } from '../../browser/lib/modules.mjs';
import * as tap from '../../browser/lib/tap.mjs';
import { until } from '../../browser/lib/until.mjs';

const FRAMES = 30;

class Peer {
  #asked = new Map();
  #next = 0;

  constructor(name) {
    this.name = name;
    this.process = fork(new URL('peer.mjs', import.meta.url), { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => tap.comment(`${name}: ${text}`));
    }
    this.process.on('message', (message) => this.#receive(message));
    this.process.on('exit', (code, signal) => this.#fail(`${name} is gone: exit code ${code}, signal ${signal}`));
  }

  ask(order, argument) {
    return new Promise((resolve, reject) => {
      this.#next += 1;
      this.#asked.set(this.#next, { resolve, reject });
      this.process.send({ id: this.#next, order, argument }, (error) => error && reject(error));
    });
  }

  end() {
    this.process.removeAllListeners('exit');
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL');
  }

  #receive({ id, signal, result, error }) {
    if (signal) {
      this.other.ask('handle', signal).catch((problem) => tap.comment(`${this.other.name}: ${problem}`));
      return;
    }
    const { resolve, reject } = this.#asked.get(id);
    this.#asked.delete(id);
    if (error) reject(new Error(error));
    else resolve(result);
  }

  #fail(why) {
    for (const { reject } of this.#asked.values()) reject(new Error(why));
    this.#asked.clear();
  }
}

function callTests(transport, iceServer, [a, b]) {
  const connected = async () => {
    for (const peer of [a, b]) await peer.ask('open', { iceServer });
    await a.ask('offer');
    for (const peer of [a, b]) {
      const good = (s) => s.connection === 'connected' && s.channel === 'open';
      await until(`${peer.name} connected`, () => peer.ask('look'), good);
    }
  };
  const tests = [[`${transport}: both processes are connected`, connected]];
  for (const peer of [a, b]) {
    const frames = () => until('frames', () => peer.other.ask('look'), (s) => s.frames >= FRAMES);
    const payload = async () => {
      const sent = await peer.ask('sendPayload');
      const { received } = await until('1 MiB', () => peer.other.ask('look'), (s) => s.received !== null);
      tap.comment(`sent ${sent}\nreceived ${received}`);
      return received === sent;
    };
    const chosen = async () => {
      const { pair } = await peer.ask('look');
      tap.comment(JSON.stringify(pair));
      return pair?.local === 'relay' && pair.remote === 'relay' && pair.relayProtocol === transport;
    };
    tests.push(
      [`${transport}: ${FRAMES} frames of ${peer.name} arrive`, frames],
      [`${transport}: 1 MiB from ${peer.name} arrives with the same SHA-256`, payload],
      [`${transport}: ${peer.name}'s chosen pair is relay/relay by ${transport}`, chosen],
    );
  }
  return tests;
}
const CALL_TESTS = 7;

async function call(daemon, transport) {
  const [a, b] = [new Peer('a'), new Peer('b')];
  a.other = b;
  b.other = a;
  try {
    const passed = await tap.chain(callTests(transport, daemon.iceServer(transport), [a, b]));
    tap.cell(passed, '@roamhq/wrtc', 'video and data channel, both ends relayed', transport);
  } finally {
    a.end();
    b.end();
  }
}

async function main() {
  if (!load('@roamhq/wrtc')) tap.skipAll(missing('@roamhq/wrtc'));

  const transports = ['udp', 'tcp'];
  tap.plan(transports.length * CALL_TESTS + 1);
  const daemon = await Daemon.start();
  try {
    for (const transport of transports) await call(daemon, transport);
  } finally {
    const { code, signal, clean } = await daemon.stop();
    tap.report(code === 0 && clean, 'the daemon ends by SIGTERM with exit code 0');
    tap.comment(`exit code ${code}, signal ${signal}\n${daemon.output}`);
  }
  tap.finish();
  // libwebrtc's threads may hold the process.
  process.exit();
}

main().catch((error) => {
  console.log(`Bail out! ${String(error.message).split('\n')[0]}`);
  tap.comment(error.stack);
  process.exit(1);
});
