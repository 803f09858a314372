// SPDX-License-Identifier: BSD-2-Clause
// Loading: every kind of mistake with its line, every one of several, defaults, overrides.
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"

#define R "realm = \"example.org\";\n"

// What loading text says; checks that something is wrong exactly when it says so. Freed by the
// caller.
static char *mistakes_of(const char *text, const struct conf_override *overrides, size_t n)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text(text, "t.conf", false, overrides, n, &errors);
    unsigned lines = 0;
    for (const char *p = errors.text; p && *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, errors.count);
    assert_true((c == NULL) == (errors.count > 0));
    conf_free(c);
    return errors.text;
}

struct mistake {
    const char *text;
    const char *says;
};

static void check_all(const struct mistake *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *says = mistakes_of(m[i].text, NULL, 0);
        if (!says)
            print_error("nothing wrong with: %s\n", m[i].text);
        assert_non_null(says);
        assert_string_equal(says, m[i].says);
        free(says);
    }
}
#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

static void syntax(void **state)
{
    static const struct mistake m[] = {
        {"\nrealm = example.org;\n",
         "t.conf:2: syntax error here or on the line before; a setting is written key = value; "
         "or key = \"text\";\n"},
        {"\xef\xbb\xbf" R,
         "t.conf:1: a byte order mark (U+FEFF): save the file as UTF-8 without one\n"},
        {R "listen = [ { transport = \"udp\"; } ];\n",
         "t.conf:2: groups stand in a list, ( { ... }, { ... } ), not in [ ]\n"},
        {R "\nworkers = 1;\nworkers = 2;\n",
         "t.conf:4: workers: the key is set twice in its group\n"},
        {R "workers = 1; workers = 2;\n", "t.conf:2: the key is set twice in its group\n"},
        {R "log = {\n level = \"info\";\n level = \"info\";\n};\n",
         "t.conf:4: level: the key is set twice in its group\n"},
        {R "relay = {\n  deny = [ \"192.0.2.1\", 5 ];\n};\n",
         "t.conf:3: the elements between [ and ] are not of one type\n"},
        {R "user = \"abc\n\n", "t.conf:2: the string that begins here has no end\n"},
        {R "\n/* never closed\n\n", "t.conf:3: the comment that begins here has no end\n"},
        {R "user = \"a\\x00b\";\n", "t.conf:2: \\x00 cannot be part of a string\n"},
        {R "\nuser \"x\";\n",
         "t.conf:3: text in quotes where none can be: a setting is written key = value;\n"},
        {R "user = \"x\", \"y\";\n",
         "t.conf:2: text in quotes where none can be: a setting is written key = value;\n"},
        {R "((((((((((((((((((((((\n", "t.conf:2: brackets are nested too deeply\n"},
        {R "@include \"/etc/passwd\"\n", "t.conf:2: @include: is not possible here\n"},
        {R "auth = { timeout = 4294967396; };\n",
         "t.conf:2: 4294967396 is out of range, no number may be above 2147483647 without an L "
         "behind it\n"},
        {R "auth = { timeout = 0x100000064; };\n",
         "t.conf:2: 0x100000064 is out of range, no number may be above 2147483647 without an L "
         "behind it\n"},
        {R "auth = { timeout = -4294967196; };\n",
         "t.conf:2: 4294967196 is out of range, no number may be above 2147483647 without an L "
         "behind it\n"},
        {R "limits = { user_bps = 9223372036854775808L; };\n",
         "t.conf:2: 9223372036854775808L is out of range, no number may be above "
         "9223372036854775807\n"},
    };
    CHECK_ALL(m);
}

static void keys(void **state)
{
    static const struct mistake m[] = {
        {R "wokers = 4;\n", "t.conf:2: wokers: unknown key, did you mean \"workers\"?\n"},
        {R "relay = {\n  adresses = [ ];\n};\n",
         "t.conf:3: relay.adresses: unknown key, did you mean \"addresses\"?\n"},
        {R "level = \"info\";\n", "t.conf:2: level: unknown key, did you mean \"log.level\"?\n"},
        {R "log = { colour = \"red\"; };\n",
         "t.conf:2: log.colour: unknown key, allowed are level, format, target\n"},
        {R "listen = ( { transport = \"udp\"; prot = 1; } );\n",
         "t.conf:2: listen[0].prot: unknown key, did you mean \"port\"?\n"},
        {"relm = \"x\";\n",
         "t.conf:1: relm: unknown key, did you mean \"realm\"?\n"
         "t.conf: realm: is not set, and it has to be: 1 to 127 bytes, as in realm = "
         "\"example.org\";\n"},
        {R "log = \"stderr\";\n", "t.conf:2: log: a group is needed: log = { ... };\n"},
    };
    CHECK_ALL(m);
}

