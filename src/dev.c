// SPDX-License-Identifier: BSD-2-Clause
#include <config.h>

#include "dev.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/admin.h"
#include "net/host.h"
#include "stun/integrity.h"
#include "util/codec.h"
#include "util/rand.h"

#define DEV_USER "dev"
#define PAGE_PORT 8080
#define PAGE_PORTS 20

struct dev {
    char folder[256];
    char uri[300];
    char override[320];
    char page_port[6];
    char password[25];
};

// The usual port of such pages, or one near it: other servers in development like it too.
static unsigned find_page_port(void)
{
    struct addr local = {.ip = {127, 0, 0, 1}, .family = ADDR_IPV4};
#ifdef WITH_SIGNAL
    for (local.port = PAGE_PORT; local.port < PAGE_PORT + PAGE_PORTS; local.port++)
        if (host_probe(&local, true) == 0)
            return local.port;
    return PAGE_PORT; // to say that it is taken
#else
    return local.port;
#endif
}

struct dev *dev_new(void)
{
    struct dev *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    const char *tmp = getenv("TMPDIR");
    snprintf(d->folder, sizeof d->folder, "%s/turnpike-dev-XXXXXX",
             tmp && *tmp && strlen(tmp) < 200 ? tmp : "/tmp");
    if (!mkdtemp(d->folder)) { // mode 0700
        fprintf(stderr, "turnpiked: %s: %s\n", d->folder, strerror(errno));
        free(d);
        return NULL;
    }
    snprintf(d->uri, sizeof d->uri, "sqlite:%s/users.db", d->folder);
    snprintf(d->override, sizeof d->override, "[ \"%s\" ]", d->uri);
    snprintf(d->page_port, sizeof d->page_port, "%u", find_page_port());
    return d;
}

void dev_overrides(const struct dev *d, struct conf_override *out)
{
    out[0] = (struct conf_override){.key = "auth.stores", .value = d->override};
    out[1] = (struct conf_override){.key = "signal.port", .value = d->page_port};
}

int dev_add_user(struct dev *d, const struct conf *conf)
{
    uint8_t random[12];
    rand_bytes(random, sizeof random);
    hex_encode(d->password, random, sizeof random);

    struct auth_record rec = {
        .user = DEV_USER, .user_len = strlen(DEV_USER), .key_count = 1, .created = time(NULL)};
    stun_key_md5(rec.keys[0].md5, DEV_USER, strlen(DEV_USER), conf->realm, d->password,
                 strlen(d->password));
    stun_key_sha256(rec.keys[0].sha256, DEV_USER, strlen(DEV_USER), conf->realm, d->password,
                    strlen(d->password));
    rec.keys[0].has_md5 = rec.keys[0].has_sha256 = true;

    struct admin_store *store;
    const char *why;
    int err = admin_open(&store, d->uri, &why);
    if (err) {
        fprintf(stderr, "turnpiked: %s: %s\n", d->uri, why);
        return err;
    }
    err = admin_user_add(store, conf->realm, &rec);
    if (err)
        fprintf(stderr, "turnpiked: %s: %s\n", d->uri, admin_error(store));
    admin_close(store);
    return err;
}

static void print_urls(const struct conf *conf)
{
    const char *comma = "";
    for (size_t i = 0; i < conf->listen_count; i++) {
        const struct conf_listen *l = &conf->listen[i];
        char ip[ADDR_STRLEN] = "127.0.0.1";
        if (!l->any)
            addr_format_ip(&l->addr, ip);
        if (l->addr.family == ADDR_IPV6)
            continue; // one family is enough to paste
        printf("%s\"%s:%s:%u?transport=%s\"", comma,
               conf_transport_plain(l->transport) ? "turn" : "turns", ip, l->addr.port,
               conf_transport_stream(l->transport) ? "tcp" : "udp");
        comma = ", ";
    }
}

// The folder of the program with its slash when turnpikectl is there too, as in a build folder;
// else nothing: PATH has it.
static int folder_length(const char *program)
{
    const char *slash = strrchr(program, '/');
    char path[PATH_MAX];
    if (!slash)
        return 0;
    int len = (int)(slash + 1 - program);
    snprintf(path, sizeof path, "%.*sturnpikectl", len, program);
    return access(path, X_OK) ? 0 : len;
}

static void print_page(const struct conf *conf)
{
    const struct conf_listen *l = &conf->signal.listen;
    char text[ADDR_STRLEN + 8];
    if (!l->addr.port)
        return;
    if (l->any)
        snprintf(text, sizeof text, "localhost:%u", l->addr.port);
    else
        addr_format(&l->addr, text);
    printf("Open this page in a browser on this machine, in two tabs:\n\n  %s://%s/\n\n",
           conf->signal.tls ? "https" : "http", text);
}

void dev_greet(const struct dev *d, const struct conf *conf, const char *program)
{
    printf(
        "\nturnpike %s runs in development mode: on this machine only, until you press Ctrl-C.\n\n",
        PACKAGE_VERSION);
    print_page(conf);
    printf("Paste this into the console of a browser on this machine; \"typ relay\" means that it "
           "works:\n\n"
           "  const pc = new RTCPeerConnection({\n"
           "    iceTransportPolicy: \"relay\",\n"
           "    iceServers: [{\n"
           "      urls: [");
    print_urls(conf);
    printf(
        "],\n"
        "      username: \"%s\", credential: \"%s\"\n"
        "    }]\n"
        "  });\n"
        "  pc.onicecandidate = e => console.log(e.candidate ? e.candidate.candidate : \"done\");\n"
        "  pc.createDataChannel(\"test\");\n"
        "  pc.setLocalDescription();\n\n"
        "Another user:  %.*sturnpikectl user add NAME --realm %s --store %s\n\n",
        DEV_USER, d->password, folder_length(program), program, conf->realm, d->uri);
    fflush(stdout);
}

void dev_free(struct dev *d)
{
    if (!d)
        return;
    static const char *const files[] = {"users.db", "users.db-wal", "users.db-shm",
                                        "users.db-journal"};
    char path[300];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", d->folder, files[i]);
        unlink(path);
    }
    rmdir(d->folder);
    free(d);
}
