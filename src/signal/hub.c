// SPDX-License-Identifier: BSD-2-Clause
#include "signal/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "signal/internal.h"

#define ENVELOPE 4096 // that a frame which relays the longest text may have around it

void signal_settings_default(struct signal_settings *s)
{
    *s = (struct signal_settings){
        .text_max = 64 << 10,
        .binary_max = 1 << 20,
        .backlog_max = 1 << 20,
        .held_max = 256 << 10,
        .rate = 50,
        .burst = 200,
        .bytes = 1 << 24,
        .rooms_max = 8,
        .capacity = 2,
        .name_max = 64,
        .register_ms = 5000,
        .grace_ms = 10000,
        .ping_ms = 15000,
        .address_max = 32,
        .presence_max = 200,
        .all_max = 16384,
        .mistakes_max = 10,
    };
}

static bool make_sense(const struct signal_settings *s)
{
    return s->text_max && s->rate && s->burst && s->rooms_max && s->capacity && s->name_max &&
           s->name_max <= SIGNAL_NAME_MAX && s->register_ms && s->ping_ms && s->mistakes_max &&
           s->backlog_max && s->all_max && s->secret_count <= SIGNAL_SECRETS_MAX;
}

static int copy_secrets(struct signal_hub *hub, const struct signal_settings *s)
{
    size_t total = 1, at = 0;

    for (size_t i = 0; i < s->secret_count; i++)
        total += strlen(s->secrets[i]);
    char *all = malloc(total);
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < s->secret_count; i++) {
        size_t len = strlen(s->secrets[i]);
        memcpy(all + at, s->secrets[i], len);
        hub->keys[i] = (struct jwt_key){all + at, len};
        at += len;
    }
    all[at] = 0;
    if (hub->secrets)
        explicit_bzero(hub->secrets, strlen(hub->secrets));
    free(hub->secrets);
    hub->secrets = all;
    return 0;
}

int signal_hub_configure(struct signal_hub *hub, const struct signal_settings *settings)
{
    if (!make_sense(settings))
        return -EINVAL;
    if (copy_secrets(hub, settings) < 0)
        return -ENOMEM;
    hub->settings = *settings;
    hub->settings.secrets = NULL; // hub->keys are the copies
    return 0;
}

struct signal_hub *signal_hub_new(const struct signal_settings *settings,
                                  const struct signal_ops *ops, void *arg)
{
    struct signal_hub *hub = calloc(1, sizeof *hub);

    if (!hub)
        return NULL;
    hub->ops = ops;
    hub->arg = arg;
    ops->random(arg, &hub->hash_key, sizeof hub->hash_key);
    if (signal_hub_configure(hub, settings) < 0 ||
        frame_init(&hub->out, settings->text_max + ENVELOPE) < 0) {
        signal_hub_free(hub);
        return NULL;
    }
    return hub;
}

void signal_hub_free(struct signal_hub *hub)
{
    if (!hub)
        return;
    hub_settle(hub);
    while (hub->sessions)
        session_free(hub->sessions);
    while (hub->conns)
        conn_free(hub->conns);
    table_free(&hub->sources);
    table_free(&hub->ids);
    table_free(&hub->names);
    table_free(&hub->rooms);
    timers_free(&hub->timers);
    frame_free(&hub->out);
    if (hub->secrets)
        explicit_bzero(hub->secrets, strlen(hub->secrets));
    free(hub->secrets);
    free(hub);
}

struct frame *hub_frame(struct signal_hub *hub, const char *begin)
{
    frame_begin(&hub->out, hub->settings.text_max + ENVELOPE);
    frame_text(&hub->out, begin);
    return &hub->out;
}

void hub_settle(struct signal_hub *hub)
{
    // The good-byes of one may end the next.
    while (hub->doomed) {
        struct session *s = hub->doomed;
        hub->doomed = s->next_doomed;
        session_end(s);
    }
    while (hub->dead) {
        struct signal_conn *conn = hub->dead;
        hub->dead = conn->next_dead;
        conn_free(conn);
    }
}

int64_t signal_hub_due(const struct signal_hub *hub)
{
    const struct timer *first = timers_first(&hub->timers);
    return first ? first->due_ms : TIMER_NEVER;
}

int64_t signal_hub_tick(struct signal_hub *hub, int64_t now_ms)
{
    struct timer *t;

    hub->now_ms = now_ms;
    while ((t = timers_first(&hub->timers)) && t->due_ms <= now_ms) {
        t->fire(t);
        hub_settle(hub);
    }
    return signal_hub_due(hub);
}

void signal_hub_drain(struct signal_hub *hub, uint32_t retry_ms)
{
    struct frame *f = hub_frame(hub, "{\"type\":\"goaway\",\"retry_ms\":");

    hub->draining = true;
    frame_number(f, retry_ms);
    frame_text(f, "}");
    for (struct signal_conn *conn = hub->conns; conn; conn = conn->next)
        conn_send(conn, f);
    hub_settle(hub);
}

void signal_hub_close_all(struct signal_hub *hub)
{
    hub->draining = hub->closing = true;
    // One after the other, so that those who are still there hear of it.
    while (hub->sessions) {
        session_doom(hub->sessions, "drain");
        hub_settle(hub);
    }
    for (struct signal_conn *conn = hub->conns; conn; conn = conn->next)
        conn_end(conn, SIGNAL_CLOSE_AWAY, "the server stops");
    hub_settle(hub);
}

struct signal_stats signal_hub_stats(const struct signal_hub *hub)
{
    struct signal_stats stats = hub->stats;
    stats.users = (uint32_t)hub->names.count;
    stats.rooms = (uint32_t)hub->rooms.count;
    return stats;
}

int signal_hub_check_token(const struct signal_hub *hub, const char *token, size_t len, char *user,
                           size_t cap, int64_t *until)
{
    struct jwt_claims claims;

    *user = 0;
    *until = INT64_MAX;
    if (hub->settings.secret_count == 0)
        return 0;
    if (!token || cap <= SIGNAL_NAME_MAX)
        return -EACCES;
    int rc = jwt_check(&claims, hub->keys, hub->settings.secret_count, token, len,
                       hub->ops->unix_ms(hub->arg));
    if (rc == 0) {
        memcpy(user, claims.user, claims.user_len);
        user[claims.user_len] = 0;
        *until = claims.exp_ms / 1000;
    }
    return rc;
}