static void types_and_ranges(void **state)
{
    static const struct mistake m[] = {
        {"realm = 5;\n",
         "t.conf:1: realm: 5 is not a text in quotes, allowed are 1 to 127 bytes\n"},
        {"realm = \"\";\n", "t.conf:1: realm: 0 bytes are too few, allowed are 1 to 127\n"},
        {"realm = \"a\\nb\";\n", "t.conf:1: realm: \"a\\x0ab\" has a control character\n"},
        {"realm = \"a\\\"b\";\n", "t.conf:1: realm: \"a\\x22b\" has a quote or a backslash\n"},
        {"realm = \"a\xff\";\n", "t.conf:1: realm: \"a\\xff\" is not valid UTF-8\n"},
        {R "\n\nworkers = \"four\";\n",
         "t.conf:4: workers: \"four\" is not a whole number, allowed are 0 to 256\n"},
        {R "workers = 1.5;\n",
         "t.conf:2: workers: 1.5 is not a whole number, allowed are 0 to 256\n"},
        {R "workers = true;\n",
         "t.conf:2: workers: true is not a whole number, allowed are 0 to 256\n"},
        {R "workers = { };\n",
         "t.conf:2: workers: { ... } is not a whole number, allowed are 0 to 256\n"},
        {R "workers = -1;\n", "t.conf:2: workers: -1 is out of range, allowed are 0 to 256\n"},
        {R "workers = 99999999999L;\n",
         "t.conf:2: workers: 99999999999 is out of range, allowed are 0 to 256\n"},
        {R "log = {\n  level = \"loud\";\n};\n",
         "t.conf:3: log.level: \"loud\": not a level, allowed are \"error\", \"warning\", "
         "\"notice\", \"info\" and \"debug\"\n"},
        {R "log = { format = \"xml\"; target = \"file:\"; };\n",
         "t.conf:2: log.format: \"xml\": not a format, allowed are \"text\" and \"json\"\n"
         "t.conf:2: log.target: \"file:\" is not known, allowed are \"stderr\", \"stdout\", "
         "\"syslog\" and \"file:/path\"\n"},
        {R "group = \"nogroup\";\n", "t.conf:2: group: is set without user\n"},
        {R "limits = {\n lifetime = 5000;\n};\n",
         "t.conf:3: limits.lifetime: 5000 is above limits.lifetime_max, which is 3600\n"},
        {R "limits = {\n lifetime_max = 60;\n};\n",
         "t.conf:3: limits.lifetime_max: 60 is below limits.lifetime, which is 600\n"},
    };
    CHECK_ALL(m);
}

static void listeners(void **state)
{
    static const struct mistake m[] = {
        {R "listen = ( );\n", "t.conf:2: listen: 0 entries are too few, allowed are 1 to 64\n"},
        {R "listen = \"*\";\n", "t.conf:2: listen: is not a list, like ( { ... }, { ... } )\n"},
        {R "listen = ( 5 );\n", "t.conf:2: listen[0]: is not a group in { }\n"},
        {R "listen = (\n  { port = 3478; }\n);\n", "t.conf:3: listen[0].transport: is missing\n"},
        {R "listen = ( { transport = \"sctp\"; } );\n",
         "t.conf:2: listen[0].transport: \"sctp\": not a transport, allowed are \"udp\", "
         "\"tcp\", \"tls\", \"dtls\", \"tcp+tls\" and \"udp+dtls\"\n"},
        {R "listen = ( { transport = \"udp\"; address = \"host.example\";\n port = 65536; } );\n",
         "t.conf:2: listen[0].address: \"host.example\": not a numeric IP address, allowed are "
         "\"*\", IPv4 and IPv6 addresses\n"
         "t.conf:3: listen[0].port: 65536 is out of range, allowed are 1 to 65535\n"},
        {R "listen = (\n { transport = \"udp\"; address = \"192.0.2.1\"; },\n { transport = "
           "\"tcp\"; address = \"192.0.2.1\"; },\n"
           " { transport = \"udp\"; address = \"192.0.2.1\"; } );\n",
         "t.conf:5: listen: udp 192.0.2.1 port 3478 is listened on already, by entry 1\n"},
        {R "listen = (\n { transport = \"udp\"; },\n { transport = \"udp\"; address = "
           "\"192.0.2.1\"; } );\n",
         "t.conf:4: listen: udp 192.0.2.1 port 3478 is listened on already, by entry 1\n"},
        {R "tls = { certificate = \"c.pem\"; key = \"k.pem\"; };\n"
           "listen = ( { transport = \"tcp\"; },\n { transport = \"tcp+tls\"; } );\n",
         "t.conf:4: listen: tcp * port 3478 is listened on already, by entry 1\n"},
        {R "listen = (\n { transport = \"udp\"; proxy_protocol = true; } );\n",
         "t.conf:3: listen: udp cannot have proxy_protocol, allowed are \"tcp\", \"tls\" and "
         "\"tcp+tls\"\n"},
        {R "listen = (\n { transport = \"tcp\"; proxy_protocol = 1; } );\n",
         "t.conf:3: listen[0].proxy_protocol: 1 is not a switch, allowed are true and false\n"},
    };
    CHECK_ALL(m);
}

