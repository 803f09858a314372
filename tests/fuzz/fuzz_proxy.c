// SPDX-License-Identifier: BSD-2-Clause
// Input: the beginning of a connection. What is said of a header must not depend on how it is cut.
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "net/proxy.h"

// Of a copy without a byte to spare, so that a sanitizer sees a look past the end.
static int parse(struct proxy_header *out, const uint8_t *data, size_t len)
{
    const char *why = NULL;
    uint8_t *copy = malloc(len + 1);
    if (!copy)
        abort();
    uint8_t *exact = realloc(copy, len ? len : 1);
    if (!exact)
        abort();
    if (len)
        memcpy(exact, data, len);
    int got = proxy_parse(out, exact, len, &why);
    free(exact);
    CHECK(got >= 0 || (got == -EPROTO && why));
    CHECK(got <= (int)len && got <= PROXY_HEADER_MAX);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole, part;
    int len = parse(&whole, data, size);
    CHECK(len != 0 || size < PROXY_HEADER_MAX);
    if (len > 0) {
        CHECK(whole.local == (whole.client.family == ADDR_NONE));
        CHECK(whole.dest.family == whole.client.family);
    }
    for (size_t n = 0; n < size && n < 300; n++) {
        int got = parse(&part, data, n);
        if (len > 0 && n < (size_t)len)
            CHECK(got == 0);
        else if (len > 0)
            CHECK(got == len && !memcmp(&part, &whole, sizeof part));
        else
            CHECK(got == 0 || len < 0);
    }
    return 0;
}
