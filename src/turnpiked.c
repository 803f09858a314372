// SPDX-License-Identifier: BSD-2-Clause
// The daemon: arguments, configuration, privileges, signals.
#include <config.h>

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "auth/stores.h"
#include "conf/conf.h"
#include "dev.h"
#ifdef WITH_SIGNAL
#include "http/http.h"
#endif
#include "util/codec.h"
#include "util/log.h"
#include "util/standard.h"
#include "worker/server.h"

#define EXIT_CONFIG 2
#define OVERRIDES_MAX 64

static const char usage_text[] =
    "Usage: turnpiked [-c FILE] [--set KEY=VALUE]... [--check | --print-config]\n"
    "       turnpiked --dev [--set KEY=VALUE]...\n"
    "\n"
    "A STUN and TURN server.\n"
    "\n"
    "  -c, --config FILE     configuration file [" TP_SYSCONFDIR "/turnpike.conf]\n"
    "      --dev             no file: loopback only, an embedded store with one user, and an\n"
    "                        iceServers snippet to paste into a browser\n"
    "      --set KEY=VALUE   override one key of the file, such as log.level=\"debug\"; may "
    "repeat\n"
    "      --check           check the configuration and exit: 0 if it is sound, 2 if not\n"
    "      --print-config    print the whole configuration, defaults filled in, and exit\n"
    "      --print-manual    print the list of options in manual page form and exit\n"
    "  -V, --version         print the version and exit\n"
    "  -h, --help            print this and exit\n"
    "\n"
    "Signals: TERM and INT end the server, HUP reloads the configuration and reopens the log.\n"
    "See turnpiked(8), turnpike.conf(5), turnpikectl(1).\n";

struct options {
    const char *program;
    const char *file;
    bool dev, check, print;
    struct conf_override overrides[OVERRIDES_MAX + DEV_OVERRIDES];
    size_t override_count;
};

struct daemon {
    struct options *options;
    struct server *server;
#ifdef WITH_SIGNAL
    struct http *http; // NULL: not wanted
#endif
    struct event_base *base;
    sigset_t signals;
    int signal_fd;
    struct event *signal;
};

static int bad_usage(const char *argument, const char *what)
{
    fprintf(stderr, "turnpiked: %s: %s\nTry `turnpiked --help`.\n", argument, what);
    return EXIT_CONFIG;
}

static int add_override(struct options *o, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals)
        return bad_usage(text, "--set takes KEY=VALUE");
    if (o->override_count == OVERRIDES_MAX)
        return bad_usage(text, "one --set too many");
    *equals = '\0';
    o->overrides[o->override_count++] = (struct conf_override){.key = text, .value = equals + 1};
    return 0;
}

// 0 to go on, 1 when all is done, EXIT_CONFIG for a mistake.
static int parse_options(struct options *o, int argc, char **argv)
{
    enum { OPT_DEV = 256, OPT_SET, OPT_CHECK, OPT_PRINT, OPT_MANUAL };
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"dev", no_argument, NULL, OPT_DEV},
        {"set", required_argument, NULL, OPT_SET},
        {"check", no_argument, NULL, OPT_CHECK},
        {"print-config", no_argument, NULL, OPT_PRINT},
        {"print-manual", no_argument, NULL, OPT_MANUAL},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1) {
        int err = 0;
        switch (c) {
        case 'c':
            o->file = optarg;
            break;
        case OPT_DEV:
            o->dev = true;
            break;
        case OPT_SET:
            err = add_override(o, optarg);
            break;
        case OPT_CHECK:
            o->check = true;
            break;
        case OPT_PRINT:
            o->print = true;
            break;
        case OPT_MANUAL:
            conf_print_manual(stdout);
            return 1;
        case 'V':
            puts("turnpiked " PACKAGE_VERSION);
            return 1;
        case 'h':
            fputs(usage_text, stdout);
            return 1;
        default:
            fputs("Try `turnpiked --help`.\n", stderr);
            return EXIT_CONFIG;
        }
        if (err)
            return err;
    }
    if (optind < argc)
        return bad_usage(argv[optind], "not an option");
    if (o->dev && o->file)
        return bad_usage("--dev", "it takes no configuration file");
    if (!o->dev && !o->file)
        o->file = TP_SYSCONFDIR "/turnpike.conf";
    return 0;
}

