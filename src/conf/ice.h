// SPDX-License-Identifier: BSD-2-Clause
// What clients reach this server by, as the URLs of iceServers (RFC 7064, RFC 7065).
#ifndef TP_CONF_ICE_H
#define TP_CONF_ICE_H

#include "conf/conf.h"

#define CONF_ICE_URL_MAX 320

enum conf_ice_kind { CONF_ICE_STUN, CONF_ICE_TURN };

// Calls each with every URL of that kind once, in the order of the listeners. STUN is that over
// UDP. DTLS is left out: no browser speaks it, and some refuse a list that names it. c: NULL for
// the usual ports. host: the host name or IP address to put there; NULL: that of the listener, else
// the first of relay.external, else the first of relay.addresses, else realm. url is borrowed until
// each returns.
void conf_ice_urls(const struct conf *c, enum conf_ice_kind kind, const char *host,
                   const char *realm, void (*each)(const char *url, void *arg), void *arg);

#endif
