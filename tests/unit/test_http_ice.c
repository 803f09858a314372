// SPDX-License-Identifier: BSD-2-Clause
// iceServers: who gets them, and that the credential in them is the one that the relay will make.
#include "http_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#define SECRET "the secret of the relay"
#define KEY "0123456789abcdef0123456789abcdef"

static int setup(void **state)
{
    struct signal_settings settings;
    int err = http_fixture_setup(state);
    struct http_fixture *f = *state;
    f->snapshot.ice_secret = SECRET;
    fixture_configure(f, "ttl = 600; host = \"turn.example.org\";");
    signal_settings_default(&settings);
    f->http.hub = signal_hub_new(&settings, &link_signal_ops, &f->http);
    return err || !f->http.hub;
}

static int teardown(void **state)
{
    struct http_fixture *f = *state;
    signal_hub_free(f->http.hub);
    return http_fixture_teardown(state);
}

static void want_tokens(struct http_fixture *f)
{
    static const char *const secrets[] = {KEY};
    struct signal_settings settings;
    signal_settings_default(&settings);
    settings.secrets = secrets;
    settings.secret_count = 1;
    assert_int_equal(signal_hub_configure(f->http.hub, &settings), 0);
}

static void assert_credential(json_t *name, json_t *password, const char *user)
{
    uint8_t mac[20];
    char text[32], *end;
    const char *n = json_string_value(name);
    assert_non_null(n);
    long long left = strtoll(n, &end, 10) - (long long)time(NULL);
    assert_true(left >= 595 && left <= 605);
    assert_int_equal(*end, ':');
    if (user)
        assert_string_equal(end + 1, user);
    else
        assert_int_equal(strlen(end + 1), 16);
    assert_non_null(
        HMAC(EVP_sha1(), SECRET, sizeof SECRET - 1, (const uint8_t *)n, strlen(n), mac, NULL));
    EVP_EncodeBlock((uint8_t *)text, mac, 20);
    assert_string_equal(json_string_value(password), text);
}

static void assert_servers(json_t *servers, const char *user)
{
    assert_int_equal(json_array_size(servers), 2);
    json_t *stun = json_array_get(servers, 0), *turn = json_array_get(servers, 1);
    json_t *urls = json_object_get(stun, "urls");
    assert_int_equal(json_object_size(stun), 1);
    assert_string_equal(json_string_value(json_array_get(urls, 0)), "stun:turn.example.org:3478");
    urls = json_object_get(turn, "urls");
    assert_int_equal(json_array_size(urls), 2);
    assert_string_equal(json_string_value(json_array_get(urls, 0)),
                        "turn:turn.example.org:3478?transport=udp");
    assert_credential(json_object_get(turn, "username"), json_object_get(turn, "credential"), user);
}

static void for_the_hub(void **state)
{
    struct http_fixture *f = *state;
    char out[4096], user[256];
    uint32_t ttl = 0;
    int len = ice_servers(&f->http, "ann \"b\" \xc3\xbc", 10, INT64_MAX, out, sizeof out, &ttl);
    assert_true(len > 0 && len < (int)sizeof out);
    assert_int_equal(ttl, 600);
    json_t *servers = json_loadb(out, (size_t)len, 0, NULL);
    assert_servers(servers, "ann \"b\" \xc3\xbc");
    json_decref(servers);
    // Exactly as much room as it takes, and one byte less.
    assert_int_equal(
        ice_servers(&f->http, "ann \"b\" \xc3\xbc", 10, INT64_MAX, out, (size_t)len, &ttl), len);
    assert_true(
        ice_servers(&f->http, "ann \"b\" \xc3\xbc", 10, INT64_MAX, out, (size_t)len - 1, &ttl) < 0);
    memset(user, 'u', sizeof user);
    assert_true(ice_servers(&f->http, user, 255, INT64_MAX, out, sizeof out, &ttl) > 0);
    assert_int_equal(ice_servers(&f->http, user, 256, INT64_MAX, out, sizeof out, &ttl), -EINVAL);
}

static void for_anybody(void **state)
{
    struct http_fixture *f = *state;
    ice_answer(&f->x, false);
    assert_int_equal(f->status, 200);
    assert_string_equal(fixture_answer(f, "Content-Type"), "application/json");
    assert_string_equal(fixture_answer(f, "Cache-Control"), "no-store");
    json_t *answer = json_loads(f->body, 0, NULL);
    assert_int_equal(json_object_size(answer), 2);
    assert_int_equal(json_integer_value(json_object_get(answer, "ttl")), 600);
    assert_servers(json_object_get(answer, "iceServers"), NULL);
    json_decref(answer);
}