// What a mistake is a mistake of.
static const char *config_name(const struct options *o)
{
    return o->file ? o->file : "--dev";
}

// NULL with *mistakes, which is NULL when there is no memory for the text.
static struct conf *load(const struct options *o, char **mistakes)
{
    struct conf_errors errors = {0};
    struct conf *conf = conf_load(o->file, o->dev, o->overrides, o->override_count, &errors);
    *mistakes = errors.text;
    return conf;
}

// --- privileges and limits ---

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Who to run as.
struct account {
    bool other; // than who started us
    uid_t uid;
    gid_t gid;
};

static void tell_missing(const struct conf *conf, const char *key, const char *name)
{
    char shown[128], why[256], text[1536];
    text_escape(shown, sizeof shown, name, strlen(name));
    snprintf(why, sizeof why, "%s: this host has no %s \"%s\": make it, or leave the key out", key,
             key, shown);
    conf_explain(conf, why, text, sizeof text);
    fprintf(stderr, "%s\n", text);
}

// 0, or -ENOENT when the configuration names nobody of this host: that has been told.
static int find_account(const struct conf *conf, struct account *out)
{
    *out = (struct account){.other = false};
    if (!conf->user)
        return 0;
    const struct passwd *pw = getpwnam(conf->user);
    const struct group *gr = conf->group ? getgrnam(conf->group) : NULL;
    if (!pw || (conf->group && !gr)) {
        tell_missing(conf, pw ? "group" : "user", pw ? conf->group : conf->user);
        return -ENOENT;
    }
    out->uid = pw->pw_uid;
    out->gid = gr ? gr->gr_gid : pw->pw_gid;
    out->other = geteuid() != out->uid || getegid() != out->gid;
    return 0;
}

// A log file is opened, and made, by who will have to open it again when it has been rotated.
static int open_log(const struct conf *conf, const struct account *account)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    bool other = account->other && uid == 0;
    if (other && (setegid(account->gid) || seteuid(account->uid)))
        return -errno;
    int err = log_setup(conf->log.level, conf->log.format, conf->log.target);
    if (other && (seteuid(uid) || setegid(gid)))
        return -errno;
    return err;
}

// Listening sockets are open by now; nothing that follows needs root.
static int drop_privileges(const struct conf *conf, const struct account *account)
{
    if (!conf->user && geteuid() == 0 && !conf->dev)
        log_warning("main", "running as root: set `user` to the account to run as");
    if (!account->other)
        return 0;
    if (initgroups(conf->user, account->gid) || setgid(account->gid) || setuid(account->uid)) {
        int err = -errno;
        log_error("main", "cannot become user %s: %s", conf->user, strerror(-err));
        return err;
    }
    return 0;
}

// --- running ---

static void notify(const char *state)
{
#ifdef WITH_SYSTEMD
    sd_notify(0, state);
#endif
}

static void log_mistakes(char *text)
{
    char *save = NULL;
    if (!text)
        log_error("conf", "out of memory");
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        log_error("conf", "%s", line);
}

// --- the HTTP server, where there is one ---

#ifdef WITH_SIGNAL
static int open_http(struct daemon *d, const char **why)
{
    if (!conf_serves_http(server_conf(d->server)))
        return 0;
    int err = http_new(&d->http, server_snapshot(d->server), why);
    if (!err)
        server_set_http(d->server, http_take, d->http);
    return err;
}

static int start_http(struct daemon *d, const char **why)
{
    *why = "cannot start a thread";
    return d->http ? http_start(d->http) : 0;
}

