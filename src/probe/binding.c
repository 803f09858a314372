// SPDX-License-Identifier: BSD-2-Clause
#include "probe/binding.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "probe/clock.h"
#include "probe/conn.h"
#include "util/codec.h"
#include "util/rand.h"

#define RTO 500000 // us
#define BINDING_MAX 32

struct binding binding_to(int fd, const struct addr *to)
{
    return (struct binding){.fd = fd, .to = *to, .answer_fd = -1};
}

int binding_local_ip(const struct addr *to, const struct addr *source, struct addr *out)
{
    struct target t = {.transport = TRANSPORT_UDP, .addr = *to};
    struct conn *c;
    int rc = conn_open(&c, &t, source->family == to->family ? source : NULL, 0);
    if (rc == 0) {
        *out = c->local;
        out->port = 0;
        conn_close(c);
    }
    return rc;
}

static void send_request(struct binding *b)
{
    struct stun_writer w;
    uint8_t packet[128], port[4] = {(uint8_t)(b->response_port >> 8), (uint8_t)b->response_port};
    struct sockaddr_storage ss;
    socklen_t ss_len = addr_to_sockaddr(&b->to, &ss);
    size_t len;

    stun_begin(&w, packet, sizeof(packet), STUN_REQUEST, STUN_BINDING, b->txid, NULL);
    if (b->change)
        stun_put_u32(&w, STUN_ATTR_CHANGE_REQUEST, b->change);
    if (b->response_port)
        stun_put(&w, STUN_ATTR_RESPONSE_PORT, port, sizeof(port));
    len = stun_end(&w);
    if (sendto(b->fd, packet, len, 0, (struct sockaddr *)&ss, ss_len) < 0 && errno != EAGAIN &&
        errno != ECONNREFUSED)
        b->result = -errno;
    b->sent_at = clock_us();
    b->next = b->sent_at + b->rto;
    b->rto *= 2;
}

static void take_answer(struct binding *b, const struct stun_msg *msg, const struct addr *from)
{
    struct stun_attr a;
    const char *reason;
    size_t len;
    int code;

    b->rtt = clock_us() - b->sent_at;
    b->from = *from;
    if (msg->class_ == STUN_ERROR) {
        b->result = stun_get_error(msg, &code, &reason, &len) == 0 ? code : -EBADMSG;
        return;
    }
    if (stun_get_addr(msg, STUN_ATTR_XOR_MAPPED_ADDRESS, &b->mapped) < 0 &&
        stun_get_addr(msg, STUN_ATTR_MAPPED_ADDRESS, &b->mapped) < 0) {
        b->result = -EBADMSG;
        return;
    }
    if (stun_get_addr(msg, STUN_ATTR_OTHER_ADDRESS, &b->other) < 0)
        stun_get_addr(msg, STUN_ATTR_CHANGED_ADDRESS, &b->other);
    if (stun_find(msg, STUN_ATTR_SOFTWARE, &a))
        text_escape(b->software, sizeof(b->software), a.value, a.len);
    b->result = 0;
}

static void read_socket(int fd, struct binding *list, size_t n)
{
    uint8_t buf[2048];
    struct sockaddr_storage ss;
    struct stun_msg msg;
    struct addr from;

    for (;;) {
        socklen_t ss_len = sizeof(ss);
        ssize_t len = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&ss, &ss_len);
        if (len < 0)
            return;
        if (addr_from_sockaddr(&from, (struct sockaddr *)&ss) < 0 ||
            stun_parse(&msg, buf, (size_t)len) != STUN_PARSE_OK || msg.method != STUN_BINDING ||
            (msg.class_ != STUN_SUCCESS && msg.class_ != STUN_ERROR))
            continue;
        for (size_t i = 0; i < n; i++) {
            if (list[i].result == -EINPROGRESS &&
                memcmp(list[i].txid, msg.txid, STUN_TXID_LEN) == 0)
                take_answer(&list[i], &msg, &from);
        }
    }
}

void binding_run(struct binding *list, size_t n, int64_t timeout)
{
    struct pollfd fds[BINDING_MAX];
    int64_t end = clock_us() + timeout;

    for (size_t i = 0; i < n; i++) {
        rand_bytes(list[i].txid, STUN_TXID_LEN);
        list[i].result = -EINPROGRESS;
        list[i].rto = RTO;
        list[i].next = 0;
    }
    for (;;) {
        int64_t now = clock_us(), wake = end;
        nfds_t waiting = 0;
        for (size_t i = 0; i < n; i++) {
            struct binding *b = &list[i];
            if (b->result == -EINPROGRESS && now >= b->next)
                send_request(b);
            if (b->result != -EINPROGRESS || waiting == BINDING_MAX)
                continue;
            fds[waiting++] = (struct pollfd){b->answer_fd >= 0 ? b->answer_fd : b->fd, POLLIN, 0};
            wake = b->next < wake ? b->next : wake;
        }
        if (waiting == 0 || now >= end)
            break;
        poll(fds, waiting, clock_left_ms(wake));
        for (nfds_t i = 0; i < waiting; i++)
            read_socket(fds[i].fd, list, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (list[i].result == -EINPROGRESS)
            list[i].result = -ETIMEDOUT;
    }
}
