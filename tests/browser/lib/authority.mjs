// SPDX-License-Identifier: BSD-2-Clause
// A certificate authority of our own and a server's certificate from it, by way of the openssl command, and a user's
// certificate store that trusts it, by way of NSS's certutil: what a browser of that user believes.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function run(program, args) {
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60000 });
}

export function findMissingTool() {
  for (const [tool, args] of [['openssl', ['version']], ['certutil', ['--help']]]) {
    try {
      execFileSync(tool, args, { stdio: 'ignore' });
    } catch (error) {
      if (error.code === 'ENOENT') return tool;
    }
  }
  return null;
}

// { authority, certificate, key }: paths of PEM files in the folder. The certificate is for localhost.
export function makeCertificates(folder) {
  const file = (name) => path.join(folder, name);
  const made = { authority: file('ca.pem'), certificate: file('server.pem'), key: file('server.key') };
  run('openssl', ['req', '-x509', ...KEY, '-keyout', file('ca.key'), '-out', made.authority, '-days', '30',
    '-subj', '/CN=turnpike test authority', '-addext', 'keyUsage=critical,keyCertSign,cRLSign']);
  run('openssl', ['req', '-new', ...KEY, '-keyout', made.key, '-out', file('server.csr'), '-subj', '/CN=localhost']);
  writeFileSync(file('server.ext'), 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n' +
    'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  run('openssl', ['x509', '-req', '-in', file('server.csr'), '-CA', made.authority, '-CAkey', file('ca.key'),
    '-CAcreateserial', '-days', '30', '-extfile', file('server.ext'), '-out', made.certificate]);
  return made;
}

// Has whoever has this folder as HOME trust the authority.
export function trust(home, authority) {
  const store = path.join(home, '.pki', 'nssdb');
  mkdirSync(store, { recursive: true });
  run('certutil', ['-d', `sql:${store}`, '-N', '--empty-password']);
  run('certutil', ['-d', `sql:${store}`, '-A', '-n', 'turnpike test', '-t', 'C,,', '-i', authority]);
}
