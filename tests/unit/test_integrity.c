// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#include "stun/integrity.h"
#include "util/codec.h"

static const char short_term[] = "VOkJxbRl1RmTxUk/WvJxBt";
static const char matrix[] =
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9";
static const char realm[] = "example.org";
static const char password[] = "TheMatrIX";

// RFC 5769 section 2.1; the padding is made of blanks on purpose.
static const char sample_request[] = "000100582112a442b7e7a701bc34d686fa87dfae"
                                     "802200105354554e207465737420636c69656e74"
                                     "002400046e0001ff"
                                     "80290008932ff9b151263b36"
                                     "000600096576746a3a68367659202020"
                                     "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
                                     "80280004e57a3bcf";
// Section 2.2
static const char sample_ipv4_response[] = "0101003c2112a442b7e7a701bc34d686fa87dfae"
                                           "8022000b7465737420766563746f7220"
                                           "002000080001a147e112a643"
                                           "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
                                           "80280004c07d4c96";
// Section 2.3
static const char sample_ipv6_response[] = "010100482112a442b7e7a701bc34d686fa87dfae"
                                           "8022000b7465737420766563746f7220"
                                           "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
                                           "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
                                           "80280004c8fb0b4c";
// Section 2.4
static const char sample_long_term[] =
    "000100602112a44278ad3433c6ad72c029da412e"
    "00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341"
    "0014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
// RFC 8489 appendix B.1 with the length, PASSWORD-ALGORITHM and HMAC of its verified erratum 6268.
static const char sample_userhash[] =
    "000100902112a44278ad3433c6ad72c029da412e"
    "001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "001500296f624d61744a6f73324141414366"
    "2f2f3439396b39353464364f4c33346f4c39465354767936347341000000"
    "0014000b6578616d706c652e6f726700"
    "001d000400020000"
    "001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

static size_t from_hex(uint8_t *out, const char *text)
{
    size_t len = strlen(text) / 2;
    assert_int_equal(hex_decode(out, len, text), 0);
    return len;
}

static void has_text(const struct stun_msg *msg, uint16_t type, const char *want)
{
    struct stun_attr attr;
    assert_true(stun_find(msg, type, &attr));
    assert_int_equal(attr.len, strlen(want));
    assert_memory_equal(attr.value, want, attr.len);
}

static void test_sample_request(void **state)
{
    uint8_t buf[256], copy[256];
    struct stun_msg msg;
    uint32_t priority;
    uint64_t tie;
    size_t len = from_hex(buf, sample_request);
    memcpy(copy, buf, len);
    assert_int_equal(stun_parse(&msg, buf, len), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_REQUEST);
    assert_int_equal(msg.method, STUN_BINDING);
    assert_false(msg.classic);
    assert_true(msg.fingerprint > 0);
    has_text(&msg, STUN_ATTR_SOFTWARE, "STUN test client");
    has_text(&msg, STUN_ATTR_USERNAME, "evtj:h6vY");
    assert_int_equal(stun_get_u32(&msg, STUN_ATTR_PRIORITY, &priority), 0);
    assert_int_equal(priority, 0x6e0001ff);
    assert_int_equal(stun_get_u64(&msg, STUN_ATTR_ICE_CONTROLLED, &tie), 0);
    assert_true(tie == 0x932ff9b151263b36u);
    assert_true(stun_check_integrity(&msg, short_term, strlen(short_term)));
    assert_false(stun_check_integrity(&msg, short_term, strlen(short_term) - 1));
    assert_false(stun_check_integrity256(&msg, short_term, strlen(short_term)));
    assert_memory_equal(buf, copy, len); // checking leaves the message alone
}

static void check_response(const char *hex, const char *address)
{
    uint8_t buf[256];
    struct stun_msg msg;
    struct addr a;
    char text[ADDR_STRLEN];
    assert_int_equal(stun_parse(&msg, buf, from_hex(buf, hex)), STUN_PARSE_OK);
    assert_int_equal(msg.class_, STUN_SUCCESS);
    has_text(&msg, STUN_ATTR_SOFTWARE, "test vector");
    assert_int_equal(stun_get_addr(&msg, STUN_ATTR_XOR_MAPPED_ADDRESS, &a), 0);
    assert_string_equal(addr_format(&a, text), address);
    assert_true(stun_check_integrity(&msg, short_term, strlen(short_term)));

    // Written by us, but for the padding, which is in neither check of ours: same attributes, same
    // values.
    uint8_t out[256];
    struct stun_writer w;
    struct stun_msg again;
    stun_begin_reply(&w, out, sizeof(out), STUN_SUCCESS, &msg);
    stun_put_text(&w, STUN_ATTR_SOFTWARE, "test vector");
    stun_put_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &a);
    size_t end = w.c.pos;
    assert_int_equal(out[20 + 4 + 11], 0);
    out[20 + 4 + 11] = ' ';
    stun_put_integrity(&w, short_term, strlen(short_term));
    stun_put_fingerprint(&w);
    assert_int_equal(stun_end(&w), msg.len);
    assert_memory_equal(out, buf, msg.len);
    assert_int_equal(stun_parse(&again, out, msg.len), STUN_PARSE_OK);
    assert_int_equal(again.attrs_end, end);
}

