// SPDX-License-Identifier: BSD-2-Clause
// The signaling protocol (doc/signaling.md) as clients with npm's ws have it, and those with server-sent events.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findMissingTool, makeCertificates } from './lib/authority.mjs';
import { Daemon } from './lib/daemon.mjs';
import { bailOut } from './lib/site.mjs';
import { equal, Socket, Stream, WebSocket } from './lib/socket.mjs';
import * as tap from './lib/tap.mjs';
import { until } from './lib/until.mjs';

const SECRET = 'a secret of at least 16 bytes';
const OFFER = { type: 'offer', sdp: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n' };
const CANDIDATE = { candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host', sdpMid: '0', sdpMLineIndex: 0 };

// A daemon with settings of the group signal, for one test.
async function served(settings, body) {
  const named = Object.entries({ address_connections: 1000, ...settings }).map(([key, value]) => [`signal.${key}`, value]);
  const daemon = await Daemon.startDev(Object.fromEntries(named));
  daemon.url = `http://127.0.0.1:${daemon.pagePort}`;
  await tried(daemon, async () => {
    await until('the server answers', () => fetch(daemon.url).then(({ ok }) => ok, () => false), Boolean);
    await body(daemon);
  });
}

async function tried(daemon, body) {
  let ended;
  try {
    await body();
  } finally {
    ended = await daemon.stop();
    for (const { ws } of Socket.opened.splice(0)) ws.terminate();
  }
  equal([ended.code, ended.clean], [0, true], `the end of the daemon (${daemon.output})`);
}

async function refused(what, promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what}: it was not refused`);
}

const member = async (daemon, name, room = 'r') => (await (await Socket.open(daemon)).register(name)).join(room);

async function pair(daemon) {
  const ann = await member(daemon, 'ann');
  const bob = await member(daemon, 'bob');
  await ann.expect('otherjoin');
  return [ann, bob];
}

function token(claims, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const seconds = (more) => Math.floor(Date.now() / 1000) + more;

async function handshakes(daemon) {
  const plain = await Socket.open(daemon, { perMessageDeflate: true });
  equal([plain.ws.extensions, plain.ws.protocol], ['', ''], 'what was agreed on');
  equal(plain.headers['sec-websocket-extensions'], undefined, 'Sec-WebSocket-Extensions');
  // The server knows no subprotocol and names none, which this client does not put up with.
  const error = await refused('a subprotocol', Socket.open(daemon, { protocols: ['chat', 'superchat'] }));
  equal(error.message, 'Server sent no subprotocol', 'what ws says');
  equal(error.upgrade['sec-websocket-protocol'], undefined, 'Sec-WebSocket-Protocol');
  equal((await refused('an origin', Socket.open(daemon, { origin: 'https://evil.example' }))).status, 403, 'another origin');
  (await Socket.open(daemon, { origin: daemon.url })).ws.close();
  equal((await refused('a path', Socket.open(daemon, { path: '/nothing' }))).status, 404, 'another path');
  const { status, headers } = await refused('a version', Socket.open(daemon, { protocolVersion: 8 }));
  equal([status, headers['sec-websocket-version']], [426, '13'], 'version 8');
  equal((await fetch(`${daemon.url}/signal`)).status, 426, 'no upgrade');
}

async function users(daemon) {
  const ann = await (await Socket.open(daemon)).register('ann', { id: 7 });
  const { name, uid, fileName, peer, resume, id } = ann.registered;
  equal([name, id, fileName], ['ann', 7, `ann_${uid}.webm`], 'registered');
  equal([/^[0-9a-f]{20}$/.test(peer), resume.startsWith(peer), resume.length > 44], [true, true, true], 'peer and resume');
  const bob = await (await Socket.open(daemon)).register('bob');
  equal((await ann.expect('useradd')).name, 'bob', 'useradd');
  ann.say({ type: 'users', id: 'q' });
  equal(await ann.expect('users'), { type: 'users', users: ['bob'], count: 1, id: 'q' }, 'users');
  const other = await Socket.open(daemon);
  other.say({ type: 'register', name: 'bob', id: 1 });
  equal(await other.error(), 'name_taken', 'the name of another');
  other.say({ event: 'register', name: 'Bob' }); // `event` is `type`
  equal((await other.expect('registered')).name, 'Bob', 'another name');
  bob.ws.close(1000);
  await bob.end();
  equal((await ann.expect('userdel')).name, 'bob', 'userdel');
}

async function rooms(daemon) {
  const ann = await (await Socket.open(daemon)).register('ann');
  ann.say({ type: 'join', room: 'r', id: 5 });
  const first = await ann.expect('joined');
  equal([first.room, first.id, first.re, first.members, first.count, first.capacity], ['r', ann.registered.peer, 5, [], 1, 2], 'joined');
  equal([typeof first.limits.text, typeof first.ttl, first.resume], ['number', 'number', ann.registered.resume], 'more of joined');
  const bob = await (await Socket.open(daemon)).register('bob');
  await bob.join('r');
  equal([bob.joined.members, bob.joined.count], [[{ id: ann.registered.peer, name: 'ann' }], 2], 'who is there');
  equal(await ann.expect('otherjoin'), { type: 'otherjoin', room: 'r', id: bob.registered.peer, name: 'bob', count: 2 }, 'otherjoin');
  const cem = await (await Socket.open(daemon)).register('cem');
  cem.say({ type: 'join', room: 'r', id: 'x' });
  const full = await cem.expect('full');
  equal([full.room, full.capacity, full.id], ['r', 2, 'x'], 'full');
  bob.say({ type: 'leave', room: 'r' });
  equal((await bob.expect('leaved')).room, 'r', 'leaved');
  const bye = await ann.expect('bye');
  equal([bye.room, bye.id, bye.name, bye.reason], ['r', bob.registered.peer, 'bob', 'leave'], 'bye');
  await cem.join('r');
  bob.say({ type: 'leave', room: 'r', id: 1 });
  equal(await bob.error(), 'not_in_room', 'leaving twice');
  cem.ws.close(1000);
  equal((await ann.expect('bye')).reason, 'leave', 'closed with 1000');
}

async function messages(daemon) {
  const [ann, bob] = await pair(daemon);
  const cem = await (await Socket.open(daemon)).register('cem');
  await ann.settle();
  const from = ann.registered.peer;
  const passed = { type: 'message', room: 'r', from, name: 'ann', data: { a: 1 } };
  ann.say({ type: 'message', room: 'r', data: { a: 1 }, from: 'forged', name: 'forged' });
  equal(await bob.expect('message'), passed, 'to the room');
  ann.say({ type: 'message', data: 'the only room' });
  equal((await bob.expect('message')).data, 'the only room', 'without a room');
  ann.say({ type: 'message', to: 'bob', data: null });
  equal(await bob.expect('message'), { type: 'message', from, name: 'ann', data: null }, 'to one by name');
  ann.say({ type: 'message', to: bob.registered.peer, room: 'r', data: [] });
  equal((await bob.expect('message')).data, [], 'to one by id, in the room');
  ann.say({ type: 'message', to: 'cem', room: 'r', data: 1 });
  equal(await ann.error(), 'no_such_user', 'to one who is not in the room');
  ann.say({ type: 'message', to: 'nobody', data: 1 });
  equal(await ann.error(), 'no_such_user', 'to nobody');
  ann.say({ type: 'message', room: 'other', data: 1 });
  equal(await ann.error(), 'not_in_room', 'to another room');
  equal([await bob.settle(), await cem.settle()].flat().filter(({ type }) => type === 'message'), [], 'what others heard of it');
  ann.say({ type: 'message', scope: 'room-all', data: 2 });
  equal([(await ann.expect('message')).data, (await bob.expect('message')).data], [2, 2], 'to all in the room');
  ann.say({ type: 'message', scope: 'all', data: 3 });
  equal([(await cem.expect('message')).data, (await bob.expect('message')).data], [3, 3], 'to everybody');
  equal((await ann.settle()).length, 0, 'what the sender heard of it');
  const odd = '{ "b":1.0,"a":2e5,"b":"\\u00e9", "c":"é\u{1f680}" }';
  let heard;
  bob.ws.once('message', (data) => (heard = String(data)));
  ann.say(`{"type":"message","room":"r","data":${odd}}`);
  await bob.expect('message');
  equal(heard.includes(`"data":${odd}}`), true, 'data, byte for byte');
}

async function acknowledgements(daemon) {
  const [ann, bob] = await pair(daemon);
  ann.say({ type: 'message', room: 'r', data: 1, id: 'one' });
  equal(await ann.expect('ack'), { type: 'ack', id: 'one', ok: true, count: 1 }, 'by the server');
  equal((await bob.expect('message')).id, undefined, 'an id that is not asked for');
  ann.say({ type: 'message', room: 'r', data: 1, id: 2, ack: true });
  const { id, from } = await bob.expect('message');
  equal([id, from], [2, ann.registered.peer], 'what is to be acknowledged');
  bob.say({ type: 'ack', to: from, id, args: ['got', { it: true }] });
  equal(await ann.expect('ack'), { type: 'ack', id: 2, ok: true, from: bob.registered.peer, name: 'bob', args: ['got', { it: true }] }, 'by the other');
  bob.say({ type: 'message', to: 'ann', data: 1, id: 3, ack: true });
  ann.say({ type: 'ack', to: (await ann.expect('message')).from, id: 3 });
  equal((await bob.expect('ack')).name, 'ann', 'the other way');
  bob.say({ type: 'leave', room: 'r' });
  await ann.expect('bye');
  ann.say({ type: 'message', room: 'r', data: 1, id: 4, ack: true });
  equal(await ann.expect('ack'), { type: 'ack', id: 4, ok: false, count: 0 }, 'with nobody there');
}

async function bare(daemon) {
  const [ann, bob] = await pair(daemon);
  for (const data of [OFFER, CANDIDATE, null, { type: 'answer', sdp: 'v=0' }]) {
    ann.say(data);
    const message = await bob.expect('message');
    equal([message.data, message.from, message.room], [data, ann.registered.peer, 'r'], 'what the other gets');
  }
  await ann.join('second');
  ann.say(OFFER);
  equal(await ann.error(), 'bad_request', 'from two rooms');
  const cem = await (await Socket.open(daemon)).register('cem');
  cem.say(OFFER);
  equal(await cem.error(), 'not_in_room', 'from none');
}

async function fragments(daemon) {
  const [ann, bob] = await pair(daemon);
  const text = JSON.stringify({ type: 'message', room: 'r', data: 'ü世🚀'.repeat(2000) });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 997) {
    ann.ws.send(bytes.subarray(at, at + 997), { binary: false, fin: at + 997 >= bytes.length });
    if (at % 2) ann.ws.ping('between');
  }
  equal((await bob.expect('message')).data, 'ü世🚀'.repeat(2000), 'a message in fragments');
}

async function credentials(daemon) {
  const ann = await member(daemon, 'ann');
  ann.say({ type: 'ice', id: 1 });
  const ice = await ann.expect('ice');
  const { iceServers, ttl } = await (await fetch(`${daemon.url}/ice`)).json();
  for (const list of [ann.joined.iceServers, ice.iceServers, iceServers]) {
    const turn = list.find(({ credential }) => credential);
    equal(turn.urls.includes(`turn:127.0.0.1:${daemon.port}?transport=udp`), true, `URLs ${turn.urls}`);
    equal(Number(turn.username.split(':')[0]) > seconds(ttl - 60), true, 'its life');
  }
  equal(ann.joined.iceServers.at(-1).username.endsWith(':ann'), true, 'whose it is');
}

async function resumes(daemon) {
  const [ann, bob] = await pair(daemon);
  const { resume } = ann.registered;
  ann.ws.terminate();
  await until('the loss is noticed', async () => {
    bob.say({ type: 'message', to: 'ann', data: 'kept', id: 'k' });
    return (await bob.expect('ack')).ok;
  }, Boolean);
  const again = await Socket.open(daemon);
  again.say({ type: 'resume', token: resume, id: 9 });
  const registered = await again.expect('registered');
  equal([registered.name, registered.resumed, registered.peer, registered.id], ['ann', true, ann.registered.peer, 9], 'registered');
  const joined = await again.expect('joined');
  equal([joined.room, joined.members[0].name], ['r', 'bob'], 'joined');
  equal((await again.expect('message')).data, 'kept', 'what came meanwhile');
  equal((await bob.settle()).map(({ type }) => type), [], 'what the other noticed');
  // While the old connection is still there.
  const third = await Socket.open(daemon);
  third.say({ type: 'resume', token: resume });
  await third.expect('joined');
  equal(await again.code(), 4409, 'the end of the old one');
  third.say({ type: 'resume', token: resume });
  equal(await third.error(), 'bad_request', 'twice');
  const stranger = await Socket.open(daemon);
  stranger.say({ type: 'resume', token: resume.slice(0, 20) + '0'.repeat(32) });
  equal(await stranger.error(), 'no_such_session', "another's");
  await stranger.register('stranger');
}

async function graces(daemon) {
  const [ann, bob] = await pair(daemon);
  ann.ws.terminate();
  equal((await bob.expect('bye')).reason, 'disconnect', 'bye after the grace');
  equal((await bob.expect('userdel')).name, 'ann', 'and the name is free');
  const again = await Socket.open(daemon);
  again.say({ type: 'resume', token: ann.registered.resume });
  equal(await again.error(), 'no_such_session', 'too late');
  await again.register('ann');
}

async function heartbeats(daemon) {
  const [ann, bob] = await pair(daemon);
  const witness = await member(daemon, 'witness', 'silence');
  const deaf = await (await Socket.open(daemon, { autoPong: false })).register('deaf');
  // Whatever it says is a sign of life, and this is the last: the pings from here on are counted.
  let before;
  deaf.ws.on('message', (data) => {
    if (JSON.parse(data).type === 'joined') before = deaf.pings;
  });
  await deaf.join('silence');
  equal(await deaf.code(), 4408, 'the end of one that answers no ping');
  equal((await witness.expect('userdel')).name, 'deaf', 'who is gone');
  equal(deaf.pings - before, 2, 'pings until then');
  equal([ann.ws.readyState, bob.ws.readyState], [WebSocket.OPEN, WebSocket.OPEN], 'the others');
  ann.say({ type: 'ping', id: 'x' });
  equal(await ann.expect('pong'), { type: 'pong', id: 'x' }, 'pong');
  const pong = new Promise((resolve) => ann.ws.once('pong', (data) => resolve(String(data))));
  ann.ws.ping('data');
  equal(await pong, 'data', 'pong of the WebSocket');
}

async function rates(daemon) {
  const ann = await (await Socket.open(daemon)).register('ann');
  for (let i = 0; i < 12; i += 1) ann.say({ type: 'ping' });
  const error = await ann.expect('error');
  equal([error.code, error.retry_ms > 0], ['rate_limited', true], 'too fast');
  equal(await ann.code(), 4429, 'far too fast');
}

async function limits(daemon) {
  const late = await Socket.open(daemon);
  late.say({ type: 'ping' });
  await late.expect('pong');
  const ann = await (await Socket.open(daemon)).register('ann');
  await ann.join('a');
  equal(ann.joined.capacity, 3, 'capacity');
  await ann.join('b');
  ann.say({ type: 'join', room: 'c' });
  equal(await ann.error(), 'quota_exceeded', 'a third room');
  ann.say({ type: 'join', room: '123456789' });
  equal(await ann.error(), 'bad_request', 'a long name');
  ann.say(JSON.stringify({ type: 'message', room: 'a', data: 'x'.repeat(2000) }));
  equal(await ann.code(), 1009, 'a long message');
  equal(await late.error(), 'unauthorized', 'never registered');
  equal(await late.code(), 4401, 'and closed');
}

async function connections(daemon) {
  const held = [await Socket.open(daemon), await Socket.open(daemon), await Socket.open(daemon)];
  const { status, headers } = await refused('one too many', Socket.open(daemon));
  equal([status, Number(headers['retry-after']) > 0], [503, true], 'one too many');
  held[0].ws.close();
  await held[0].end();
  await until('there is room again', () => Socket.open(daemon).then(() => true, () => false), Boolean);
}

async function mistakes(daemon) {
  const ann = await (await Socket.open(daemon)).register('ann');
  for (const [text, code] of [['{', 'bad_json'], ['[]', 'bad_request'], ['{}', 'bad_request'], ['{"type":"nonsense"}', 'unknown_type'],
    ['{"type":"join"}', 'bad_request'], ['{"type":"message","room":"x"}', 'bad_request'], ['"text"', 'bad_request']]) {
    ann.say(text);
    equal(await ann.error(), code, text);
  }
  ann.ws.send(Buffer.from([1, 2]));
  equal(await ann.error(), 'bad_request', 'binary');
  ann.say('{');
  ann.say('{');
  equal(await ann.code(), 1008, 'the tenth');
  const stranger = await Socket.open(daemon);
  stranger.say({ type: 'join', room: 'r', id: 4 });
  const error = await stranger.expect('error');
  equal([error.code, error.id, await stranger.code()], ['unauthorized', 4, 4401], 'without register');
  const broken = await Socket.open(daemon);
  broken.ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false });
  equal(await broken.code(), 1007, 'no UTF-8');
}

async function tokens(daemon) {
  const soon = seconds(10);
  const short = await (await Socket.open(daemon)).register('short', { token: token({ sub: 'short', exp: soon }) });
  const renewed = await (await Socket.open(daemon)).register('renewed', { token: token({ sub: 'renewed', exp: soon }) });
  await renewed.register('renewed', { token: token({ sub: 'renewed', exp: seconds(600) }) });
  const good = token({ sub: 'ann', exp: seconds(600) });
  const bad = [undefined, 'x.y.z', token({ sub: 'ann', exp: seconds(600) }, 'another secret of 16 bytes'), token({ sub: 'ann', exp: seconds(-60) }),
    token({ sub: 'ann', exp: seconds(600), nbf: seconds(300) }), token({ exp: seconds(600) }), token({ sub: 'ann' })];
  for (const text of bad) {
    const ann = await Socket.open(daemon);
    ann.say({ type: 'register', name: 'ann', token: text });
    equal([await ann.error(), await ann.code()], ['unauthorized', 4401], `register with ${text}`);
    const headers = text ? { Authorization: `Bearer ${text}` } : {};
    equal((await fetch(`${daemon.url}/ice`, { headers })).status, 401, `/ice with ${text}`);
  }
  const ann = await Socket.open(daemon, { path: `/signal?token=${good}` });
  ann.say({ type: 'register' });
  equal((await ann.expect('registered')).name, 'ann', 'the name in the token of the query');
  const wrong = await Socket.open(daemon, { headers: { Authorization: `Bearer ${good}` } });
  wrong.say({ type: 'register', name: 'bob' });
  equal(await wrong.error(), 'unauthorized', 'the token of another name');
  equal((await fetch(`${daemon.url}/ice`, { headers: { Authorization: `Bearer ${good}` } })).status, 200, '/ice');
  const guest = await (await Socket.open(daemon)).register('guest', { token: token({ sub: 'guest', exp: seconds(600), room: 'r' }) });
  await guest.join('r');
  guest.say({ type: 'join', room: 'other' });
  equal(await guest.error(), 'unauthorized', 'another room than that of the token');
  equal([await short.error(), await short.code()], ['unauthorized', 4401], 'when exp has passed');
  equal((await renewed.settle()).filter(({ type }) => type === 'error'), [], 'with a new token in time');
}

async function streams(daemon) {
  const ann = await member(daemon, 'ann');
  const bob = await (await Stream.open(daemon)).register('bob');
  equal([bob.response.status, bob.response.headers.get('content-type')], [200, 'text/event-stream'], 'the stream');
  await bob.join('r');
  await ann.expect('otherjoin');
  await bob.say(OFFER);
  equal((await ann.expect('message')).data, OFFER, 'up');
  ann.say('{"type":"message",\n"room":"r","data":{"text":"ü\\n",\r\n"n":1}}');
  equal((await bob.expect('message')).data, { text: 'ü\n', n: 1 }, 'down');
  await bob.say({ type: 'message', to: 'ann', data: 1, id: 'q', ack: true });
  ann.say({ type: 'ack', to: (await ann.expect('message')).from, id: 'q', args: [] });
  equal((await bob.expect('ack')).args, [], 'acknowledged');
  equal(await bob.post('x'.repeat(70000)), 413, 'too long');
  equal(await bob.post(Buffer.from([0xff])), 400, 'no UTF-8');
  equal(await bob.post('{}', { Origin: 'https://evil.example' }), 403, 'another origin');
  equal((await fetch(`${daemon.url}/signal/${randomBytes(16).toString('hex')}`, { method: 'POST', body: '{}' })).status, 404, 'no stream');
  bob.abort.abort();
  await bob.end();
  const again = await Stream.open(daemon);
  await again.say({ type: 'resume', token: bob.registered.resume });
  equal((await again.expect('joined')).room, 'r', 'resumed with another stream');
}

async function farewells(daemon) {
  const [ann, bob] = await pair(daemon);
  const stream = await (await Stream.open(daemon)).register('stream');
  const stranger = await Socket.open(daemon);
  process.kill(daemon.child.pid, 'SIGTERM');
  for (const one of [ann, bob, stranger, stream]) {
    equal((await one.expect('goaway')).retry_ms > 0, true, 'goaway');
    equal((await one.end()).code, 1001, 'close code');
  }
}

// On the port of TURN, by TLS: ws offers nothing by itself, so that the first byte tells, or it says what it wants.
async function shared() {
  const daemon = await Daemon.start({ makeCertificates, http: true });
  await tried(daemon, async () => {
    const common = { site: `wss://localhost:${daemon.port}`, ca: readFileSync(daemon.certificates.authority), family: 4 };
    const all = [];
    for (const [at, more] of [{}, { ALPNProtocols: ['http/1.1'] }, {}].entries()) {
      const one = await (await Socket.open(daemon, { ...common, ...more })).register(`n${at}`);
      equal(one.ws._socket.alpnProtocol, more.ALPNProtocols?.[0] ?? false, 'the protocol by ALPN');
      all.push(await one.join(`r${at >> 1}`));
    }
    const [ann, bob] = all;
    await ann.expect('otherjoin');
    const data = 'ü世🚀'.repeat(4000);
    for (let i = 0; i < 10; i += 1) {
      ann.say({ type: 'message', room: 'r0', data: data + i });
      equal((await bob.expect('message')).data, data + i, 'a message');
      bob.say({ type: 'message', room: 'r0', data: i });
      equal((await ann.expect('message')).data, i, 'another one back');
    }
    ann.ws.close(1000);
    await ann.end();
    equal((await bob.expect('bye')).reason, 'leave', 'bye');
  });
}

