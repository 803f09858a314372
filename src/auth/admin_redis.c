// SPDX-License-Identifier: BSD-2-Clause
// The CLI's side of Redis. Each change is one script, so that it is atomic, keeps the index by
// USERHASH right, and is published exactly when it was made.
#include "auth/admin_ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/redis_connect.h"
#include "auth/redis_record.h"
#include "util/codec.h"

struct admin_redis {
    struct admin_store admin;
    redisContext *c;
    bool wrong_type; // the last command met a key that is no hash, set, ... as it should be
};

// KEYS: user, index. ARGV: name, message, wanted ("0": must be new, "1": must exist), then the
// fields' names and values.
static const char put_script[] =
    "if redis.call('EXISTS', KEYS[1]) ~= tonumber(ARGV[3]) then return 0 end "
    "redis.call('DEL', KEYS[1]) "
    "for i = 4, #ARGV, 2 do if ARGV[i + 1] ~= '' then"
    " redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end end "
    "redis.call('SET', KEYS[2], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[2]) return 1";

// KEYS: user, index. ARGV: message.
static const char delete_script[] = "redis.call('DEL', KEYS[2]) "
                                    "local n = redis.call('DEL', KEYS[1]) "
                                    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[1]) return n";

// KEYS: secrets. ARGV: secret, created, most, message.
static const char secret_add_script[] =
    "if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end "
    "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end "
    "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[4]) return 1";

// KEYS: secrets. ARGV: secret, message.
static const char secret_delete_script[] =
    "local n = redis.call('ZREM', KEYS[1], ARGV[1]) "
    "redis.call('PUBLISH', '" REDIS_CHANNEL "', ARGV[2]) return n";

#define ARGS_MAX (8 + 2 * REDIS_USER_FIELDS)

struct args {
    size_t count;
    const char *data[ARGS_MAX];
    size_t len[ARGS_MAX];
};

static void add(struct args *a, const void *data, size_t len)
{
    a->data[a->count] = data;
    a->len[a->count] = len;
    a->count++;
}

static void add_text(struct args *a, const char *text)
{
    add(a, text, strlen(text));
}

