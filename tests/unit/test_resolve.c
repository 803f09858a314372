// SPDX-License-Identifier: BSD-2-Clause
// getaddrinfo is ours here: names that begin with "silent" have no answer until they are let go.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util/resolve.h"

#define PATIENCE_MS 60000
#define MANY 20 // addresses that a name has

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool speaking;
static unsigned asked; // how often since the test began
static sigset_t mask;  // of the thread that asked last
static int lists;      // that are not freed

static void tell(const char *host)
{
    pthread_mutex_lock(&lock);
    asked++;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    while (!speaking && strncmp(host, "silent", 6) == 0)
        pthread_cond_wait(&changed, &lock);
    lists++;
    pthread_mutex_unlock(&lock);
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in sin;
    } * list;
    int count = strcmp(host, "many") == 0 ? MANY : 1;

    list = calloc((size_t)count, sizeof *list);
    if (!list || service || hints->ai_socktype != SOCK_STREAM || hints->ai_family != AF_UNSPEC)
        abort();
    tell(host);
    if (strcmp(host, "unknown") == 0) {
        __wrap_freeaddrinfo(&list->info);
        return EAI_NONAME;
    }
    for (int i = 0; i < count; i++) {
        bool strange = strcmp(host, "strange") == 0;
        list[i].sin.sin_family = strange ? AF_UNIX : AF_INET;
        list[i].sin.sin_addr.s_addr = htonl(0xc0000201 + (uint32_t)i);
        list[i].info = (struct addrinfo){.ai_family = list[i].sin.sin_family,
                                         .ai_addr = (struct sockaddr *)&list[i].sin,
                                         .ai_next = i + 1 < count ? &list[i + 1].info : NULL};
    }
    *out = &list->info;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    pthread_mutex_lock(&lock);
    lists--;
    pthread_mutex_unlock(&lock);
    free(list);
}

static void speak(bool now)
{
    pthread_mutex_lock(&lock);
    speaking = now;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static unsigned times_asked(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = asked;
    pthread_mutex_unlock(&lock);
    return n;
}

static int64_t in_ms(int64_t ms)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + ms;
}

static size_t finish(struct resolve *r, struct addr out[RESOLVE_ADDRESSES_MAX], const char **why)
{
    return resolve_finish(r, in_ms(PATIENCE_MS), out, why);
}

static int begin(void **state)
{
    pthread_mutex_lock(&lock);
    speaking = false;
    asked = 0;
    pthread_mutex_unlock(&lock);
    return 0;
}

// Threads that nobody waits for end as well.
static int end(void **state)
{
    int64_t until = in_ms(PATIENCE_MS);
    int left;

    speak(true);
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        pthread_mutex_lock(&lock);
        left = lists;
        pthread_mutex_unlock(&lock);
    } while (left && in_ms(0) < until);
    return left;
}

static void addresses(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX], want;
    const char *why;

    assert_int_equal(finish(resolve_start("one"), out, &why), 1);
    assert_int_equal(addr_parse_ip(&want, "192.0.2.1", 0), 0);
    assert_true(addr_equal(&out[0], &want));
    assert_int_equal(finish(resolve_start("many"), out, &why), RESOLVE_ADDRESSES_MAX);
    for (unsigned i = 0; i < RESOLVE_ADDRESSES_MAX; i++) {
        want.ip[3] = (uint8_t)(1 + i);
        assert_true(addr_equal(&out[i], &want));
    }
}

static void failures(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;

    assert_int_equal(finish(resolve_start("unknown"), out, &why), 0);
    assert_string_equal(why, gai_strerror(EAI_NONAME));
    assert_int_equal(finish(resolve_start("strange"), out, &why), 0);
    assert_string_equal(why, "it has no address");
    assert_int_equal(finish(NULL, out, &why), 0);
    assert_string_equal(why, "no memory or no thread for it");
    resolve_cancel(NULL);
}

static void the_wait_has_an_end(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;

    int64_t begun = in_ms(0);
    assert_int_equal(resolve_finish(resolve_start("silent"), begun + 50, out, &why), 0);
    assert_true(in_ms(0) >= begun + 50);
    assert_string_equal(why, "no answer in time");
    assert_int_equal(resolve_finish(resolve_start("silent"), 0, out, &why), 0);
    assert_string_equal(why, "no answer in time");
}

