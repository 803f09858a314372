// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as a URI: what is taken has a host that can be looked up or an address, and what is
// refused is refused with a reason.
#include "fuzz.h"

#include <string.h>

#include "probe/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe_uri uri;
    const char *why = NULL;
    char *text = malloc(size + 1);

    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (uri_parse(&uri, text, &why) < 0) {
        CHECK(why && *why);
        CHECK(uri.host[0] == '\0');
    } else {
        size_t len = strlen(uri.host);
        CHECK(len > 0 && len <= 253);
        CHECK(uri.literal == (uri.address.family != ADDR_NONE) && uri.address.port == 0);
        CHECK(uri.transport == TRANSPORT_NONE || transport_is_secure(uri.transport) == uri.secure);
        CHECK(uri.literal ||
              strspn(uri.host,
                     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len);
        CHECK(uri.literal || uri.host[len - 1] != '.');
    }
    free(text);
    return 0;
}
