// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/nonce.h"
#include "auth/verdict.h"

static const uint8_t offered[8] = {0, 2, 0, 0, 0, 1, 0, 0}; // SHA-256, MD5
static const uint8_t txid[STUN_TXID_LEN] = "transaction";
static const int64_t now = 1700000000;
static const struct auth_config cfg = {
    .realm = "example.org", .nonce_key = {9, 8, 7}, .nonce_lifetime = 600};

// A request to be built: what is NULL or 0 is left out.
struct shape {
    const char *user, *realm, *nonce, *password;
    size_t user_len; // 0: strlen
    bool userhash, sha1, sha256;
    const uint8_t *list, *chosen; // 8 and 4 bytes
    const char *after;            // a USERNAME behind the integrity
};

struct fixture {
    struct addr client;
    char nonce[NONCE_LEN];
    uint8_t buf[1024];
    struct stun_msg msg;
    struct auth_request req;
    struct auth_reject reject;
    struct auth_grant grant;
    struct auth_record rec;
};

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(addr_parse(&f->client, "192.0.2.1:1234"), 0);
    nonce_make(f->nonce, cfg.nonce_key, cfg.realm, NONCE_FEATURE_PASSWORD_ALGORITHMS, &f->client,
               now);
}

static void record_of(struct auth_record *rec, const char *user, const char *password)
{
    struct auth_key *k = &rec->keys[rec->key_count++];

    rec->user_len = strlen(user);
    memcpy(rec->user, user, rec->user_len);
    stun_key_md5(k->md5, user, rec->user_len, cfg.realm, password, strlen(password));
    stun_key_sha256(k->sha256, user, rec->user_len, cfg.realm, password, strlen(password));
    k->has_md5 = k->has_sha256 = true;
}

