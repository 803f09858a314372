// SPDX-License-Identifier: BSD-2-Clause
// Everything that getStats() says, for whoever wants more than the plots, or to send it to somebody who does.
import { card, el, setText } from '../lib/dom.js';
import { copyButton } from '../lib/copy.js';

const textOf = (report) => JSON.stringify([...report.values()], null, 2);

export function makeReport() {
  let report = new Map();
  const text = el('pre', { tabindex: 0, 'aria-label': 'The report' });
  const details = el('details', { ontoggle: () => show() }, el('summary', {}, 'The report of this second'), text);
  // Hundreds of lines: only for somebody who looks.
  const show = () => details.open && setText(text, textOf(report));
  const node = card(
    'inside-report',
    'getStats()',
    'What the browser itself tells about this connection.',
    details,
    copyButton('Copy the report', () => textOf(report)),
  );
  const update = ({ sampler }) => {
    report = sampler?.report ?? report;
    // Somebody who has a part selected wants to keep it.
    if (!text.contains(getSelection().anchorNode) || getSelection().isCollapsed) show();
  };
  return { node, update };
}
