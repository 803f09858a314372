// SPDX-License-Identifier: BSD-2-Clause
// What the state machine did, as log lines: one an event, with the session and the client.
#include "stun/message.h"
#include "util/codec.h"
#include "worker/internal.h"

#define REFUSALS_IN_10_S                                                                           \
    50 // lines about refusals a worker writes: they are what strangers can cause

static const char *const transport_names[] = {"udp", "tcp", "tls", "dtls"};

static const char *relayed_text(const struct turn_allocation *a, char buf[2 * ADDR_STRLEN])
{
    char first[ADDR_STRLEN], second[ADDR_STRLEN];
    bool v4 = a->relay[0].relayed.family != ADDR_NONE, v6 = a->relay[1].relayed.family != ADDR_NONE;
    snprintf(buf, 2 * ADDR_STRLEN, "%s%s%s", v4 ? addr_format(&a->relay[0].relayed, first) : "",
             v4 && v6 ? "," : "", v6 ? addr_format(&a->relay[1].relayed, second) : "");
    return buf;
}

static void report_end(const struct log_about *about, const struct turn_allocation *a,
                       const char *how)
{
    if (a->connections) {
        log_line(LOG_LVL_INFO, "turn", about,
                 "TCP allocation %s after %lld s, sent %llu bytes, received %llu bytes", how,
                 (long long)(clock_ms() - a->created_ms) / 1000, (unsigned long long)a->sent_bytes,
                 (unsigned long long)a->received_bytes);
        return;
    }
    char limited[64] = "";
    if (a->limited_packets)
        snprintf(limited, sizeof limited, ", dropped %u over the bandwidth limit",
                 a->limited_packets);
    log_line(LOG_LVL_INFO, "turn", about,
             "allocation %s after %lld s, sent %llu packets (%llu bytes), received %llu packets "
             "(%llu bytes)%s",
             how, (long long)(clock_ms() - a->created_ms) / 1000,
             (unsigned long long)a->sent_packets, (unsigned long long)a->sent_bytes,
             (unsigned long long)a->received_packets, (unsigned long long)a->received_bytes,
             limited);
}

// One user, or the server, in ten seconds.
static void report_limited(const struct log_about *about, const struct turn_event_info *info)
{
    char user[256];
    if (info->total)
        log_line(LOG_LVL_NOTICE, "turn", about,
                 "the server is limited to %llu bits/s, dropped %u packets since last told",
                 (unsigned long long)info->bps, info->dropped);
    else
        log_line(LOG_LVL_NOTICE, "turn", about,
                 "user %s is limited to %llu bits/s, dropped %u packets since last told",
                 text_escape(user, sizeof user, info->user, info->user_len),
                 (unsigned long long)info->bps, info->dropped);
}

static void report_allocated(const struct log_about *about, const struct turn_allocation *a)
{
    char relayed[2 * ADDR_STRLEN], user[256];
    log_line(LOG_LVL_INFO, "turn", about,
             "%sallocation created, relayed %s, lifetime %u s, user %s, transport %s",
             a->connections ? "TCP " : "", relayed_text(a, relayed), a->lifetime,
             text_escape(user, sizeof user, a->user->name, a->user->name_len),
             transport_names[a->tuple.transport]);
}

static void report_moved(const struct log_about *about, const struct turn_event_info *info)
{
    char old[ADDR_STRLEN];
    log_line(LOG_LVL_INFO, "turn", about, "allocation moved%s%s, transport %s",
             info->old ? " from " : " here from another worker",
             info->old ? addr_format(&info->old->client, old) : "",
             transport_names[info->tuple->transport]);
}

