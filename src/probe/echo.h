// SPDX-License-Identifier: BSD-2-Clause
// Step "echo": packets through the relay to the peer and back, by a channel.
#ifndef TP_PROBE_ECHO_H
#define TP_PROBE_ECHO_H

#include "probe/peer.h"

// Sends p->count packets of p->size bytes, one every p->interval_ms. True when some came back.
bool echo_run(struct probe *p, struct session *s, struct peer *peer, uint16_t channel);

#endif
