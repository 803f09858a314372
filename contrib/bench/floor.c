// SPDX-License-Identifier: BSD-2-Clause
// What the kernel charges for relaying: a UDP forwarder with the sockets of a TURN server, one for
// all clients and one for each allocation, connected to its peer, and nothing else: no
// authentication, no permissions, no expiry, no limits. A server that costs as much as this costs
// nothing of its own. Only for measuring, on a machine of one's own.
//
// A client sends `floor PEER:PORT` and gets `floor RELAY:PORT`, its relayed address. From then on
// four bytes are taken off the front of what it sends, and put before what its peer sends, as a
// ChannelData header would be. Clients are told apart by their port alone: they are one host's.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 64
#define FIRST_READ 4 // of a relay socket
#define EVENTS 256
#define SLOTS 512
#define HEADROOM 64
#define SLOT (65536 + 2048 + 64)
#define SEGMENTS 64
#define BIG_BUFFER (4 * 1024 * 1024)

struct flow {
    struct sockaddr_in client, peer, relay;
    int fd;
    bool queued;
    struct flow *next; // that has something to send
    struct out *first, **last;
};

// A run of datagrams of `size` bytes each, of which the last may be shorter.
struct out {
    struct out *next;
    uint8_t *data; // with the room for a header in front of each
    uint32_t len, size;
    struct flow *flow;
    uint8_t header[2][4]; // of a full one and of the last
};

static struct flow *by_port[65536]; // of the client: enough for one host's clients
static int listener, epoll_fd;
static uint8_t *arena;
static unsigned used;
static struct out outs[SLOTS];
static unsigned out_count;
static struct out *down, **down_last = &down;
static struct flow *pending;
static struct sockaddr_in relay_address = {.sin_family = AF_INET};

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1,
        omit = IP_PMTUDISC_OMIT;
    if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof *address))
        fail("floor: socket");
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
    return fd;
}

static int address(const char *text, struct sockaddr_in *out)
{
    char ip[64];
    unsigned port = 0;
    if (sscanf(text, "%63[0-9.]:%u", ip, &port) < 1 || port > 65535 ||
        inet_pton(AF_INET, ip, &out->sin_addr) != 1)
        return -1;
    out->sin_port = htons((uint16_t)port);
    return 0;
}

static void watch(int fd, void *arg)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = arg};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev))
        fail("floor: epoll_ctl");
}

static struct flow *flow_new(const struct sockaddr_in *client, const struct sockaddr_in *peer)
{
    struct flow *f = calloc(1, sizeof *f);
    if (!f)
        fail("floor: memory");
    f->client = *client;
    f->peer = *peer;
    f->last = &f->first;
    f->fd = open_socket(&relay_address);
    socklen_t len = sizeof f->relay;
    getsockname(f->fd, (struct sockaddr *)&f->relay, &len);
    if (connect(f->fd, (const struct sockaddr *)peer, sizeof *peer))
        fail("floor: connect");
    watch(f->fd, f);
    return f;
}

// The same request gets the same answer; one for another peer comes from another client.
static void set_up(const struct sockaddr_in *client, const char *text)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    if (address(text, &peer) || !peer.sin_port)
        return;
    struct flow *f = by_port[client->sin_port];
    if (f &&
        (f->peer.sin_port != peer.sin_port || f->peer.sin_addr.s_addr != peer.sin_addr.s_addr)) {
        close(f->fd);
        free(f);
        f = NULL;
    }
    if (!f)
        f = by_port[client->sin_port] = flow_new(client, &peer);
    char ip[INET_ADDRSTRLEN], answer[96];
    int n =
        snprintf(answer, sizeof answer, "floor %s:%u",
                 inet_ntop(AF_INET, &f->relay.sin_addr, ip, sizeof ip), ntohs(f->relay.sin_port));
    sendto(listener, answer, (size_t)n, 0, (const struct sockaddr *)client, sizeof *client);
}

// --- sending ---

static void set_segment(struct msghdr *mh, uint8_t *control, uint32_t size)
{
    mh->msg_control = control;
    mh->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
    struct cmsghdr *c = CMSG_FIRSTHDR(mh);
    *c = (struct cmsghdr){.cmsg_level = IPPROTO_UDP,
                          .cmsg_type = UDP_SEGMENT,
                          .cmsg_len = CMSG_LEN(sizeof(uint16_t))};
    uint16_t value = (uint16_t)size;
    memcpy(CMSG_DATA(c), &value, sizeof value);
}

static void set_header(uint8_t *out, uint32_t len)
{
    out[0] = 0x40;
    out[1] = 0x01;
    out[2] = (uint8_t)(len >> 8);
    out[3] = (uint8_t)len;
}

// The pieces of a run, and of the runs of the same size behind it.
static struct out *gather(struct out *o, struct iovec *iov, size_t *count, uint32_t *total,
                          bool strip, struct flow *only)
{
    uint32_t size = o->size;
    *count = *total = 0;
    for (; o && o->size == size && o->flow == only; o = o->next) {
        uint32_t pieces = (o->len + size - 1) / size;
        if (*count && (*count / (strip ? 1 : 2) + pieces > SEGMENTS || *total + o->len > 60000))
            break;
        for (uint32_t at = 0; at < o->len; at += size) {
            uint32_t len = o->len - at < size ? o->len - at : size;
            if (strip) {
                iov[(*count)++] = (struct iovec){o->data + at + 4, len - 4};
            } else if (at == 0) {
                set_header(o->data - 4, len);
                iov[(*count)++] = (struct iovec){o->data - 4, len + 4};
            } else {
                uint8_t *header = o->header[len < size];
                set_header(header, len);
                iov[(*count)++] = (struct iovec){header, 4};
                iov[(*count)++] = (struct iovec){o->data + at, len};
            }
        }
        *total += o->len;
        if (o->len % size)
            return o->next;
    }
    return o;
}

