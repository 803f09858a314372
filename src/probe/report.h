// SPDX-License-Identifier: BSD-2-Clause
// What a probe says: steps, each with its time, as aligned text or as one JSON object.
#ifndef TP_PROBE_REPORT_H
#define TP_PROBE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "util/addr.h"

#define REPORT_TEXT 1024

// What a failure means and what to check; texts are static. A list ends with NULL.
#define ADVICE_CHECKS 4
struct advice {
    const char *means;
    const char *check[ADVICE_CHECKS + 1];
};

struct report {
    bool json;
    bool tty; // standard output is a terminal: a running step is shown
    bool progress_shown;
    int64_t begin, step_begin; // us
    const char *step;          // the running one, NULL: none
    char text[REPORT_TEXT];    // of the running step
    char notes[4 * REPORT_TEXT];
    json_t *root, *steps, *facts;
    bool out_of_memory;
};

// Begins the output. uri is what the user has written. 0, or -ENOMEM.
int report_begin(struct report *r, bool json, const char *command, const char *uri);

// A step begins; name is static, at most 11 characters.
void step_begin(struct report *r, const char *name);
// Adds to the one line of the running step.
void step_text(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A line below it.
void step_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A fact of the running step for JSON; takes the reference.
void step_fact(struct report *r, const char *key, json_t *value);
void step_fact_text(struct report *r, const char *key, const char *value);
void step_fact_addr(struct report *r, const char *key, const struct addr *a);
// What is going on, for who watches a terminal.
void step_progress(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// The end of a step that went well.
void step_ok(struct report *r);
// Neither good nor the end, such as an address that does not answer while there are others.
void step_warn(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The end of the step, with a code for programs (static, "timeout", "401") and a text for people.
// advice may be NULL.
void step_fail(struct report *r, const char *code, const struct advice *advice, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

// A line outside of the steps, and a paragraph that is wrapped. Text only.
void report_line(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_paragraph(struct report *r, const char *head, const char *text);
// A fact of the whole; takes the reference.
void report_fact(struct report *r, const char *key, json_t *value);

// Writes JSON where that was asked for, frees, and gives ok back as the exit status: 0 or 1.
int report_end(struct report *r, bool ok);

// "192.0.2.1:3478" for JSON; null for ADDR_NONE.
json_t *json_addr(const struct addr *a);
// Milliseconds with three digits.
json_t *json_ms(int64_t us);
// Text of the network, which need not be UTF-8.
json_t *json_wire(const void *text, size_t len);

// "0.12 ms", "12.3 ms", "3.40 s". Returns buf.
const char *report_time(int64_t us, char buf[16]);

#endif
