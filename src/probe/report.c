// SPDX-License-Identifier: BSD-2-Clause
#include "probe/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/clock.h"
#include "util/codec.h"

#define WIDTH 100
#define INDENT 30 // where the text of a step begins

int report_begin(struct report *r, bool json, const char *command, const char *uri)
{
    *r = (struct report){.json = json, .begin = clock_us()};
    if (!json) {
        r->tty = isatty(STDOUT_FILENO);
        return 0;
    }
    r->root = json_pack("{s:s, s:s, s:b, s:[]}", "command", command, "uri", uri, "ok", 0, "steps");
    r->steps = json_object_get(r->root, "steps");
    if (!r->root) { // not UTF-8
        r->root = json_pack("{s:s, s:o, s:b, s:[]}", "command", command, "uri",
                            json_wire(uri, strlen(uri)), "ok", 0, "steps");
        r->steps = json_object_get(r->root, "steps");
    }
    return r->root ? 0 : -ENOMEM;
}

const char *report_time(int64_t us, char buf[16])
{
    if (us >= 999950)
        snprintf(buf, 16, "%.2f s", (double)us / 1e6);
    else
        snprintf(buf, 16, us < 9995 ? "%.2f ms" : "%.1f ms", (double)us / 1e3);
    return buf;
}

json_t *json_addr(const struct addr *a)
{
    char text[ADDR_STRLEN];
    return a->family == ADDR_NONE ? json_null() : json_string(addr_format(a, text));
}

json_t *json_ms(int64_t us)
{
    return json_real((double)us / 1000.0);
}

json_t *json_wire(const void *text, size_t len)
{
    char escaped[REPORT_TEXT];
    json_t *j = utf8_valid(text, len) && !memchr(text, 0, len) ? json_stringn(text, len) : NULL;
    return j ? j : json_string(text_escape(escaped, sizeof(escaped), text, len));
}

