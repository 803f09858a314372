// SPDX-License-Identifier: BSD-2-Clause
// What works from here, in plain words.
import { gather, judgeNat, listWays, tryRelay } from '../call/network.js';
import { $, el } from '../lib/dom.js';
import { endpoint, milliseconds } from '../lib/format.js';

const NAMES = { udp: 'UDP', tcp: 'TCP', tls: 'TLS' };
const SIGNS = { good: 'works', bad: 'fails', warn: 'note', none: 'not offered' };

const REFUSALS = {
  401: 'The server refused the name or the credential.',
  403: 'The server forbids it.',
  486: 'This user has as many relays as the server allows.',
  508: 'The server has no relay port left.',
  701: 'The server was not reached.',
};

const ADVICE = {
  udp: 'A firewall near you lets no UDP through to this server. Calls go by TCP or TLS then, which works but is less smooth.',
  tcp: 'A firewall near you lets no TCP through to this port. If TLS on 443 is offered below and works, that is enough.',
  tls: 'The certificate may not be trusted by this browser, or the port is closed on the way.',
};

function line(kind, title, text, detail, sign = SIGNS[kind]) {
  return el(
    'li',
    { data: { kind } },
    el('span', { class: 'tag', data: { kind } }, sign),
    el('div', {}, el('strong', {}, title), el('p', {}, text), detail && el('p', { class: 'hint' }, detail)),
  );
}

// By signaling where that is possible: there it is known already who asks.
async function fetchServers({ signal }) {
  if (signal.state === 'online') return signal.request({ type: 'ice' });
  const response = await fetch('ice', { cache: 'no-store' });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.json();
}

function refusal({ errors }, transport) {
  const known = errors.find(({ errorCode }) => REFUSALS[errorCode] && errorCode !== 701);
  return known
    ? `${REFUSALS[known.errorCode]} Load this page again for a fresh credential.`
    : `${REFUSALS[701]} ${ADVICE[transport]}`;
}

async function checkStun(way) {
  const seen = await gather([way.server]);
  const mapped = seen.candidates.find(({ type }) => type === 'srflx');
  const host = seen.candidates.find(({ type }) => type === 'host');
  const reached = mapped || seen.errors.length === 0;
  if (!reached)
    return {
      works: false,
      item: line('bad', `STUN by ${NAMES[way.transport]}`, refusal(seen, way.transport), way.url),
    };
  const text = mapped
    ? `The server sees you as ${endpoint(mapped.address, mapped.port)}.`
    : `The server sees you at the address that your machine has itself${host ? '' : ', or the browser keeps it to itself'}: no NAT between the two.`;
  return { works: true, item: line('good', `STUN by ${NAMES[way.transport]}`, text, way.url) };
}

async function checkTurn(way) {
  const title = `Relay by ${NAMES[way.transport]}`;
  const seen = await gather([way.server], 'relay');
  const relay = seen.candidates.find(({ type }) => type === 'relay');
  if (!relay) return { works: false, item: line('bad', title, refusal(seen, way.transport), way.url) };
  const given = `You got the relay ${endpoint(relay.address, relay.port)} in ${milliseconds(seen.took)}`;
  try {
    const time = await tryRelay(way.server);
    return {
      works: true,
      item: line(
        'good',
        title,
        `${given}, and data goes through it and back through a second one in ${milliseconds(time)}.`,
        way.url,
      ),
    };
  } catch {
    return {
      works: false,
      item: line(
        'bad',
        title,
        `${given}, but nothing came through it. The server’s relay ports may be closed by a firewall of its own.`,
        way.url,
      ),
    };
  }
}

// One local port, all STUN servers: does each see the same address?
async function checkNat(ways) {
  const servers = ways
    .filter(({ kind, transport }) => kind === 'stun' && transport === 'udp')
    .map(({ server }) => server);
  const { candidates } = await gather(servers);
  const probe = 'The four types of NAT can only be told apart by a program: turnpike-probe nat does.';
  const judged = judgeNat(candidates);
  if (judged === 'unseen') return line('good', 'NAT', 'None was seen on the way to this server.', probe, 'none');
  if (judged === 'symmetric') {
    return line(
      'warn',
      'NAT',
      'Yours gives you another address for each destination (symmetric). Direct calls work with some only; the relay makes up for it.',
      probe,
      'symmetric',
    );
  }
  const text =
    servers.length > 1
      ? 'There is one, and every server saw the same address for you. Direct calls are likely to work.'
      : 'There is one. With one STUN server only, a browser cannot see whether others would see the same address.';
  return line(servers.length > 1 ? 'good' : 'warn', 'NAT', text, probe, 'seen');
}

