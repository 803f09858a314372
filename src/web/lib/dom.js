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
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let node = old.get(key);
    if (node) old.delete(key);
    else {
      node = make(item);
      node.dataset.key = key;
    }
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
    update?.(node, item);
  });
  for (const node of old.values()) node.remove();
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
