// SPDX-License-Identifier: BSD-2-Clause
// Numbers in the units that people read.

export function bitrate(bits) {
  if (!Number.isFinite(bits)) return '–';
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(bits >= 1e7 ? 0 : 1)} Mbit/s`;
  if (bits >= 1000) return `${Math.round(bits / 1000)} kbit/s`;
  return `${Math.round(bits)} bit/s`;
}

export function bytes(count) {
  if (count >= 1 << 20) return `${(count / (1 << 20)).toFixed(1)} MiB`;
  if (count >= 1 << 10) return `${(count / (1 << 10)).toFixed(1)} KiB`;
  return `${count} ${count === 1 ? 'byte' : 'bytes'}`;
}

export const milliseconds = (value) =>
  Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} ms` : '–';
export const percent = (value) =>
  Number.isFinite(value) ? `${value < 10 ? value.toFixed(1) : Math.round(value)} %` : '–';

export const clock = (time = Date.now()) => new Date(time).toLocaleTimeString([], { hour12: false });

// How long until then, in the largest unit that fits.
export function lasts(until) {
  const minutes = Math.round((until - Date.now()) / 60000);
  if (minutes < 120) return plural(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  return hours < 48 ? plural(hours, 'hour') : plural(Math.round(hours / 24), 'day');
}

// An address and a port as people write them together.
export const endpoint = (address, port) =>
  address?.includes(':') && !address.startsWith('[') ? `[${address}]:${port}` : `${address ?? '?'}:${port}`;

// A name within a sentence: one that is written from right to left must not turn what stands around it.
const TURNS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
export const isolate = (name) => (TURNS.test(name) ? `\u2068${name}\u2069` : name);

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

// So that two ends can see that they hold the same bytes: the first 8 of the SHA-256. Insecure origins have no digest.
export async function fingerprint(buffer) {
  if (!globalThis.crypto?.subtle) return '';
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', buffer));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// Letters that are hard to mistake for each other; 31 of them, so a character is worth almost 5 bits.
const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';

export function randomWord(length) {
  let word = '';
  while (word.length < length) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < 248) word += ALPHABET[byte % 31];
  }
  return word;
}
