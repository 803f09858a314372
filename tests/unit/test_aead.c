// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/aead.h"
#include "util/codec.h"

// Test cases 4 and 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), appendix B.
struct vector {
    size_t key_len;
    const char *key, *nonce, *aad, *plain, *sealed;
};

#define PLAIN                                                                                      \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define NONCE "cafebabefacedbaddecaf888"
#define AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"

static const struct vector vectors[] = {
    {16, "feffe9928665731c6d6a8f9467308308", NONCE, AAD, PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {32, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", NONCE, AAD, PLAIN,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

struct bytes {
    uint8_t key[32], nonce[12], aad[20], plain[60], sealed[76];
};

static void load(struct bytes *b, const struct vector *v)
{
    assert_int_equal(hex_decode(b->key, v->key_len, v->key), 0);
    assert_int_equal(hex_decode(b->nonce, 12, v->nonce), 0);
    assert_int_equal(hex_decode(b->aad, 20, v->aad), 0);
    assert_int_equal(hex_decode(b->plain, 60, v->plain), 0);
    assert_int_equal(hex_decode(b->sealed, 76, v->sealed), 0);
}

static void published_vectors(void **state)
{
    struct bytes b;
    uint8_t out[76];

    for (size_t i = 0; i < 2; i++) {
        const struct vector *v = &vectors[i];
        load(&b, v);
        assert_int_equal(aead_seal(out, b.key, v->key_len, b.nonce, b.aad, 20, b.plain, 60), 0);
        assert_memory_equal(out, b.sealed, 76);
        assert_int_equal(aead_open(out, b.key, v->key_len, b.nonce, b.aad, 20, b.sealed, 76), 0);
        assert_memory_equal(out, b.plain, 60);
    }
}

static void every_bit_counts(void **state)
{
    static const uint8_t zero[60];
    struct bytes b;
    uint8_t out[60];

    load(&b, &vectors[1]);
    for (size_t bit = 0; bit < 76 * 8; bit++) {
        b.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(out, 0xee, sizeof(out));
        assert_int_equal(aead_open(out, b.key, 32, b.nonce, b.aad, 20, b.sealed, 76), -EBADMSG);
        assert_memory_equal(out, zero, 60); // nothing of what was not authentic is given out
        b.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    b.aad[3] ^= 1;
    assert_int_equal(aead_open(out, b.key, 32, b.nonce, b.aad, 20, b.sealed, 76), -EBADMSG);
    b.aad[3] ^= 1;
    b.nonce[11] ^= 1;
    assert_int_equal(aead_open(out, b.key, 32, b.nonce, b.aad, 20, b.sealed, 76), -EBADMSG);
    b.nonce[11] ^= 1;
    assert_int_equal(aead_open(out, b.key, 16, b.nonce, b.aad, 20, b.sealed, 76), -EBADMSG);
    assert_int_equal(aead_open(out, b.key, 32, b.nonce, b.aad, 20, b.sealed, 76), 0);
}

static void lengths(void **state)
{
    struct bytes b;
    uint8_t out[76];

    load(&b, &vectors[0]);
    assert_int_equal(aead_seal(out, b.key, 24, b.nonce, NULL, 0, b.plain, 4), -EINVAL);
    assert_int_equal(aead_open(out, b.key, 24, b.nonce, NULL, 0, b.sealed, 20), -EINVAL);
    for (size_t len = 0; len < AEAD_TAG_LEN; len++)
        assert_int_equal(aead_open(out, b.key, 16, b.nonce, NULL, 0, b.sealed, len), -EBADMSG);
    assert_int_equal(aead_seal(out, b.key, 16, b.nonce, NULL, 0, NULL, 0), 0);
    assert_int_equal(aead_open(NULL, b.key, 16, b.nonce, NULL, 0, out, AEAD_TAG_LEN), 0);
}

static void *seal_and_open(void *arg)
{
    struct bytes b;
    uint8_t out[76], back[60];

    load(&b, &vectors[1]);
    for (int i = 0; i < 500; i++) {
        if (aead_seal(out, b.key, 32, b.nonce, b.aad, 20, b.plain, 60) ||
            memcmp(out, b.sealed, 76) != 0 ||
            aead_open(back, b.key, 32, b.nonce, b.aad, 20, out, 76) ||
            memcmp(back, b.plain, 60) != 0)
            return arg;
    }
    return NULL;
}

static void threads_do_not_share(void **state)
{
    pthread_t t[4];
    void *failed;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, seal_and_open, state), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(lengths),
        cmocka_unit_test(threads_do_not_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
