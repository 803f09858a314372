// SPDX-License-Identifier: BSD-2-Clause
#ifndef TP_BENCH_OPTIONS_TABLE_H
#define TP_BENCH_OPTIONS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum option_id {
    OPT_SERVER,
    OPT_TRANSPORT,
    OPT_USER,
    OPT_PASSWORD,
    OPT_PASSWORD_FILE,
    OPT_CA,
    OPT_INSECURE,
    OPT_CLIENTS,
    OPT_DIRECTION,
    OPT_SEND,
    OPT_PAYLOAD,
    OPT_RATE,
    OPT_BURST,
    OPT_PROFILE,
    OPT_OFFLOAD,
    OPT_WINDOW,
    OPT_REUSE_NONCE,
    OPT_CHURN,
    OPT_PACED,
    OPT_TICK,
    OPT_SECONDS,
    OPT_WARMUP,
    OPT_PATIENCE,
    OPT_THREADS,
    OPT_PID,
    OPT_PEER,
    OPT_SOURCE,
    OPT_PROTOCOL,
    OPT_DIALECT,
    OPT_PAIRS,
    OPT_IDLE,
    OPT_SIZE,
    OPT_JSON,
    OPT_HISTOGRAM,
    OPT_PLOT,
    OPT_OWN,
    OPTION_IDS,
};

enum option_kind {
    KIND_OTHER,
    KIND_NUMBER,  // uint32_t at offset
    KIND_SIZE,    // size_t
    KIND_SECONDS, // double; min is in tenths
    KIND_STRING,
    KIND_WORD, // of a list, or a flag at offset
};

struct option_row {
    enum option_id id;
    char letter;                 // 0: none
    const char *name, *argument; // argument NULL: none
    unsigned commands;           // BENCH_
    enum option_kind kind;
    size_t offset; // in struct bench_options
    uint32_t min, max;
    const char *help;
};

#define OPTION_ROWS 36
extern const struct option_row option_rows[OPTION_ROWS];

#endif
