// SPDX-License-Identifier: BSD-2-Clause
// nginx with a configuration of ours, which is what stands inside of http { }.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { until } from './until.mjs';

export function findNginx() {
  for (const file of ['nginx', '/usr/sbin/nginx']) {
    try {
      execFileSync(file, ['-v'], { stdio: 'ignore' });
      return file;
    } catch {
      // not here
    }
  }
  return null;
}

const answers = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => resolve(true));
  socket.on('error', () => resolve(false));
  socket.on('close', () => resolve(false));
  socket.on('connect', () => socket.end());
});

export class Nginx {
  // port: one that it listens on.
  static async start(file, text, port) {
    const self = new Nginx();
    self.folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-nginx-'));
    const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const folders = kinds.map((kind) => `${kind}_temp_path ${path.join(self.folder, kind)};`);
    mkdirSync(path.join(self.folder, 'logs'));
    const config = path.join(self.folder, 'nginx.conf');
    writeFileSync(config, `${process.getuid() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${path.join(self.folder, 'pid')}; error_log stderr;
events { worker_connections 256; }
http { access_log off; ${folders.join(' ')}
${text}
}
`);
    self.child = spawn(file, ['-p', self.folder, '-e', 'stderr', '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    self.output = '';
    self.child.stderr.setEncoding('utf8').on('data', (more) => (self.output += more));
    self.exited = once(self.child, 'exit');
    process.on('exit', () => self.close());
    await until('nginx', async () => (self.child.exitCode === null ? answers(port) : Promise.reject(new Error(self.output))), Boolean);
    return self;
  }

  close() {
    this.child.kill('SIGTERM'); // the fast end, workers included
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
