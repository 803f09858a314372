// SPDX-License-Identifier: BSD-2-Clause
// One view at a time, named by the part of the address behind #: #room, #room/NAME, #people, #inside, #network.
import { $, setHidden } from '../lib/dom.js';

const VIEWS = { room: 'Room', people: 'People', inside: 'Inside the call', network: 'Check my network' };

export function parseHash(hash = location.hash) {
  const [view, ...rest] = hash.slice(1).split('/');
  let room = '';
  try {
    room = decodeURIComponent(rest.join('/'));
  } catch {
    // not encoded by us: no room
  }
  return { view: Object.hasOwn(VIEWS, view) ? view : 'room', room };
}

export const linkTo = (room) => new URL(`#room/${encodeURIComponent(room)}`, location.href.split('#')[0]).href;

// Returns go(view).
export function startRouter() {
  const show = (focus) => {
    const { view } = parseHash();
    for (const name of Object.keys(VIEWS)) setHidden($(`view-${name}`), name !== view);
    for (const link of document.querySelectorAll('.views a')) {
      if (link.hash.slice(1) === view) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    document.title = `${VIEWS[view]} · turnpike`;
    if (focus) {
      scrollTo(0, 0);
      $('main').focus({ preventScroll: true });
    }
    document.dispatchEvent(new CustomEvent('view', { detail: view }));
  };
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // what is behind # is the view's name
    $('main').focus();
  });
  addEventListener('hashchange', () => show(true));
  show(false);
  return (view) => (location.hash = view);
}
