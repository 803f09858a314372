// SPDX-License-Identifier: BSD-2-Clause
// Text into the clipboard, by a button that says whether it got there.
import { el, setText } from './dom.js';

const SAID_MS = 4000;

// Pages from insecure addresses have no navigator.clipboard; the old way works there.
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const focused = document.activeElement;
  const area = el('textarea', { class: 'aside', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  if (!done) throw new Error('the browser does not copy');
}

// textOf() is asked when the button is pressed.
export function copyButton(label, textOf, props = {}) {
  const said = el('span', { 'aria-live': 'polite' }, label);
  const button = el('button', { type: 'button', ...props }, said);
  let timer = null;
  const say = (text) => {
    setText(said, text);
    clearTimeout(timer);
    timer = setTimeout(() => setText(said, label), SAID_MS);
  };
  button.addEventListener('click', () =>
    copy(textOf()).then(
      () => say('Copied'),
      () => say('Not copied: select it'),
    ),
  );
  return button;
}
