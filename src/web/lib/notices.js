// SPDX-License-Identifier: BSD-2-Clause
// What must be read: said once, on top, until it is dismissed or no longer so.
import { $, el } from './dom.js';

// Whose button is pressed takes the focus along.
function remove(notice) {
  const focused = notice.contains(document.activeElement);
  notice.remove();
  if (focused) $('main').focus({ preventScroll: true });
}

// key: a later notice of the same key takes its place. actions: [[label, function], …].
export function notify(key, { kind = 'error', title, text = '', detail = '' }, actions = []) {
  dismiss(key);
  const notice = el(
    'div',
    { class: 'notice', data: { kind, key } },
    el('div', {}, el('strong', {}, title), text, detail && el('small', { class: 'hint' }, ` ${detail}`)),
    el(
      'button',
      { type: 'button', class: 'quiet', onclick: () => remove(notice), 'aria-label': `Dismiss: ${title}` },
      'Dismiss',
    ),
  );
  if (actions.length) {
    notice.append(
      el(
        'div',
        { class: 'row buttons' },
        actions.map(([label, run]) =>
          el(
            'button',
            {
              type: 'button',
              onclick: () => {
                remove(notice);
                run();
              },
            },
            label,
          ),
        ),
      ),
    );
  }
  $('notices').append(notice);
  // What answers to a click must be seen; what comes by itself takes nobody away from where they are.
  if (navigator.userActivation?.isActive) notice.scrollIntoView({ block: 'nearest' });
}

export function dismiss(key) {
  for (const notice of $('notices').children) {
    if (notice.dataset.key === key) remove(notice);
  }
}
