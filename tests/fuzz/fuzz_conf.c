// SPDX-License-Identifier: BSD-2-Clause
// Any text as a configuration: either mistakes are told, or what is printed of it loads again as
// the same.
#include "fuzz.h"

#include <string.h>

#include "conf/conf.h"

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    CHECK(f);
    conf_print(c, f);
    CHECK(fclose(f) == 0 && text);
    return text;
}

static void check_loaded(const struct conf *c)
{
    CHECK(c->realm && *c->realm && c->listen_count > 0 && c->log.target);
    CHECK(c->relay.port_min > 0 && c->relay.port_min <= c->relay.port_max);
    CHECK(c->limits.lifetime <= c->limits.lifetime_max);
    for (size_t i = 0; i < c->listen_count; i++)
        CHECK(c->listen[i].addr.port > 0 &&
              c->listen[i].any == (c->listen[i].addr.family == ADDR_NONE));
    for (size_t i = 0; i < c->auth.user_count; i++)
        CHECK(c->auth.users[i].name && !c->auth.users[i].password != !c->auth.users[i].key);
    for (size_t i = 0; i < c->relay.address_count; i++)
        CHECK(c->relay.addresses[i].family != ADDR_NONE);
}

static void check_round_trip(const struct conf *c)
{
    struct conf_errors errors;
    char *first = print(c), *second;
    struct conf *again = conf_load_text(first, "printed", false, NULL, 0, &errors);
    // What is hidden cannot come back, and nothing else may fail.
    if (!again) {
        CHECK(strstr(first, "<hidden>"));
        free(errors.text);
        free(first);
        return;
    }
    second = print(again);
    CHECK(strcmp(first, second) == 0);
    conf_free(again);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_errors errors;
    struct conf *c;
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    c = conf_load_text(text, "fuzz", size % 2, NULL, 0, &errors);
    CHECK((c == NULL) == (errors.count > 0));
    CHECK((errors.text == NULL) == (errors.count == 0));
    if (c) {
        check_loaded(c);
        check_round_trip(c);
    }
    conf_free(c);
    free(errors.text);
    free(text);
    return 0;
}
