// SPDX-License-Identifier: BSD-2-Clause
// What a page has to say while its connection to the server is lost, or dead without a sign of it.
import { bailOut, run } from './lib/site.mjs';
import { wire } from './lib/wire.mjs';

let ada;
let bob;

const cut = ({ page }) => page.evaluate(() => window.wire.cut());
const mend = ({ page }) => page.evaluate(() => window.wire.mend());

async function call(site) {
  ada = await site.visitor({ init: wire, hash: '#room/gap' });
  bob = await site.visitor({ init: wire, hash: '#room/gap' });
  await ada.join(null, 'Ada', 'none');
  await ada.state('joined');
  await bob.join(null, 'Bob');
  await ada.frames();
}

const count = async (visitor, message) => (await visitor.messages()).filter((one) => one === message).length;

// Restarts ICE, which is an offer and candidates, and waits for what Bob says to it.
async function restarted(trouble) {
  const [answers, offers] = [await count(ada, '↓answer'), await count(ada, '↑offer')];
  await trouble(async () => {
    await ada.button('Restart ICE').click();
    return offers;
  });
  await ada.said('↓answer', answers + 1);
  await ada.connected();
}

// Nothing is said on a connection that is known to be lost.
const lost = () => restarted(async (restart) => {
  await cut(ada);
  await ada.sees('#link', 'Server gone');
  const offers = await restart();
  await ada.page.waitForTimeout(500);
  if ((await count(ada, '↑offer')) !== offers) throw new Error('an offer went out without a connection');
  await mend(ada);
});

// What was said on a dead one is said again.
const dead = () => restarted(async (restart) => {
  await ada.page.evaluate(() => window.wire.deafen());
  const offers = await restart();
  await ada.said('↑offer', offers + 1);
  await cut(ada);
  await ada.sees('#link', 'Server gone');
  await mend(ada);
});

// The server had it, the other never: an offer without an answer is repeated.
const unanswered = () => restarted(async (restart) => {
  await bob.page.evaluate(() => {
    let once = true;
    window.wire.deafen((text) => once && text.includes('"answer"') && !(once = false));
  });
  const offers = await restart();
  await ada.said('↑offer', offers + 2);
});

// What else there is to do meanwhile, and that the page is as wide as its window.
async function meanwhile(site) {
  const cem = await site.visitor({ init: wire, width: 390 });
  await cem.connected();
  await cut(cem);
  await cem.sees('#link', 'Server gone, trying again');
  const over = await cem.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) throw new Error(`${over} pixels too wide`);
  await cem.go('network');
  await cem.button('Check').click();
  await cem.sees('#check-summary', 'No call can begin from here now.');
  await cem.go('room');
  await cem.page.getByLabel('Bring').selectOption('none');
  await cem.page.getByRole('textbox', { name: 'Room' }).fill('elsewhere');
  await cem.button('Join the room').click();
  await cem.button('Waiting for the server').waitFor();
  await mend(cem);
  await cem.state('joined');
  await cem.close();
}

// In order, each once, and not without end.
async function bounded() {
  const seen = await ada.page.evaluate(async () => {
    const { Outbox } = await import('/link/outbox.js');
    const box = new Outbox();
    const kept = Array.from({ length: 150 }, (_, data) => box.add({ type: 'message', data })).filter(Boolean);
    box.settle(kept[0].id);
    box.settle('q1');
    const long = box.add({ type: 'message', data: 'x'.repeat(300000) });
    return { kept: kept.length, long, order: box.all.map(({ data }) => data), cleared: box.clear(), after: box.all.length };
  });
  const order = Array.from({ length: 99 }, (_, i) => i + 1).join();
  if (seen.kept !== 100 || seen.long || seen.order.join() !== order || seen.cleared !== 99 || seen.after !== 0)
    throw new Error(JSON.stringify(seen));
}

// The session is over with the server: what waited goes nowhere, and the page says so.
async function over(site) {
  await cut(ada);
  await ada.sees('#link', 'Server gone');
  await ada.button('Restart ICE').click();
  await ada.page.waitForTimeout(500);
  await site.daemon.restart();
  await mend(ada);
  await ada.notice('to others could not be sent.');
  await ada.state('joined_conn');
  await ada.frames();
}

run([
  ['two are in a call', call],
  ['what is said while the connection is lost arrives when it is back', lost],
  ['what was said on a connection that was dead is said again', dead],
  ['an offer that nobody answers is repeated', unanswered],
  ['without the server the page says what goes on, and joins when it is back', meanwhile],
  ['what waits is kept in order, and is bounded', bounded],
  ['what could not be delivered is told, and the call comes back', over],
]).catch(bailOut);
