// SPDX-License-Identifier: BSD-2-Clause
#include "alloc_hook.h"

#include <stdbool.h>
#include <malloc.h>
#include <stddef.h>

long alloc_live;
long alloc_bytes;
long alloc_fail_at = -1;
long alloc_fail_count = 1;
unsigned alloc_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static bool fails(void)
{
    static long more;
    if (alloc_fail_at < 0 || alloc_fail_at-- > 0) {
        more = alloc_fail_count;
        return false;
    }
    if (--more > 0)
        alloc_fail_at = 0; // and the next one
    alloc_failed++;
    return true;
}

static void *counted(void *p)
{
    alloc_live += p != NULL;
    alloc_bytes += (long)malloc_usable_size(p);
    return p;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    size_t old = malloc_usable_size(p);
    if (fails())
        return NULL;
    void *q = __real_realloc(p, size);
    if (q) {
        alloc_live += p == NULL;
        alloc_bytes += (long)malloc_usable_size(q) - (long)old;
    }
    return q;
}

void __wrap_free(void *p)
{
    alloc_live -= p != NULL;
    alloc_bytes -= (long)malloc_usable_size(p);
    __real_free(p);
}
