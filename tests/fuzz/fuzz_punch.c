// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as a code, and as a message of the other probe: signed, so that the reader behind the
// signature is reached.
#include "fuzz.h"

#include <string.h>

#include "probe/punch_message.h"
#include "stun/integrity.h"

static const uint8_t key[PUNCH_KEY_LEN] = "0123456789abcde";

static void check_code(const uint8_t *data, size_t size)
{
    struct punch_code code, again;
    char out[PUNCH_CODE_LEN], *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (punch_code_decode(&code, text) == 0) {
        CHECK(punch_code_decode(&again, punch_code_encode(out, &code)) == 0);
        CHECK(addr_equal(&again.relayed, &code.relayed));
        CHECK(memcmp(again.key, code.key, PUNCH_KEY_LEN) == 0);
    }
    free(text);
}

static void check_message(const uint8_t *data, size_t size)
{
    static uint8_t signed_data[4096];
    uint8_t mac[32], again[PUNCH_MESSAGE_LEN];
    struct punch_message m;

    if (size > sizeof(signed_data) - 16)
        return;
    CHECK(punch_message_decode(&m, data, size, key) != 0);
    memcpy(signed_data, data, size);
    CHECK(hmac_sha256(mac, key, PUNCH_KEY_LEN, signed_data, size) == 0);
    memcpy(signed_data + size, mac, 16);
    if (punch_message_decode(&m, signed_data, size + 16, key) == 0) {
        CHECK(m.candidate_count <= PUNCH_CANDIDATES);
        CHECK(punch_message_encode(again, sizeof(again), &m, key) == size + 16);
        CHECK(memcmp(again, signed_data, size + 16) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_code(data, size);
    check_message(data, size);
    return 0;
}
