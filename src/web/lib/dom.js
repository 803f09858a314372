// SPDX-License-Identifier: BSD-2-Clause
// Elements without markup: whatever somebody else wrote goes in as text and stays text.

export const $ = (id) => document.getElementById(id);

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'data') Object.assign(node.dataset, value);
    else if (key in node && typeof value === 'boolean') node[key] = value;
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (tag, props = {}, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props = {}, ...children) => fill(document.createElementNS(SVG, tag), props, children);

// Changes the text only when it is another: a screen reader is told of changes, not of repetitions.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// Makes the children of `parent` match `items` by key: those that stay keep their element, and with it focus and scrolling.
export function keyed(parent, items, keyOf, make, update) {
  const keys = items.map((item) => String(keyOf(item)));
  const wanted = new Set(keys);
  const old = new Map();
  // First those that go: else all behind them would be moved, and lose the focus.
  for (const node of [...parent.children]) {
    if (wanted.has(node.dataset.key)) old.set(node.dataset.key, node);
    else node.remove();
  }
  let next = parent.firstElementChild;
  items.forEach((item, index) => {
    let node = old.get(keys[index]);
    if (!node) {
      node = make(item);
      node.dataset.key = keys[index];
    }
    if (node === next) next = node.nextElementSibling;
    else parent.insertBefore(node, next);
    update?.(node, item);
  });
}

export function table(caption, heads, rows) {
  const number = (head) => (head.startsWith('#') ? 'number' : undefined);
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el(
      'table',
      {},
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          heads.map((head) => el('th', { scope: 'col', class: number(head) }, head.replace('#', ''))),
        ),
      ),
      el(
        'tbody',
        {},
        rows.map(({ cells, kind }) =>
          el(
            'tr',
            { data: kind ? { kind } : {} },
            cells.map((cell, i) => el('td', { class: number(heads[i]) }, cell ?? '')),
          ),
        ),
      ),
    ),
  );
}

// A section with a title, and a hint below it where there is one.
export function card(id, title, hint, ...content) {
  return el(
    'section',
    { class: 'card', id, 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, title),
    hint && el('p', { class: 'hint' }, hint),
    ...content,
  );
}
