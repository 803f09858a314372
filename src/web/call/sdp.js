// SPDX-License-Identifier: BSD-2-Clause
// A session description (RFC 8866) taken apart, and the one line that is put into it.

// What a line is about, as the parts of a WebRTC description are usually told apart.
export const GROUPS = {
  session: 'Session',
  network: 'Network',
  stream: 'Streams',
  security: 'Security',
  quality: 'Quality of service',
};

const ATTRIBUTES = {
  network: [
    'candidate',
    'end-of-candidates',
    'ice-options',
    'ice-lite',
    'rtcp',
    'rtcp-mux',
    'rtcp-mux-only',
    'rtcp-rsize',
    'sctp-port',
  ],
  security: ['fingerprint', 'setup', 'ice-ufrag', 'ice-pwd', 'crypto', 'tls-id', 'identity'],
  quality: ['rtcp-fb', 'extmap-allow-mixed', 'max-message-size', 'ptime', 'maxptime', 'framerate', 'imageattr'],
  session: ['group', 'msid-semantic', 'ice-lite'],
};

const FIELDS = {
  v: 'session',
  o: 'session',
  s: 'session',
  t: 'session',
  i: 'session',
  c: 'network',
  b: 'quality',
  m: 'stream',
};

function parseLine(text) {
  const [, field, value] = text.match(/^([a-z])=(.*)$/) ?? [null, '?', text];
  if (field !== 'a') return { field, name: field, value, group: FIELDS[field] ?? 'session' };
  const colon = value.indexOf(':');
  const name = colon < 0 ? value : value.slice(0, colon);
  const group = Object.keys(ATTRIBUTES).find((key) => ATTRIBUTES[key].includes(name)) ?? 'stream';
  return { field, name, value: colon < 0 ? '' : value.slice(colon + 1), group };
}

function parseMedia(line) {
  const [kind, port = '', transport = '', ...formats] = line.value.split(' ');
  return { kind, port, transport, formats, lines: [line] };
}

// The payload types of a media section: [{ type, codec, parameters, feedback }].
function payloadTypes(media) {
  return media.formats.map((type) => {
    const of = (name) =>
      media.lines
        .filter((line) => line.name === name && line.value.split(' ')[0] === type)
        .map((line) => line.value.slice(type.length + 1));
    return {
      type,
      codec: of('rtpmap')[0] ?? '',
      parameters: of('fmtp').join('; '),
      feedback: of('rtcp-fb').join(', '),
    };
  });
}

// { lines, media: [{ kind, port, transport, formats, address, mid, direction, payloads, lines }] }; lines: { field, name, value, group }.
export function parseSdp(sdp) {
  const session = { lines: [], media: [] };
  for (const text of sdp.split(/\r?\n/).filter(Boolean)) {
    const line = parseLine(text);
    if (line.field === 'm') session.media.push(parseMedia(line));
    else (session.media.at(-1) ?? session).lines.push(line);
  }
  for (const media of session.media) {
    const value = (name) => media.lines.find((line) => line.name === name)?.value;
    media.address = value('c')?.split(' ')[2] ?? '';
    media.mid = value('mid') ?? '';
    media.direction = ['sendrecv', 'sendonly', 'recvonly', 'inactive'].find((name) => value(name) === '') ?? '';
    media.payloads = media.transport.includes('RTP') ? payloadTypes(media) : [];
  }
  return session;
}

// The session's number in its o= line: another one is another RTCPeerConnection.
export const sessionOf = (sdp) => sdp?.match(/^o=\S+ (\d+)/m)?.[1] ?? null;

export const fragmentsOf = (sdp) => [...(sdp ?? '').matchAll(/^a=ice-ufrag:(\S+)/gm)].map(([, fragment]) => fragment);

// Asks the other end to send no more than so many kbit/s: a b= line behind the m=, i= and c= lines of every video
// section (RFC 8866 section 5: the order matters). AS is what Chromium reads, TIAS in bits what Firefox does.
export function limitBandwidth(sdp, kilobits) {
  if (!kilobits) return sdp;
  const sections = sdp.split(/(?=^m=)/m);
  return sections
    .map((section) => {
      if (!/^m=video/.test(section)) return section;
      const lines = section.split('\r\n').filter((line) => !/^b=(AS|TIAS):/.test(line));
      let at = 1;
      while (/^[ic]=/.test(lines[at])) at += 1;
      lines.splice(at, 0, `b=AS:${kilobits}`, `b=TIAS:${kilobits * 1000}`);
      return lines.join('\r\n');
    })
    .join('');
}
