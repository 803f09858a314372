// SPDX-License-Identifier: BSD-2-Clause
// Every example of doc/app.md, as it stands there but for names and ports, against a turnpiked of our own.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findMissingTool, makeCertificates } from './lib/authority.mjs';
import { Daemon, freePort } from './lib/daemon.mjs';
import { load, moduleFile } from './lib/modules.mjs';
import { findNginx, Nginx } from './lib/nginx.mjs';
import { bailOut, PATIENCE_MS, run } from './lib/site.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';

const PYTHON = '/usr/bin/python3';
const FRAMES = 6;
const SECRET = 'shared with the backend';
const JWT_SECRET = 'shared for the tokens';
const source = (name) => readFileSync(path.join(process.env.TP_SRCDIR, 'doc', name), 'utf8');
const program = (name) => path.join(process.env.TP_BUILDDIR, 'src', name);

const folder = mkdtempSync(path.join(os.tmpdir(), 'turnpike-app-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const made = findMissingTool() === null ? makeCertificates(folder) : null;

// The examples by the name in their first line; several of a name one after the other.
const examples = new Map();
for (const [, text] of source('app.md').matchAll(/^```\w*\n([^]*?)^```$/gm)) {
  const [, name] = /^(?:\/\/|#|<!--) (\S+)/.exec(text) ?? [];
  if (!name) throw new Error(`an example without a name:\n${text}`);
  examples.set(name, [...(examples.get(name) ?? []), text]);
}

const tried = new Set();
function example(name) {
  tried.add(name);
  const [text] = examples.get(name) ?? [];
  if (!text) throw new Error(`doc/app.md has no ${name}`);
  return text;
}

// As a file that can be imported or run.
function save(name) {
  const file = path.join(folder, name);
  writeFileSync(file, example(name));
  return file;
}

const importExample = (name) => import(pathToFileURL(save(name)));
const python = (code, input = '') => execFileSync(PYTHON, ['-c', code], { cwd: folder, input, encoding: 'utf8', timeout: PATIENCE_MS });

// --- pages of another origin ---

class App {
  static async start() {
    const self = new App();
    self.files = new Map();
    self.server = http.createServer((request, response) => {
      const text = self.files.get(request.url);
      if (text === undefined) return response.writeHead(request.url === '/' ? 200 : 404, { 'Content-Type': 'text/html' }).end('<!doctype html>');
      return response.writeHead(200, { 'Content-Type': request.url.endsWith('.js') ? 'text/javascript' : 'text/html' }).end(text);
    });
    self.server.listen(0, '127.0.0.1');
    await once(self.server, 'listening');
    return self;
  }

  get origin() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const app = await App.start();
const stranger = await App.start();
let own; // the daemon with tokens

// For the daemon that is meant.
const local = (text, daemon) => text
  .replaceAll('https://turn.example.org:8443', `http://127.0.0.1:${daemon.pagePort}`)
  .replaceAll('turn.example.org:3478', `127.0.0.1:${daemon.port}`);

const page = (site, origin = app.origin, file = '') => site.visitor({ url: `${origin}/`, hash: file });

// The first relay candidate of the connection that this expression gives; null: none. A page has it or learns of its end.
function relayed(visitor, code, expression) {
  return visitor.page.evaluate(`(async () => {
    ${code}
    const pc = await ${expression};
    const found = new Promise((resolve) => {
      pc.onicecandidate = ({ candidate }) => {
        if (candidate === null) resolve(null);
        else if (candidate.candidate.includes('typ relay')) resolve(candidate.candidate);
      };
    });
    pc.createDataChannel('data');
    await pc.setLocalDescription();
    const candidate = await found;
    pc.close();
    return candidate;
  })()`);
}

const by = (visitor, iceServers) => relayed(visitor, '', `new RTCPeerConnection(${JSON.stringify({ iceServers })})`);

// --- the tests ---

function configurations() {
  const all = examples.get('turnpike.conf');
  tried.add('turnpike.conf');
  for (const [index, text] of all.entries()) {
    let whole = text;
    if (!/^realm/m.test(text)) whole = `realm = "example.org";\n${whole}`;
    if (!/^auth/m.test(text)) whole += 'auth = { stores = [ ]; };\n';
    else whole = whole.replace('auth = {', 'auth = { stores = [ ];');
    if (/tls = true/.test(text) && !/^tls/m.test(text)) whole += 'tls = { certificate = "/etc/turnpike/fullchain.pem"; key = "/etc/turnpike/privkey.pem"; };\n';
    if (!made && /tls/.test(whole)) continue; // nothing to check it with
    if (made) whole = whole.replaceAll('/etc/turnpike/fullchain.pem', made.certificate).replaceAll('/etc/turnpike/privkey.pem', made.key);
    const file = path.join(folder, `${index}.conf`);
    writeFileSync(file, whole);
    execFileSync(process.env.TURNPIKED, ['--check', '-c', file], { stdio: 'pipe', timeout: PATIENCE_MS });
  }
}

async function fetched(site) {
  const code = local(example('connect.js'), site.daemon);
  const visitor = await page(site);
  if (!(await relayed(visitor, code, 'connect()'))) throw new Error('no relay candidate');
  const elsewhere = await page(site, stranger.origin);
  const failed = await elsewhere.page.evaluate(`(async () => { ${code}; return connect().then(() => null, String); })()`);
  for (const one of [visitor, elsewhere]) await one.close();
  return failed !== null;
}

async function password(site) {
  const file = path.join(folder, 'password');
  writeFileSync(file, 'the password of alice\n');
  const named = /--realm (\S+) --store (\S+)/;
  const [, realm, store] = named.exec(await until('realm and store', () => site.daemon.output, (text) => named.test(text)));
  execFileSync(program('turnpikectl'), ['user', 'add', 'alice', '--password-file', file, '--realm', realm, '--store', store], { stdio: 'pipe' });
  const code = local(example('static.js'), site.daemon);
  const visitor = await page(site);
  const good = await relayed(visitor, code.replace('const pc', 'const made'), 'made');
  const bad = await relayed(visitor, code.replace('const pc', 'const made').replace('the password of', 'a guess for'), 'made');
  await visitor.close();
  if (!good || bad) throw new Error(`${good}, ${bad}`);
}

async function backend(site) {
  const { port } = site.daemon;
  const visitor = await page(site);
  const { iceServers } = await importExample('ice.mjs');
  save('ice.py');
  const pythons = (secret) => JSON.parse(python(
    `import ice, json; print(json.dumps(ice.ice_servers("carol", "${secret}", host="127.0.0.1", port=${port})))`));
  const nodes = (secret) => iceServers('carol', { secret, host: '127.0.0.1', port });
  for (const make of [nodes, pythons]) {
    if (!(await by(visitor, make(SECRET)))) throw new Error(`${make.name}: no relay candidate`);
    if (await by(visitor, make('a guess'))) throw new Error(`${make.name}: relays with any secret`);
  }
  await visitor.close();
}

const client = () => /```js\n(function call[^]*?)```/.exec(source('signaling.md'))[1];

const frames = (visitor) => until('frames', () => visitor.page.evaluate(() =>
  [...document.querySelectorAll('video')].at(-1).getVideoPlaybackQuality().totalVideoFrames), (count) => count >= FRAMES);

async function wholePage(site) {
  app.files.set('/call.html', local(example('call.html'), site.daemon));
  app.files.set('/call.js', client());
  const pages = [await page(site, app.origin, 'call.html'), await page(site, app.origin, 'call.html')];
  for (const one of pages) await one.page.getByRole('button', { name: 'Call' }).click();
  for (const one of pages) await frames(one);
  for (const one of pages) await one.close();
  // From another origin not even the WebSocket opens.
  stranger.files.set('/call.js', app.files.get('/call.js'));
  stranger.files.set('/call.html', app.files.get('/call.html'));
  const other = await page(site, stranger.origin, 'call.html');
  const refused = new Promise((resolve) => other.page.on('websocket', (socket) => socket.on('socketerror', resolve)));
  await other.page.getByRole('button', { name: 'Call' }).click();
  const why = await refused;
  await other.close();
  return /403/.test(why);
}

async function tokens(site) {
  own = await Daemon.startDev({ 'signal.origins': `[ "${app.origin}" ]`, 'signal.jwt_secrets': `[ "${JWT_SECRET}" ]` });
  const { makeToken } = await importExample('token.mjs');
  save('turnpike_token.py');
  const makers = {
    Node: (secret) => makeToken('Node', { secret }),
    Python: (secret) => python(`import turnpike_token; print(turnpike_token.make_token("Python", "${secret}"), end="")`),
  };
  const code = local(example('connect-token.js'), own);
  const callCode = local(`${client()}\n${example('call-token.js')}`, own);
  const pages = [];
  for (const make of Object.values(makers)) {
    const visitor = await page(site);
    pages.push(visitor);
    const token = make(JWT_SECRET);
    if (!(await relayed(visitor, code, `connectWith(${JSON.stringify(token)})`))) throw new Error(`${make.name}: no relay candidate`);
    const failed = await visitor.page.evaluate(`(async () => { ${code}; return connectWith(${JSON.stringify(make('a guess'))}).then(() => '', String); })()`);
    if (!/401/.test(failed)) throw new Error(`a forged token: ${failed}`);
    await visitor.page.evaluate(`(async () => {
      ${callCode}
      const stream = await navigator.mediaDevices.getUserMedia({ video: true });
      const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
      document.body.append(video);
      window.socket = callWith(${JSON.stringify(token)}, stream, (remote) => (video.srcObject = remote));
    })()`);
  }
  for (const visitor of pages) await frames(visitor);
  for (const visitor of pages) await visitor.close();
}

const forged = (site) => page(site).then(async (visitor) => {
  const { makeToken } = await importExample('token.mjs');
  const code = local(`${client()}\n${example('call-token.js')}`, own);
  const end = await visitor.page.evaluate(`new Promise((resolve) => {
    ${code}
    callWith(${JSON.stringify(makeToken('Eve', { secret: 'a guess' }))}, new MediaStream(), () => {}).onclose = ({ code }) => resolve(code);
  })`);
  await visitor.close();
  return end === 4401;
});

// --- behind nginx ---

// Ends a WebSocket by saying nothing, from this address of loopback.
const silent = (port, ca, localAddress) => new Promise((resolve, reject) => {
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
  const request = https.request({ host: '127.0.0.1', servername: 'localhost', port, path: '/signal', ca, localAddress, headers, agent: false });
  request.on('upgrade', (_, socket) => socket.on('close', () => resolve(true)).resume());
  request.on('response', ({ statusCode }) => reject(new Error(`status ${statusCode}`)));
  request.on('error', reject);
  request.end();
});

async function nginx(site) {
  const { authority, certificate, key } = made;
  const [root, calls] = [await freePort(), await freePort()];
  const text = example('turnpike.nginx').replaceAll('/etc/turnpike/fullchain.pem', certificate).replaceAll('/etc/turnpike/privkey.pem', key)
    .replaceAll('http://127.0.0.1:8080', `http://127.0.0.1:${site.daemon.pagePort}`);
  const first = text.replace('listen 443 ssl', `listen 127.0.0.1:${root} ssl`);
  // The same in a folder, without the map, which is there already.
  const second = text.slice(text.indexOf('server {')).replace('listen 443 ssl', `listen 127.0.0.1:${calls} ssl`)
    .replace('location / {', 'location /calls/ {').replace(`:${site.daemon.pagePort};`, `:${site.daemon.pagePort}/;`);
  const proxy = site.with(await Nginx.start(findNginx(), first + second, root));
  const timeOut = silent(root, readFileSync(authority), '127.0.0.2'); // takes its time, and needs nobody
  timeOut.catch(() => {}); // told below
  for (const url of [`https://localhost:${root}/`, `https://localhost:${calls}/calls/`]) {
    const pages = [await site.visitor({ url }), await site.visitor({ url })];
    for (const visitor of pages) await visitor.join(url.split('/')[3] || 'root');
    for (const visitor of pages) await visitor.frames();
    for (const visitor of pages) await visitor.close();
  }
  await timeOut;
  await until('the address of the client', () => site.daemon.output, (log) => /127\.0\.0\.2\S* .*closed with 4401/.test(log));
  tap.comment(proxy.output);
}

// --- native ---

async function aioice(site) {
  const { iceServers } = await importExample('ice.mjs');
  const input = JSON.stringify({ iceServers: iceServers('device', { secret: SECRET, host: '127.0.0.1', port: site.daemon.port }) });
  const said = python(example('native.py'), input);
  if (said.trim() !== 'hello by the relay') throw new Error(said);
}

async function wrtc(site) {
  mkdirSync(path.join(folder, 'node_modules', '@roamhq'), { recursive: true });
  symlinkSync(path.dirname(moduleFile('@roamhq/wrtc', 'package.json')), path.join(folder, 'node_modules', '@roamhq', 'wrtc'));
  const { iceServers } = await importExample('ice.mjs');
  save('native.mjs');
  // A process of its own: libwebrtc does not like to share one.
  const script = `import { relayCandidate } from './native.mjs';
    console.log((await relayCandidate(JSON.parse(process.argv[2]))) ? 'relay' : 'none');
    process.exit(0);`;
  writeFileSync(path.join(folder, 'run.mjs'), script);
  const ask = (secret) => execFileSync(process.execPath, ['run.mjs', JSON.stringify(iceServers('device', { secret, host: '127.0.0.1', port: site.daemon.port }))],
    { cwd: folder, encoding: 'utf8', timeout: PATIENCE_MS }).trim();
  const answers = [ask(SECRET), ask('a guess')];
  if (answers.join() !== 'relay,none') throw new Error(`${answers}`);
}

async function closeOwn() {
  const { code, clean } = await own.stop();
  if (code !== 0 || !clean) tap.comment(own.output);
  for (const one of [app, stranger]) one.close();
  return code === 0 && clean;
}

const has = {
  aioice: () => { try { return python('import aioice') === ''; } catch { return false; } },
  wrtc: () => load('@roamhq/wrtc') !== null,
  nginx: () => findNginx() !== null && made !== null,
};

const optional = (what, name, body, ...names) => (has[what]() ? [name, body]
  : [`${name} # SKIP ${what} is not installed`, () => names.forEach((one) => tried.add(one))]);

const tests = [
  ['every configuration passes turnpiked --check', configurations],
  ['/ice from a page of another origin, and from one that is not named', fetched],
  ['a user with a password, made by turnpikectl', password],
  ['credentials made by Node.js and by Python relay, with the right secret only', backend],
  ['the page with the client in 30 lines calls from another origin', wholePage],
  ['tokens made by Node.js and by Python open /ice and a call', tokens],
  ['a token made with another secret is refused', forged],
  optional('nginx', 'behind nginx the page calls, in a folder, too, and the client’s address is known', nginx, 'turnpike.nginx'),
  optional('aioice', 'two ends of aioice reach each other by the relay', aioice, 'native.py'),
  optional('wrtc', 'libwebrtc gets a relay candidate', wrtc, 'native.mjs'),
  ['the daemon with tokens ends with exit code 0', closeOwn],
  ['no example was left out', () => {
    const left = [...examples.keys()].filter((name) => !tried.has(name));
    if (left.length) throw new Error(left.join());
  }],
];

const settings = {
  'signal.origins': `[ "${app.origin}" ]`,
  'auth.secrets': `[ "${SECRET}" ]`,
  'signal.proxies': '[ "127.0.0.1" ]',
  'signal.register_timeout': 10,
};
run(tests, { settings, authority: made?.authority }).catch(bailOut);
