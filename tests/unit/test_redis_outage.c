// SPDX-License-Identifier: BSD-2-Clause
// T18: Redis stopped, slow, restarted, with a password, behind a sentinel, or no Redis at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "auth/admin.h"
#include "redis_server.h"
#include "store_client.h"
#include "util/log.h"

#define MD5 "8493fbc53ba582fb4c044c456bdc40eb"

static const bool never = false;

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);

// The name redis.test is 127.0.0.1, which the name server tells when it speaks.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool silent;
    unsigned asked;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    if (strcmp(host, "redis.test") != 0)
        return __real_getaddrinfo(host, service, hints, out);
    pthread_mutex_lock(&names.lock);
    names.asked++;
    while (names.silent)
        pthread_cond_wait(&names.changed, &names.lock);
    pthread_mutex_unlock(&names.lock);
    return __real_getaddrinfo("127.0.0.1", service, hints, out);
}

static void names_silent(bool silent)
{
    pthread_mutex_lock(&names.lock);
    names.asked = 0;
    names.silent = silent;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
}

static unsigned names_asked(void)
{
    pthread_mutex_lock(&names.lock);
    unsigned asked = names.asked;
    pthread_mutex_unlock(&names.lock);
    return asked;
}

static int64_t ms_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void put_user(struct redis_server *s, const char *name, const char *disabled)
{
    redis_server_do(s, "HSET turnpike:{example.org}:user:%s key_md5 " MD5 " disabled %s", name,
                    disabled);
    redis_server_do(s, "PUBLISH turnpike:invalidate %b", "example.org user alice", (size_t)22);
}

// timeout_ms: short where nobody answers, else so long that no busy machine makes it end.
static void open_for(struct store_client *c, const char *uri, unsigned ttl_ms, unsigned timeout_ms)
{
    const char *why = "";

    store_client_init(c, uri);
    c->cfg.cache_ttl_ms = ttl_ms;
    c->cfg.timeout_ms = timeout_ms;
    if (store_client_open(c, &why) < 0)
        fail_msg("%s", why);
    store_client_run(c, &never, 200);
}

static void open_with(struct store_client *c, const char *uri, unsigned ttl_ms)
{
    open_for(c, uri, ttl_ms, 10000);
}

// Until the server has told it that it is subscribed, and it has had turns to read that.
static void subscribed(struct store_client *c, struct redis_server *s)
{
    long count = 0;

    for (int i = 0; i < 6000 && count != 1; i++) {
        redisReply *r = redis_server_run(s, "PUBSUB NUMSUB turnpike:invalidate");
        count = (long)r->element[1]->integer;
        freeReplyObject(r);
        store_client_run(c, &never, 10);
    }
    assert_int_equal(count, 1);
    store_client_run(c, &never, 50);
}

static void killed_and_back(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    put_user(&server, "carol", "0");
    open_with(&c, server.uri, 50);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    redis_server_kill(&server);
    store_client_run(&c, &never, 100); // past the TTL

    int64_t start = ms_now();
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_int_equal(store_client_ask(&c, &a, "carol"), STORE_UNAVAILABLE); // never asked before
    assert_int_equal(store_client_ask(&c, &a, "nobody"), STORE_UNAVAILABLE);
    assert_true(ms_now() - start < 8000);
    for (int i = 0; i < 20; i++) {
        store_client_start(&c, &a, "alice", 5, false);
        assert_true(a.done && a.status == STORE_FOUND); // known users do not even wait
        store_client_run(&c, &never, 10);
    }

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "1");
    assert_true(store_client_until(&c, "nobody", STORE_NOT_FOUND, STORE_PATIENCE));
    for (int i = 0; i < 6000; i++) {
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        if (a.rec.disabled)
            break;
        store_client_run(&c, &never, 10);
    }
    assert_true(a.rec.disabled); // the change of which no message came is seen
    store_client_close(&c);
    redis_server_remove(&server);
}

