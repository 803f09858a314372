// SPDX-License-Identifier: BSD-2-Clause
// A browser that asks its user, who says no.
import { bailOut, run } from './lib/site.mjs';

async function devices(site) {
  const visitor = await site.visitor({ permissions: ['geolocation'] }); // and nothing else
  await visitor.join('shy');
  await visitor.notice('The browser was not allowed to use your camera or microphone.');
  await visitor.notice('allow both for this page');
  await visitor.button('Join with nothing').click();
  await visitor.state('joined');
  await visitor.close();
}

run([['without permission the page says what to do, and joins with nothing (R35)', devices]], { ask: true }).catch(bailOut);
