// SPDX-License-Identifier: BSD-2-Clause
// A turnpiked of our own: its configuration, its start up to the first answer, its end.
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST = '127.0.0.1';
const START_MS = 60000;
const STOP_MS = 60000;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

async function bindUdp(port) {
  const socket = dgram.createSocket('udp4');
  const bound = Promise.race([once(socket, 'listening'), once(socket, 'error').then(([e]) => Promise.reject(e))]);
  socket.bind({ port, address: HOST, exclusive: true });
  await bound;
  return socket;
}

// A port that is free for TCP and for UDP, below the range that the kernel gives out by itself: there it could go to somebody
// else before the daemon binds it.
export async function freePort() {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = randomInt(10000, 32000);
    const server = net.createServer();
    try {
      server.listen({ host: HOST, port, exclusive: true });
      await once(server, 'listening');
      const socket = await bindUdp(port);
      await new Promise((resolve) => socket.close(resolve));
      return port;
    } catch {
      // taken: another one
    } finally {
      if (server.listening) await new Promise((resolve) => server.close(resolve));
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

const listeners = (port, stream = 'tcp', more) => `( { transport = "udp"; address = "${HOST}"; port = ${port}; },
           { transport = "${stream}"; address = "${HOST}"; port = ${port}; ${more || ''}} )`;

function configuration(port, firstRelay, certificates, http) {
  const tls = certificates && `tls = { certificate = "${certificates.certificate}"; key = "${certificates.key}"; };`;
  return `realm = "test";
listen = ${listeners(port, certificates ? 'tcp+tls' : 'tcp', http && 'http = true; ')};
${tls ?? ''}
${http ? 'signal = { host = "localhost"; };' : ''}
relay = { addresses = [ "${HOST}" ]; ports = [ ${firstRelay}, ${firstRelay + 199} ]; allow = [ "127.0.0.0/8" ]; };
auth = { stores = [ ]; users = ( { name = "user"; password = "pass"; } ); };
log = { level = "info"; };
`;
}

export class Daemon {
  // With a configuration of ours. makeCertificates: what gives { certificate, key } in a folder, for one port of TCP and TLS.
  // http: the page is on that port, too.
  static async start({ makeCertificates, http = false } = {}) {
    const daemon = new Daemon();
    daemon.certificates = makeCertificates?.(daemon.folder);
    const file = path.join(daemon.folder, 'turnpike.conf');
    daemon.port = await freePort();
    // Relay ports below that range too; those in use are passed over.
    writeFileSync(file, configuration(daemon.port, randomInt(10000, 32000), daemon.certificates, http));
    await daemon.#run(['-c', file]);
    return daemon;
  }

  // As `turnpiked --dev`, on free ports. settings: more of them, such as { 'signal.grace': 1 }. makeCertificates as above: then
  // the page is one of HTTPS, for localhost, and TCP takes TLS, too.
  static async startDev(settings = {}, { makeCertificates } = {}) {
    const daemon = new Daemon();
    const made = makeCertificates?.(daemon.folder);
    daemon.certificates = made;
    daemon.port = await freePort();
    daemon.pagePort = await freePort();
    const secure = made && { 'tls.certificate': `"${made.certificate}"`, 'tls.key': `"${made.key}"`, 'signal.tls': true,
      'signal.host': '"localhost"' };
    const listen = listeners(daemon.port, made ? 'tcp+tls' : 'tcp');
    // A busy machine may take long to bring a browser to its first message.
    const all = { listen, 'signal.port': daemon.pagePort, 'signal.register_timeout': 30, ...secure, ...settings };
    await daemon.#run(['--dev', ...Object.entries(all).flatMap(([key, value]) => ['--set', `${key}=${value}`])]);
    return daemon;
  }

  // Ends it, waits while `meanwhile` lasts, and starts it again, at the same ports.
  async restart(meanwhile = () => {}) {
    await this.#end('SIGTERM');
    await meanwhile();
    await this.#run(this.args);
  }

  constructor() {
    if (!process.env.TURNPIKED) throw new Error('TURNPIKED is not set: run this by `make check`');
    this.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-test-'));
    this.output = '';
    // A test that ends early must leave nothing behind.
    process.on('exit', () => {
      this.child?.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  // transport: udp, tcp or tls.
  iceServer(transport, credential = 'pass') {
    const urls = transport === 'tls' ? `turns:localhost:${this.port}?transport=tcp`
      : `turn:${HOST}:${this.port}?transport=${transport}`;
    return { urls, username: 'user', credential };
  }

  // Ends it: { code, signal, clean, left }: clean is false after a sanitizer's report, left is what is in its folder.
  async stop(how = 'SIGTERM') {
    await this.#end(how);
    const clean = !/Sanitizer|runtime error:/.test(this.output);
    const left = readdirSync(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
    return { code: this.child.exitCode, signal: this.child.signalCode, clean, left };
  }

  async #end(how) {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(how);
    const ended = await Promise.race([this.exited, sleep(STOP_MS, null, { ref: false })]);
    if (ended === null) {
      this.child.kill('SIGKILL');
      await this.exited;
    }
  }

  async #run(args) {
    this.args = args;
    const env = { ...process.env, TMPDIR: this.folder };
    this.child = spawn(process.env.TURNPIKED, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
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
