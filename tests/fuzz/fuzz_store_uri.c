// SPDX-License-Identifier: BSD-2-Clause
// Any text as the URI of a store: what is taken says where to go, and what is refused is refused
// with a reason.
#include "fuzz.h"

#include <string.h>

#include "auth/uri.h"

static void check_parsed(const struct store_uri *u)
{
    CHECK(memchr(u->path, 0, sizeof(u->path)) && memchr(u->user, 0, sizeof(u->user)));
    CHECK(memchr(u->password, 0, sizeof(u->password)) && memchr(u->master, 0, sizeof(u->master)));
    CHECK(u->endpoint_count <= URI_ENDPOINTS_MAX);
    CHECK(u->kind == STORE_KIND_SQLITE || u->path[0] || u->endpoint_count > 0);
    CHECK(u->kind != STORE_KIND_SQLITE || (u->path[0] && strchr(u->path, '/')));
    CHECK(u->kind != STORE_KIND_REDIS || u->endpoint_count <= 1);
    CHECK(u->kind != STORE_KIND_SENTINEL || (u->master[0] && u->endpoint_count > 0));
    for (unsigned i = 0; i < u->endpoint_count; i++)
        CHECK(u->endpoint[i].host[0] && u->endpoint[i].port > 0 &&
              memchr(u->endpoint[i].host, 0, sizeof(u->endpoint[i].host)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stores_endpoint endpoints[2];
    struct store_uri u;
    const char *why = NULL;
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (store_uri_parse(&u, text, &why) < 0) {
        CHECK(why && *why && stores_endpoints(text, endpoints, 2) == 0);
    } else {
        check_parsed(&u);
        CHECK(stores_endpoints(text, endpoints, 2) ==
              (u.endpoint_count < 2 ? u.endpoint_count : 2));
    }
    free(text);
    return 0;
}