static void tls(void **state)
{
    static const struct mistake m[] = {
        {R "listen = (\n { transport = \"tls\"; } );\n",
         "t.conf:3: listen: tls needs tls.certificate and tls.key\n"},
        {R "tls = {\n certificate = \"c.pem\"; };\nlisten = ( { transport = \"udp+dtls\"; } );\n",
         "t.conf:3: tls.certificate: is set without tls.key\n"},
        {R "tls = {\n key = \"k.pem\"; };\n",
         "t.conf:3: tls.key: is set without tls.certificate\n"},
        {R "tls = { min_version = \"1.1\"; };\n",
         "t.conf:2: tls.min_version: \"1.1\": not a version, allowed are \"1.2\" and \"1.3\"\n"},
        {R "tls = { additional = ( { key = \"k.pem\"; } ); };\n",
         "t.conf:2: tls.additional[0].certificate: is missing\n"},
    };
    CHECK_ALL(m);
}

#ifdef WITH_SIGNAL
static void http(void **state)
{
    static const struct mistake m[] = {
        {R "listen = (\n { transport = \"udp\"; http = true; } );\n",
         "t.conf:3: listen: udp cannot have http, allowed are \"tcp\", \"tls\" and \"tcp+tls\"\n"},
        {R "listen = (\n { transport = \"tcp\"; http = 1; } );\n",
         "t.conf:3: listen[0].http: 1 is not a switch, allowed are true and false\n"},
        {R "listen = ( { transport = \"tcp\"; http = true; } );\nsignal = {\n client_ca = "
           "\"c.pem\"; };\n",
         "t.conf:4: signal.client_ca: is set, but nothing speaks HTTPS: see signal.tls and "
         "listen.http\n"},
        {R "listen = ( { transport = \"tcp\"; http = true; } );\nauth = {\n username_anonymity = "
           "true; };\n",
         "t.conf:4: auth.username_anonymity: is set together with listen.http: names in iceServers "
         "are made from a secret\n"},
        {R "listen = ( { transport = \"tcp\"; http = true; } );\nsignal = {\n port = 3478; };\n",
         "t.conf:4: signal.port: tcp port 3478 is listened on already, by entry 1 of listen\n"},
    };
    CHECK_ALL(m);
    struct conf_errors errors;
    struct conf *c = conf_load_text(R "listen = ( { transport = \"tcp\"; http = true; } );\n",
                                    "t.conf", false, NULL, 0, &errors);
    assert_non_null(c);
    assert_true(c->listen[0].http && conf_serves_http(c));
    conf_free(c);
    c = conf_load_text(R, "t.conf", false, NULL, 0, &errors);
    assert_false(conf_serves_http(c));
    conf_free(c);
    c = conf_load_text(R "signal = { port = 80; };\n", "t.conf", false, NULL, 0, &errors);
    assert_true(conf_serves_http(c));
    conf_free(c);
}
#endif

#define KEY16 "31323334353637383930313233343536"