static void report_refused(struct worker *w, const struct log_about *about,
                           const struct turn_event_info *info)
{
    uint32_t swallowed;
    if (!log_limit_pass(&w->refusals, REFUSALS_IN_10_S, clock_ms() / 1000, &swallowed))
        return;
    if (swallowed)
        log_notice("turn", "%u more refusals were not logged", swallowed);
    char peer[ADDR_STRLEN], user[256];
    const char *method = stun_method_name(info->method);
    if (info->event == TURN_EVENT_PEER_REFUSED)
        log_line(LOG_LVL_NOTICE, "turn", about, "peer %s refused: %s",
                 addr_format(info->peer, peer), policy_verdict_text(info->verdict));
    else if (info->user)
        log_line(LOG_LVL_INFO, "turn", about, "%s of user %s refused: %d %s",
                 method ? method : "request",
                 text_escape(user, sizeof user, info->user, info->user_len), info->code,
                 stun_reason(info->code));
    else
        log_line(LOG_LVL_INFO, "turn", about, "%s refused: %d %s", method ? method : "request",
                 info->code, stun_reason(info->code));
}

void report_bad_connection(struct worker *w, const char *area, const struct addr *client,
                           const char *why)
{
    uint32_t swallowed;
    if (!log_on(LOG_LVL_INFO) ||
        !log_limit_pass(&w->bad_connections, REFUSALS_IN_10_S, clock_ms() / 1000, &swallowed))
        return;
    if (swallowed)
        log_info(area, "%u more refused connections were not logged", swallowed);
    const struct log_about about = {.client = client};
    log_line(LOG_LVL_INFO, area, &about, "connection refused: %s", why);
}

void report_event(struct worker *w, const struct turn_event_info *info)
{
    if (!log_on(LOG_LVL_NOTICE))
        return;
    const struct turn_allocation *a = info->allocation;
    const struct log_about about = {.session = a ? a->session : 0, .client = &info->tuple->client};
    char peer[ADDR_STRLEN];
    switch (info->event) {
    case TURN_EVENT_ALLOCATED:
        report_allocated(&about, a);
        break;
    case TURN_EVENT_DELETED:
        report_end(&about, a, "deleted by the client");
        break;
    case TURN_EVENT_EXPIRED:
        report_end(&about, a, "expired");
        break;
    case TURN_EVENT_CLOSED:
        report_end(&about, a, "closed");
        break;
    case TURN_EVENT_REFRESHED:
        if (log_on(LOG_LVL_DEBUG))
            log_line(LOG_LVL_DEBUG, "turn", &about, "allocation refreshed, lifetime %u s",
                     a->lifetime);
        break;
    case TURN_EVENT_MOVED:
        report_moved(&about, info);
        break;
    case TURN_EVENT_LEFT: // the other worker says where it is
    case TURN_EVENT_UNEXPECTED:
        break;
    case TURN_EVENT_PERMISSION:
        if (log_on(LOG_LVL_DEBUG))
            log_line(LOG_LVL_DEBUG, "turn", &about, "permission for %s",
                     addr_format_ip(info->peer, peer));
        break;
    case TURN_EVENT_CHANNEL:
        if (log_on(LOG_LVL_DEBUG))
            log_line(LOG_LVL_DEBUG, "turn", &about, "channel 0x%04x bound to %s", info->channel,
                     addr_format(info->peer, peer));
        break;
    case TURN_EVENT_CONNECTED:
    case TURN_EVENT_ATTEMPT:
    case TURN_EVENT_BOUND:
        if (log_on(LOG_LVL_DEBUG))
            log_line(LOG_LVL_DEBUG, "turn", &about, "connection %s %s %s",
                     info->event == TURN_EVENT_ATTEMPT ? "from" : "to",
                     addr_format(info->peer, peer),
                     info->event == TURN_EVENT_BOUND ? "bound" : "made");
        break;
    case TURN_EVENT_AUTH_REFUSED:
        // The first, unauthenticated request of every client ends here: that is how it learns the
        // realm.
        if (info->code == 401 && !info->user)
            break;
        report_refused(w, &about, info);
        break;
    case TURN_EVENT_LIMITED:
        report_limited(&about, info);
        break;
    case TURN_EVENT_PEER_REFUSED:
    case TURN_EVENT_REFUSED:
        report_refused(w, &about, info);
        break;
    }
}