// For an event loop.
static void the_descriptor_tells(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;
    struct resolve *r = resolve_start("silent");
    struct resolve *other = resolve_start("silent");

    assert_non_null(r);
    assert_non_null(other);
    struct pollfd p[] = {{.fd = resolve_fd(r), .events = POLLIN},
                         {.fd = resolve_fd(other), .events = POLLIN}};
    assert_int_equal(poll(p, 2, 50), 0);
    speak(true);
    assert_int_equal(poll(p, 1, PATIENCE_MS), 1);
    assert_int_equal(resolve_finish(r, 0, out, &why), 1);
    assert_int_equal(poll(p + 1, 1, PATIENCE_MS), 1); // the first took nothing from it
    assert_int_equal(resolve_finish(other, 0, out, &why), 1);
}

// However many ask, and whether they wait for it or not.
static void one_thread_for_a_name(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;
    struct resolve *kept = resolve_start("silent");

    assert_non_null(kept);
    for (int i = 0; i < 100; i++) {
        resolve_cancel(resolve_start("silent"));
        assert_int_equal(resolve_finish(resolve_start("silent"), 0, out, &why), 0);
    }
    resolve_cancel(kept);
    kept = resolve_start("silent"); // nobody waited for a moment
    struct resolve *other = resolve_start("silent.other");
    speak(true);
    assert_int_equal(finish(kept, out, &why), 1);
    assert_int_equal(finish(other, out, &why), 1);
    assert_int_equal(times_asked(), 2);
    assert_int_equal(finish(resolve_start("silent"), out, &why), 1); // anew: a name may move
    assert_int_equal(times_asked(), 3);
}

static void threads_are_bounded(void **state)
{
    struct resolve *r[RESOLVE_NAMES_MAX];
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;
    char name[32];

    for (int i = 0; i < RESOLVE_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "silent%d", i);
        r[i] = resolve_start(name);
        assert_non_null(r[i]);
    }
    assert_null(resolve_start("one"));
    resolve_cancel(r[0]);
    assert_null(resolve_start("one")); // its thread is still there
    r[0] = resolve_start("silent0");
    assert_non_null(r[0]);
    speak(true);
    for (int i = 0; i < RESOLVE_NAMES_MAX; i++)
        assert_int_equal(finish(r[i], out, &why), 1);
    assert_int_equal(finish(resolve_start("one"), out, &why), 1);
    assert_int_equal(times_asked(), RESOLVE_NAMES_MAX + 1);
}

static void signals_are_for_others(void **state)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;
    sigset_t before, inside, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(finish(resolve_start("one"), out, &why), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    pthread_mutex_lock(&lock);
    inside = mask;
    pthread_mutex_unlock(&lock);
    for (int s = 1; s < 32; s++) {
        assert_int_equal(sigismember(&before, s), sigismember(&after, s));
        if (s != SIGKILL && s != SIGSTOP)
            assert_true(sigismember(&inside, s));
    }
}

static void *ask_on(void *arg)
{
    struct addr out[RESOLVE_ADDRESSES_MAX];
    const char *why;
    size_t failed = 0;

    for (int i = 0; i < 200; i++) {
        struct resolve *r = resolve_start(i % 3 ? "one" : "many");
        if (i % 4 == 0)
            resolve_cancel(r);
        else if (i % 4 == 1)
            resolve_finish(r, 0, out, &why);
        else
            failed += finish(r, out, &why) == 0;
    }
    return (void *)failed;
}

static void from_several_threads(void **state)
{
    pthread_t threads[4];
    void *failed;

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, NULL), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses, begin, end),
        cmocka_unit_test_setup_teardown(failures, begin, end),
        cmocka_unit_test_setup_teardown(the_wait_has_an_end, begin, end),
        cmocka_unit_test_setup_teardown(the_descriptor_tells, begin, end),
        cmocka_unit_test_setup_teardown(one_thread_for_a_name, begin, end),
        cmocka_unit_test_setup_teardown(threads_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(signals_are_for_others, begin, end),
        cmocka_unit_test_setup_teardown(from_several_threads, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
