// SPDX-License-Identifier: BSD-2-Clause
// The URLs of iceServers, for every kind of listener.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/ice.h"

static void append(const char *url, void *arg)
{
    char *all = arg;
    assert_true(strlen(url) < CONF_ICE_URL_MAX);
    snprintf(all + strlen(all), 4096 - strlen(all), "%s ", url);
}

static void assert_urls(const char *settings, const char *host, const char *stun, const char *turn)
{
    char text[2048], all[4096];
    struct conf_errors errors;
    struct conf *c = NULL;
    if (settings) {
        snprintf(text, sizeof text, "realm = \"example.org\";\n%s", settings);
        c = conf_load_text(text, "t.conf", false, NULL, 0, &errors);
        if (!c)
            print_error("%s", errors.text);
        assert_non_null(c);
    }
    *all = '\0';
    conf_ice_urls(c, CONF_ICE_STUN, host, "example.org", append, all);
    assert_string_equal(all, stun);
    *all = '\0';
    conf_ice_urls(c, CONF_ICE_TURN, host, "example.org", append, all);
    assert_string_equal(all, turn);
    conf_free(c);
}

#define LISTEN(transport, address, port)                                                           \
    "{ transport = \"" transport "\"; address = \"" address "\"; port = " port "; }"
#define TLS "tls = { certificate = \"/c.pem\"; key = \"/k.pem\"; };\n"

static void transports(void **state)
{
    assert_urls("listen = ( " LISTEN("udp", "192.0.2.1", "1000") ", " LISTEN("tcp", "192.0.2.1",
                                                                             "1001") " );",
                NULL, "stun:192.0.2.1:1000 ",
                "turn:192.0.2.1:1000?transport=udp turn:192.0.2.1:1001?transport=tcp ");
    assert_urls(TLS "listen = ( " LISTEN("tls", "192.0.2.1", "5349") " );", NULL, "",
                "turns:192.0.2.1:5349?transport=tcp ");
    assert_urls(TLS "listen = ( " LISTEN("tcp+tls", "192.0.2.1", "443") " );", NULL, "",
                "turn:192.0.2.1:443?transport=tcp turns:192.0.2.1:443?transport=tcp ");
    // No browser speaks DTLS to a relay.
    assert_urls(TLS "listen = ( " LISTEN("dtls", "192.0.2.1", "5349") " );", NULL, "", "");
    assert_urls(TLS "listen = ( " LISTEN("udp+dtls", "192.0.2.1", "3478") " );", NULL,
                "stun:192.0.2.1:3478 ", "turn:192.0.2.1:3478?transport=udp ");
}

static void hosts(void **state)
{
    static const char any[] = "listen = ( " LISTEN("udp", "*", "3478") " );";
    static const char v6[] = "listen = ( " LISTEN("udp", "2001:db8::1", "3478") " );";
    assert_urls(any, NULL, "stun:example.org:3478 ", "turn:example.org:3478?transport=udp ");
    assert_urls(v6, NULL, "stun:[2001:db8::1]:3478 ", "turn:[2001:db8::1]:3478?transport=udp ");
    assert_urls(v6, "turn.example.org", "stun:turn.example.org:3478 ",
                "turn:turn.example.org:3478?transport=udp ");
    assert_urls(any, "2001:db8::2", "stun:[2001:db8::2]:3478 ",
                "turn:[2001:db8::2]:3478?transport=udp ");
    assert_urls(any, "[2001:db8::2]", "stun:[2001:db8::2]:3478 ",
                "turn:[2001:db8::2]:3478?transport=udp ");
    assert_urls(any, "192.0.2.9", "stun:192.0.2.9:3478 ", "turn:192.0.2.9:3478?transport=udp ");
    char text[1024];
    snprintf(text, sizeof text, "%srelay = { addresses = [ \"10.0.0.5\", \"10.0.0.6\" ]; };", any);
    assert_urls(text, NULL, "stun:10.0.0.5:3478 ", "turn:10.0.0.5:3478?transport=udp ");
    snprintf(text, sizeof text,
             "%srelay = { addresses = [ \"10.0.0.5\" ]; external = [ \"10.0.0.5/192.0.2.7\" ]; };",
             any);
    assert_urls(text, NULL, "stun:192.0.2.7:3478 ", "turn:192.0.2.7:3478?transport=udp ");
}

static void once_each(void **state)
{
    assert_urls("listen = ( " LISTEN("udp", "192.0.2.1", "3478") ", " LISTEN("udp", "192.0.2.2",
                                                                             "3478") " );",
                "turn.example.org", "stun:turn.example.org:3478 ",
                "turn:turn.example.org:3478?transport=udp ");
    assert_urls("listen = ( " LISTEN("udp", "192.0.2.1", "3478") ", " LISTEN("udp", "192.0.2.2",
                                                                             "3478") " );",
                NULL, "stun:192.0.2.1:3478 stun:192.0.2.2:3478 ",
                "turn:192.0.2.1:3478?transport=udp turn:192.0.2.2:3478?transport=udp ");
    assert_urls(TLS "listen = ( " LISTEN("tcp", "192.0.2.1",
                                         "443") ", " LISTEN("tcp+tls", "192.0.2.2", "443") " );",
                "a.example", "",
                "turn:a.example:443?transport=tcp turns:a.example:443?transport=tcp ");
}

static void without_a_configuration(void **state)
{
    assert_urls(NULL, NULL, "stun:example.org:3478 ",
                "turn:example.org:3478?transport=udp turn:example.org:3478?transport=tcp ");
}

static void longest_names(void **state)
{
    char host[256], stun[300], turn[400];
    memset(host, 'a', 255);
    host[255] = '\0';
    snprintf(stun, sizeof stun, "stun:%s:65535 ", host);
    snprintf(turn, sizeof turn, "turn:%s:65535?transport=udp ", host);
    assert_urls("listen = ( " LISTEN("udp", "*", "65535") " );", host, stun, turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transports),    cmocka_unit_test(hosts),
        cmocka_unit_test(once_each),     cmocka_unit_test(without_a_configuration),
        cmocka_unit_test(longest_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
