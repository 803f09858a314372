// SPDX-License-Identifier: BSD-2-Clause
// Counts what is allocated and lets an allocation fail. The program is linked with
// $(alloc_hook_ldflags).
#ifndef TP_TESTS_ALLOC_HOOK_H
#define TP_TESTS_ALLOC_HOOK_H

extern long alloc_live;       // blocks that are not freed
extern long alloc_bytes;      // that they hold
extern long alloc_fail_at;    // counts down with each allocation: at 0 that one fails. < 0: none
extern long alloc_fail_count; // how many do from there on; 1
extern unsigned alloc_failed; // how many did

#endif
