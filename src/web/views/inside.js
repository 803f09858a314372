// SPDX-License-Identifier: BSD-2-Clause
// What happens inside the call. Brought up to date once a second, and only while it is looked at.
import { readIce } from '../call/stats.js';
import { $, card, el, keyed, setHidden, setText } from '../lib/dom.js';
import { isolate, lasts } from '../lib/format.js';
import { makeCandidates } from './candidates.js';
import { makeDescriptions } from './descriptions.js';
import { makeStates, makeSteps } from './exchange.js';
import { makePlots } from './plots.js';
import { makeReport } from './report.js';
import { makeTracks } from './tracks.js';

function makeServers() {
  const list = el('ul', { class: 'servers' });
  const until = el('p', { class: 'hint' });
  let shown = '';
  const update = ({ room }) => {
    const text = JSON.stringify(room.iceServers);
    setText(
      until,
      room.iceUntil > Date.now()
        ? `The credential is good for another ${lasts(room.iceUntil)}; the server sends a fresh one in time.`
        : '',
    );
    if (text === shown) return;
    shown = text;
    list.replaceChildren(
      ...room.iceServers.map(({ urls, username }) =>
        el(
          'li',
          {},
          [urls].flat().map((url) => el('code', {}, url)),
          username ? el('span', { class: 'hint' }, `as ${username}`) : null,
        ),
      ),
    );
  };
  return {
    node: card(
      'inside-servers',
      'iceServers',
      'The servers that this connection was given for finding its ways.',
      list,
      until,
    ),
    update,
  };
}

// The sentence on top: who, and by which way.
function leadOf({ room, sampler }) {
  const { connection, peer } = room;
  if (!connection) return '';
  const name = isolate(peer.name);
  const chosen = sampler?.report && readIce(sampler.report).pairs.find((pair) => pair.chosen);
  if (connection.pc.connectionState !== 'connected' || !chosen) return `Connecting with ${name}.`;
  const relayed = chosen.local.candidateType === 'relay' || chosen.remote.candidateType === 'relay';
  return `Connected with ${name}, ${relayed ? 'relayed by this server' : 'directly from browser to browser'}.`;
}

// With several others, whose connection is looked at: a choice that is the same as who is in front on the stage.
function makeWho(room) {
  const select = el('select', { id: 'inside-peer', onchange: () => room.select(select.value) });
  const node = el('label', { class: 'who-row' }, 'The connection with', select);
  const update = () => {
    setHidden(node, room.others.length < 2);
    keyed(
      select,
      room.others,
      ({ id }) => id,
      ({ id, name }) => el('option', { value: id }, name),
    );
    if (room.peer && select.value !== room.peer.id) select.value = room.peer.id;
  };
  return { node, update };
}

export function showInside(app) {
  const [plots, states, servers, steps, ...rest] = [
    makePlots(),
    makeStates(),
    makeServers(),
    makeSteps(),
    makeCandidates(),
    makeTracks(),
    makeDescriptions(),
    makeReport(),
  ];
  const parts = [plots, states, servers, steps, ...rest];
  const who = makeWho(app.room);
  $('inside-lead').after(who.node);
  $('inside').append(
    plots.node,
    el('div', { class: 'column' }, states.node, servers.node),
    steps.node,
    ...rest.map(({ node }) => node),
  );
  const visible = () => !$('view-inside').hidden && document.visibilityState === 'visible';
  const update = () => {
    if (!visible()) return;
    setText($('inside-lead'), leadOf(app));
    setHidden($('inside-empty'), Boolean(app.room.connection));
    setHidden($('inside'), !app.room.connection);
    who.update();
    if (app.room.connection) for (const part of parts) part.update(app);
  };
  const follow = () => {
    app.sampler?.addEventListener('sample', update);
    for (const event of ['state', 'candidate', 'step', 'description'])
      app.room.connection?.addEventListener(event, update);
    update();
  };
  app.addEventListener('sampler', follow);
  app.room.addEventListener('members', update);
  document.addEventListener('view', update);
  update();
}
