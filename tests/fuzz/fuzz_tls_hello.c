// SPDX-License-Identifier: BSD-2-Clause
// Input: the beginning of a connection. However it is cut, what is said of it is the same.
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "net/tls_hello.h"

static size_t look(const uint8_t *data, size_t len, bool *http)
{
    uint8_t *copy = malloc(len); // so that what lies behind it is out of bounds
    CHECK(copy);
    memcpy(copy, data, len);
    size_t wants = tls_hello_look(copy, len, http);
    CHECK(wants == 0 || (wants > len && wants <= TLS_HELLO_MAX && !*http));
    free(copy);
    return wants;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool http, at_once;
    size_t cap = size < TLS_HELLO_MAX ? size : TLS_HELLO_MAX, len = 1, wants;
    if (size == 0)
        return 0;
    while ((wants = look(data, len, &http)) && wants <= cap) {
        CHECK(look(data, len + (wants - len) / 2, &at_once) == wants);
        len = wants;
    }
    CHECK(look(data, cap, &at_once) == wants);
    CHECK(at_once == http);
    CHECK(wants == 0 || cap < TLS_HELLO_MAX);
    return 0;
}
