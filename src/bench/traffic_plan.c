// SPDX-License-Identifier: BSD-2-Clause
// Who sends what, how often: from the options to the classes of each lane.
#include <errno.h>
#include <stdlib.h>

#include "bench/traffic.h"

// A client's stream of a call: bursts a second in each of its directions.
static const struct media {
    double bursts_per_s;
    uint32_t burst, payload;
} audio = {50, 1, 160}, video = {30, 8, 1200};

static bool is_up(const struct bench_options *o)
{
    return o->direction != DIRECTION_DOWN;
}

static bool is_down(const struct bench_options *o)
{
    return o->direction == DIRECTION_DOWN || o->direction == DIRECTION_BOTH;
}

static unsigned directions(const struct bench_options *o)
{
    return is_up(o) && is_down(o) ? 2 : 1;
}

static const struct media *media_of(const struct bench_options *o, uint32_t client)
{
    switch (o->profile) {
    case PROFILE_AUDIO:
        return &audio;
    case PROFILE_VIDEO:
        return &video;
    case PROFILE_MIX:
        return client % 2 ? &video : &audio;
    default:
        return NULL;
    }
}

double traffic_rate(const struct bench_options *o)
{
    double rate = 0;
    if (o->profile == PROFILE_NONE)
        return o->rate;
    for (uint32_t i = 0; i < o->clients; i++) {
        const struct media *m = media_of(o, i);
        rate += m->bursts_per_s * m->burst * directions(o);
    }
    return rate;
}

// One class of the lane: the clients of that media (NULL: all).
static int add_class(struct traffic *t, struct lane *lane, const struct media *media)
{
    const struct bench_options *o = t->options;
    struct pace *p = &lane->classes[lane->class_count];
    double share = t->rate / traffic_rate(o); // of a profile: a ramp raises it

    p->flows = calloc(t->set->n / t->set->lanes * 2 + 2, sizeof(*p->flows));
    if (!p->flows)
        return -ENOMEM;
    lane->class_count++;
    for (uint32_t i = lane->index; i < t->set->n; i += t->set->lanes) {
        if (media && media_of(o, i) != media)
            continue;
        if (is_up(o))
            p->flows[p->flow_count++] = i * 2 + FLOW_UP;
        if (is_down(o))
            p->flows[p->flow_count++] = i * 2 + FLOW_DOWN;
    }
    p->payload = media ? media->payload : o->payload;
    p->burst = media ? media->burst : o->burst;
    p->gap_ns = pace_gap(media ? media->bursts_per_s * media->burst * p->flow_count * share
                               : t->rate * p->flow_count / (double)(t->set->n * directions(o)),
                         p->burst);
    if (p->flow_count == 0) {
        free(p->flows);
        p->flows = NULL;
        lane->class_count--;
    }
    return 0;
}

int traffic_plan(struct traffic *t)
{
    for (unsigned i = 0; i < t->lane_count; i++) {
        struct lane *lane = &t->lanes[i];
        enum bench_profile profile = t->options->profile;
        int rc = 0;
        if (profile == PROFILE_NONE)
            rc = add_class(t, lane, NULL);
        if (rc == 0 && (profile == PROFILE_AUDIO || profile == PROFILE_MIX))
            rc = add_class(t, lane, &audio);
        if (rc == 0 && (profile == PROFILE_VIDEO || profile == PROFILE_MIX))
            rc = add_class(t, lane, &video);
        if (rc < 0)
            return rc;
    }
    return 0;
}