// Runs a command. NULL: failed, the error is set. An error reply is a failure.
static redisReply *run(struct admin_store *s, const struct args *a)
{
    struct admin_redis *redis = (struct admin_redis *)s;
    redisContext *c = redis->c;
    redisReply *reply =
        redisCommandArgv(c, (int)a->count, (const char **)(uintptr_t)a->data, a->len);
    char shown[256];

    redis->wrong_type = false;
    if (!reply) {
        admin_fail(s, -EIO, "redis: %s", c->errstr);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        redis->wrong_type = strncmp(reply->str, "WRONGTYPE", 9) == 0;
        admin_fail(s, -EIO, "redis: %s", text_escape(shown, sizeof(shown), reply->str, reply->len));
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

// Runs a command that answers with a number. False: failed, the error is set.
static bool run_number(struct admin_store *s, const struct args *a, long long *out)
{
    redisReply *reply = run(s, a);

    if (!reply)
        return false;
    bool ok = reply->type == REDIS_REPLY_INTEGER;
    if (ok)
        *out = reply->integer;
    else
        admin_fail(s, -EIO, "redis: an answer of the wrong type");
    freeReplyObject(reply);
    return ok;
}

// "<realm> user <name>" or "<realm> secrets", in a buffer that a key fits in, too.
static void make_message(struct redis_key *m, const char *realm, const void *user, size_t len)
{
    int n = snprintf(m->text, sizeof(m->text), user ? "%s user " : "%s secrets", realm);

    if (n < 0 || (size_t)n + len >= sizeof(m->text)) {
        m->len = 0;
        return;
    }
    if (user)
        memcpy(m->text + n, user, len);
    m->len = (size_t)n + len;
}

struct user_keys {
    struct redis_key user, index, message;
};

static int make_user_keys(struct admin_store *s, struct user_keys *k, const char *realm,
                          const void *user, size_t len)
{
    uint8_t hash[STUN_USERHASH_LEN];

    stun_userhash(hash, user, len, realm);
    redis_key_user(&k->user, realm, user, len);
    redis_key_userhash(&k->index, realm, hash);
    make_message(&k->message, realm, user, len);
    if (k->user.len == 0 || k->index.len == 0 || k->message.len == 0)
        return admin_fail(s, -EINVAL, "the realm is too long");
    return 0;
}

static int put(struct admin_store *s, const char *realm, const struct auth_record *rec,
               const char *wanted)
{
    struct args a = {0};
    struct user_keys k;
    struct redis_fields f;
    long long n;
    int r = make_user_keys(s, &k, realm, rec->user, rec->user_len);

    if (r < 0)
        return r;
    redis_record_write(&f, rec);
    add_text(&a, "EVAL");
    add_text(&a, put_script);
    add_text(&a, "2");
    add(&a, k.user.text, k.user.len);
    add(&a, k.index.text, k.index.len);
    add(&a, rec->user, rec->user_len);
    add(&a, k.message.text, k.message.len);
    add_text(&a, wanted);
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++) {
        add_text(&a, redis_user_fields[i]);
        add_text(&a, f.text[i]);
    }
    if (!run_number(s, &a, &n))
        return -EIO;
    if (n == 1)
        return 0;
    return wanted[0] == '0' ? admin_user_exists(s, realm, rec->user, rec->user_len)
                            : admin_user_missing(s, realm, rec->user, rec->user_len);
}

static int user_add(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    return put(s, realm, rec, "0");
}

static int user_put(struct admin_store *s, const char *realm, const struct auth_record *rec)
{
    return put(s, realm, rec, "1");
}

static int user_get(struct admin_store *s, const char *realm, const void *user, size_t len,
                    struct auth_record *out)
{
    struct args a = {0};
    struct redis_key key;

    redis_key_user(&key, realm, user, len);
    add_text(&a, "HMGET");
    add(&a, key.text, key.len);
    for (size_t i = 0; i < REDIS_USER_FIELDS; i++)
        add_text(&a, redis_user_fields[i]);
    redisReply *reply = run(s, &a);
    if (!reply && ((struct admin_redis *)s)->wrong_type)
        return admin_user_damaged(s, realm, user, len);
    if (!reply)
        return -EIO;
    enum store_status status = redis_record_read(out, reply, user, len);
    freeReplyObject(reply);
    if (status == STORE_NOT_FOUND)
        return admin_user_missing(s, realm, user, len);
    if (status != STORE_FOUND)
        return admin_user_damaged(s, realm, user, len);
    return 0;
}

static int user_delete(struct admin_store *s, const char *realm, const void *user, size_t len)
{
    struct args a = {0};
    struct user_keys k;
    long long n;
    int r = make_user_keys(s, &k, realm, user, len);

    if (r < 0)
        return r;
    add_text(&a, "EVAL");
    add_text(&a, delete_script);
    add_text(&a, "2");
    add(&a, k.user.text, k.user.len);
    add(&a, k.index.text, k.index.len);
    add(&a, k.message.text, k.message.len);
    if (!run_number(s, &a, &n))
        return -EIO;
    return n > 0 ? 0 : admin_user_missing(s, realm, user, len);
}

// --- the list of users ---

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

// The pattern of every user's key, with what is special in a realm quoted.
static bool make_pattern(char *out, size_t cap, const char *realm)
{
    size_t n = (size_t)snprintf(out, cap, "turnpike:{");

    for (; *realm; realm++) {
        if (n + 16 >= cap)
            return false;
        if (strchr("*?[]\\^", *realm))
            out[n++] = '\\';
        out[n++] = *realm;
    }
    memcpy(out + n, "}:user:*", sizeof("}:user:*"));
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

static int collect_names(struct admin_store *s, const char *realm, struct name_list *l)
{
    char pattern[1700], cursor[32] = "0";
    size_t prefix = strlen("turnpike:{") + strlen(realm) + strlen("}:user:");
    int r = 0;

    if (!make_pattern(pattern, sizeof(pattern), realm))
        return admin_fail(s, -EINVAL, "the realm is too long");
    do {
        struct args a = {0};
        add_text(&a, "SCAN");
        add_text(&a, cursor);
        add_text(&a, "MATCH");
        add_text(&a, pattern);
        add_text(&a, "COUNT");
        add_text(&a, "1000");
        redisReply *reply = run(s, &a);
        if (!reply)
            return -EIO;
        r = take_page(s, l, reply, prefix, cursor, sizeof(cursor));
        freeReplyObject(reply);
    } while (r == 0 && strcmp(cursor, "0") != 0);
    return r;
}

static int user_list(struct admin_store *s, const char *realm, admin_each *each, void *arg)
{
    struct name_list l = {0};
    struct auth_record rec;
    int r = collect_names(s, realm, &l);

    if (r == 0 && l.count > 0)
        qsort(l.item, l.count, sizeof(l.item[0]), name_compare);
    for (size_t i = 0; r == 0 && i < l.count; i++) {
        // SCAN may name a key twice.
        if (i > 0 && name_compare(&l.item[i - 1], &l.item[i]) == 0)
            continue;
        r = user_get(s, realm, l.item[i].bytes, l.item[i].len, &rec);
        if (r == 0)
            r = each(&rec, arg);
        else if (r == -ENOENT) // deleted meanwhile
            r = 0;
    }
    free(l.item);
    return r;
}

// --- secrets ---

static int secret_add(struct admin_store *s, const char *realm, const char *secret)
{
    struct args a = {0};
    struct redis_key key, message;
    char created[24], most[8];
    long long n;

    redis_key_secrets(&key, realm);
    make_message(&message, realm, NULL, 0);
    snprintf(created, sizeof(created), "%" PRId64, (int64_t)time(NULL));
    snprintf(most, sizeof(most), "%d", AUTH_KEYS_MAX);
    add_text(&a, "EVAL");
    add_text(&a, secret_add_script);
    add_text(&a, "1");
    add(&a, key.text, key.len);
    add_text(&a, secret);
    add_text(&a, created);
    add_text(&a, most);
    add(&a, message.text, message.len);
    if (!run_number(s, &a, &n))
        return -EIO;
    if (n == 0)
        return admin_fail(s, -EEXIST, "this secret is there already");
    if (n < 0)
        return admin_fail(s, -ENOSPC, "there are %d secrets already; retire one first",
                          AUTH_KEYS_MAX);
    return 0;
}

static int secret_delete(struct admin_store *s, const char *realm, const char *secret)
{
    struct args a = {0};
    struct redis_key key, message;
    long long n;

    redis_key_secrets(&key, realm);
    make_message(&message, realm, NULL, 0);
    add_text(&a, "EVAL");
    add_text(&a, secret_delete_script);
    add_text(&a, "1");
    add(&a, key.text, key.len);
    add_text(&a, secret);
    add(&a, message.text, message.len);
    if (!run_number(s, &a, &n))
        return -EIO;
    return n > 0 ? 0 : -ENOENT;
}

static int secret_list(struct admin_store *s, const char *realm, struct admin_secret *out,
                       size_t cap)
{
    struct args a = {0};
    struct redis_key key;
    size_t n = 0;

    redis_key_secrets(&key, realm);
    add_text(&a, "ZREVRANGE");
    add(&a, key.text, key.len);
    add_text(&a, "0");
    add_text(&a, "-1");
    add_text(&a, "WITHSCORES");
    redisReply *reply = run(s, &a);
    if (!reply)
        return -EIO;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements && n < cap;
         i += 2) {
        const redisReply *text = reply->element[i], *score = reply->element[i + 1];
        if (text->type != REDIS_REPLY_STRING || text->len == 0 ||
            text->len >= sizeof(out->secret) || score->type != REDIS_REPLY_STRING)
            continue;
        memcpy(out[n].secret, text->str, text->len);
        out[n].secret[text->len] = 0;
        out[n].created = (int64_t)strtod(score->str, NULL);
        n++;
    }
    freeReplyObject(reply);
    return (int)n;
}

// --- connecting ---

static int log_in_step(struct admin_store *s, struct args *a, const char **why)
{
    redisReply *reply = run(s, a);

    if (!reply) {
        *why = store_why("%s: %s", a->data[0], s->error);
        return -EIO;
    }
    freeReplyObject(reply);
    return 0;
}

static int log_in(struct admin_store *s, const struct store_uri *u, const char **why)
{
    struct args auth = {0}, choose = {0}, ping = {0};
    char db[12];
    int r = 0;

    if (u->password[0]) {
        add_text(&auth, "AUTH");
        if (u->user[0])
            add_text(&auth, u->user);
        add_text(&auth, u->password);
        r = log_in_step(s, &auth, why);
    }
    if (r == 0 && u->db) {
        snprintf(db, sizeof(db), "%u", u->db);
        add_text(&choose, "SELECT");
        add_text(&choose, db);
        r = log_in_step(s, &choose, why);
    }
    add_text(&ping, "PING");
    return r < 0 ? r : log_in_step(s, &ping, why);
}

static void close_store(struct admin_store *s)
{
    redisFree(((struct admin_redis *)s)->c);
    free(s);
}

static const struct admin_ops redis_admin = {.close = close_store,
                                             .user_add = user_add,
                                             .user_get = user_get,
                                             .user_put = user_put,
                                             .user_delete = user_delete,
                                             .user_list = user_list,
                                             .secret_add = secret_add,
                                             .secret_delete = secret_delete,
                                             .secret_list = secret_list};

int admin_redis_open(struct admin_store **out, const struct store_uri *uri, const char **why)
{
    struct admin_redis *s = calloc(1, sizeof(*s));

    *why = "out of memory";
    if (!s)
        return -ENOMEM;
    s->admin.ops = &redis_admin;
    s->c = redis_connect(uri, why);
    if (!s->c) {
        free(s);
        return -EIO;
    }
    int r = log_in(&s->admin, uri, why);
    if (r < 0) {
        close_store(&s->admin);
        return r;
    }
    *out = &s->admin;
    return 0;
}
