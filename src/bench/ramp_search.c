// SPDX-License-Identifier: BSD-2-Clause
#include "bench/ramp.h"
#include "bench/report.h"

#define CLOSE_ENOUGH 1.03
#define LOWEST 100.0
#define PACE_PERCENT 0.1 // of what is due that the generator may be short of

void ramp_start(struct ramp_search *s, double rate)
{
    *s = (struct ramp_search){.first = rate, .limit = RAMP_LOST};
}

double ramp_next(const struct ramp_search *s)
{
    if (s->again > 0)
        return s->again;
    if (s->good == 0 && s->bad == 0)
        return s->first;
    if (s->bad == 0)
        return s->good * 2;
    if (s->good == 0)
        return s->bad / 2 >= LOWEST ? s->bad / 2 : 0;
    return s->bad / s->good <= CLOSE_ENOUGH ? 0 : (s->good + s->bad) / 2;
}

void ramp_learn(struct ramp_search *s, double rate, enum ramp_verdict verdict)
{
    if (verdict == RAMP_GOOD) {
        s->again = 0;
        if (rate > s->good)
            s->good = rate;
    } else if (s->again == 0) {
        s->again = rate;
    } else {
        s->again = 0;
        s->bad = rate;
        s->limit = verdict;
    }
}

enum ramp_verdict ramp_judge(const struct traffic_result *r, bool stream)
{
    uint64_t due = r->sent + r->unsendable + r->skipped;
    double short_of = report_loss(due, due - r->skipped);
    double refused = report_loss(due, due - r->unsendable);

    if (short_of > PACE_PERCENT || r->unread || (!stream && refused > RAMP_LOSS) || r->sent == 0)
        return RAMP_GENERATOR;
    if (stream && refused > RAMP_LOSS)
        return RAMP_LOST;
    return report_loss(r->sent, r->delivered) > RAMP_LOSS ? RAMP_LOST : RAMP_GOOD;
}