// What is known is known to the stores of a new configuration, too, unless Redis is asked in
// another way there.
static void known_after_a_reload(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    struct stores *next;
    char realm[] = "example.org", uri[64];
    const char *uris[] = {"redis://127.0.0.1:1", uri}, *why;
    struct stores_config cfg;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    open_with(&c, server.uri, 50);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    redis_server_kill(&server);
    store_client_run(&c, &never, 100); // past the TTL
    store_client_start(&c, &a, "carol", 5, false);
    if (a.lookup)
        stores_cancel(c.stores, a.lookup);
    for (int i = 0; i < 3; i++) {
        snprintf(uri, sizeof(uri), "%s", server.uri);
        cfg = c.cfg;
        cfg.realm = realm;
        cfg.uris = uris + 1 - i % 2; // also beside another
        cfg.uri_count = 1 + (unsigned)i % 2;
        assert_int_equal(stores_open(&next, &cfg, c.base, &why), 0);
        stores_inherit(next, c.stores);
        stores_close(c.stores);
        c.stores = next;
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
        assert_int_equal(store_client_ask(&c, &a, "carol"), STORE_UNAVAILABLE);
    }
    redis_server_start(&server, NULL);
    put_user(&server, "alice", "1");
    assert_true(store_client_until(&c, "carol", STORE_NOT_FOUND, STORE_PATIENCE));
    redis_server_kill(&server);
    cfg.timeout_ms++;
    assert_int_equal(stores_open(&next, &cfg, c.base, &why), 0);
    stores_inherit(next, c.stores);
    stores_close(c.stores);
    c.stores = next;
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    store_client_close(&c);
    redis_server_remove(&server);
}

// What was invalidated before Redis went away does not come back from the cache.
static void an_invalidated_user_is_gone(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    open_with(&c, server.uri, 60000);
    subscribed(&c, &server);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    redis_server_do(&server, "PUBLISH turnpike:invalidate %b", "example.org user alice",
                    (size_t)22);
    store_client_run(&c, &never, 100);
    redis_server_kill(&server);
    store_client_run(&c, &never, 100);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    store_client_close(&c);
    redis_server_remove(&server);
}

// Whatever was published while the subscriber was away has been missed: nothing cached before
// counts as fresh.
static void a_lost_subscription_ages_the_cache(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    open_with(&c, server.uri, 60000);
    subscribed(&c, &server);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_false(a.rec.disabled);
    redis_server_do(&server, "CLIENT KILL TYPE pubsub");
    redis_server_do(&server, "HSET turnpike:{example.org}:user:alice disabled 1");
    for (int i = 0; i < 6000 && !a.rec.disabled; i++) {
        store_client_run(&c, &never, 10);
        assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    }
    assert_true(a.rec.disabled);
    store_client_close(&c);
    redis_server_remove(&server);
}

static void slow_is_a_timeout_and_no_stall(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a, b;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    open_for(&c, server.uri, 50, 300);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_run(&c, &never, 100);
    redisAppendCommand(server.c, "DEBUG SLEEP 3");
    int written = 0;
    while (!written)
        assert_int_equal(redisBufferWrite(server.c, &written), REDIS_OK);
    store_client_run(&c, &never, 50);

    store_client_start(&c, &a, "alice", 5, false);
    store_client_start(&c, &b, "bob", 3, false);
    assert_true(store_client_run(&c, &a.done, STORE_PATIENCE));
    assert_true(store_client_run(&c, &b.done, STORE_PATIENCE));
    assert_int_equal(a.status, STORE_FOUND); // from the cache, past its TTL
    // Who had waited for Redis to wake up would know that there is no bob.
    assert_int_equal(b.status, STORE_UNAVAILABLE);
    assert_true(store_client_until(&c, "bob", STORE_NOT_FOUND, STORE_PATIENCE));
    void *reply;
    assert_int_equal(redisGetReply(server.c, &reply), REDIS_OK);
    freeReplyObject(reply);
    store_client_close(&c);
    redis_server_remove(&server);
}