static void tokens(void **state)
{
    static const struct mistake m[] = {
        {R "tokens = {\n keys = ( { id = \"a\"; key = \"" KEY16 KEY16 "\"; } ); };\n",
         "t.conf:3: tokens.keys: are set without tokens.server\n"},
        {R "tokens = { server = \"s\";\n keys = ( { id = \"a\"; key = \"" KEY16 "\"; } ); };\n",
         "t.conf:3: tokens.keys: the key has 16 bytes, its algorithm takes 32\n"},
        {R "tokens = { server = \"s\";\n keys = ( { id = \"a\"; algorithm = \"A128GCM\"; key = "
           "\"" KEY16 "\"; },\n { id = \"a\"; key = \"" KEY16 KEY16 "\"; } ); };\n",
         "t.conf:4: tokens.keys: the id is that of entry 1\n"},
        {R "tokens = { server = \"s\";\n keys = ( { id = \"a\"; key = \"no key, but of this "
           "length\"; } ); };\n",
         "t.conf:3: tokens.keys[0].key: the text is not 16 or 32 bytes in hex digits or base64\n"},
        {R "tokens = { server = \"s\";\n keys = ( { id = \"a\"; algorithm = \"none\"; } ); };\n",
         "t.conf:3: tokens.keys[0].key: is missing\n"
         "t.conf:3: tokens.keys[0].algorithm: \"none\": not an algorithm, allowed are "
         "\"A256GCM\" and \"A128GCM\"\n"},
        {R "tokens = { server = \"a\\nb\"; };\n",
         "t.conf:2: tokens.server: \"a\\x0ab\" holds a control character\n"},
    };
    CHECK_ALL(m);
}

static void alternate(void **state)
{
    static const struct mistake m[] = {
        {R "alternate = { servers = [ \"192.0.2.1\" ]; };\n",
         "t.conf:2: alternate.servers[0]: \"192.0.2.1\": not a numeric IP address with a port, "
         "allowed are address:port and [IPv6 address]:port\n"},
        {R "alternate = { domain = \"b.example\"; };\n",
         "t.conf:2: alternate.domain: is set without alternate.servers\n"},
        {R "alternate = { servers = [ \"192.0.2.1:1\" ]; domain = \"b c\"; };\n",
         "t.conf:2: alternate.domain: \"b c\" is not a domain name, allowed are letters, digits, "
         "hyphens and dots\n"},
        {R "limits = { user_bps = -1; };\n",
         "t.conf:2: limits.user_bps: -1 is out of range, allowed are 0 to 9223372036854775807\n"},
        {R "limits = { total_bps = \"1M\"; };\n",
         "t.conf:2: limits.total_bps: \"1M\" is not a whole number, allowed are 0 to "
         "9223372036854775807\n"},
    };
    CHECK_ALL(m);
}

static void relaying(void **state)
{
    static const struct mistake m[] = {
        {R "relay = { ports = [ 70000, 70001 ]; };\n",
         "t.conf:2: relay.ports: 70000 is out of range, allowed are 1 to 65535\n"
         "t.conf:2: relay.ports: 70001 is out of range, allowed are 1 to 65535\n"},
        {R "relay = { ports = [ 200, 100 ]; };\n",
         "t.conf:2: relay.ports: the first port, 200, is above the last, 100\n"},
        {R "relay = { ports = 100; };\n",
         "t.conf:2: relay.ports: is not a pair of numbers, like [ 49152, 65535 ]\n"},
        {R "relay = { ports = [ 100 ]; };\n",
         "t.conf:2: relay.ports: is not a pair of numbers, like [ 49152, 65535 ]\n"},
        {R "relay = { addresses = [ \"0.0.0.0\",\n \"ff02::1\",\n \"10.0.0.256\" ]; };\n",
         "t.conf:2: relay.addresses[0]: \"0.0.0.0\": stands for every address, and peers are told "
         "one, allowed are "
         "IPv4 and IPv6 addresses of this host\n"
         "t.conf:3: relay.addresses[1]: \"ff02::1\": a multicast address, allowed are IPv4 and "
         "IPv6 addresses of this host\n"
         "t.conf:4: relay.addresses[2]: \"10.0.0.256\": not a numeric IP address, allowed are IPv4 "
         "and IPv6 addresses of "
         "this host\n"},
        {R "relay = { addresses = [ \"10.0.0.1\", \"10.0.0.1\" ]; };\n",
         "t.conf:2: relay.addresses: 10.0.0.1 is listed twice\n"},
        {R "relay = { allow = [ \"10.0.0.1/8\" ];\n deny = [ \"10.0.0.9-10.0.0.1\" ]; };\n",
         "t.conf:2: relay.allow[0]: \"10.0.0.1/8\": bits are set beyond the prefix, allowed are an "
         "address, address/prefix "
         "length, and first-last\n"
         "t.conf:3: relay.deny[0]: \"10.0.0.9-10.0.0.1\": the last address comes before the first, "
         "allowed are an address, "
         "address/prefix length, and first-last\n"},
        {R "relay = { external = [ \"10.0.0.1/2001:db8::1\" ]; };\n",
         "t.conf:2: relay.external[0]: \"10.0.0.1/2001:db8::1\": the two addresses are of "
         "different families, allowed are "
         "\"public\" and \"relay/public\", both numeric IP addresses\n"},
        {R "relay = { addresses = [ \"10.0.0.1\" ];\n external = [ \"10.0.0.2/192.0.2.1\" ]; };\n",
         "t.conf:3: relay.external: 10.0.0.2 is not one of relay.addresses\n"},
        {R "relay = { addresses = [ \"10.0.0.1\" ];\n external = [ \"2001:db8::1\" ]; };\n",
         "t.conf:3: relay.external: 2001:db8::1 is of a family that relay.addresses has no address "
         "of\n"},
        {R "relay = { addresses = [ \"10.0.0.1\", \"10.0.0.2\" ];\n external = [ \"192.0.2.1\" ]; "
           "};\n",
         "t.conf:3: relay.external: there are 2 relay addresses of its family: write which one is "
         "meant, as "
         "\"relay/192.0.2.1\"\n"},
        {R "relay = { addresses = [ \"10.0.0.1\" ];\n external = [ \"192.0.2.1\",\n "
           "\"10.0.0.1/192.0.2.2\" ]; };\n",
         "t.conf:4: relay.external: there are two external addresses for one relay address\n"},
    };
    CHECK_ALL(m);
}