static void reload_http(struct daemon *d)
{
    if (d->http && http_reload(d->http, server_snapshot(d->server)))
        log_error("http", "out of memory: the old configuration stays");
}

static void stop_http(struct daemon *d)
{
    http_stop(d->http);
}

static void close_http(struct daemon *d)
{
    http_free(d->http);
}
#else
static int open_http(struct daemon *d, const char **why)
{
    return 0;
}

static int start_http(struct daemon *d, const char **why)
{
    return 0;
}

static void reload_http(struct daemon *d)
{
}

static void stop_http(struct daemon *d)
{
}

static void close_http(struct daemon *d)
{
}
#endif

// --- reload ---

static void reload(struct daemon *d)
{
    notify("RELOADING=1");
    int err = log_reopen();
    if (err)
        log_error("main", "cannot reopen the log: %s", strerror(-err));
    char *mistakes;
    const char *why;
    struct conf *conf = load(d->options, &mistakes);
    if (!conf) {
        log_mistakes(mistakes);
        log_error("conf", "the configuration is not taken over; the old one stays");
    } else if (server_reload(d->server, conf, &why)) {
        log_error("conf", "%s; the old configuration stays", why);
    } else {
        const struct conf *c = server_conf(d->server);
        err = log_setup(c->log.level, c->log.format, c->log.target);
        if (err)
            log_error("main", "log.target: %s: %s; the old log goes on", c->log.target,
                      strerror(-err));
        reload_http(d);
        log_notice("conf", "configuration reloaded");
    }
    free(mistakes);
    notify("READY=1");
}

// Signals are blocked in every thread and read from a descriptor: one that comes during the start
// waits and does not cut it short, and no handler runs in the middle of something else.
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *d = arg;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(d);
        return;
    }
    log_notice("main", "ending: %s", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    notify("STOPPING=1");
    event_base_loopbreak(d->base);
}

static void report_ready(const struct daemon *d, struct timespec started)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (now.tv_sec - started.tv_sec) * 1000 + (now.tv_nsec - started.tv_nsec) / 1000000;
    unsigned n = server_workers(d->server);
    log_notice("main", "turnpiked " PACKAGE_VERSION " ready after %ld ms, %u worker%s", ms, n,
               n == 1 ? "" : "s");
    notify("READY=1");
}