static void build(struct fixture *f, const struct shape *s)
{
    struct stun_writer w;
    uint8_t key[STUN_KEY_SHA256_LEN], hash[STUN_USERHASH_LEN];
    size_t key_len = STUN_KEY_MD5_LEN;
    size_t user_len = s->user ? (s->user_len ? s->user_len : strlen(s->user)) : 0;

    stun_begin(&w, f->buf, sizeof(f->buf), STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
    if (s->user && s->userhash) {
        stun_userhash(hash, s->user, user_len, cfg.realm);
        stun_put(&w, STUN_ATTR_USERHASH, hash, sizeof(hash));
    } else if (s->user) {
        stun_put(&w, STUN_ATTR_USERNAME, s->user, user_len);
    }
    if (s->realm)
        stun_put_text(&w, STUN_ATTR_REALM, s->realm);
    if (s->nonce)
        stun_put(&w, STUN_ATTR_NONCE, s->nonce, NONCE_LEN);
    if (s->list)
        stun_put(&w, STUN_ATTR_PASSWORD_ALGORITHMS, s->list, 8);
    if (s->chosen)
        stun_put(&w, STUN_ATTR_PASSWORD_ALGORITHM, s->chosen, 4);
    if (s->chosen && s->chosen[1] == STUN_ALG_SHA256)
        key_len = STUN_KEY_SHA256_LEN;
    const char *password = s->password ? s->password : "";
    (key_len == STUN_KEY_MD5_LEN ? stun_key_md5 : stun_key_sha256)(
        key, s->user ? s->user : "", user_len, cfg.realm, password, strlen(password));
    if (s->sha1)
        stun_put_integrity(&w, key, key_len);
    if (s->after)
        stun_put_text(&w, STUN_ATTR_USERNAME, s->after);
    if (s->sha256)
        stun_put_integrity256(&w, key, key_len);
    size_t len = stun_end(&w);
    assert_true(len > 0);
    assert_int_equal(stun_parse(&f->msg, f->buf, len), STUN_PARSE_OK);
}

static enum auth_step begin(struct fixture *f, const struct shape *s)
{
    build(f, s);
    return auth_begin(&cfg, &f->msg, &f->client, now, NULL, &f->req, &f->reject);
}

static enum auth_step finish(struct fixture *f, enum store_status status)
{
    return auth_finish(&cfg, &f->msg, &f->req, status, status == STORE_FOUND ? &f->rec : NULL, now,
                       &f->grant, &f->reject);
}

static void expect_reject(struct fixture *f, enum auth_step step, int code, bool challenge)
{
    assert_int_equal(step, AUTH_REJECT);
    assert_int_equal(f->reject.code, code);
    assert_int_equal(f->reject.challenge, challenge);
}

static struct shape sound(const struct fixture *f)
{
    return (struct shape){.user = "alice",
                          .realm = "example.org",
                          .nonce = f->nonce,
                          .password = "wonder",
                          .sha1 = true};
}

static void no_integrity_is_challenged(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.sha1 = false;
    expect_reject(&f, begin(&f, &s), 401, true);
    s = (struct shape){0};
    expect_reject(&f, begin(&f, &s), 401, true);
}

static void missing_attributes_are_400(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.user = NULL;
    expect_reject(&f, begin(&f, &s), 400, false);
    s = sound(&f);
    s.realm = NULL;
    expect_reject(&f, begin(&f, &s), 400, false);
    s = sound(&f);
    s.nonce = NULL;
    expect_reject(&f, begin(&f, &s), 400, false);
}

static void md5_key_and_sha1_are_accepted(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    assert_memory_equal(f.req.query.id, "alice", 5);
    assert_int_equal(f.req.query.id_len, 5);
    assert_false(f.req.query.userhash);
    record_of(&f.rec, "alice", "wonder");
    f.rec.max_bps = 77;
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    assert_int_equal(f.grant.key_len, STUN_KEY_MD5_LEN);
    assert_false(f.grant.integrity256);
    assert_int_equal(f.grant.max_bps, 77);
    assert_int_equal(f.grant.user_len, 5);
}

static void sha256_is_negotiated(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.list = offered;
    s.chosen = offered;
    s.sha1 = false;
    s.sha256 = true;
    s.userhash = true;
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    assert_true(f.req.query.userhash);
    assert_int_equal(f.req.query.id_len, STUN_USERHASH_LEN);
    record_of(&f.rec, "alice", "wonder");
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    assert_int_equal(f.grant.key_len, STUN_KEY_SHA256_LEN);
    assert_true(f.grant.integrity256);
    // A record without that key is no reason to take the other.
    f.rec.keys[0].has_sha256 = false;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
}

// RFC 8489 9.2.4: MESSAGE-INTEGRITY-SHA256 is the one that counts when both are there.
static void both_integrities_sha256_counts(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.sha256 = true;
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    assert_true(f.req.integrity256);
    record_of(&f.rec, "alice", "wonder");
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    assert_false(f.grant.integrity256); // no algorithm was named: the answer has MESSAGE-INTEGRITY
    f.buf[f.msg.integrity256 + 4] ^= 1;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
}

// RFC 8489 14.6: shortened only where the usage says so, and TURN does not.
static void shortened_sha256_is_401(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.sha1 = false;
    s.sha256 = true;
    build(&f, &s);
    assert_int_equal(auth_begin(&cfg, &f.msg, &f.client, now, NULL, &f.req, &f.reject),
                     AUTH_LOOKUP);
    record_of(&f.rec, "alice", "wonder");
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    for (size_t size = 16; size < 32; size += 4) {
        uint8_t mac[32];
        size_t at = f.msg.integrity256;
        // The MAC covers the header's length up to the end of the shortened attribute.
        f.buf[2] = (uint8_t)((at + 4 + size - STUN_HEADER_LEN) >> 8);
        f.buf[3] = (uint8_t)(at + 4 + size - STUN_HEADER_LEN);
        f.buf[at + 3] = (uint8_t)size;
        assert_int_equal(hmac_sha256(mac, f.rec.keys[0].md5, STUN_KEY_MD5_LEN, f.buf, at), 0);
        memcpy(f.buf + at + 4, mac, size);
        assert_int_equal(stun_parse(&f.msg, f.buf, at + 4 + size), STUN_PARSE_OK);
        assert_true(stun_check_integrity256(&f.msg, f.rec.keys[0].md5, STUN_KEY_MD5_LEN));
        expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
    }
}

static void altered_algorithms_are_400(void **state)
{
    static const uint8_t md5_alone[8] = {0, 1, 0, 0, 0, 1, 0, 0};
    static const uint8_t other[4] = {0, 3, 0, 0}, high[4] = {1, 2, 0, 0}, params[4] = {0, 2, 0, 4};
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.list = offered;
    expect_reject(&f, begin(&f, &s), 400, false); // list alone
    s.list = NULL;
    s.chosen = offered;
    expect_reject(&f, begin(&f, &s), 400, false); // choice alone
    s.list = md5_alone;
    s.chosen = md5_alone;
    expect_reject(&f, begin(&f, &s), 400, false); // another list: bid-down
    s.list = offered;
    s.chosen = other;
    expect_reject(&f, begin(&f, &s), 400, false);
    s.chosen = high;
    expect_reject(&f, begin(&f, &s), 400, false);
    s.chosen = params;
    expect_reject(&f, begin(&f, &s), 400, false);
    s.chosen = offered + 4; // MD5, named
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    assert_int_equal(f.req.algorithm, STUN_ALG_MD5);
    assert_true(f.req.answer256);
}

static void cleared_feature_bits_are_438(void **state)
{
    struct fixture f;

    fixture_init(&f);
    memcpy(f.nonce + 9, "AAAA", 4);
    struct shape s = sound(&f);
    expect_reject(&f, begin(&f, &s), 438, true);
}

static void stale_and_foreign_nonces_are_438(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    build(&f, &s);
    assert_int_equal(auth_begin(&cfg, &f.msg, &f.client, now + 601, NULL, &f.req, &f.reject),
                     AUTH_REJECT);
    assert_int_equal(f.reject.code, 438);
    f.client.ip[3] ^= 1;
    assert_int_equal(auth_begin(&cfg, &f.msg, &f.client, now, NULL, &f.req, &f.reject),
                     AUTH_REJECT);
    assert_int_equal(f.reject.code, 438);
}

static void another_realm_is_401(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.realm = "example.or";
    expect_reject(&f, begin(&f, &s), 401, true);
}

static void refused_users_look_alike(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    expect_reject(&f, finish(&f, STORE_NOT_FOUND), 401, true);
    record_of(&f.rec, "alice", "other");
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
    f.rec.key_count = 0;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
    record_of(&f.rec, "alice", "wonder");
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    f.rec.expires = now;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
    f.rec.expires = now + 1;
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
    f.rec.disabled = true;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
}

static void unavailable_is_500(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    expect_reject(&f, finish(&f, STORE_UNAVAILABLE), 500, false);
    // Some keys are known, others are in a store that is away: a mismatch proves nothing.
    record_of(&f.rec, "alice", "other");
    f.rec.incomplete = true;
    expect_reject(&f, finish(&f, STORE_FOUND), 500, false);
    record_of(&f.rec, "alice", "wonder");
    assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
}

// The dummy key that stands in for an unknown user's is all zeros: it must open nothing.
static void dummy_key_opens_nothing(void **state)
{
    static const uint8_t zeros[STUN_KEY_SHA256_LEN];
    struct fixture f;
    struct stun_writer w;

    fixture_init(&f);
    stun_begin(&w, f.buf, sizeof(f.buf), STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
    stun_put_text(&w, STUN_ATTR_USERNAME, "nobody");
    stun_put_text(&w, STUN_ATTR_REALM, cfg.realm);
    stun_put(&w, STUN_ATTR_NONCE, f.nonce, NONCE_LEN);
    stun_put_integrity(&w, zeros, STUN_KEY_MD5_LEN);
    assert_int_equal(stun_parse(&f.msg, f.buf, stun_end(&w)), STUN_PARSE_OK);
    assert_int_equal(auth_begin(&cfg, &f.msg, &f.client, now, NULL, &f.req, &f.reject),
                     AUTH_LOOKUP);
    expect_reject(&f, finish(&f, STORE_NOT_FOUND), 401, true);
    f.rec.key_count = 1; // a record whose only key is for SHA-256
    f.rec.keys[0].has_sha256 = true;
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
}

static void any_key_of_a_record_fits(void **state)
{
    struct fixture f;
    char password[4] = "p0";

    fixture_init(&f);
    struct shape s = sound(&f);
    for (unsigned i = 0; i < AUTH_KEYS_MAX; i++) {
        password[1] = (char)('0' + i);
        record_of(&f.rec, "alice", password);
    }
    for (unsigned i = 0; i < AUTH_KEYS_MAX; i++) {
        password[1] = (char)('0' + i);
        s.password = password;
        assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
        assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
        assert_memory_equal(f.grant.key, f.rec.keys[i].md5, STUN_KEY_MD5_LEN);
    }
    s.password = "p8";
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    expect_reject(&f, finish(&f, STORE_FOUND), 401, true);
}

// CVE-2026-68554: a USERNAME behind the integrity is not authenticated.
static void attributes_after_integrity_are_ignored(void **state)
{
    struct fixture f;

    fixture_init(&f);
    struct shape s = sound(&f);
    s.after = "mallory";
    assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
    assert_int_equal(f.req.query.id_len, 5);
    assert_memory_equal(f.req.query.id, "alice", 5);
    s.user = NULL;
    expect_reject(&f, begin(&f, &s), 400, false);
}

static void a_challenge_says_what_is_needed(void **state)
{
    struct fixture f;
    struct stun_writer w;
    struct stun_attr a;
    struct auth_config plain = cfg;
    int code;
    const char *reason;
    size_t reason_len;

    fixture_init(&f);
    for (int md5_only = 0; md5_only < 2; md5_only++) {
        struct auth_reject r = {.code = 401, .challenge = true};
        plain.md5_only = md5_only;
        plain.username_anonymity = !md5_only;
        stun_begin(&w, f.buf, sizeof(f.buf), STUN_ERROR, STUN_ALLOCATE, txid, NULL);
        auth_put_reject(&w, &plain, &f.client, now, &r);
        assert_int_equal(stun_parse(&f.msg, f.buf, stun_end(&w)), STUN_PARSE_OK);
        assert_int_equal(stun_get_error(&f.msg, &code, &reason, &reason_len), 0);
        assert_int_equal(code, 401);
        assert_true(stun_find(&f.msg, STUN_ATTR_REALM, &a));
        assert_int_equal(a.len, strlen(cfg.realm));
        assert_true(stun_find(&f.msg, STUN_ATTR_NONCE, &a));
        assert_int_equal(nonce_check(a.value, a.len, cfg.nonce_key, cfg.realm, &f.client, now, 600),
                         NONCE_VALID);
        assert_int_equal(
            nonce_features(a.value, a.len),
            md5_only ? 0 : NONCE_FEATURE_PASSWORD_ALGORITHMS | NONCE_FEATURE_USERNAME_ANONYMITY);
        assert_int_equal(stun_find(&f.msg, STUN_ATTR_PASSWORD_ALGORITHMS, &a), !md5_only);
        if (!md5_only)
            assert_memory_equal(a.value, offered, sizeof(offered));
    }
    struct auth_reject r = {.code = 400};
    stun_begin(&w, f.buf, sizeof(f.buf), STUN_ERROR, STUN_ALLOCATE, txid, NULL);
    auth_put_reject(&w, &cfg, &f.client, now, &r);
    assert_int_equal(stun_parse(&f.msg, f.buf, stun_end(&w)), STUN_PARSE_OK);
    assert_false(stun_find(&f.msg, STUN_ATTR_NONCE, &a));
    assert_false(stun_find(&f.msg, STUN_ATTR_REALM, &a));
}

static void answers_are_signed_as_asked(void **state)
{
    struct fixture f;
    struct stun_writer w;

    fixture_init(&f);
    record_of(&f.rec, "alice", "wonder");
    for (int sha256 = 0; sha256 < 2; sha256++) {
        struct shape s = sound(&f);
        s.sha1 = !sha256;
        s.sha256 = sha256;
        s.list = s.chosen = sha256 ? offered : NULL;
        assert_int_equal(begin(&f, &s), AUTH_LOOKUP);
        assert_int_equal(finish(&f, STORE_FOUND), AUTH_OK);
        stun_begin(&w, f.buf, sizeof(f.buf), STUN_SUCCESS, STUN_ALLOCATE, txid, NULL);
        auth_sign(&w, &f.grant);
        assert_int_equal(stun_parse(&f.msg, f.buf, stun_end(&w)), STUN_PARSE_OK);
        assert_int_equal(stun_check_integrity(&f.msg, f.grant.key, f.grant.key_len), !sha256);
        assert_int_equal(stun_check_integrity256(&f.msg, f.grant.key, f.grant.key_len), sha256);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_integrity_is_challenged),
        cmocka_unit_test(missing_attributes_are_400),
        cmocka_unit_test(md5_key_and_sha1_are_accepted),
        cmocka_unit_test(sha256_is_negotiated),
        cmocka_unit_test(both_integrities_sha256_counts),
        cmocka_unit_test(shortened_sha256_is_401),
        cmocka_unit_test(altered_algorithms_are_400),
        cmocka_unit_test(cleared_feature_bits_are_438),
        cmocka_unit_test(stale_and_foreign_nonces_are_438),
        cmocka_unit_test(another_realm_is_401),
        cmocka_unit_test(refused_users_look_alike),
        cmocka_unit_test(unavailable_is_500),
        cmocka_unit_test(dummy_key_opens_nothing),
        cmocka_unit_test(any_key_of_a_record_fits),
        cmocka_unit_test(attributes_after_integrity_are_ignored),
        cmocka_unit_test(a_challenge_says_what_is_needed),
        cmocka_unit_test(answers_are_signed_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