static void users_and_stores(void **state)
{
    static const struct mistake m[] = {
        {R "auth = { users = (\n { name = \"a\"; },\n { name = \"b\"; password = \"p\"; key = "
           "\"00112233445566778899aabbccddeeff\"; },\n { password = \"p\"; } ); };\n",
         "t.conf:3: auth.users: a user has neither a password nor a key, needed is one of password "
         "and key\n"
         "t.conf:4: auth.users: a user has both a password and a key, needed is one of password "
         "and key\n"
         "t.conf:5: auth.users[2].name: is missing\n"},
        {R "auth = { users = ( { name = \"a\"; key = \"xyz\"; } ); };\n",
         "t.conf:2: auth.users[0].key: the text is not 32 hex digits\n"},
        {R "auth = { users = (\n { name = \"a\"; password = \"p\"; },\n { name = \"a\"; password = "
           "\"q\"; } ); };\n",
         "t.conf:4: auth.users: the name is that of entry 1\n"},
        {R "auth = { users = ( { name = \"a\"; password = \"<hidden>\"; } ); };\n",
         "t.conf:2: auth.users[0].password: is the place-holder of --print-config, not a value\n"},
        {R "auth = { secrets = [ \"s3cret\",\n \"s3cret\" ]; nonce_key = \"00\"; };\n",
         "t.conf:3: auth.nonce_key: the text is not 64 hex digits\n"
         "t.conf:3: auth.secrets: entries 1 and 2 are the same\n"},
        {R "auth = { stores = [ \"users.db\" ]; };\n",
         "t.conf:2: auth.stores[0]: \"users.db\": not a URI like \"sqlite:/path\" or "
         "\"redis://host:port/db\"\n"},
        {R "auth = { stores = [ \"redis://:<hidden>@127.0.0.1:6379/0\" ]; };\n",
         "t.conf:2: auth.stores[0]: is the place-holder of --print-config, not a value\n"},
    };
    CHECK_ALL(m);
}

static int refuse_store(const char *uri, const char **why)
{
    *why = "is refused by the test";
    return strcmp(uri, "sqlite:/refused") == 0 ? -EINVAL : 0;
}

static void store_check_is_asked(void **state)
{
    static const struct mistake m[] = {
        {R "auth = { stores = [ \"sqlite:/fine\",\n \"sqlite:/refused\" ]; };\n",
         "t.conf:3: auth.stores[1]: \"sqlite:/refused\": is refused by the test\n"},
    };
    conf_set_store_check(refuse_store);
    CHECK_ALL(m);
    conf_set_store_check(NULL);
}

