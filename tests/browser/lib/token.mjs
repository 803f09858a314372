// SPDX-License-Identifier: BSD-2-Clause
// JSON Web Tokens (RFC 7519) signed with HS256, as whoever runs a web site makes them for turnpiked.
import { createHmac } from 'node:crypto';

const encode = (object) => Buffer.from(JSON.stringify(object)).toString('base64url');

// seconds: how long it is good for.
export function makeToken(secret, sub, seconds, more = {}) {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub, exp, ...more })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
