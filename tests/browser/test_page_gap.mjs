// SPDX-License-Identifier: BSD-2-Clause
// What a page has to say while its connection to the server is lost, or dead without a sign of it.
import { bailOut, run } from './lib/site.mjs';
import { until } from './lib/until.mjs';
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

// Waits until an offer of this end stands: it is what is sent next, or waits to be sent.
async function offered(visitor) {
  await visitor.go('inside');
  await visitor.sees('#inside-states [data-name=signalingState]', 'have-local-offer');
  await visitor.go('room');
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
  await offered(ada);
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

// Of what went out ('said') or came in ('heard') at somebody's, the descriptions of a type.
const described = ({ page }, way, type) => page.evaluate(([list, wanted]) =>
  window.wire[list].filter((message) => message.type === 'message' && message.data?.type === wanted), [way, type]);

const session = ({ data }) => /^o=\S+ (\d+)/m.exec(data.sdp)[1];

async function connectAgain(visitor) {
  await visitor.settings();
  await visitor.button('Connect again').click();
}

const more = (visitor, way, type, before) =>
  until(`${type} more`, () => described(visitor, way, type), ({ length }) => length > before.length);

// All that Ada has ever offered comes to Bob once more, as it may behind a session that was taken back.
async function twice() {
  const first = await described(bob, 'said', 'answer');
  await connectAgain(ada);
  await more(bob, 'said', 'answer', first);
  await ada.frames();
  const answers = await described(bob, 'said', 'answer');
  const offers = await described(bob, 'heard', 'offer');
  await bob.page.evaluate((messages) => messages.forEach((message) => window.wire.hear(message)), offers);
  const [answer] = (await more(bob, 'said', 'answer', answers)).slice(answers.length);
  if (session(answer) !== session(answers.at(-1))) throw new Error('an old offer made another connection');
  if (answer.data.offer !== offers.at(-1).data.offer) throw new Error('it is not the last offer that was answered again');
  await ada.frames();
}

// As soon as they have sent the next offer this message comes in; what their connections take from then on is in window.taken.
const hearBehindOffer = ({ page }, message) => page.evaluate((late) => {
  const take = RTCPeerConnection.prototype.setRemoteDescription;
  window.taken = [];
  RTCPeerConnection.prototype.setRemoteDescription = function setRemoteDescription(description) {
    window.taken.push(description.sdp);
    return take.call(this, description);
  };
  let once = true;
  window.wire.deafen((text) => {
    if (!once || JSON.parse(text).data?.type !== 'offer') return false;
    once = false;
    queueMicrotask(() => window.wire.hear(late));
    return false;
  });
}, message);

async function untaken(visitor, { data }) {
  const answers = await described(visitor, 'heard', 'answer');
  await connectAgain(visitor);
  const answer = (await more(visitor, 'heard', 'answer', answers))[answers.length];
  const taken = await until('the answer is taken', () => visitor.page.evaluate(() => window.taken),
    (all) => all.includes(answer.data.sdp));
  if (taken.includes(data.sdp)) throw new Error(`a ${data.type} was taken that came too late`);
  await ada.frames();
}

// The answer to an offer before, when another one is out for another connection.
async function lateAnswer() {
  const late = (await described(ada, 'heard', 'answer')).at(-1);
  await hearBehindOffer(ada, late);
  await untaken(ada, late);
}

// An ICE restart for a connection that the other end has replaced meanwhile. Only the polite end would give way to it.
async function lateOffer() {
  const joined = (visitor) => visitor.page.evaluate(() => window.wire.heard.findLast(({ type }) => type === 'joined'));
  const ids = [(await joined(ada)).id, (await joined(bob)).id];
  const [one, polite] = ids[0] < ids[1] ? [ada, bob] : [bob, ada];
  await one.page.evaluate(() => window.wire.deafen((text) => {
    const message = JSON.parse(text);
    if (window.late || message.data?.type !== 'offer') return false;
    window.late = message;
    return true;
  }));
  await one.button('Restart ICE').click();
  await one.page.waitForFunction(() => window.late);
  const late = { ...(await one.page.evaluate(() => window.late)), from: one === ada ? ids[0] : ids[1], name: 'Late' };
  await hearBehindOffer(polite, late);
  await untaken(polite, late);
}

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
  await offered(ada);
  await site.daemon.restart();
  await mend(ada);
  await ada.notice('to others could not be sent.');
  await ada.state('joined_conn');
  await ada.frames();
}

const tests = [
  ['two are in a call', call],
  ['what is said while the connection is lost arrives when it is back', lost],
  ['what was said on a connection that was dead is said again', dead],
  ['an offer that nobody answers is repeated', unanswered],
  ['offers that arrive twice change nothing', twice],
  ['an answer to another offer is not taken', lateAnswer],
  ['an offer to a connection that is no more is not taken', lateOffer],
  ['without the server the page says what goes on, and joins when it is back', meanwhile],
  ['what waits is kept in order, and is bounded', bounded],
  ['what could not be delivered is told, and the call comes back', over],
];

// What is lost here comes back to its session, however long that takes.
run(tests, { settings: { 'signal.grace': 120 } }).catch(bailOut);