static void all_mistakes_in_the_order_of_the_file(void **state)
{
    static const struct mistake m[] = {
        {"log = { level = \"x\"; };\nlimits = { channels = 0; };\nauth = { timeout = 1; };\nrealm "
         "= 1;\n",
         "t.conf:1: log.level: \"x\": not a level, allowed are \"error\", \"warning\", \"notice\", "
         "\"info\" and \"debug\"\n"
         "t.conf:2: limits.channels: 0 is out of range, allowed are 1 to 4096\n"
         "t.conf:3: auth.timeout: 1 is out of range, allowed are 10 to 60000\n"
         "t.conf:4: realm: 1 is not a text in quotes, allowed are 1 to 127 bytes\n"},
    };
    CHECK_ALL(m);
}

static void many_mistakes_are_cut(void **state)
{
    char text[200 * 16] = "";
    struct conf_errors errors;
    size_t len = 0;
    for (int i = 0; i < 150; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "zz%d = 1;\n", i);
    assert_null(conf_load_text(text, "t.conf", true, NULL, 0, &errors));
    assert_int_equal(errors.count, 150);
    assert_non_null(strstr(errors.text, "t.conf: and 50 more\n"));
    free(errors.text);
}

static void overrides(void **state)
{
    static const struct conf_override good[] = {
        {"realm", "over.example"},
        {"workers", "3"},
        {"relay.ports", "1000,2000"},
        {"relay.addresses", "192.0.2.1,2001:db8::1"},
        {"log.level", "debug"},
        {"auth.users", "( { name = \"a\"; password = \"p\"; } )"},
        {"relay.deny", "[ \"::2\" ]"},
        {"auth.stores", ""},
        {"workers", "4"},
        {"user", "\"quo\\\"ted\""},
    };
    static const struct conf_override bad[] = {
        {"wokers", "1"},      {"relay.port", "1"}, {"relay", "1"},
        {"listen.port", "1"}, {"workers", "x"},    {"auth.timeout", ""},
        {"relay.ports", "3"}, {"listen", "( { }"}, {"limits.channels", "1; x = 2"},
    };
    struct conf_errors errors;
    struct conf *c = conf_load_text(R "workers = 99;\n", "t.conf", false, good,
                                    sizeof(good) / sizeof(good[0]), &errors);
    char *says;

    assert_non_null(c);
    assert_string_equal(c->realm, "over.example");
    assert_int_equal(c->workers, 4);
    assert_int_equal(c->relay.port_min, 1000);
    assert_int_equal(c->relay.port_max, 2000);
    assert_int_equal(c->relay.address_count, 2);
    assert_int_equal(c->relay.addresses[1].family, ADDR_IPV6);
    assert_int_equal(c->relay.deny_count, 1);
    assert_int_equal(c->log.level, LOG_LVL_DEBUG);
    assert_int_equal(c->auth.user_count, 1);
    assert_int_equal(c->auth.store_count, 0);
    assert_string_equal(c->user, "quo\"ted");
    conf_free(c);

    says = mistakes_of(R, bad, sizeof(bad) / sizeof(bad[0]));
    assert_string_equal(
        says, "command line: wokers: unknown key, did you mean \"workers\"?\n"
              "command line: relay.port: unknown key, did you mean \"ports\"?\n"
              "command line: relay: is a group: set one of its keys\n"
              "command line: listen.port: belongs to an entry of a list: set the whole list\n"
              "command line: listen: cannot be parsed, write the value as in the file\n"
              "command line: workers: \"x\" is not a whole number, allowed are 0 to 256\n"
              "command line: relay.ports: is not a pair of numbers, like [ 49152, 65535 ]\n"
              "command line: auth.timeout: \"\" is not a whole number, allowed are 10 to 60000\n"
              "command line: limits.channels: \"1; x = 2\" is not a whole number, allowed are 1 to "
              "4096\n");
    free(says);
}