static void test_sample_responses(void **state)
{
    check_response(sample_ipv4_response, "192.0.2.1:32853");
    check_response(sample_ipv6_response, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

static void test_sample_long_term(void **state)
{
    uint8_t buf[256], key[STUN_KEY_MD5_LEN];
    struct stun_msg msg;
    assert_int_equal(stun_parse(&msg, buf, from_hex(buf, sample_long_term)), STUN_PARSE_OK);
    has_text(&msg, STUN_ATTR_USERNAME, matrix);
    has_text(&msg, STUN_ATTR_REALM, realm);
    has_text(&msg, STUN_ATTR_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
    stun_key_md5(key, matrix, strlen(matrix), realm, password, strlen(password));
    assert_true(stun_check_integrity(&msg, key, sizeof(key)));
    key[15] ^= 1;
    assert_false(stun_check_integrity(&msg, key, sizeof(key)));

    uint8_t out[256];
    struct stun_writer w;
    key[15] ^= 1;
    stun_begin(&w, out, sizeof(out), STUN_REQUEST, STUN_BINDING, msg.txid, NULL);
    stun_put_text(&w, STUN_ATTR_USERNAME, matrix);
    stun_put_text(&w, STUN_ATTR_NONCE, "f//499k954d6OL34oL9FSTvy64sA");
    stun_put_text(&w, STUN_ATTR_REALM, realm);
    stun_put_integrity(&w, key, sizeof(key));
    assert_int_equal(stun_end(&w), msg.len);
    assert_memory_equal(out, buf, msg.len);
}

static void test_sample_userhash(void **state)
{
    uint8_t buf[256], key[STUN_KEY_SHA256_LEN], hash[STUN_USERHASH_LEN], out[256];
    struct stun_msg msg;
    struct stun_attr attr;
    struct stun_writer w;
    assert_int_equal(stun_parse(&msg, buf, from_hex(buf, sample_userhash)), STUN_PARSE_OK);
    stun_userhash(hash, matrix, strlen(matrix), realm);
    assert_true(stun_find(&msg, STUN_ATTR_USERHASH, &attr));
    assert_memory_equal(attr.value, hash, sizeof(hash));
    has_text(&msg, STUN_ATTR_NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    stun_key_sha256(key, matrix, strlen(matrix), realm, password, strlen(password));
    assert_true(stun_check_integrity256(&msg, key, sizeof(key)));
    assert_false(stun_check_integrity(&msg, key, sizeof(key)));

    stun_begin(&w, out, sizeof(out), STUN_REQUEST, STUN_BINDING, msg.txid, NULL);
    stun_put(&w, STUN_ATTR_USERHASH, hash, sizeof(hash));
    stun_put_text(&w, STUN_ATTR_NONCE, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    stun_put_text(&w, STUN_ATTR_REALM, realm);
    stun_put_u32(&w, STUN_ATTR_PASSWORD_ALGORITHM, STUN_ALG_SHA256 << 16);
    stun_put_integrity256(&w, key, sizeof(key));
    assert_int_equal(stun_end(&w), msg.len);
    assert_memory_equal(out, buf, msg.len);
}

// RFC 2202 section 3 and RFC 4231 section 4: a short key, one longer than a block, and none.
static void test_hmac(void **state)
{
    uint8_t mac[32], want[32], key[131];
    const char *text = "what do ya want for nothing?";
    assert_int_equal(hmac_sha1(mac, "Jefe", 4, text, 28), 0);
    from_hex(want, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_memory_equal(mac, want, 20);
    assert_int_equal(hmac_sha256(mac, "Jefe", 4, text, 28), 0);
    from_hex(want, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_memory_equal(mac, want, 32);
    memset(key, 0xaa, sizeof(key));
    text = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_int_equal(hmac_sha256(mac, key, 131, text, strlen(text)), 0);
    from_hex(want, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_memory_equal(mac, want, 32);
    // An empty key is a key, not the one of the call before.
    assert_int_equal(hmac_sha256(mac, NULL, 0, "", 0), 0);
    from_hex(want, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    assert_memory_equal(mac, want, 32);
}

static void test_keys(void **state)
{
    uint8_t key[32], want[32];
    // RFC 8489 section 9.2.2: MD5("user:realm:pass").
    stun_key_md5(key, "user", 4, "realm", "pass", 4);
    from_hex(want, "8493fbc53ba582fb4c044c456bdc40eb");
    assert_memory_equal(key, want, 16);
    stun_key_sha256(key, "user", 4, "realm", "pass", 4);
    from_hex(want, "07e934117abd40836e7c6329b54731b2b2d2a5f9a71f544922d75e0730d8251b");
    assert_memory_equal(key, want, 32);
}

static void test_crc(void **state)
{
    // The check value of CRC-32 in every catalogue: "123456789" gives cbf43926.
    assert_int_equal(stun_fingerprint("123456789", 9) ^ 0x5354554eu, 0xcbf43926u);
    assert_int_equal(stun_fingerprint("", 0) ^ 0x5354554eu, 0);
}

static size_t write_sample(uint8_t *buf, size_t cap, bool sha1, bool sha256)
{
    static const uint8_t txid[12] = {1, 2, 3};
    struct stun_writer w;
    stun_begin(&w, buf, cap, STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
    stun_put_text(&w, STUN_ATTR_USERNAME, "user");
    if (sha1)
        stun_put_integrity(&w, "key", 3);
    if (sha256)
        stun_put_integrity256(&w, "key", 3);
    return stun_end(&w);
}

static void test_every_bit_counts(void **state)
{
    uint8_t buf[128];
    struct stun_msg msg;
    for (int kind = 0; kind < 2; kind++) {
        size_t len = write_sample(buf, sizeof(buf), kind == 0, kind == 1);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (stun_parse(&msg, buf, len) == STUN_PARSE_OK) {
                assert_false(stun_check_integrity(&msg, "key", 3));
                assert_false(stun_check_integrity256(&msg, "key", 3));
            }
            buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(stun_parse(&msg, buf, len), STUN_PARSE_OK);
        assert_true(kind == 0 ? stun_check_integrity(&msg, "key", 3)
                              : stun_check_integrity256(&msg, "key", 3));
    }
}

static void test_both(void **state)
{
    uint8_t buf[128];
    struct stun_msg msg;
    size_t len = write_sample(buf, sizeof(buf), true, true);
    assert_int_equal(stun_parse(&msg, buf, len), STUN_PARSE_OK);
    assert_true(stun_check_integrity(&msg, "key", 3));
    assert_true(stun_check_integrity256(&msg, "key", 3));
    assert_int_equal(msg.attrs_end, msg.integrity);
    buf[msg.integrity + 4] ^= 1; // is covered by the second
    assert_false(stun_check_integrity(&msg, "key", 3));
    assert_false(stun_check_integrity256(&msg, "key", 3));
}

// RFC 8489 14.6: a truncated HMAC, with the length of the header counting only what is there.
static void test_truncated_sha256(void **state)
{
    for (size_t mac_len = 0; mac_len <= 36; mac_len++) {
        uint8_t buf[128], mac[40] = {0};
        struct stun_msg msg;
        struct stun_writer w;
        static const uint8_t txid[12] = {9};
        size_t padded = (mac_len + 3) / 4 * 4;
        stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
        stun_put_text(&w, STUN_ATTR_USERNAME, "user");
        buf[3] = (uint8_t)(w.c.pos - 20 + 4 + padded);
        assert_int_equal(hmac_sha256(mac, "key", 3, buf, w.c.pos), 0);
        stun_put(&w, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, mac, mac_len);
        size_t len = stun_end(&w);
        bool good = mac_len >= 16 && mac_len <= 32 && mac_len % 4 == 0;
        assert_int_equal(stun_parse(&msg, buf, len), good ? STUN_PARSE_OK : STUN_PARSE_MALFORMED);
        assert_int_equal(stun_check_integrity256(&msg, "key", 3), good);
    }
}

// More keys than a thread keeps contexts for, of lengths that are remembered and not, in turns.
static void test_many_keys(void **state)
{
    uint8_t mac[32], want[32], key[40], text[] = "message";
    for (unsigned i = 0; i < 2000; i++) {
        unsigned len = i % 7 ? 16 + i % 25 : 0;
        memset(key, (int)(i / 3 % 23), sizeof(key));
        text[0] = (uint8_t)i;
        assert_int_equal(hmac_sha1(mac, key, len, text, sizeof(text)), 0);
        HMAC(EVP_sha1(), key, (int)len, text, sizeof(text), want, NULL);
        assert_memory_equal(mac, want, 20);
        assert_int_equal(hmac_sha256(mac, key, len, text, sizeof(text)), 0);
        HMAC(EVP_sha256(), key, (int)len, text, sizeof(text), want, NULL);
        assert_memory_equal(mac, want, 32);
    }
}

static void *check_many(void *arg)
{
    uint8_t buf[128];
    struct stun_msg msg;
    char key[8] = {*(const char *)arg};
    static const uint8_t txid[12] = {1};
    intptr_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        struct stun_writer w;
        stun_begin(&w, buf, sizeof(buf), STUN_REQUEST, STUN_ALLOCATE, txid, NULL);
        stun_put_integrity(&w, key, sizeof(key));
        stun_put_integrity256(&w, key, sizeof(key));
        wrong += stun_parse(&msg, buf, stun_end(&w)) != STUN_PARSE_OK;
        wrong += !stun_check_integrity(&msg, key, sizeof(key));
        wrong += !stun_check_integrity256(&msg, key, sizeof(key));
        wrong += stun_check_integrity(&msg, "other", 5);
    }
    return (void *)wrong;
}

static void test_threads(void **state)
{
    static const char names[] = "abcd";
    pthread_t threads[4];
    void *wrong;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_many, (void *)(names + i)), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_request),
        cmocka_unit_test(test_sample_responses),
        cmocka_unit_test(test_sample_long_term),
        cmocka_unit_test(test_sample_userhash),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_truncated_sha256),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
