// SPDX-License-Identifier: BSD-2-Clause
// Behind a proxy that lets no WebSocket through: the page falls back to an event stream and POST requests.
import { Proxy } from './lib/middlebox.mjs';
import { bailOut, run } from './lib/site.mjs';

let refusing;
let swallowing;
let ada;
let bob;
let patient; // whose WebSocket is never answered

async function call(site) {
  refusing = site.with(await Proxy.start(site.daemon.pagePort, 'refuse'));
  swallowing = site.with(await Proxy.start(site.daemon.pagePort, 'swallow'));
  patient = await site.visitor({ url: swallowing.url });
  ada = await site.visitor({ url: refusing.url });
  bob = await site.visitor();
  await ada.join();
  await ada.state('joined');
  await bob.join();
  await ada.frames();
  await bob.frames();
}

async function told() {
  for (const [visitor, how] of [[ada, 'event stream'], [bob, 'WebSocket']]) {
    await visitor.page.locator(`#link[title$="by ${how}"]`).waitFor();
  }
  await ada.go('network');
  await ada.button('Check').click();
  await ada.button('Check again').waitFor();
  await ada.sees('#checks li[data-kind=warn]', 'lets no WebSocket through; the plain HTTP stream works');
  await ada.sees('#check-summary', 'Calls will work from here.');
  await ada.go('room');
}

async function reload() {
  const before = (await bob.messages()).filter((message) => /bye|otherjoin/.test(message));
  await ada.page.reload();
  await ada.connected();
  await ada.state('joined_conn');
  await ada.frames();
  await bob.frames();
  const after = (await bob.messages()).filter((message) => /bye|otherjoin/.test(message));
  if (after.length !== before.length) throw new Error(`the room heard of it: ${after}`);
}

async function restart(site) {
  await site.daemon.restart(() => ada.sees('#link', 'Server gone'));
  for (const visitor of [ada, bob]) {
    await visitor.connected();
    await visitor.state('joined_conn');
    await visitor.frames();
  }
}

async function leave() {
  await ada.leave();
  await bob.state('joined_unbind');
  await bob.notice('has left.');
}

async function unanswered() {
  await patient.join('alone', null, 'none');
  await patient.state('joined');
  await patient.page.locator('#link[title$="by event stream"]').waitFor();
}

async function none(site) {
  const visitor = await site.visitor({ init: () => delete window.WebSocket });
  await visitor.join('alone too', null, 'none');
  await visitor.state('joined');
  await visitor.page.locator('#link[title$="by event stream"]').waitFor();
}

run([
  ['a page whose WebSockets are refused is in a call with one that has them (R17)', call],
  ['the page says how it is connected', told],
  ['a reload within the grace time is not noticed in the room', reload],
  ['the server is restarted and both pages recover', restart],
  ['the one leaves, and the other hears of it', leave],
  ['a WebSocket that is never answered is given up (R17)', unanswered],
  ['a browser without WebSockets gets in (R17)', none],
]).catch(bailOut);
