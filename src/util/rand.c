// SPDX-License-Identifier: BSD-2-Clause
#include "util/rand.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

// Random bytes in stock: the generator's overhead (its locks, a system call to see whether the
// process has forked) is many times the price of the few bytes that a port takes.
#define STOCK 512

static _Thread_local struct {
    uint8_t bytes[STOCK];
    size_t left;
} stock;

// OpenSSL makes a generator for each thread when it first asks, of memory that may not be there.
// The kernel's needs none.
static void ask_kernel(unsigned char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); // better no server than one whose secrets can be guessed
        p += n;
        len -= (size_t)n;
    }
}

void rand_bytes(void *buf, size_t len)
{
    unsigned char *p = buf;
    while (len > 0) {
        int n = len > INT_MAX ? INT_MAX : (int)len;
        if (RAND_bytes(p, n) != 1)
            ask_kernel(p, (size_t)n);
        p += n;
        len -= (size_t)n;
    }
}

// A few bytes out of the stock, where no trace of them stays.
static void take(void *out, size_t len)
{
    if (stock.left < len) {
        rand_bytes(stock.bytes, sizeof(stock.bytes));
        stock.left = sizeof(stock.bytes);
    }
    uint8_t *p = stock.bytes + stock.left - len;
    memcpy(out, p, len);
    OPENSSL_cleanse(p, len);
    stock.left -= len;
}

// Lemire, "Fast random integer generation in an interval": the high half of a product is uniform
// once the few low halves that would favour some results are thrown away.
uint32_t rand_uniform(uint32_t bound)
{
    uint32_t x;
    uint64_t product;

    assert(bound > 0);
    do {
        take(&x, sizeof(x));
        product = (uint64_t)x * bound;
    } while ((uint32_t)product < -bound % bound);
    return (uint32_t)(product >> 32);
}