// Prints a text over as many lines as it needs, the first behind what stands there already.
static void print_wrapped(int indent, int column, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (column > indent && column + 1 + (int)len > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)len, text);
        column += (int)len;
        text += len;
        if (*text == '\n') {
            printf("\n%*s", indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

static void clear_progress(struct report *r)
{
    if (r->progress_shown)
        printf("\r\033[K");
    r->progress_shown = false;
}

void step_begin(struct report *r, const char *name)
{
    r->step = name;
    r->step_begin = clock_us();
    r->text[0] = r->notes[0] = '\0';
    r->facts = r->json ? json_pack("{s:s}", "step", name) : NULL;
    step_progress(r, "...");
}

static void __attribute__((format(printf, 3, 0)))
append(char *buf, size_t cap, const char *fmt, va_list ap)
{
    size_t len = strlen(buf);
    vsnprintf(buf + len, cap - len, fmt, ap);
}

void step_text(struct report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
}

void step_note(struct report *r, const char *fmt, ...)
{
    va_list ap;
    size_t len = strlen(r->notes);

    if (len + 2 < sizeof(r->notes) && len > 0)
        strcpy(r->notes + len, "\n");
    va_start(ap, fmt);
    append(r->notes, sizeof(r->notes), fmt, ap);
    va_end(ap);
}

void step_fact(struct report *r, const char *key, json_t *value)
{
    if (!r->facts)
        json_decref(value);
    else if (json_object_set_new(r->facts, key, value) < 0)
        r->out_of_memory = true;
}

void step_fact_text(struct report *r, const char *key, const char *value)
{
    if (r->facts)
        step_fact(r, key, json_wire(value, strlen(value)));
}

void step_fact_addr(struct report *r, const char *key, const struct addr *a)
{
    if (r->facts)
        step_fact(r, key, json_addr(a));
}

void step_progress(struct report *r, const char *fmt, ...)
{
    va_list ap;
    if (!r->tty)
        return;
    printf("\r\033[K  %-11s ", r->step);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    fflush(stdout);
    r->progress_shown = true;
}

static void print_step(struct report *r, const char *status, int64_t took)
{
    char time[16];
    clear_progress(r);
    printf("  %-11s %-6s %8s ", r->step, status, report_time(took, time));
    print_wrapped(INDENT, INDENT, r->text);
    if (r->notes[0]) {
        printf("%*s", INDENT, "");
        print_wrapped(INDENT, INDENT, r->notes);
    }
}

static void end_step(struct report *r, const char *status, const char *json_status)
{
    int64_t took = clock_us() - r->step_begin;
    if (r->json) {
        step_fact_text(r, "status", json_status);
        step_fact(r, "ms", json_ms(took));
        if (json_array_append_new(r->steps, r->facts) < 0)
            r->out_of_memory = true;
        r->facts = NULL;
    } else {
        print_step(r, status, took);
        fflush(stdout);
    }
    r->step = NULL;
}

void step_ok(struct report *r)
{
    end_step(r, "ok", "ok");
}

void step_warn(struct report *r, const char *fmt, ...)
{
    va_list ap;
    if (r->text[0])
        step_text(r, ": ");
    va_start(ap, fmt);
    append(r->text, sizeof(r->text), fmt, ap);
    va_end(ap);
    step_fact_text(r, "text", r->text);
    end_step(r, "warn", "warning");
}

static void print_advice(const struct advice *advice)
{
    printf("\n  What it means   ");
    print_wrapped(18, 18, advice->means);
    for (int i = 0; i < ADVICE_CHECKS && advice->check[i]; i++) {
        printf("  %-15s ", i == 0 ? "What to check" : "");
        printf("- ");
        print_wrapped(20, 20, advice->check[i]);
    }
}

static void set_failure(struct report *r, const char *step, const char *code, const char *text,
                        const struct advice *advice)
{
    json_t *checks = json_array(), *failure;
    for (int i = 0; advice && i < ADVICE_CHECKS && advice->check[i]; i++)
        json_array_append_new(checks, json_string(advice->check[i]));
    failure = json_pack("{s:s, s:s, s:o, s:s*, s:o}", "step", step, "code", code, "text",
                        json_wire(text, strlen(text)), "means", advice ? advice->means : NULL,
                        "check", checks);
    report_fact(r, "failure", failure);
}

void step_fail(struct report *r, const char *code, const struct advice *advice, const char *fmt,
               ...)
{
    char text[REPORT_TEXT];
    const char *step = r->step;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (r->json)
        set_failure(r, step, code, text, advice);
    step_text(r, "%s%s", r->text[0] ? ": " : "", text);
    step_fact_text(r, "code", code);
    step_fact_text(r, "text", r->text);
    end_step(r, "FAILED", "failed");
    if (!r->json && advice)
        print_advice(advice);
}

void report_line(struct report *r, const char *fmt, ...)
{
    va_list ap;
    if (r->json)
        return;
    clear_progress(r);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

void report_paragraph(struct report *r, const char *head, const char *text)
{
    if (r->json)
        return;
    printf("  %-15s ", head);
    print_wrapped(18, 18, text);
}

void report_fact(struct report *r, const char *key, json_t *value)
{
    if (!r->root)
        json_decref(value);
    else if (json_object_set_new(r->root, key, value) < 0)
        r->out_of_memory = true;
}

int report_end(struct report *r, bool ok)
{
    bool written = true;
    if (r->json) {
        report_fact(r, "ok", json_boolean(ok));
        report_fact(r, "ms", json_ms(clock_us() - r->begin));
        // ASCII: a terminal obeys C1 controls and direction marks in names, too.
        written = !r->out_of_memory &&
                  json_dumpf(r->root, stdout,
                             JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII |
                                 JSON_REAL_PRECISION(6)) == 0 &&
                  putchar('\n') != EOF;
        json_decref(r->root);
    }
    if (fflush(stdout) != 0 || !written) {
        fputs("turnpike-probe: the output cannot be written\n", stderr);
        return 1;
    }
    return ok ? 0 : 1;
}
