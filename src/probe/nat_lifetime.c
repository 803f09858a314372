// SPDX-License-Identifier: BSD-2-Clause
// A number of bindings is made at once, and each is tested once, after a time of its own: another
// socket asks the server to answer to the port of the binding (RESPONSE-PORT). So it takes as long
// as the longest test and no test keeps the binding of another alive.
#include "probe/nat_lifetime.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "probe/advice.h"
#include "probe/binding.h"
#include "probe/clock.h"

#define SAMPLES 10
#define TEST_TIMEOUT 1600000 // us: two requests

struct sample {
    int fd;
    int64_t at; // us after its binding was made
    struct addr mapped;
};

static int open_samples(struct probe *p, struct sample *samples, const struct addr *server,
                        const struct addr *ip)
{
    for (int i = 0; i <= SAMPLES; i++) { // one more, for a test at once
        struct addr local;
        samples[i].fd = udp_open(ip->family, ip, &local);
        if (samples[i].fd < 0)
            return samples[i].fd;
        samples[i].at = (int64_t)p->lifetime * 1000000 * (i + 1) / SAMPLES;
        struct binding b = binding_to(samples[i].fd, server);
        binding_run(&b, 1, p->timeout);
        if (b.result != 0)
            return b.result;
        samples[i].mapped = b.mapped;
    }
    return 0;
}

// Asks with a fresh socket for an answer to the port of a sample. The result of the Binding.
static int test_sample(const struct sample *sample, const struct addr *server,
                       const struct addr *ip)
{
    struct addr local;
    struct binding b;
    int fd = udp_open(ip->family, ip, &local);

    if (fd < 0)
        return fd;
    b = binding_to(fd, server);
    b.response_port = sample->mapped.port;
    b.answer_fd = sample->fd;
    binding_run(&b, 1, TEST_TIMEOUT);
    if (b.result == -ETIMEDOUT) { // an error response goes to where the request came from
        b.answer_fd = fd;
        binding_run(&b, 1, TEST_TIMEOUT / 2);
        b.result = b.result > 0 ? b.result : -ETIMEDOUT;
    }
    close(fd);
    return b.result;
}

static int run_samples(struct probe *p, struct sample *samples, const struct addr *server,
                       const struct addr *ip, int *alive)
{
    int64_t begin = clock_us();
    int rc = test_sample(&samples[SAMPLES], server, ip); // at once: whether the server can do this

    if (rc != 0)
        return rc == -ETIMEDOUT ? -EOPNOTSUPP : rc;
    for (*alive = 0; *alive < SAMPLES; ++*alive) {
        const struct sample *s = &samples[*alive];
        for (int64_t left; (left = begin + s->at - clock_us()) > 0;) {
            step_progress(&p->report, "alive for %lld s, %lld s to the next test",
                          *alive ? (long long)(samples[*alive - 1].at / 1000000) : 0,
                          (long long)(left / 1000000));
            poll(NULL, 0, left > 1000000 ? 1000 : (int)(left / 1000 + 1));
        }
        if (test_sample(s, server, ip) != 0)
            break;
    }
    return 0;
}

static void show(struct probe *p, const struct sample *samples, int alive)
{
    long long from = alive ? samples[alive - 1].at / 1000000 : 0;
    if (alive == SAMPLES)
        step_text(&p->report, "a binding that is not used lives for %lld s or more", from);
    else
        step_text(&p->report, "a binding that is not used lives for %lld to %lld s", from,
                  (long long)(samples[alive].at / 1000000));
    step_fact(&p->report, "alive_s", json_integer(from));
    step_fact(&p->report, "dead_s",
              alive < SAMPLES ? json_integer(samples[alive].at / 1000000) : json_null());
    step_ok(&p->report);
}

void nat_lifetime(struct probe *p, const struct addr *server, const struct addr *local)
{
    struct sample samples[SAMPLES + 1];
    struct addr ip = *local;
    int alive = 0, rc;

    for (int i = 0; i <= SAMPLES; i++)
        samples[i] = (struct sample){.fd = -1};
    ip.port = 0;
    step_begin(&p->report, "lifetime");
    rc = open_samples(p, samples, server, &ip);
    if (rc == 0)
        rc = run_samples(p, samples, server, &ip, &alive);
    if (rc == 0)
        show(p, samples, alive);
    else if (rc > 0 || rc == -EOPNOTSUPP)
        step_warn(&p->report, "the server does not do what RESPONSE-PORT asks for (RFC 5780)");
    else
        step_warn(&p->report, "%s", errno_text(rc));
    for (int i = 0; i <= SAMPLES; i++) {
        if (samples[i].fd >= 0)
            close(samples[i].fd);
    }
}
