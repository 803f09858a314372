// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/token.h"
#include "util/codec.h"

static const char server[] = "turn.example.org";
static const uint8_t nonce[AEAD_NONCE_LEN] = "nonce-of-12b";
static const int64_t made = 1700000000;

// Made with Debian's turnutils_oauth 4.6.1: -i turn.example.org -q 111411200000000 -r 600, the
// nonce above. tests/system/lib/access_token.py, written from the RFC, makes the same.
struct vector {
    enum token_algorithm algorithm;
    const char *key, *mac_key, *token;
};

#define KEY256 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define KEY128 "MTIzNDU2Nzg5MDEyMzQ1Ng=="

static const struct vector vectors[] = {
    {TOKEN_A256GCM, KEY256, "0123456789abcdefghij",
     "AAxub25jZS1vZi0xMmJKNM8Uqala3lrsEjuqjxx1Z4neRoilY6XyfIQiN0MEktXsVjr8bdJRahUPh69ZZmltoQ=="},
    {TOKEN_A128GCM, KEY128, "0123456789abcdefghij",
     "AAxub25jZS1vZi0xMmKoJIjgLGEVMkpfl/LoaAfzz7JLKAVilkywU8XO6b9iSWgCVjHk2ljDX3xn7BPOEYzkCw=="},
    {TOKEN_A256GCM, KEY256, "0123456789abcdefghijklmnopqrstuv",
     "AAxub25jZS1vZi0xMmJKAM8Uqala3lrsEjuqjxx1Z4neRoilCMn6QRpSRjF35qLCvk1uKALWMS1LigTcgasOoIAeVO"
     "jgJN6O4n47jQ=="},
};

static struct token_key key_of(enum token_algorithm algorithm, const char *text)
{
    struct token_key key;
    assert_int_equal(token_key_parse(&key, algorithm, text), 0);
    return key;
}

static struct token token_of(const char *mac_key, uint32_t lifetime)
{
    struct token t = {.timestamp = token_timestamp(made), .lifetime = lifetime};
    t.mac_key_len = strlen(mac_key);
    memcpy(t.mac_key, mac_key, t.mac_key_len);
    return t;
}

static void vectors_of_others(void **state)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];
        struct token_key key = key_of(v->algorithm, v->key);
        struct token t = token_of(v->mac_key, 600), back;
        uint8_t want[TOKEN_MAX], out[TOKEN_MAX];
        int len = base64_decode(want, sizeof(want), v->token, strlen(v->token));

        assert_true(len > 0);
        assert_int_equal(token_encode(out, &t, &key, server, nonce), len);
        assert_memory_equal(out, want, (size_t)len);
        assert_int_equal(token_decode(&back, want, (size_t)len, &key, server), 0);
        assert_int_equal(back.mac_key_len, t.mac_key_len);
        assert_memory_equal(back.mac_key, t.mac_key, t.mac_key_len);
        assert_int_equal(back.timestamp, token_timestamp(made));
        assert_int_equal(back.lifetime, 600);
    }
}

static void every_length_of_mac_key(void **state)
{
    struct token_key key = key_of(TOKEN_A256GCM, KEY256);
    uint8_t out[TOKEN_MAX];
    struct token t = {.timestamp = UINT64_MAX, .lifetime = UINT32_MAX}, back;

    memset(t.mac_key, 0x5a, sizeof(t.mac_key));
    for (size_t n = 0; n <= TOKEN_MAC_KEY_MAX; n++) {
        t.mac_key_len = n;
        int len = token_encode(out, &t, &key, server, nonce);
        if (n < TOKEN_MAC_KEY_MIN) {
            assert_int_equal(len, -EINVAL);
            continue;
        }
        assert_int_equal(len, 2 + 12 + 2 + n + 12 + 16);
        assert_int_equal(token_decode(&back, out, (size_t)len, &key, server), 0);
        assert_int_equal(back.mac_key_len, n);
        assert_int_equal(back.timestamp, UINT64_MAX);
        assert_int_equal(back.lifetime, UINT32_MAX);
    }
    t.mac_key_len = TOKEN_MAC_KEY_MAX + 1;
    assert_int_equal(token_encode(out, &t, &key, server, nonce), -EINVAL);
}

static void tampered_truncated_oversized(void **state)
{
    struct token_key key = key_of(TOKEN_A256GCM, KEY256);
    struct token t = token_of("0123456789abcdefghij", 600), back;
    uint8_t out[TOKEN_MAX + 16] = {0};
    size_t len = (size_t)token_encode(out, &t, &key, server, nonce);

    for (size_t bit = 0; bit < len * 8; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(token_decode(&back, out, len, &key, server), -EBADMSG);
        assert_int_equal(back.mac_key_len, 0);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < sizeof(out); cut++)
        if (cut != len)
            assert_int_equal(token_decode(&back, out, cut, &key, server), -EBADMSG);
    assert_int_equal(token_decode(&back, out, len, &key, server), 0);
}