static void defaults(void **state)
{
    struct conf_errors errors;
    struct conf *c =
        conf_load_text(R "// a comment in the last line", "t.conf", false, NULL, 0, &errors);

    assert_non_null(c);
    assert_null(errors.text);
    assert_int_equal(errors.count, 0);
    assert_string_equal(c->file, "t.conf");
    assert_string_equal(c->realm, "example.org");
    assert_int_equal(c->listen_count, 2);
    assert_true(c->listen[0].any && c->listen[1].any);
    assert_int_equal(c->listen[1].transport, CONF_TCP);
    assert_int_equal(c->listen[1].addr.port, 3478);
    assert_int_equal(c->listen[1].addr.family, ADDR_NONE);
    assert_int_equal(c->relay.port_min, 49152);
    assert_int_equal(c->relay.port_max, 65535);
    assert_int_equal(c->auth.timeout, 1000);
    assert_int_equal(c->limits.unauthenticated_rate, 100);
    assert_int_equal(c->log.level, LOG_LVL_INFO);
    assert_string_equal(c->log.target, "stderr");
    assert_null(c->user);
    assert_null(c->auth.nonce_key);
    conf_free(c);

    c = conf_load(NULL, true, NULL, 0, &errors);
    assert_non_null(c);
    assert_null(c->file);
    assert_true(c->dev);
    assert_string_equal(c->realm, "turnpike");
    assert_int_equal(c->listen_count, 4);
    assert_int_equal(c->relay.address_count, 2);
    assert_int_equal(c->relay.allow_count, 2);
    assert_int_equal(c->limits.unauthenticated_rate, 0);
    conf_free(c);

    assert_null(conf_load(NULL, false, NULL, 0, &errors));
    assert_string_equal(
        errors.text,
        "command line: realm: is not set, and it has to be: 1 to 127 bytes, as in realm = "
        "\"example.org\";\n");
    free(errors.text);
}

