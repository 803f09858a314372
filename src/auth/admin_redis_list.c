// SPDX-License-Identifier: BSD-2-Clause
// What there is of a kind in Redis, sorted by name. The keys are found by SCAN: an index would be
// one more thing to keep right.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/admin_redis.h"

struct name {
    size_t len;
    uint8_t bytes[AUTH_USER_MAX];
};

struct name_list {
    struct name *item;
    size_t count, room;
};

static bool name_add(struct name_list *l, const void *bytes, size_t len)
{
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 64;
        struct name *grown = realloc(l->item, room * sizeof(*grown));
        if (!grown)
            return false;
        l->item = grown;
        l->room = room;
    }
    l->item[l->count].len = len;
    memcpy(l->item[l->count].bytes, bytes, len);
    l->count++;
    return true;
}

static int name_compare(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int d = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);

    return d ? d : (x->len > y->len) - (x->len < y->len);
}

// The pattern of the keys, with what is special in a realm quoted.
static bool make_pattern(char *out, size_t cap, const char *realm, const char *between)
{
    size_t n = (size_t)snprintf(out, cap, "turnpike:{");

    for (; *realm; realm++) {
        if (n + 16 >= cap)
            return false;
        if (strchr("*?[]\\^", *realm))
            out[n++] = '\\';
        out[n++] = *realm;
    }
    snprintf(out + n, cap - n, "%s*", between);
    return true;
}

static int take_page(struct admin_store *s, struct name_list *l, const redisReply *reply,
                     size_t prefix, char *cursor, size_t cap)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[0]->len >= cap ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return admin_fail(s, -EIO, "redis: an answer of the wrong type");
    memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
    for (size_t i = 0; i < reply->element[1]->elements; i++) {
        const redisReply *key = reply->element[1]->element[i];
        if (key->type == REDIS_REPLY_STRING && key->len > prefix &&
            key->len - prefix <= AUTH_USER_MAX &&
            !name_add(l, key->str + prefix, key->len - prefix))
            return admin_fail(s, -ENOMEM, "out of memory");
    }
    return 0;
}

static int collect_names(struct admin_store *s, const char *realm, const char *between,
                         struct name_list *l)
{
    char pattern[1700], cursor[32] = "0";
    size_t prefix = strlen("turnpike:{") + strlen(realm) + strlen(between);
    int r = 0;

    if (!make_pattern(pattern, sizeof(pattern), realm, between))
        return admin_fail(s, -EINVAL, "the realm is too long");
    do {
        struct redis_args a = {0};
        redis_args_add_text(&a, "SCAN");
        redis_args_add_text(&a, cursor);
        redis_args_add_text(&a, "MATCH");
        redis_args_add_text(&a, pattern);
        redis_args_add_text(&a, "COUNT");
        redis_args_add_text(&a, "1000");
        redisReply *reply = admin_redis_run(s, &a);
        if (!reply)
            return -EIO;
        r = take_page(s, l, reply, prefix, cursor, sizeof(cursor));
        freeReplyObject(reply);
    } while (r == 0 && strcmp(cursor, "0") != 0);
    return r;
}

int admin_redis_list(struct admin_store *s, const char *realm, const char *between,
                     admin_redis_get *get, admin_each *each, void *arg)
{
    struct name_list l = {0};
    struct auth_record rec;
    int r = collect_names(s, realm, between, &l);

    if (r == 0 && l.count > 0)
        qsort(l.item, l.count, sizeof(l.item[0]), name_compare);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        // SCAN may name a key twice.
        if (i > 0 && name_compare(&l.item[i - 1], &l.item[i]) == 0)
            continue;
        r = get(s, realm, l.item[i].bytes, l.item[i].len, &rec);
        if (r == 0)
            r = each(&rec, arg);
        else if (r == -ENOENT) // deleted meanwhile
            r = 0;
    }
    free(l.item);
    return r;
}
