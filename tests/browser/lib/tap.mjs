// SPDX-License-Identifier: BSD-2-Clause
// TAP for automake's driver: the plan first, one line a test, what went wrong as comments.
// A test that throws fails, and so does what was planned and never ran.

let planned = 0;
let done = 0;
let failed = 0;

export function plan(count) {
  planned = count;
  console.log(`1..${count}`);
}

export function skipAll(reason) {
  console.log(`1..0 # SKIP ${reason}`);
  process.exit(0);
}

export function comment(text) {
  for (const line of String(text).trimEnd().split('\n')) console.log(`# ${line}`);
}

export function report(ok, name) {
  done += 1;
  if (!ok) failed += 1;
  console.log(`${ok ? 'ok' : 'not ok'} ${done} - ${name}`);
  return ok;
}

// Runs body: true or undefined is ok, false or an exception is not.
export async function test(name, body) {
  try {
    return report((await body()) !== false, name);
  } catch (error) {
    comment(error.stack ?? error);
    return report(false, name);
  }
}

// A cell of the compatibility matrix, see tests/interop/matrix: client | feature | transport | family of the client's leg |
// family of the relayed address.
export function cell(ok, client, feature, transport, family = 4, relay = family) {
  comment(`matrix: ${client} | ${feature} | ${transport} | ${family} | ${relay} | ${ok ? 'works' : 'fails'}`);
  return ok;
}

// Tests that stand on the first: when it fails, so do the others, untried. True when all passed.
export async function chain(tests) {
  let standing = true;
  let all = true;
  for (const [index, [name, body]] of tests.entries()) {
    const ok = standing ? await test(name, body) : report(false, `${name} (not tried)`);
    if (!ok && index === 0) standing = false;
    all &&= ok;
  }
  return all;
}

export function finish() {
  process.exitCode = failed || done !== planned ? 1 : 0;
}
