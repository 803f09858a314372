// SPDX-License-Identifier: BSD-2-Clause
// A turnpiked of our own: its configuration, its start up to the first answer, its end.
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST = '127.0.0.1';
const START_MS = 20000;
const STOP_MS = 20000;

async function bindUdp(port) {
  const socket = dgram.createSocket('udp4');
  const bound = Promise.race([once(socket, 'listening'), once(socket, 'error').then(([e]) => Promise.reject(e))]);
  socket.bind({ port, address: HOST, exclusive: true });
  await bound;
  return socket;
}

// A port that is free for TCP and for UDP.
async function freePort() {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const server = net.createServer().listen({ host: HOST, port: 0, exclusive: true });
    await once(server, 'listening');
    const { port } = server.address();
    try {
      const socket = await bindUdp(port);
      await new Promise((resolve) => socket.close(resolve));
      return port;
    } catch {
      // taken for UDP: the next one
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }
  throw new Error('no free port');
}

// One Binding request (RFC 8489 section 5); true when a success response with its transaction id comes back.
async function answersBinding(port) {
  const id = randomBytes(12);
  const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), id]);
  const socket = dgram.createSocket('udp4');
  try {
    return await new Promise((resolve) => {
      socket.on('error', () => resolve(false));
      socket.on('message', (reply) => {
        resolve(reply.length >= 20 && reply.readUInt16BE(0) === 0x0101 && reply.subarray(8, 20).equals(id));
      });
      socket.connect(port, HOST, () => socket.send(request));
      setTimeout(resolve, 200, false);
    });
  } finally {
    socket.close();
  }
}

function configuration(port, firstRelay) {
  return `realm = "test";
listen = ( { transport = "udp"; address = "${HOST}"; port = ${port}; },
           { transport = "tcp"; address = "${HOST}"; port = ${port}; } );
relay = { addresses = [ "${HOST}" ]; ports = [ ${firstRelay}, ${firstRelay + 199} ]; allow = [ "127.0.0.0/8" ]; };
auth = { stores = [ ]; users = ( { name = "user"; password = "pass"; } ); };
log = { level = "info"; };
`;
}

export class Daemon {
  static async start() {
    const daemon = new Daemon();
    await daemon.#start();
    return daemon;
  }

  get log() {
    return this.output;
  }

  iceServer(transport, credential = 'pass') {
    return { urls: `turn:${HOST}:${this.port}?transport=${transport}`, username: 'user', credential };
  }

  // Ends it by SIGTERM: { code, signal, clean }, the last one false after a sanitizer's report.
  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    const ended = await Promise.race([this.exited, sleep(STOP_MS, null, { ref: false })]);
    if (ended === null) {
      this.child.kill('SIGKILL');
      await this.exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
    const clean = !/Sanitizer|runtime error:/.test(this.output);
    return { code: this.child.exitCode, signal: this.child.signalCode, clean };
  }

  async #start() {
    const program = process.env.TURNPIKED;
    if (!program) throw new Error('TURNPIKED is not set: run this by `make check`');
    this.port = await freePort();
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-test-'));
    const file = path.join(this.folder, 'turnpike.conf');
    // Relay ports below the range that the kernel gives out by itself, where the listener's port comes from.
    writeFileSync(file, configuration(this.port, randomInt(10000, 32000)));
    this.output = '';
    this.child = spawn(program, ['-c', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.output += text));
    }
    this.exited = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.output += `${error}\n`;
        resolve(true);
      });
      this.child.on('close', () => resolve(true));
    });
    // A test that dies must not leave its daemon behind.
    process.on('exit', () => this.child.kill('SIGKILL'));
    await this.#ready();
  }

  async #ready() {
    let gone = false;
    this.exited.then(() => (gone = true));
    const deadline = Date.now() + START_MS;
    while (!gone && Date.now() < deadline) {
      if (await answersBinding(this.port)) return;
      await sleep(50);
    }
    await this.stop();
    throw new Error(`turnpiked did not start:\n${this.output}`);
  }
}