const tests = [
  ['compression and subprotocols are offered in vain, other origins, paths and versions refused', {}, handshakes],
  ['register, users, useradd, userdel, and a name that is taken', {}, users],
  ['join, otherjoin, full, leave, bye', {}, rooms],
  ['messages to the room, to one, to all, byte for byte, and never with a forged sender', {}, messages],
  ['acknowledgements both ways', {}, acknowledgements],
  ['bare offers, answers, candidates and null', {}, bare],
  ['a message in fragments of ws, with pings between them', {}, fragments],
  ['iceServers in joined, by ice, by HTTP', {}, credentials],
  ['resume within the grace, with what came meanwhile, and of a session that is still connected', {}, resumes],
  ['after the grace a lost member is gone', { grace: 1 }, graces],
  ['pings, and the end of one that answers none', { grace: 0, ping_interval: 1 }, heartbeats],
  ['too many messages', { rate: 2, burst: 5 }, rates],
  ['limits of rooms, names, texts, and of the time to register',
    { rooms: 2, name_bytes: 8, text_bytes: 1024, register_timeout: 5, capacity: 3 }, limits],
  ['connections of one address', { address_connections: 3 }, connections],
  ['mistakes: their errors, and the tenth closes', {}, mistakes],
  ['tokens: none, bad, of another name or room, expired, renewed', { jwt_secrets: `[ "${SECRET}" ]` }, tokens],
  ['an event stream with posts, in a room with a WebSocket', {}, streams],
  ['goaway and 1001 when the server stops', {}, farewells],
];

async function main() {
  const secure = findMissingTool() !== 'openssl';
  process.setMaxListeners(2 * tests.length + 2); // each daemon has one for its end
  tap.plan(tests.length + secure);
  for (const [name, settings, body] of tests) await tap.test(name, () => served(settings, body));
  if (secure) await tap.test('over TLS on the port of TURN, without ALPN and with it', shared);
  else tap.comment('openssl is not installed: nothing is tried over TLS');
  tap.finish();
}

main().catch(bailOut);