// What the main thread needs while the server runs: made before anyone is served, so that a server
// that answers cannot fail any more.
static int open_loop(struct daemon *d)
{
    d->base = event_base_new();
    d->signal_fd = signalfd(-1, &d->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (d->base && d->signal_fd >= 0)
        d->signal = event_new(d->base, d->signal_fd, EV_READ | EV_PERSIST, on_signal, d);
    if (d->signal && !event_add(d->signal, NULL))
        return 0;
    log_error("main", "cannot make an event loop: %s", strerror(errno));
    return -ENOMEM;
}

static void close_loop(struct daemon *d)
{
    if (d->signal)
        event_free(d->signal);
    if (d->signal_fd >= 0)
        close(d->signal_fd);
    if (d->base)
        event_base_free(d->base);
}

// Privileges are gone by now: say early what a reload would fail of.
static void check_readable(const char *key, const char *path)
{
    if (access(path, R_OK))
        log_warning("tls", "%s: the user that we run as cannot read %s again at a reload: %m", key,
                    path);
}

static void check_reload(const struct conf *c)
{
    if (!c->tls.certificate)
        return;
    check_readable("tls.certificate", c->tls.certificate);
    check_readable("tls.key", c->tls.key);
    for (size_t i = 0; i < c->tls.additional_count; i++) {
        check_readable("tls.additional.certificate", c->tls.additional[i].certificate);
        check_readable("tls.additional.key", c->tls.additional[i].key);
    }
    if (c->tls.client_ca)
        check_readable("tls.client_ca", c->tls.client_ca);
    if (c->signal.client_ca)
        check_readable("signal.client_ca", c->signal.client_ca);
}

// Opens the sockets, becomes who it is to run as, starts the workers. 0, or a negative errno that
// has been logged; -EINVAL: the configuration cannot be used.
static int start(struct daemon *d, struct conf *conf, const struct account *account)
{
    const char *why = NULL;
    int err = server_new(&d->server, conf, &why);
    if (err == -EINVAL) {
        log_error("conf", "%s", why);
        return err;
    }
    if (!err)
        err = open_http(d, &why);
    if (!err && drop_privileges(server_conf(d->server), account))
        return -EPERM;
    if (!err) {
        check_reload(server_conf(d->server));
        err = server_start(d->server, &why);
    }
    if (!err)
        err = start_http(d, &why);
    if (!err)
        return 0;
    log_error("main", "%s", why);
    return -EIO;
}

static void tell_log(const struct conf *conf, int err)
{
    char why[1280], text[2560];
    snprintf(why, sizeof why, "log.target: %s: %s", conf->log.target, strerror(-err));
    conf_explain(conf, why, text, sizeof text);
    fprintf(stderr, "%s\n", text);
}

static int serve(struct options *o, struct conf *conf, struct dev *dev, const sigset_t *signals,
                 struct timespec started)
{
    struct account account;
    if (find_account(conf, &account)) {
        conf_free(conf);
        return EXIT_CONFIG;
    }
    int err = open_log(conf, &account);
    if (err) {
        tell_log(conf, err);
        conf_free(conf);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    struct daemon d = {.options = o, .signals = *signals};
    int status = 1;
    if (open_loop(&d)) {
        conf_free(conf);
    } else if ((err = start(&d, conf, &account))) {
        status = err == -EINVAL ? EXIT_CONFIG : 1;
    } else {
        if (dev)
            dev_greet(dev, server_conf(d.server), o->program);
        report_ready(&d, started);
        event_base_dispatch(d.base);
        status = 0;
    }
    stop_http(&d); // before the server, whose secret it borrows
    server_free(d.server);
    close_http(&d); // until now workers may have handed it connections
    close_loop(&d);
    if (!status)
        log_notice("main", "ended");
    log_close();
    libevent_global_shutdown();
    return status;
}

static int check(const struct options *o, const struct conf *conf)
{
    struct account account;
    const char *why;
    if (find_account(conf, &account))
        return EXIT_CONFIG;
    if (server_check(conf, &why)) {
        fprintf(stderr, "%s\n", why);
        return EXIT_CONFIG;
    }
    printf("%s: the configuration is sound\n", config_name(o));
    return 0;
}

int main(int argc, char **argv)
{
    struct timespec started;
    clock_gettime(CLOCK_MONOTONIC, &started);
    struct options o = {.program = argv[0]};
    struct dev *dev = NULL;
    sigset_t signals;
    standard_fill();
    int status = parse_options(&o, argc, argv);
    if (status)
        return status == 1 ? 0 : status;
    block_signals(&signals);
    conf_set_store_check(stores_check_uri);
    if (o.dev && !o.check && !o.print) {
        dev = dev_new();
        if (!dev)
            return 1;
        // Before the user's own overrides, so that these win.
        memmove(o.overrides + DEV_OVERRIDES, o.overrides, o.override_count * sizeof *o.overrides);
        dev_overrides(dev, o.overrides);
        o.override_count += DEV_OVERRIDES;
    }
    char *mistakes;
    struct conf *conf = load(&o, &mistakes);
    if (!conf) {
        fputs(mistakes ? mistakes : "turnpiked: out of memory\n", stderr);
        status = EXIT_CONFIG;
    } else if (o.check) {
        status = check(&o, conf);
        conf_free(conf);
    } else if (o.print) {
        conf_print(conf, stdout);
        conf_free(conf);
    } else if (dev && dev_add_user(dev, conf)) {
        conf_free(conf);
        status = 1;
    } else {
        status = serve(&o, conf, dev, &signals, started);
    }
    free(mistakes);
    dev_free(dev);
    return status;
}
