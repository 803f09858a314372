// SPDX-License-Identifier: BSD-2-Clause
// Input: a user name, realm or password. What comes out is UTF-8 within its bounds, without control
// characters, and prepared already: twice is the same as once, or stored keys would never fit.
#include "fuzz.h"

#include <string.h>

#include "util/codec.h"
#include "util/opaque.h"

static char once[4 * 3 * OPAQUE_IN_MAX + 1], twice[sizeof(once)], small[16];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    int n = opaque_prepare(once, sizeof(once), data, size, &why);

    if (n < 0) {
        CHECK(why && *why);
        return 0;
    }
    CHECK(n > 0 && (size_t)n < sizeof(once) && strlen(once) == (size_t)n);
    CHECK(utf8_valid(once, (size_t)n));
    for (int i = 0; i < n; i++)
        CHECK((uint8_t)once[i] >= 0x20 && once[i] != 0x7f);
    if (n <= OPAQUE_IN_MAX) {
        CHECK(opaque_prepare(twice, sizeof(twice), once, (size_t)n, &why) == n);
        CHECK(memcmp(once, twice, (size_t)n) == 0);
    }
    int m = opaque_prepare(small, sizeof(small), data, size, &why);
    CHECK(m == n ? n < (int)sizeof(small) : m < 0);
    return 0;
}
