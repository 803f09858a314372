// SPDX-License-Identifier: BSD-2-Clause
#include "auth/redis_resolve.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#define POLL_MS 10

// The resolver runs on an event base of its own, which the worker's polls while a name is being
// resolved. libevent leaks a request whose base ends between its cancelling and the loop's next
// turn; this base can be given that turn, the worker's cannot.
struct redis_resolve {
    struct event_base *inner;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request;
    struct event *poll; // on the worker's base
    redis_resolve_done *done;
    void *arg;
    bool finished;
    int result;
    size_t count;
    struct addr list[REDIS_RESOLVE_MAX];
};

static void on_result(int result, struct evutil_addrinfo *found, void *arg)
{
    struct redis_resolve *r = arg;

    r->finished = true;
    r->request = NULL;
    r->result = result;
    for (struct evutil_addrinfo *a = found; a && r->count < REDIS_RESOLVE_MAX; a = a->ai_next)
        if (addr_from_sockaddr(&r->list[r->count], a->ai_addr) == 0)
            r->count++;
    if (found)
        evutil_freeaddrinfo(found);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    struct redis_resolve *r = arg;

    event_base_loop(r->inner, EVLOOP_NONBLOCK);
    if (!r->finished)
        return;
    struct redis_resolve answer = *r;
    redis_resolve_cancel(r);
    answer.done(answer.list, answer.count,
                answer.count > 0 ? NULL : evutil_gai_strerror(answer.result), answer.arg);
}

struct redis_resolve *redis_resolve_start(struct event_base *base, const char *host, uint16_t port,
                                          redis_resolve_done *done, void *arg)
{
    struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    struct timeval tv = {.tv_usec = POLL_MS * 1000};
    struct redis_resolve *r = calloc(1, sizeof(*r));
    char service[8];

    if (!r)
        return NULL;
    r->done = done;
    r->arg = arg;
    r->inner = event_base_new();
    if (r->inner)
        r->dns = evdns_base_new(r->inner, 0);
    // Fails where no name server is named; the names of /etc/hosts have been read all the same.
    if (r->dns)
        evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    r->poll = event_new(base, -1, EV_PERSIST, on_poll, r);
    if (!r->dns || !r->poll || event_add(r->poll, &tv) < 0) {
        redis_resolve_cancel(r);
        return NULL;
    }
    snprintf(service, sizeof(service), "%u", port);
    // The answer may come at once, from /etc/hosts; NULL is returned then.
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(r->dns, host, service, &hints, on_result, r);
    if (!r->finished)
        r->request = request;
    return r;
}

void redis_resolve_cancel(struct redis_resolve *r)
{
    if (!r)
        return;
    if (r->request)
        evdns_getaddrinfo_cancel(r->request);
    if (r->inner)
        event_base_loop(r->inner, EVLOOP_NONBLOCK); // the cancelled requests' last turn
    if (r->dns)
        evdns_base_free(r->dns, 0);
    if (r->inner)
        event_base_free(r->inner);
    if (r->poll)
        event_free(r->poll);
    free(r);
}