static void for_matrix(void **state)
{
    struct http_fixture *f = *state;
    ice_answer(&f->x, true);
    assert_int_equal(f->status, 200);
    json_t *answer = json_loads(f->body, 0, NULL);
    assert_int_equal(json_object_size(answer), 4);
    assert_int_equal(json_array_size(json_object_get(answer, "uris")), 2);
    assert_credential(json_object_get(answer, "username"), json_object_get(answer, "password"),
                      NULL);
    json_decref(answer);
}

// Base64 for URLs, as in tokens; the length.
static size_t encode(char *out, const void *data, size_t len)
{
    EVP_EncodeBlock((uint8_t *)out, data, (int)len);
    for (char *p = out; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
    return strlen(out);
}

static const char *make_token(const char *key, const char *claims)
{
    static char token[1024];
    uint8_t mac[32];
    static const char head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    size_t n = encode(token, head, sizeof head - 1);
    token[n++] = '.';
    n += encode(token + n, claims, strlen(claims));
    HMAC(EVP_sha256(), key, (int)strlen(key), (uint8_t *)token, n, mac, NULL);
    token[n++] = '.';
    encode(token + n, mac, sizeof mac);
    return token;
}

static void tokens(void **state)
{
    struct http_fixture *f = *state;
    static const char good[] = "{\"sub\":\"alice\",\"exp\":99999999999}";
    static const struct {
        const char *key, *claims;
        int status;
    } cases[] = {{NULL, NULL, 401},
                 {"another key of 32 bytes or so...", good, 401},
                 {KEY, "{\"sub\":\"alice\",\"exp\":1}", 401},
                 {KEY, "{\"sub\":\"alice\",\"exp\":99999999999,\"nbf\":99999999998}", 401},
                 {KEY, "{\"exp\":99999999999}", 401},
                 {KEY, good, 200}};
    want_tokens(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[1100];
        fixture_request(f, EVHTTP_REQ_GET, "/ice");
        if (cases[i].key) {
            snprintf(header, sizeof header, "Bearer %s", make_token(cases[i].key, cases[i].claims));
            fixture_header(f, "Authorization", header);
        }
        ice_answer(&f->x, false);
        assert_int_equal(f->status, cases[i].status);
        if (f->status == 401) {
            assert_string_equal(fixture_answer(f, "WWW-Authenticate"), "Bearer");
            assert_null(strstr(f->body, "credential"));
        }
    }
    json_t *answer = json_loads(f->body, 0, NULL);
    assert_servers(json_object_get(answer, "iceServers"), "alice");
    json_decref(answer);
}

static json_t *ask(struct http_fixture *f, bool matrix, const char *token)
{
    char header[1100];
    fixture_request(f, EVHTTP_REQ_GET, "/ice");
    snprintf(header, sizeof header, "Bearer %s", token);
    fixture_header(f, "Authorization", header);
    ice_answer(&f->x, matrix);
    assert_int_equal(f->status, 200);
    return json_loads(f->body, 0, NULL);
}

// What is told of the credential, and what the relay will see: its end, and when that is.
static void assert_ends(const json_t *ttl, const json_t *name, long long until)
{
    long long left = until - (long long)time(NULL), told = json_integer_value(ttl);
    assert_int_equal(strtoll(json_string_value(name), NULL, 10), until);
    assert_true(told >= left - 1 && told <= left + 30);
}

static void no_longer_than_the_token(void **state)
{
    struct http_fixture *f = *state;
    char claims[64], out[4096], token[1024];
    uint32_t ttl = 1;
    long long until = (long long)time(NULL) + 100;
    want_tokens(f);
    snprintf(claims, sizeof claims, "{\"sub\":\"alice\",\"exp\":%lld.9}", until);
    snprintf(token, sizeof token, "%s", make_token(KEY, claims));
    json_t *answer = ask(f, false, token);
    const json_t *turn = json_array_get(json_object_get(answer, "iceServers"), 1);
    assert_ends(json_object_get(answer, "ttl"), json_object_get(turn, "username"), until);
    json_decref(answer);
    answer = ask(f, true, token);
    assert_ends(json_object_get(answer, "ttl"), json_object_get(answer, "username"), until);
    json_decref(answer);
    // One that has ended meanwhile.
    assert_true(ice_servers(&f->http, "ann", 3, until - 200, out, sizeof out, &ttl) > 0);
    assert_int_equal(ttl, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(for_the_hub), TEST(for_anybody), TEST(for_matrix),
                                       TEST(tokens), TEST(no_longer_than_the_token)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
