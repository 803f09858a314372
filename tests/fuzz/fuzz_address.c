// SPDX-License-Identifier: BSD-2-Clause
// Any text as an address, with and without a port, and as a range: what is taken can be written and
// read again, and a range holds its ends and nothing of the other family.
#include "fuzz.h"

#include <string.h>

#include "util/addr.h"

static void check_address(const char *text)
{
    char out[ADDR_STRLEN];
    struct addr a, again;

    if (addr_parse_ip(&a, text, 7) == 0) {
        CHECK(a.port == 7 && addr_ip_len(&a) > 0 && a.zero == 0);
        CHECK(addr_parse_ip(&again, addr_format_ip(&a, out), 7) == 0 && addr_equal(&a, &again));
    } else {
        CHECK(a.family == ADDR_NONE);
    }
    if (addr_parse(&a, text) == 0) {
        CHECK(addr_ip_len(&a) > 0 && a.zero == 0);
        CHECK(addr_parse(&again, addr_format(&a, out)) == 0 && addr_equal(&a, &again));
    }
}

static struct addr end_of(const struct addr_range *r, const uint8_t ip[16])
{
    struct addr a = {.family = r->family};
    memcpy(a.ip, ip, sizeof(a.ip));
    return a;
}

static void check_range(const char *text)
{
    struct addr_range r;
    const char *why = NULL;

    if (addr_range_parse(&r, text, &why) < 0) {
        CHECK(why && *why);
        return;
    }
    struct addr first = end_of(&r, r.first), last = end_of(&r, r.last), other = first;
    CHECK(addr_range_contains(&r, &first) && addr_range_contains(&r, &last));
    CHECK(memcmp(r.first, r.last, sizeof(r.first)) <= 0);
    other.family = r.family == ADDR_IPV4 ? ADDR_IPV6 : ADDR_IPV4;
    CHECK(!addr_range_contains(&r, &other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_address(text);
    check_range(text);
    free(text);
    return 0;
}
