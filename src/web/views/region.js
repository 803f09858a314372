// SPDX-License-Identifier: BSD-2-Clause
// The choice of a part of the screen, with the pointer or by numbers.
import { $, el, setHidden } from '../lib/dom.js';

const FULL = { x: 0, y: 0, width: 1, height: 1 };
const SIDES = [
  ['x', 'Left'],
  ['y', 'Top'],
  ['width', 'Width'],
  ['height', 'Height'],
];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function rectangle(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

function drag(frame, change) {
  const at = (event) => {
    const box = frame.getBoundingClientRect();
    return {
      x: clamp((event.clientX - box.left) / box.width, 0, 1),
      y: clamp((event.clientY - box.top) / box.height, 0, 1),
    };
  };
  let from = null;
  frame.addEventListener('pointerdown', (event) => {
    from = at(event);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener('pointermove', (event) => from && change(rectangle(from, at(event))));
  frame.addEventListener('pointerup', () => (from = null));
}

// Shows the stream and lets a part of it be chosen, with the pointer or by numbers; null when cancelled.
export function chooseRegion(stream) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const mark = el('div', { class: 'mark-region' });
    const video = el('video', { muted: true, playsinline: true });
    const frame = el('div', { class: 'frame' }, video, mark);
    const inputs = new Map(
      SIDES.map(([key, label]) => [
        key,
        el('input', { type: 'number', min: 0, max: 100, step: 1, 'aria-label': `${label} in percent` }),
      ]),
    );
    let part = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
    const show = (next) => {
      part = next.width > 0.01 && next.height > 0.01 ? next : FULL;
      for (const [key] of SIDES) {
        mark.style.setProperty(`--${key}`, `${part[key] * 100}%`);
        inputs.get(key).value = Math.round(part[key] * 100);
      }
    };
    const read = () => {
      const [x, y, width, height] = SIDES.map(([key]) => clamp(Number(inputs.get(key).value) / 100 || 0, 0, 1));
      show({ x, y, width: Math.min(width, 1 - x), height: Math.min(height, 1 - y) });
    };
    for (const input of inputs.values()) input.addEventListener('change', read);
    drag(frame, show);
    const end = (result) => {
      setHidden($('region'), true);
      $('region').replaceChildren();
      before?.focus();
      resolve(result);
    };
    const share = el('button', { type: 'button', class: 'primary', onclick: () => end(part) }, 'Share this part');
    $('region').replaceChildren(
      el('p', {}, 'Draw a rectangle over what is to be seen, or give its sides in percent.'),
      frame,
      el(
        'div',
        { class: 'row sides' },
        SIDES.map(([key, label]) => el('label', {}, `${label} %`, inputs.get(key))),
      ),
      el('div', { class: 'row' }, share, el('button', { type: 'button', onclick: () => end(null) }, 'Cancel')),
    );
    video.srcObject = stream;
    video.play().catch(() => {}); // it is a look only, and may be gone already
    show(part);
    setHidden($('region'), false);
    share.focus();
    stream.getVideoTracks()[0].addEventListener('ended', () => end(null));
  });
}
