// SPDX-License-Identifier: BSD-2-Clause
// The load generator: reads its arguments, finds the server, runs the command.
#include <signal.h>
#include <string.h>

#include "bench/options.h"

static void on_signal(int number)
{
    (void)number;
    bench_stop();
}

static void set_signals(void)
{
    // The second one ends it at once.
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int run(const struct bench_options *o, const struct bench_target *t)
{
    switch (o->command) {
    case BENCH_RELAY:
        return bench_relay(o, t);
    case BENCH_RAMP:
        return bench_ramp(o, t);
    case BENCH_HOLD:
        return bench_hold(o, t);
    case BENCH_SIGNAL:
        return bench_signal(o, t);
    default:
        return bench_storm(o, t);
    }
}

int main(int argc, char **argv)
{
    struct bench_options o;
    struct bench_target t = {0};
    int rc = options_parse(&o, argc, argv);

    if (rc)
        return rc < 0 ? BENCH_DONE : rc;
    set_signals();
    rc = target_find(&t, &o);
    if (rc == 0)
        rc = run(&o, &t);
    target_close(&t);
    explicit_bzero(&o.cred, sizeof(o.cred));
    return rc;
}