static void pending_is_bounded(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a[40];
    const char *why = "";
    char name[16];
    unsigned waiting = 0;

    redis_server_start(&server, NULL);
    store_client_init(&c, server.uri);
    c.cfg.max_pending = 10;
    c.cfg.timeout_ms = 300;
    assert_int_equal(store_client_open(&c, &why), 0);
    assert_true(store_client_until(&c, "x", STORE_NOT_FOUND, STORE_PATIENCE));
    kill(server.pid, SIGSTOP);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        store_client_start(&c, &a[i], name, strlen(name), false);
        waiting += !a[i].done;
        assert_true(!a[i].done || a[i].status == STORE_UNAVAILABLE);
    }
    assert_int_equal(waiting, 10);
    for (int i = 0; i < 40; i++) {
        assert_true(store_client_run(&c, &a[i].done, STORE_PATIENCE));
        assert_int_equal(a[i].status, STORE_UNAVAILABLE);
        assert_int_equal(a[i].calls, 1);
    }
    kill(server.pid, SIGCONT);
    assert_true(store_client_until(&c, "y", STORE_NOT_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    redis_server_remove(&server);
}

static void not_there_at_start(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;

    redis_server_start(&server, NULL);
    redis_server_kill(&server);
    open_with(&c, server.uri, 1000);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    redis_server_remove(&server);
}

// A look-up in the first moment waits for the connection instead of failing.
static void the_first_question_waits_for_the_connection(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    const char *why;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    store_client_init(&c, server.uri);
    assert_int_equal(store_client_open(&c, &why), 0);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    store_client_close(&c);
    redis_server_remove(&server);
}

static void passwords(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    char uri[128];

    redis_server_start(&server, NULL);
    redis_server_do(&server, "SELECT 3");
    put_user(&server, "alice", "0");
    redis_server_do(&server, "CONFIG SET requirepass s3cr%%t");
    snprintf(uri, sizeof(uri), "redis://:s3cr%%25t@127.0.0.1:%u/3", server.port);
    open_with(&c, uri, 1000);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    store_client_close(&c);
    snprintf(uri, sizeof(uri), "redis://default:s3cr%%25t@127.0.0.1:%u/3", server.port);
    open_with(&c, uri, 1000);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    store_client_close(&c);
    snprintf(uri, sizeof(uri), "redis://:wrong@127.0.0.1:%u/3", server.port);
    open_for(&c, uri, 1000, 300);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    store_client_close(&c);
    open_for(&c, server.uri, 1000, 300); // none given
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    store_client_close(&c);
    redis_server_remove(&server);
}

static size_t count_in_file(const char *path, const char *text)
{
    char line[1024];
    size_t n = 0;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        n += strstr(line, text) != NULL;
    fclose(f);
    return n;
}

// Then nothing is fresh, and every look-up goes to Redis: slow, right, and said once.
static void a_refused_subscription_is_told(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    char uri[128], target[96];

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    redis_server_do(&server, "ACL SETUSER worker on >pw ~* +@all -subscribe");
    snprintf(uri, sizeof(uri), "redis://worker:pw@127.0.0.1:%u/0", server.port);
    snprintf(target, sizeof(target), "file:%s/log", server.dir);
    assert_int_equal(log_setup(LOG_LVL_WARNING, LOG_FMT_TEXT, target), 0);
    open_with(&c, uri, 60000);
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    redis_server_do(&server, "HSET turnpike:{example.org}:user:alice disabled 1");
    store_client_run(&c, &never, 500); // several attempts
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_FOUND);
    assert_true(a.rec.disabled);
    log_close();
    assert_int_equal(count_in_file(target + 5, "SUBSCRIBE turnpike:invalidate is refused: NOPERM"),
                     1);
    store_client_close(&c);
    redis_server_remove(&server);
}

// Says the same to whoever connects, whatever is asked.
static pid_t chatter(const void *text, size_t len, uint16_t *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &size), 0);
    *port = ntohs(sin.sin_port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(fd);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that fails kills nobody
    for (;;) {
        char in[512];
        int c = accept(fd, NULL, NULL);
        if (c < 0)
            _exit(0);
        if (read(c, in, sizeof(in)) > 0 && write(c, text, len) > 0)
            usleep(50000);
        close(c);
    }
}

