// SPDX-License-Identifier: BSD-2-Clause
#include "util/rand.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/rand.h>

void rand_bytes(void *buf, size_t len)
{
    unsigned char *p = buf;
    while (len > 0) {
        int n = len > INT_MAX ? INT_MAX : (int)len;
        if (RAND_bytes(p, n) != 1)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

// Lemire, "Fast random integer generation in an interval": the high half of a product is uniform
// once the few low halves that would favour some results are thrown away.
uint32_t rand_uniform(uint32_t bound)
{
    uint32_t x;
    uint64_t product;

    assert(bound > 0);
    do {
        rand_bytes(&x, sizeof(x));
        product = (uint64_t)x * bound;
    } while ((uint32_t)product < -bound % bound);
    return (uint32_t)(product >> 32);
}