static void send_up(struct flow *f)
{
    while (f->first) {
        struct out *o = f->first;
        struct iovec iov[SEGMENTS + 1];
        size_t count;
        uint32_t total;
        uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
        struct out *next = gather(o, iov, &count, &total, true, f);
        if (count == 1) {
            send(f->fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT);
        } else {
            struct msghdr mh = {.msg_iov = iov, .msg_iovlen = count};
            set_segment(&mh, control, o->size - 4);
            sendmsg(f->fd, &mh, MSG_DONTWAIT);
        }
        f->first = next;
    }
    f->last = &f->first;
    f->queued = false;
}

static void send_down(void)
{
    static struct mmsghdr msgs[BATCH];
    static struct iovec iov[BATCH * 4 + SEGMENTS * 2 + 2];
    static uint8_t control[BATCH][CMSG_SPACE(sizeof(uint16_t))];
    struct out *o = down;
    while (o) {
        unsigned n = 0;
        size_t at = 0;
        for (; o && n < BATCH && at < BATCH * 4; n++) {
            struct flow *f = o->flow;
            size_t count;
            uint32_t total, size = o->size, len = o->len;
            o = gather(o, iov + at, &count, &total, false, f);
            msgs[n].msg_hdr = (struct msghdr){.msg_name = &f->client,
                                              .msg_namelen = sizeof f->client,
                                              .msg_iov = iov + at,
                                              .msg_iovlen = count};
            if (total > size || len > size)
                set_segment(&msgs[n].msg_hdr, control[n], size + 4);
            at += count;
        }
        for (unsigned done = 0; done < n;) {
            int sent = sendmmsg(listener, msgs + done, n - done, MSG_DONTWAIT);
            done += sent > 0 ? (unsigned)sent : 1;
        }
    }
    down = NULL;
    down_last = &down;
}

static void flush(void)
{
    for (; pending; pending = pending->next)
        send_up(pending);
    if (down)
        send_down();
    used = out_count = 0;
}

// --- receiving ---

static uint32_t segment_of(struct msghdr *mh, uint32_t len)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            return (uint32_t)size;
        }
    return len;
}

static void take(struct flow *f, const struct sockaddr_in *from, uint8_t *data, uint32_t len,
                 uint32_t size)
{
    bool up = !f;
    if (up && len > 6 && !memcmp(data, "floor ", 6)) {
        data[len] = 0;
        set_up(from, (char *)data + 6);
        return;
    }
    if (up)
        f = by_port[from->sin_port];
    if (!f || len < 4)
        return;
    struct out *o = &outs[out_count++];
    *o = (struct out){.data = data, .len = len, .size = size, .flow = f};
    if (!up) {
        *down_last = o;
        down_last = &o->next;
        return;
    }
    *f->last = o;
    f->last = &o->next;
    if (!f->queued) {
        f->queued = true;
        f->next = pending;
        pending = f;
    }
}

static void receive(int fd, struct flow *f, unsigned max)
{
    static struct mmsghdr msgs[BATCH];
    static struct iovec iov[BATCH];
    static struct sockaddr_in from[BATCH];
    static uint8_t control[BATCH][CMSG_SPACE(sizeof(int))];
    int got;
    do {
        if (used + max > SLOTS)
            flush();
        for (unsigned i = 0; i < max; i++) {
            iov[i] = (struct iovec){arena + (size_t)(used + i) * SLOT + HEADROOM, 65536};
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i],
                                              .msg_controllen = sizeof control[i]};
        }
        got = recvmmsg(fd, msgs, max, 0, NULL);
        for (int i = 0; i < got; i++) {
            used++;
            take(f, &from[i], iov[i].iov_base, msgs[i].msg_len,
                 segment_of(&msgs[i].msg_hdr, msgs[i].msg_len));
        }
    } while (got == (int)max);
}

// More descriptors, a big buffer for what all clients send.
static void prepare(const struct sockaddr_in *listen_address)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    arena = malloc((size_t)SLOTS * SLOT);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!arena || epoll_fd < 0)
        fail("floor");
    listener = open_socket(listen_address);
    int big = BIG_BUFFER;
    if (setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big))
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    watch(listener, NULL);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"relay", required_argument, NULL, 'r'}, {0}};
    struct sockaddr_in listen_address = {.sin_family = AF_INET};
    bool wrong = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        wrong |= c == '?' || address(optarg, c == 'l' ? &listen_address : &relay_address);
    if (wrong || optind < argc || !listen_address.sin_port || !relay_address.sin_addr.s_addr) {
        fprintf(stderr, "usage: floor --listen ADDRESS:PORT --relay ADDRESS\n");
        return 2;
    }
    prepare(&listen_address);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct flow *f = events[i].data.ptr;
            receive(f ? f->fd : listener, f, f ? FIRST_READ : BATCH);
        }
        flush();
    }
}
