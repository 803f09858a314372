// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "util/addr.h"
#include "util/log.h"

static char dir[64], path[96], target[112], text[1 << 20];

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "test_log.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/log", dir);
    snprintf(target, sizeof(target), "file:%s", path);
    unsetenv("JOURNAL_STREAM");
    return 0;
}

static int teardown(void **state)
{
    log_close();
    unlink(path);
    return rmdir(dir);
}

static const char *contents(const char *file)
{
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

// Checks "2026-11-21T01:02:03.456Z " and gives what follows.
static const char *after_time(const char *line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], shape[i]);
    }
    assert_int_equal(line[strlen(shape)], ' ');
    return line + strlen(shape) + 1;
}

static void test_text_line(void **state)
{
    struct addr client;
    addr_parse(&client, "192.0.2.1:5000");
    struct log_about about = {.session = 0xa1, .client = &client};
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, target), 0);
    log_line(LOG_LVL_INFO, "turn", &about, "allocation created, relay %d", 7);
    log_line(LOG_LVL_DEBUG, "turn", &about, "not written");
    log_debug("turn", "not written either");
    log_warning("store", "redis is away");
    const char *line = after_time(contents(path));
    const char *first = "info  turn session=00000000000000a1 client=192.0.2.1:5000 "
                        "allocation created, relay 7\n";
    assert_memory_equal(line, first, strlen(first));
    assert_string_equal(after_time(line + strlen(first)), "warning store redis is away\n");
}

static void test_text_is_escaped(void **state)
{
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, target), 0);
    log_info("a", "x\r\ny\t\x1b[31m\x7f caf\xc3\xa9 \xff \xc2\x9b \xed\xa0\x80 \\ \" %s", "%n");
    assert_string_equal(after_time(contents(path)),
                        "info  a x\\x0d\\x0ay\\x09\\x1b[31m\\x7f caf\xc3\xa9 \\xff \\xc2\\x9b "
                        "\\xed\\xa0\\x80 \\ \" %n\n");
}

static void test_json_line(void **state)
{
    struct addr client;
    addr_parse(&client, "[2001:db8::1]:5000");
    struct log_about about = {.session = UINT64_MAX, .client = &client};
    assert_int_equal(log_setup(LOG_LVL_DEBUG, LOG_FMT_JSON, target), 0);
    log_line(LOG_LVL_ERROR, "conf", &about, "a \"quoted\" \\ line\nand \xff caf\xc3\xa9");
    json_t *j = json_loads(contents(path), 0, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "level")), "error");
    assert_string_equal(json_string_value(json_object_get(j, "area")), "conf");
    assert_string_equal(json_string_value(json_object_get(j, "session")), "ffffffffffffffff");
    assert_string_equal(json_string_value(json_object_get(j, "client")), "[2001:db8::1]:5000");
    assert_string_equal(json_string_value(json_object_get(j, "msg")),
                        "a \"quoted\" \\ line\\x0aand \\xff caf\xc3\xa9");
    assert_int_equal(json_string_length(json_object_get(j, "ts")), 24);
    assert_int_equal(json_object_size(j), 6);
    json_decref(j);
}

static void test_long_lines_are_cut(void **state)
{
    static const char *const fillers[] = {"x", "\xc3\xa9", "\n", "\"", "\\"};
    char big[5000];
    for (int format = LOG_FMT_TEXT; format <= LOG_FMT_JSON; format++) {
        for (size_t f = 0; f < 5; f++) {
            for (size_t shift = 0; shift < 7; shift++) {
                size_t n = shift;
                memset(big, '.', shift);
                while (n + 4 < sizeof(big)) {
                    memcpy(big + n, fillers[f], strlen(fillers[f]));
                    n += strlen(fillers[f]);
                }
                big[n] = '\0';
                unlink(path);
                assert_int_equal(log_setup(LOG_LVL_INFO, (enum log_format)format, target), 0);
                log_info("a", "%s", big);
                const char *line = contents(path);
                assert_in_range(strlen(line), 2030, 2048);
                assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
                if (format == LOG_FMT_JSON) {
                    json_t *j = json_loads(line, 0, NULL);
                    assert_non_null(j);
                    json_decref(j);
                } else {
                    assert_string_equal(line + strlen(line) - 4, "...\n");
                }
            }
        }
    }
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info("thread", "%c%0200d", *(const char *)arg, i);
    return NULL;
}

