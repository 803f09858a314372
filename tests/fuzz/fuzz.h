// SPDX-License-Identifier: BSD-2-Clause
// What libFuzzer and replay.c call.
#ifndef TP_TESTS_FUZZ_FUZZ_H
#define TP_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// An invariant of the code under test. Aborting is what libFuzzer takes for a finding.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
