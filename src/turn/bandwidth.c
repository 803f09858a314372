// SPDX-License-Identifier: BSD-2-Clause
#include "turn/bandwidth.h"

#define NS_PER_MS INT64_C(1000000)
#define BITS_NS UINT64_C(8000000000) // bits of a byte times ns of a second
#define BYTES_MAX (1u << 30)         // keeps the products within 64 bits

// The time that bytes are worth, at least 1 ns.
static int64_t cost_ns(uint64_t bps, size_t bytes)
{
    uint64_t n = bytes < BYTES_MAX ? bytes : BYTES_MAX;
    return (int64_t)((n * BITS_NS + bps - 1) / bps);
}

static int64_t burst_ns(uint64_t bps)
{
    int64_t datagram = cost_ns(bps, BANDWIDTH_BURST_BYTES);
    return datagram > BANDWIDTH_BURST_MS * NS_PER_MS ? datagram : BANDWIDTH_BURST_MS * NS_PER_MS;
}

static int64_t latest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// What was let through by another limit counts as a full bucket by this one at most: hours that a
// low one owed end with it. Workers learn of a new limit one after the other; a full bucket more
// than once gives nobody anything.
static void change_limit(struct bandwidth *b, uint64_t bps, int64_t full)
{
    atomic_store_explicit(&b->bps, bps, memory_order_relaxed);
    long long due = atomic_load_explicit(&b->due_ns, memory_order_relaxed);
    while (due > full && !atomic_compare_exchange_weak_explicit(
                             &b->due_ns, &due, full, memory_order_relaxed, memory_order_relaxed))
        ;
}

bool bandwidth_take(struct bandwidth *b, uint64_t bps, size_t bytes, int64_t now_ms)
{
    if (bps == 0 || bytes == 0)
        return true;
    int64_t now = now_ms * NS_PER_MS, full = now + burst_ns(bps), cost = cost_ns(bps, bytes);
    if (atomic_load_explicit(&b->bps, memory_order_relaxed) != bps)
        change_limit(b, bps, full);
    long long due = atomic_load_explicit(&b->due_ns, memory_order_relaxed), next;
    do {
        next = latest(due, now) + cost;
        if (next > full)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->due_ns, &due, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void bandwidth_give_back(struct bandwidth *b, uint64_t bps, size_t bytes)
{
    if (bps && bytes)
        atomic_fetch_sub_explicit(&b->due_ns, cost_ns(bps, bytes), memory_order_relaxed);
}

int64_t bandwidth_charge(struct bandwidth *b, uint64_t bps, size_t bytes, int64_t now_ms)
{
    if (bps == 0 || bytes == 0)
        return 0;
    int64_t now = now_ms * NS_PER_MS, burst = burst_ns(bps), cost = cost_ns(bps, bytes);
    if (cost > burst)
        cost = burst;
    if (atomic_load_explicit(&b->bps, memory_order_relaxed) != bps)
        change_limit(b, bps, now + burst);
    long long due = atomic_load_explicit(&b->due_ns, memory_order_relaxed), next;
    do {
        next = latest(due, now) + cost;
        if (next > now + 2 * burst) // who reads on all the same
            next = now + 2 * burst;
    } while (!atomic_compare_exchange_weak_explicit(&b->due_ns, &due, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    int64_t over = next - now - burst;
    return over > 0 ? (over + NS_PER_MS - 1) / NS_PER_MS : 0;
}

bool bandwidth_drop(struct bandwidth *b, int64_t now_ms, uint32_t *count)
{
    uint32_t dropped = atomic_fetch_add_explicit(&b->dropped, 1, memory_order_relaxed) + 1;
    uint32_t told = atomic_load_explicit(&b->told_s, memory_order_relaxed);
    uint32_t now_s = (uint32_t)(now_ms / 1000);
    if (told && now_s - told < BANDWIDTH_TELL_SECONDS)
        return false;
    // 0 marks a new bucket, so a clock that starts there is moved by a second.
    if (!atomic_compare_exchange_strong_explicit(&b->told_s, &told, now_s ? now_s : 1,
                                                 memory_order_relaxed, memory_order_relaxed))
        return false; // another thread does
    *count = dropped - atomic_exchange_explicit(&b->told, dropped, memory_order_relaxed);
    return true;
}