static void external_finds_its_relay_address(void **state)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text(
        R "relay = { addresses = ( \"10.0.0.1\", \"fd00::1\" ); external = ( \"2001:db8::1\", "
          "\"10.0.0.1/192.0.2.1\" ); };",
        "t.conf", false, NULL, 0, &errors);
    assert_non_null(c);
    assert_int_equal(c->relay.external_count, 2);
    assert_true(addr_equal(&c->relay.external[0].relay, &c->relay.addresses[1]));
    assert_true(addr_equal(&c->relay.external[1].relay, &c->relay.addresses[0]));
    conf_free(c);

    // No addresses: they are found at start, and so is which one is meant.
    c = conf_load_text(R "relay = { external = [ \"192.0.2.1\" ]; };", "t.conf", false, NULL, 0,
                       &errors);
    assert_non_null(c);
    assert_int_equal(c->relay.external[0].relay.family, ADDR_NONE);
    assert_int_equal(c->relay.external[0].external.family, ADDR_IPV4);
    conf_free(c);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *f;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void files_and_includes(void **state)
{
    char dir[] = "/tmp/turnpike-conf-XXXXXX";
    char path[64], expected[256];
    struct conf_errors errors;
    struct conf *c;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/t.conf", dir);
    assert_null(conf_load(path, false, NULL, 0, &errors));
    snprintf(expected, sizeof(expected), "%s: cannot be read: No such file or directory\n", path);
    assert_string_equal(errors.text, expected);
    free(errors.text);

    assert_null(conf_load(dir, false, NULL, 0, &errors));
    snprintf(expected, sizeof(expected), "%s: cannot be read: is a folder\n", dir);
    assert_string_equal(errors.text, expected);
    free(errors.text);

    write_file(dir, "t.conf", R "@include \"more.conf\"\n");
    write_file(dir, "more.conf", "workers = 7;\n");
    c = conf_load(path, false, NULL, 0, &errors);
    assert_non_null(c);
    assert_int_equal(c->workers, 7);
    conf_free(c);

    write_file(dir, "more.conf", "\n\nworkers = 7777;\n");
    assert_null(conf_load(path, false, NULL, 0, &errors));
    assert_string_equal(errors.text,
                        "more.conf:3: workers: 7777 is out of range, allowed are 0 to 256\n");
    free(errors.text);

    // libconfig's scanner would end the process over a folder, and go on for ever over a file that
    // includes itself.
    write_file(dir, "t.conf", R "@include \".\"\n");
    assert_null(conf_load(path, false, NULL, 0, &errors));
    snprintf(expected, sizeof(expected), "%s:2: @include: .: is a folder\n", path);
    assert_string_equal(errors.text, expected);
    free(errors.text);

    write_file(dir, "t.conf", R "@include \"/none.conf\"\n");
    assert_null(conf_load(path, false, NULL, 0, &errors));
    snprintf(expected, sizeof(expected),
             "%s:2: @include: /none.conf: No such file or directory; names begin at the folder of "
             "the main file\n",
             path);
    assert_string_equal(errors.text, expected);
    free(errors.text);

    write_file(dir, "t.conf", "@include \"t.conf\"\n");
    assert_null(conf_load(path, false, NULL, 0, &errors));
    assert_string_equal(errors.text, "t.conf:1: @include: too many files include each other\n");
    free(errors.text);

    unlink(path);
    snprintf(path, sizeof(path), "%s/more.conf", dir);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

// User names that an attacker would choose: none is a format, a path or a second line to us.
static void anonymity(void **state)
{
    static const struct mistake m[] = {
        {R "auth = { secrets = [ \"s\" ];\nusername_anonymity = true; };\n",
         "t.conf:3: auth.username_anonymity: is set together with auth.secrets\n"},
        {R "auth = { stores = [ \"redis://h/0?layout=coturn\" ]; username_anonymity = true; };\n",
         "t.conf:2: auth.username_anonymity: is set together with a store in coturn's layout\n"},
    };
    CHECK_ALL(m);
}

// OpaqueString (RFC 8265) of names, realms and passwords.
static void credentials_are_prepared(void **state)
{
    static const struct mistake m[] = {
        {R "auth = { users = ( { name = \"a\\r\\nb\"; password = \"p\"; } ); };\n",
         "t.conf:2: auth.users[0].name: \"a\\x0d\\x0ab\" has U+000D, which OpaqueString (RFC 8265) "
         "does not allow there\n"},
        {R "auth = { users = ( { name = \"a\"; password = \"p\\xff\"; } ); };\n",
         "t.conf:2: auth.users[0].password: the text is not valid UTF-8\n"},
        {R "auth = { users = ( { name = \"\u00fc\"; password = \"p\"; },\n"
           "{ name = \"u\u0308\"; password = \"q\"; } ); };\n",
         "t.conf:3: auth.users: the name is that of entry 1\n"},
        {"realm = \"a\u200bb\";\n", "t.conf:1: realm: \"a\\xe2\\x80\\x8bb\" has U+200B, which "
                                    "OpaqueString (RFC 8265) does not "
                                    "allow there\n"},
    };
    struct conf_errors errors;

    CHECK_ALL(m);
    struct conf *c = conf_load_text("realm = \"u\u0308\u00a0r\"; auth = { users = ( { name = "
                                    "\"o\u0308\"; password = \"a\u0308\"; } ); };\n",
                                    "t.conf", false, NULL, 0, &errors);
    assert_non_null(c);
    assert_string_equal(c->realm, "\u00fc r");
    assert_string_equal(c->auth.users[0].name, "\u00f6");
    assert_string_equal(c->auth.users[0].password, "\u00e4");
    conf_free(c);
}

static void hostile_text_is_only_text(void **state)
{
    struct conf_errors errors;
    struct conf *c =
        conf_load_text(R "auth = { users = ( { name = \"%s%n/ \"; password = \"\\\\%n\"; } ); };\n",
                       "t.conf", false, NULL, 0, &errors);
    char *says;

    assert_non_null(c);
    assert_string_equal(c->auth.users[0].name, "%s%n/ ");
    assert_string_equal(c->auth.users[0].password, "\\%n");
    conf_free(c);

    says = mistakes_of(R "log = { level = \"%s%n\\nforged: line\\xff\"; };\n", NULL, 0);
    assert_string_equal(
        says,
        "t.conf:2: log.level: \"%s%n\\x0aforged: line\\xff\": not a level, allowed are \"error\", "
        "\"warning\", \"notice\", \"info\" and \"debug\"\n");
    free(says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax),
        cmocka_unit_test(keys),
        cmocka_unit_test(types_and_ranges),
        cmocka_unit_test(listeners),
#ifdef WITH_SIGNAL
        cmocka_unit_test(http),
#endif
        cmocka_unit_test(tls),
        cmocka_unit_test(alternate),
        cmocka_unit_test(tokens),
        cmocka_unit_test(relaying),
        cmocka_unit_test(users_and_stores),
        cmocka_unit_test(store_check_is_asked),
        cmocka_unit_test(all_mistakes_in_the_order_of_the_file),
        cmocka_unit_test(many_mistakes_are_cut),
        cmocka_unit_test(overrides),
        cmocka_unit_test(defaults),
        cmocka_unit_test(external_finds_its_relay_address),
        cmocka_unit_test(files_and_includes),
        cmocka_unit_test(anonymity),
        cmocka_unit_test(credentials_are_prepared),
        cmocka_unit_test(hostile_text_is_only_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