static void no_redis_at_all(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } says[] = {{"HTTP/1.1 400 Bad Request\r\n\r\n", 28},
                {"+OK\r\n+OK\r\n+OK\r\n+OK\r\n", 20},
                {"*-1\r\n*0\r\n$-1\r\n", 14},
                {"*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n", 25},
                {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", 40},
                {"$536870911\r\nxxxxxxxx", 20},
                {":99999999999999999999\r\n", 23},
                {"-LOADING Redis is loading the dataset in memory\r\n", 50},
                {"-ERR max number of clients reached\r\n", 36},
                {"\0\0\0\0\0\0", 6}};
    char uri[64];

    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        struct store_client c;
        struct store_ask a;
        uint16_t port;
        pid_t pid = chatter(says[i].text, says[i].len, &port);
        snprintf(uri, sizeof(uri), "redis://127.0.0.1:%u", port);
        open_for(&c, uri, 1000, 300);
        for (int n = 0; n < 10; n++) {
            assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
            store_client_run(&c, &never, 20);
        }
        store_client_close(&c);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

static void a_sentinel_leads_to_the_master(void **state)
{
    struct redis_server server = {0}, replica = {0};
    struct store_client c;
    struct store_ask a;
    char answer[128], uri[128];
    uint16_t good, stale;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    redis_server_start(&replica, NULL);
    redis_server_do(&replica, "REPLICAOF 127.0.0.1 %d", (int)server.port);
    // One sentinel still names a server that is a replica now; the other is right.
    snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", replica.port);
    pid_t a_pid = chatter(answer, strlen(answer), &stale);
    snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", server.port);
    pid_t b_pid = chatter(answer, strlen(answer), &good);
    snprintf(uri, sizeof(uri), "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/main", stale, good);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    assert_int_equal(store_client_ask(&c, &a, "bob"), STORE_NOT_FOUND);
    store_client_close(&c);
    struct admin_store *admin;
    const char *why = "";
    snprintf(uri, sizeof(uri), "redis+sentinel://127.0.0.1:1,127.0.0.1:%u/main", good);
    if (admin_open(&admin, uri, &why) < 0)
        fail_msg("%s", why);
    admin_close(admin);
    kill(a_pid, SIGKILL);
    kill(b_pid, SIGKILL);
    waitpid(a_pid, NULL, 0);
    waitpid(b_pid, NULL, 0);
    redis_server_remove(&replica);
    redis_server_remove(&server);
}

// A sentinel that is down keeps nobody from the next one, and each is tried at every address of its
// name: these two hear 127.0.0.1 only.
static void sentinels_by_name(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    char answer[128], uri[128];
    uint16_t port;

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", server.port);
    pid_t pid = chatter(answer, strlen(answer), &port);
    snprintf(uri, sizeof(uri), "redis+sentinel://localhost:%u/main", port);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    snprintf(uri, sizeof(uri), "redis+sentinel://localhost:1,localhost:%u/main", port);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    redis_server_remove(&server);
}

// A name that /etc/hosts gives 127.0.0.1, other than localhost and what an IPv6 line repeats.
static bool loopback_name(char out[128])
{
    FILE *f = fopen("/etc/hosts", "r");
    char line[256];
    bool found = false;

    while (f && !found && fgets(line, sizeof(line), f))
        found = sscanf(line, "127.0.0.1 %127s", out) == 1 && strncmp(out, "localhost", 9) != 0;
    if (f)
        fclose(f);
    return found;
}

// The server has alice in database 0 only, and wants no password yet.
static void a_socket_with_a_password(struct redis_server *server, const char *path)
{
    struct admin_store *admin;
    struct store_client c;
    const char *why = "";
    char uri[320];

    redis_server_do(server, "CONFIG SET requirepass %s", "s/cr@t");
    snprintf(uri, sizeof(uri), "redis+unix://:s%%2Fcr%%40t@%s", path);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    if (admin_open(&admin, uri, &why) < 0)
        fail_msg("%s", why);
    admin_close(admin);
    snprintf(uri, sizeof(uri), "redis+unix:%s", path);
    assert_int_equal(admin_open(&admin, uri, &why), -5);
    snprintf(uri, sizeof(uri), "redis+unix://default:s%%2Fcr%%40t@%s?db=2", path);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_NOT_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    redis_server_do(server, "CONFIG SET requirepass %s", "");
}

static void names_and_sockets(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    char uri[320], path[100], name[128];

    snprintf(path, sizeof(path), "/tmp/tp-redis-%d.sock", (int)getpid());
    redis_server_start(&server, (const char *const[]){"--unixsocket", path, NULL});
    put_user(&server, "alice", "0");
    snprintf(uri, sizeof(uri), "redis://localhost:%u", server.port);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    snprintf(uri, sizeof(uri), "redis+unix:%s", path);
    open_with(&c, uri, 1000);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    a_socket_with_a_password(&server, path);
    // A name out of /etc/hosts, where there is one beside localhost.
    if (loopback_name(name)) {
        snprintf(uri, sizeof(uri), "redis://%s:%u", name, server.port);
        open_with(&c, uri, 1000);
        assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
        store_client_close(&c);
        // Closed at whatever stage it has come to.
        for (unsigned ms = 0; ms < 40; ms += 2) {
            const char *why;
            store_client_init(&c, uri);
            assert_int_equal(store_client_open(&c, &why), 0);
            store_client_run(&c, &never, ms);
            store_client_close(&c);
        }
    }
    // No name at all, by its length: no name server is asked.
    snprintf(uri, sizeof(uri), "redis://%064d.test:6379", 0);
    open_for(&c, uri, 1000, 300);
    int64_t start = ms_now();
    assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
    assert_true(ms_now() - start < 5000);
    store_client_close(&c);
    redis_server_remove(&server);
    unlink(path);
}

// Two connections try again and again, also after a reload: one look-up is under way, and nothing
// waits for it.
static void a_silent_name_server(void **state)
{
    struct redis_server server = {0};
    struct store_client c;
    struct store_ask a;
    const char *why;
    char uri[64];

    redis_server_start(&server, NULL);
    put_user(&server, "alice", "0");
    snprintf(uri, sizeof(uri), "redis://redis.test:%u", server.port);
    names_silent(true);
    for (int i = 0; i < 3; i++) {
        open_for(&c, uri, 1000, 300);
        for (int n = 0; n < 3; n++) {
            assert_int_equal(store_client_ask(&c, &a, "alice"), STORE_UNAVAILABLE);
            store_client_run(&c, &never, 100);
        }
        if (i < 2)
            store_client_close(&c);
    }
    for (int64_t start = ms_now(); !names_asked() && ms_now() - start < STORE_PATIENCE;)
        store_client_run(&c, &never, 10);
    assert_int_equal(names_asked(), 1);
    names_silent(false);
    assert_true(store_client_until(&c, "alice", STORE_FOUND, STORE_PATIENCE));
    store_client_close(&c);
    // Closed at whatever stage it has come to.
    for (unsigned ms = 0; ms < 40; ms += 2) {
        store_client_init(&c, uri);
        assert_int_equal(store_client_open(&c, &why), 0);
        store_client_run(&c, &never, ms);
        store_client_close(&c);
    }
    // And while there is no answer: it comes when nobody waits for it any more.
    names_silent(true);
    open_with(&c, uri, 1000);
    store_client_close(&c);
    names_silent(false);
    redis_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_and_back),
        cmocka_unit_test(known_after_a_reload),
        cmocka_unit_test(an_invalidated_user_is_gone),
        cmocka_unit_test(a_lost_subscription_ages_the_cache),
        cmocka_unit_test(slow_is_a_timeout_and_no_stall),
        cmocka_unit_test(pending_is_bounded),
        cmocka_unit_test(not_there_at_start),
        cmocka_unit_test(the_first_question_waits_for_the_connection),
        cmocka_unit_test(passwords),
        cmocka_unit_test(a_refused_subscription_is_told),
        cmocka_unit_test(no_redis_at_all),
        cmocka_unit_test(a_sentinel_leads_to_the_master),
        cmocka_unit_test(sentinels_by_name),
        cmocka_unit_test(names_and_sockets),
        cmocka_unit_test(a_silent_name_server),
    };

    if (!redis_server_installed()) {
        printf("1..0 # SKIP redis-server is not installed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
