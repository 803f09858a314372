// SPDX-License-Identifier: BSD-2-Clause
// The HTTP server: whether there is one, and texts of the group signal.
#include <config.h>

#include <ctype.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/option.h"
#include "util/addr.h"

bool conf_serves_http(const struct conf *c)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (c->listen[i].http)
            return true;
    return c->signal.listen.addr.port;
}

int conf_check_host(const char *text, const char **why)
{
    struct addr a;
    return addr_parse_ip(&a, text, 0) < 0 ? conf_check_domain(text, why) : 0;
}

// RFC 6454 section 6.2, as browsers write it: in lower case, without the default port.
int conf_check_origin(const char *text, const char **why)
{
    static const char no[] = "is not an origin, allowed are \"*\" and the likes of "
                             "\"https://app.example.org\" and \"http://localhost:8000\"";
    const char *host = strstr(text, "://");
    if (strcmp(text, "*") == 0)
        return 0;
    if (!host || host == text || !host[3])
        return conf_refuse(why, no);
    for (const char *p = text; *p; p++)
        if (isupper((unsigned char)*p) || (!isalnum((unsigned char)*p) && !strchr("+-._:/[]", *p)))
            return conf_refuse(why, no);
    return strchr(host + 3, '/') ? conf_refuse(why, no) : 0;
}
