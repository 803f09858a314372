// SPDX-License-Identifier: BSD-2-Clause
// The session descriptions of both ends, taken apart.
import { GROUPS, parseSdp } from '../call/sdp.js';
import { el, table } from '../lib/dom.js';

// What the lines mean that a reader meets first.
const MEANING = {
  v: 'version',
  o: 'origin: who, session, version',
  s: 'session name',
  t: 'from, to',
  c: 'connection address',
  b: 'bandwidth limit',
  m: 'kind, port, transport, formats',
  group: 'sections that share one transport',
  'msid-semantic': 'how streams are named',
  mid: 'the section’s name',
  msid: 'stream and track',
  ssrc: 'source of packets',
  'ssrc-group': 'sources that belong together',
  rtpmap: 'payload type and codec',
  fmtp: 'parameters of a codec',
  extmap: 'RTP header extension',
  candidate: 'an address to be tried',
  'ice-options': 'options of ICE',
  rtcp: 'address of RTCP',
  'rtcp-mux': 'RTCP on the same port',
  'rtcp-rsize': 'reduced-size RTCP',
  'sctp-port': 'port of the data channels',
  'ice-ufrag': 'user fragment of the checks',
  'ice-pwd': 'password of the checks',
  fingerprint: 'hash of the certificate',
  setup: 'who begins DTLS',
  'rtcp-fb': 'feedback that is understood',
  'max-message-size': 'largest data message',
  'extmap-allow-mixed': 'one- and two-byte extensions',
  sendrecv: 'sends and receives',
  sendonly: 'sends only',
  recvonly: 'receives only',
  inactive: 'neither',
};

function groupNodes(lines) {
  return Object.entries(GROUPS).map(([group, title]) => {
    const of = lines.filter((line) => line.group === group);
    return of.length
      ? el(
          'details',
          { class: 'group' },
          el('summary', {}, title, el('span', { class: 'hint' }, ` ${of.length}`)),
          el(
            'ul',
            { class: 'plain' },
            of.map(({ field, name, value }) =>
              el(
                'li',
                {},
                el('code', {}, field === 'a' ? `a=${name}` : `${field}=`),
                Object.hasOwn(MEANING, name) ? el('small', {}, ` ${MEANING[name]}`) : null,
                el('code', { class: 'value' }, value),
              ),
            ),
          ),
        )
      : null;
  });
}

function mediaNode(media, side) {
  const facts = [
    ['Format', media.kind],
    ['Transport', media.transport],
    ['Address', media.address || '–'],
    ['Port', media.port],
    ['Payload types', media.formats.join(' ')],
    ['Direction', media.direction || '–'],
  ];
  return el(
    'details',
    { class: 'media' },
    el('summary', {}, el('strong', {}, media.kind), ` mid ${media.mid || '–'}, ${media.direction || media.transport}`),
    el(
      'dl',
      { class: 'facts' },
      facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, el('code', {}, value)))),
    ),
    media.payloads.length
      ? table(
          `${side}: payload types of ${media.kind} ${media.mid}`,
          ['Type', 'rtpmap', 'fmtp', 'rtcp-fb'],
          media.payloads.map(({ type, codec, parameters, feedback }) => ({
            cells: [type, codec, parameters, feedback],
          })),
        )
      : null,
    groupNodes(media.lines),
  );
}

function sideNode(title, description) {
  if (!description) return el('div', {}, el('h3', {}, title), el('p', { class: 'hint' }, 'Not there yet.'));
  const parsed = parseSdp(description.sdp);
  return el(
    'div',
    { class: 'description' },
    el('h3', {}, `${title}: ${description.type}`),
    el(
      'details',
      { class: 'media' },
      el('summary', {}, el('strong', {}, 'Session level'), ` ${parsed.lines.length} lines`),
      groupNodes(parsed.lines),
    ),
    parsed.media.map((media) => mediaNode(media, title)),
    el(
      'details',
      { class: 'media' },
      el('summary', {}, 'As it is'),
      el('pre', { tabindex: 0, 'aria-label': `${title}, as it is` }, description.sdp),
    ),
  );
}

export function makeDescriptions() {
  const body = el('div', { class: 'two' });
  const node = el(
    'section',
    { class: 'card', id: 'inside-sdp', 'aria-labelledby': 'inside-sdp-title' },
    el('h2', { id: 'inside-sdp-title' }, 'The SDP, taken apart'),
    el('p', { class: 'hint' }, 'What each end says about itself. The server carries it and never changes it.'),
    body,
  );
  let shown = [];
  const update = ({
    room: {
      connection: { pc },
    },
  }) => {
    const both = [pc.localDescription, pc.remoteDescription];
    const texts = both.map((one) => one?.sdp);
    if (texts.every((text, i) => text === shown[i]) && body.childElementCount) return;
    // What was unfolded stays so when a candidate is added to the text.
    const open = [...body.querySelectorAll('details')].map((details) => details.open);
    body.replaceChildren(sideNode('This end', both[0]), sideNode('The other', both[1]));
    const now = [...body.querySelectorAll('details')];
    if (now.length === open.length) now.forEach((details, i) => (details.open = open[i]));
    shown = texts;
  };
  return { node, update };
}