static void wrong_key_algorithm_or_server(void **state)
{
    struct token_key key = key_of(TOKEN_A256GCM, KEY256), other = key;
    struct token t = token_of("0123456789abcdefghij", 600), back;
    uint8_t out[TOKEN_MAX];
    size_t len = (size_t)token_encode(out, &t, &key, server, nonce);

    assert_int_equal(token_decode(&back, out, len, &key, "turn.example.com"), -EBADMSG);
    assert_int_equal(token_decode(&back, out, len, &key, ""), -EBADMSG);
    other.bytes[31] ^= 1;
    assert_int_equal(token_decode(&back, out, len, &other, server), -EBADMSG);
    other = key;
    other.algorithm = TOKEN_A128GCM;
    assert_int_equal(token_decode(&back, out, len, &other, server), -EBADMSG);
}

// What is inside is authentic, so that its maker could have sent it: it is still not believed.
static void unsound_inside(void **state)
{
    static const struct {
        size_t key_len, block_len;
    } cases[] = {{19, 33}, {0, 34}, {65, 79}, {20, 35}, {20, 33}, {0xffff, 34}, {24, 34}, {20, 78}};
    struct token_key key = key_of(TOKEN_A256GCM, KEY256);
    uint8_t block[80], sealed[2 + 12 + 80 + 16] = {0, 12};
    struct token back;

    memcpy(sealed + 2, nonce, sizeof(nonce));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(block, 1, sizeof(block));
        block[0] = (uint8_t)(cases[i].key_len >> 8);
        block[1] = (uint8_t)cases[i].key_len;
        assert_int_equal(aead_seal(sealed + 14, key.bytes, 32, nonce, server, strlen(server), block,
                                   cases[i].block_len),
                         0);
        assert_int_equal(token_decode(&back, sealed, 14 + cases[i].block_len + 16, &key, server),
                         -EBADMSG);
    }
}

static void time_limits(void **state)
{
    struct token t = token_of("0123456789abcdefghij", 600);

    assert_int_equal(token_remaining(&t, made), 600);
    assert_int_equal(token_remaining(&t, made + 5), 600);
    assert_int_equal(token_remaining(&t, made + 6), 599);
    assert_int_equal(token_remaining(&t, made + 604), 1);
    assert_int_equal(token_remaining(&t, made + 605), 0);
    assert_int_equal(token_remaining(&t, made + 1000000), 0);
    // A clock ahead of ours.
    assert_int_equal(token_remaining(&t, made - 60), 600);
    assert_int_equal(token_remaining(&t, made - 61), 0);
    assert_int_equal(token_remaining(&t, 0), 0);
    // The fraction of a second is below what is counted.
    t.timestamp |= 0xffff;
    assert_int_equal(token_remaining(&t, made + 604), 1);
    t.lifetime = 0;
    assert_int_equal(token_remaining(&t, made), 0);
    t.lifetime = UINT32_MAX;
    assert_int_equal(token_remaining(&t, made + 6), UINT32_MAX - 1);
    t.timestamp = UINT64_MAX;
    assert_int_equal(token_remaining(&t, made), 0);
    t.timestamp = 0;
    assert_true(token_remaining(&t, made) > 0); // 1970 and 136 years
}

static void keys_as_text(void **state)
{
    struct token_key a, b;

    assert_int_equal(token_key_parse(&a, TOKEN_A128GCM, KEY128), 0);
    assert_int_equal(token_key_parse(&b, TOKEN_A128GCM, "31323334353637383930313233343536"), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(token_key_parse(&a, TOKEN_A256GCM, KEY256), 0);
    assert_memory_equal(a.bytes, "01234567890123456789012345678901", 32);
    assert_int_equal(token_key_parse(&a, TOKEN_A256GCM, KEY128), -EINVAL);
    assert_int_equal(token_key_parse(&a, TOKEN_A128GCM, KEY256), -EINVAL);
    // 33 bytes, as coturn's examples have them: not ours to guess which 32 are meant.
    assert_int_equal(
        token_key_parse(&a, TOKEN_A256GCM, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK"),
        -EINVAL);
    assert_int_equal(token_key_parse(&a, TOKEN_A128GCM, "3132333435363738393031323334353g"),
                     -EINVAL);
    assert_int_equal(token_key_parse(&a, TOKEN_A128GCM, "MTIzNDU2Nzg5MDEyMzQ1N!=="), -EINVAL);
    assert_int_equal(token_key_parse(&a, TOKEN_A256GCM, ""), -EINVAL);
}

static void algorithms(void **state)
{
    enum token_algorithm a;

    assert_int_equal(token_algorithm_parse(&a, "A128GCM"), 0);
    assert_int_equal(a, TOKEN_A128GCM);
    assert_int_equal(token_algorithm_parse(&a, token_algorithm_name(TOKEN_A256GCM)), 0);
    assert_int_equal(a, TOKEN_A256GCM);
    assert_int_equal(token_algorithm_parse(&a, "a256gcm"), -EINVAL);
    assert_int_equal(token_algorithm_parse(&a, ""), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_of_others),
        cmocka_unit_test(every_length_of_mac_key),
        cmocka_unit_test(tampered_truncated_oversized),
        cmocka_unit_test(wrong_key_algorithm_or_server),
        cmocka_unit_test(unsound_inside),
        cmocka_unit_test(time_limits),
        cmocka_unit_test(keys_as_text),
        cmocka_unit_test(algorithms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