static void test_lines_of_threads_stay_whole(void **state)
{
    pthread_t threads[4];
    static const char names[] = "abcd";
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, target), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)(names + i)), 0);
    assert_int_equal(log_reopen(), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int seen[4] = {0}, lines = 0;
    for (const char *line = contents(path); *line; line = strchr(line, '\n') + 1, lines++) {
        const char *body = after_time(line);
        assert_memory_equal(body, "info  thread ", 13);
        assert_in_range(body[13], 'a', 'd');
        assert_int_equal(strtol(body + 14, NULL, 10), seen[body[13] - 'a']++);
        assert_int_equal(body[214], '\n');
    }
    assert_int_equal(lines, 2000);
}

static void test_reopen_follows_the_name(void **state)
{
    char old[128];
    snprintf(old, sizeof(old), "%s/old", dir);
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, target), 0);
    log_info("a", "one");
    assert_int_equal(rename(path, old), 0);
    log_info("a", "two");
    assert_int_equal(log_reopen(), 0);
    log_info("a", "three");
    assert_string_equal(after_time(contents(path)), "info  a three\n");
    assert_non_null(strstr(contents(old), "two\n"));
    unlink(old);
}

static void test_failed_setup_keeps_the_target(void **state)
{
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, target), 0);
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, "file:/no/such/folder/log"), -ENOENT);
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, "nowhere"), -EINVAL);
    errno = EBUSY;
    log_info("a", "still here");
    assert_int_equal(errno, EBUSY);
    assert_string_equal(after_time(contents(path)), "info  a still here\n");
}

static void test_full_disk_is_survived(void **state)
{
    assert_int_equal(log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, "file:/dev/full"), 0);
    errno = EBUSY;
    log_info("a", "lost");
    assert_int_equal(errno, EBUSY);
}

// Runs log_setup("stderr") and one line with stderr being the file at path.
static void log_to_stderr(const char *journal)
{
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    struct stat st;
    char stream[64];
    assert_true(saved >= 0 && fd >= 0 && fstat(fd, &st) == 0);
    dup2(fd, STDERR_FILENO);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", journal ? journal : stream, 1);
    log_setup(LOG_LVL_INFO, LOG_FMT_TEXT, "stderr");
    log_warning("a", "hello");
    unsetenv("JOURNAL_STREAM");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
}

static void test_journal(void **state)
{
    log_to_stderr(NULL);
    assert_string_equal(contents(path), "<4>a hello\n");
    unlink(path);
    log_to_stderr("1:1"); // inherited, but this is not the stream that it names
    assert_string_equal(after_time(contents(path)), "warning a hello\n");
}

static void test_levels(void **state)
{
    for (int i = LOG_LVL_ERROR; i <= LOG_LVL_DEBUG; i++)
        assert_int_equal(log_level_parse(log_level_name((enum log_level)i)), i);
    assert_int_equal(log_level_parse("verbose"), -1);
    assert_int_equal(log_level_parse(""), -1);
    log_setup(LOG_LVL_WARNING, LOG_FMT_TEXT, "stderr");
    assert_true(log_on(LOG_LVL_WARNING));
    assert_false(log_on(LOG_LVL_NOTICE));
}

static void test_limit(void **state)
{
    struct log_limit l = {0};
    uint32_t swallowed = 9;
    assert_true(log_limit_pass(&l, 2, 100, &swallowed));
    assert_int_equal(swallowed, 0);
    assert_true(log_limit_pass(&l, 2, 105, &swallowed));
    assert_false(log_limit_pass(&l, 2, 109, &swallowed));
    assert_false(log_limit_pass(&l, 2, 109, &swallowed));
    assert_true(log_limit_pass(&l, 2, 110, &swallowed));
    assert_int_equal(swallowed, 2);
    assert_true(log_limit_pass(&l, 2, 110, &swallowed));
    assert_int_equal(swallowed, 0);
    assert_false(log_limit_pass(&l, 2, 110, &swallowed));
    // A clock that went back opens a new window rather than staying shut.
    assert_true(log_limit_pass(&l, 2, 50, &swallowed));
    assert_int_equal(swallowed, 1);
}

#define LOG_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_text_line),
        LOG_TEST(test_text_is_escaped),
        LOG_TEST(test_json_line),
        LOG_TEST(test_long_lines_are_cut),
        LOG_TEST(test_lines_of_threads_stay_whole),
        LOG_TEST(test_reopen_follows_the_name),
        LOG_TEST(test_failed_setup_keeps_the_target),
        LOG_TEST(test_full_disk_is_survived),
        LOG_TEST(test_journal),
        LOG_TEST(test_levels),
        LOG_TEST(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
