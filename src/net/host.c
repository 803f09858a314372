// SPDX-License-Identifier: BSD-2-Clause
#include "net/host.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BACKLOG 128 // connections of peers that were not accepted yet

int host_addresses(struct addr **out)
{
    struct ifaddrs *list;
    if (getifaddrs(&list))
        return -errno;
    size_t n = 0;
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        n++;
    *out = calloc(n + 1, sizeof **out);
    int count = *out ? 0 : -ENOMEM;
    for (struct ifaddrs *i = list; i && count >= 0; i = i->ifa_next)
        if (i->ifa_addr && !addr_from_sockaddr(&(*out)[count], i->ifa_addr))
            count++;
    freeifaddrs(list);
    return count;
}

bool host_default_address(uint8_t family, struct addr *out)
{
    // Connecting a datagram socket makes the kernel choose the source address and sends nothing.
    struct addr far;
    addr_parse_ip(&far, family == ADDR_IPV6 ? "2001:4860::1" : "192.0.2.1", 9);
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(&far, &ss);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    socklen_t got = sizeof ss;
    bool ok = !connect(fd, (struct sockaddr *)&ss, len) &&
              !getsockname(fd, (struct sockaddr *)&ss, &got) &&
              !addr_from_sockaddr(out, (struct sockaddr *)&ss);
    close(fd);
    out->port = 0;
    return ok;
}

static int bind_socket(const struct addr *local, int type, bool share)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(local, &ss);
    int fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                   sizeof on); // connections in TIME_WAIT are no obstacle
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&ss, len)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int host_probe(const struct addr *local, bool stream)
{
    int fd = bind_socket(local, stream ? SOCK_STREAM : SOCK_DGRAM, false);
    if (fd < 0)
        return fd;
    // With SO_REUSEADDR the conflict with a listener shows only here.
    int err = stream && listen(fd, 1) ? -errno : 0;
    close(fd);
    return err;
}

int host_listen(const struct addr *local)
{
    int fd = bind_socket(local, SOCK_STREAM, true);
    if (fd >= 0 && listen(fd, 1024)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int host_listen_alone(const struct addr *local)
{
    int on = 1, fd = bind_socket(local, SOCK_STREAM, false);
    if (fd < 0)
        return fd;
    // Listening settles that nobody else does. Only then the address is shared, with sockets that
    // do not listen.
    if (listen(fd, RELAY_BACKLOG) || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int host_connect_from(const struct addr *local, const struct addr *peer)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(peer, &ss);
    int fd = bind_socket(local, SOCK_STREAM, true);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}