function browserLines() {
  const secure = isSecureContext;
  return [
    secure
      ? line('good', 'Secure address', 'The browser lets this page use camera and microphone.')
      : line(
          'bad',
          'Secure address',
          'The browser keeps camera and microphone from this page. Open it by https, or as http://localhost on the machine itself.',
        ),
    'getDisplayMedia' in (navigator.mediaDevices ?? {})
      ? null
      : line('warn', 'Screen', 'This browser cannot share its screen.'),
  ];
}

function signalLine({ signal }) {
  if (signal.state === 'online') {
    const plain = signal.kind === 'WebSocket';
    return line(
      plain ? 'good' : 'warn',
      'Signaling',
      plain
        ? 'The server is connected by WebSocket.'
        : 'Something on the way lets no WebSocket through; the plain HTTP stream works.',
    );
  }
  return line('bad', 'Signaling', 'The server does not answer. Look whether it runs, and whether you are on line.');
}

function verdict({ signal }, results) {
  if (signal.state !== 'online')
    return [
      'bad',
      'No call can begin from here now.',
      'The server has not let this page in, or does not answer: browsers find each other through it.',
    ];
  const relays = results.filter(({ way }) => way.kind === 'turn');
  const working = relays.filter(({ works }) => works).map(({ way }) => NAMES[way.transport]);
  if (working.includes('UDP'))
    return [
      'good',
      'Calls will work from here.',
      `A relay by ${[...new Set(working)].join(' and ')} is there for those whom you cannot reach directly.`,
    ];
  if (working.length)
    return [
      'warn',
      'Calls will work from here, less smoothly.',
      `The relay is reached by ${[...new Set(working)].join(' and ')} only.`,
    ];
  if (!relays.length)
    return ['warn', 'This server offers no relay.', 'Whom you cannot reach directly you cannot talk to.'];
  return [
    'bad',
    'Calls will often fail from here.',
    'No relay was reached. Try another network, or ask who runs this one to let UDP or TCP through to this server.',
  ];
}

async function run(app, list, summary) {
  const add = (item) => item && list.append(item);
  browserLines().forEach(add);
  add(signalLine(app));
  let ways;
  try {
    const { iceServers } = await fetchServers(app);
    ways = listWays(iceServers);
  } catch (error) {
    add(line('bad', 'Servers', 'The server does not tell its STUN and TURN servers to this page.', error.message));
    conclude(summary, verdict(app, []));
    return;
  }
  const results = [];
  for (const way of ways) {
    summary.replaceChildren(el('p', {}, `Trying ${way.url} …`));
    const result = await (way.kind === 'stun' ? checkStun(way) : checkTurn(way));
    add(result.item);
    results.push({ ...result, way });
  }
  if (results.some(({ way, works }) => way.kind === 'stun' && works)) add(await checkNat(ways));
  if (!ways.some(({ kind, transport }) => kind === 'turn' && transport === 'tls')) {
    add(line('none', 'Relay by TLS', 'This server offers none. TLS on port 443 gets through where nothing else does.'));
  }
  conclude(summary, verdict(app, results));
}

function conclude(summary, [kind, title, text]) {
  summary.replaceChildren(
    el(
      'div',
      { class: 'notice', data: { kind: { good: 'info', warn: 'warning', bad: 'error' }[kind] } },
      el('div', {}, el('strong', {}, title), text),
    ),
  );
}

export function showNetwork(app) {
  const start = $('check-start');
  start.addEventListener('click', async () => {
    start.disabled = true;
    const summary = el('div', { id: 'check-summary' });
    const list = el('ul', { class: 'checks', id: 'checks' });
    $('check').replaceChildren(summary, list);
    try {
      await run(app, list, summary);
    } catch (error) {
      summary.replaceChildren(
        el(
          'div',
          { class: 'notice', data: { kind: 'error' } },
          el('div', {}, el('strong', {}, 'The check broke off.'), error.message),
        ),
      );
    }
    start.textContent = 'Check again';
    start.disabled = false;
    if (document.activeElement === document.body) start.focus(); // which it lost meanwhile
  });
}
