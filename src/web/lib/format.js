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

// An address and a port as people write them together.
export const endpoint = (address, port) =>
  address?.includes(':') && !address.startsWith('[') ? `[${address}]:${port}` : `${address ?? '?'}:${port}`;

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
