// SPDX-License-Identifier: BSD-2-Clause
// Input: what is asked for (a user, a token key, secrets; of either layout), the length of a name,
// the name, and what Redis answers: an item is a type, for a string a length and as many bytes, for
// an array a count and the items. A record that is taken is sound, and comes back from what would
// be written of it.
#include "fuzz.h"

#include <string.h>

#include "auth/redis_record.h"
#include "stun/cursor.h"

#define ITEMS_MAX 16
#define DEPTH_MAX 3

enum { USER, COTURN_USER, TOKEN, COTURN_TOKEN, SECRETS, KINDS };

static redisReply *string_reply(int type, const void *data, size_t len)
{
    redisReply *r = calloc(1, sizeof(*r));
    CHECK(r);
    r->type = type;
    r->len = len;
    r->str = malloc(len + 1);
    CHECK(r->str);
    if (len)
        memcpy(r->str, data, len);
    r->str[len] = '\0'; // as hiredis has it
    return r;
}

static redisReply *take_reply(struct cursor *c, unsigned depth)
{
    static const int types[] = {REDIS_REPLY_NIL, REDIS_REPLY_STRING, REDIS_REPLY_STATUS,
                                REDIS_REPLY_ERROR};
    unsigned type = cursor_u8(c) % 6;
    redisReply *r;

    if (type >= 1 && type <= 3) {
        size_t len = cursor_u8(c);
        len = len < cursor_left(c) ? len : cursor_left(c);
        return string_reply(types[type], cursor_take(c, len), len);
    }
    r = calloc(1, sizeof(*r));
    CHECK(r);
    r->type = type == 4 ? REDIS_REPLY_INTEGER : REDIS_REPLY_NIL;
    if (type != 5 || depth == 0)
        return r;
    r->type = REDIS_REPLY_ARRAY;
    r->elements = cursor_u8(c) % ITEMS_MAX;
    r->element = calloc(ITEMS_MAX, sizeof(*r->element));
    CHECK(r->element);
    for (size_t i = 0; i < r->elements; i++)
        r->element[i] = take_reply(c, depth - 1);
    return r;
}

static void free_reply(redisReply *r)
{
    for (size_t i = 0; i < r->elements; i++)
        free_reply(r->element[i]);
    free(r->element);
    free(r->str);
    free(r);
}

static redisReply *array_of(const char *texts, size_t width, size_t count)
{
    redisReply *r = calloc(1, sizeof(*r));
    CHECK(r);
    r->type = REDIS_REPLY_ARRAY;
    r->elements = count;
    r->element = calloc(count, sizeof(*r->element));
    CHECK(r->element);
    for (size_t i = 0; i < count; i++)
        r->element[i] =
            string_reply(REDIS_REPLY_STRING, texts + i * width, strlen(texts + i * width));
    return r;
}

// What a record says; what is not part of it may hold anything.
static void check_same(const struct auth_record *a, const struct auth_record *b)
{
    CHECK(a->user_len == b->user_len && memcmp(a->user, b->user, a->user_len) == 0);
    CHECK(a->created == b->created && a->expires == b->expires);
    CHECK(a->disabled == b->disabled && a->max_allocations == b->max_allocations &&
          a->max_bps == b->max_bps);
    CHECK(a->is_token_key == b->is_token_key && a->key_count == b->key_count);
    CHECK(a->keys[0].has_md5 == b->keys[0].has_md5 &&
          a->keys[0].has_sha256 == b->keys[0].has_sha256);
    CHECK(!a->keys[0].has_md5 || memcmp(a->keys[0].md5, b->keys[0].md5, STUN_KEY_MD5_LEN) == 0);
    CHECK(!a->keys[0].has_sha256 ||
          memcmp(a->keys[0].sha256, b->keys[0].sha256, STUN_KEY_SHA256_LEN) == 0);
    CHECK(!a->is_token_key || (a->token_key.algorithm == b->token_key.algorithm &&
                               memcmp(a->token_key.bytes, b->token_key.bytes,
                                      token_key_len(a->token_key.algorithm)) == 0));
}

static void check_user(const struct auth_record *rec)
{
    struct redis_fields fields;
    struct auth_record again;

    CHECK(rec->key_count == 1 && (rec->keys[0].has_md5 || rec->keys[0].has_sha256));
    CHECK(!rec->is_token_key && rec->created >= 0 && rec->expires >= 0);
    redis_record_write(&fields, rec);
    redisReply *r = array_of(fields.text[0], sizeof(fields.text[0]), REDIS_USER_FIELDS);
    CHECK(redis_record_read(&again, r, rec->user, rec->user_len) == STORE_FOUND);
    check_same(&again, rec);
    free_reply(r);
}

static void check_token(const struct auth_record *rec)
{
    struct redis_token_text fields;
    struct auth_record again;

    CHECK(rec->is_token_key && rec->key_count == 0 && rec->created >= 0 && rec->expires >= 0);
    redis_token_write(&fields, rec);
    redisReply *r = array_of(fields.text[0], sizeof(fields.text[0]), REDIS_TOKEN_FIELDS);
    CHECK(redis_token_read(&again, r, rec->user, rec->user_len) == STORE_FOUND);
    check_same(&again, rec);
    free_reply(r);
}

static void check_secrets(const redisReply *reply)
{
    struct secret_list *list = malloc(sizeof(*list));

    CHECK(list);
    if (redis_secrets_read(list, reply)) {
        CHECK(list->count <= AUTH_KEYS_MAX && (!list->more || list->count == AUTH_KEYS_MAX));
        for (unsigned i = 0; i < list->count; i++)
            CHECK(list->item[i].len > 0 && list->item[i].len <= SECRET_MAX &&
                  list->item[i].text[list->item[i].len] == '\0');
    }
    free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_reader(data, size);
    unsigned kind = cursor_u8(&c) % KINDS;
    size_t len = cursor_u8(&c) * 4u;
    enum store_status status = STORE_NOT_FOUND;
    struct auth_record rec;

    len = len < cursor_left(&c) ? len : cursor_left(&c);
    const void *name = cursor_take(&c, len);
    if (!c.ok)
        return 0;
    redisReply *reply = take_reply(&c, DEPTH_MAX);
    if (kind == USER)
        status = redis_record_read(&rec, reply, name, len);
    else if (kind == COTURN_USER)
        status = coturn_record_read(&rec, reply, name, len);
    else if (kind == TOKEN)
        status = redis_token_read(&rec, reply, name, len);
    else if (kind == COTURN_TOKEN)
        status = coturn_token_read(&rec, reply, name, len, "example.org");
    else
        check_secrets(reply);
    free_reply(reply);
    if (status != STORE_FOUND)
        return 0;
    CHECK(rec.user_len == len && memcmp(rec.user, name, len) == 0);
    if (kind == USER || kind == COTURN_USER)
        check_user(&rec);
    else
        check_token(&rec);
    return 0;
}
