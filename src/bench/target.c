// SPDX-License-Identifier: BSD-2-Clause
// Where the load goes, and whether it may: a load generator that can be pointed at anybody is a
// weapon, so that it takes a flag to leave this host.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "probe/dns.h"
#include "util/rand.h"

#define DNS_US 5000000

static bool is_loopback(const struct addr *a)
{
    struct addr_range v4, v6;
    const char *why;
    return addr_range_parse(&v4, "127.0.0.0/8", &why) == 0 &&
           addr_range_parse(&v6, "::1", &why) == 0 &&
           (addr_range_contains(&v4, a) || addr_range_contains(&v6, a));
}

// Whether this is a network namespace made for the purpose, rather than that of the host's init.
// Who may not see init's has not made one that counts.
static bool own_namespace(void)
{
    struct stat mine, init;
    return stat("/proc/self/ns/net", &mine) == 0 && stat("/proc/1/ns/net", &init) == 0 &&
           (mine.st_ino != init.st_ino || mine.st_dev != init.st_dev);
}

bool target_allows(const struct bench_target *t, const struct addr *a)
{
    return !t->loopback_only || is_loopback(a);
}

// The first address of the URI.
static int resolve(const struct bench_options *o, struct target *out)
{
    struct dns_ops ops = {.lookup = dns_lookup, .random = rand_uniform};
    struct resolution *res = calloc(1, sizeof(*res));
    struct dns *dns = NULL;
    int rc = res ? dns_open(&dns, NULL, DNS_US) : -ENOMEM;

    if (rc == 0) {
        ops.arg = dns;
        rc = resolve_uri(res, &o->uri, ADDR_NONE, &ops);
        dns_close(dns);
    }
    if (rc == 0)
        *out = res->targets[0];
    free(res);
    return rc;
}

// This host's address towards the server, as the kernel's routes have it. Sends nothing.
static int find_local(const struct addr *server, struct addr *out)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(server, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&ss, len) < 0)
        rc = -errno;
    len = sizeof(ss);
    if (rc == 0 && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        rc = -errno;
    close(fd);
    if (rc == 0)
        rc = addr_from_sockaddr(out, (struct sockaddr *)&ss);
    out->port = 0;
    return rc;
}

static int set_trust(struct bench_target *t, const struct bench_options *o)
{
    const char *why = NULL;
    t->tls = (struct tls_options){o->uri.host, o->uri.literal, o->uri.turn, o->ca_file};
    t->insecure = o->insecure;
    if (!transport_is_secure(t->transport))
        return 0;
    int rc = tls_trust_new(&t->trust, t->transport == TRANSPORT_DTLS, o->ca_file, &why);
    if (rc == -ENOENT)
        return bench_usage("%s: %s", o->ca_file, why);
    return rc < 0 ? bench_fail("%s", strerror(-rc)) : 0;
}

int target_find(struct bench_target *out, const struct bench_options *o)
{
    struct target target = {0};
    char text[ADDR_STRLEN];
    int rc;

    *out = (struct bench_target){0};
    rc = resolve(o, &target);
    if (rc < 0)
        return bench_fail("%s: there is no address for it: %s", o->server, strerror(-rc));
    out->transport = target.transport;
    out->server = target.addr;
    out->loopback_only = !o->own && !own_namespace();
    if (!target_allows(out, &out->server))
        return bench_usage("%s is neither loopback nor in a network namespace of its own. Load "
                           "harms who shares a machine or a line with it: --i-own-this-server says "
                           "that it is yours to load",
                           addr_format(&out->server, text));
    rc = find_local(&out->server, &out->local);
    if (rc < 0)
        return bench_fail("%s: %s", addr_format(&out->server, text), strerror(-rc));
    return set_trust(out, o);
}

void target_close(struct bench_target *t)
{
    tls_trust_free(t->trust);
    t->trust = NULL;
}
