// SPDX-License-Identifier: BSD-2-Clause
#include "net/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define V1_MAX 107 // with CR LF
#define V2_HEAD 16
#define TLV_HEAD 3
#define TLV_CRC32C 0x03

static const uint8_t v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_start[] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static int bad(const char **why, const char *reason)
{
    *why = reason;
    return -EPROTO;
}

// --- version 1: a line of text ---

static bool parse_ip(struct addr *out, int family, const char *text)
{
    uint8_t ip[16] = {0};
    if (!text || inet_pton(family, text, ip) != 1)
        return false;
    *out = (struct addr){.family = family == AF_INET ? ADDR_IPV4 : ADDR_IPV6};
    memcpy(out->ip, ip, sizeof ip);
    return true;
}

static bool parse_port(struct addr *out, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len || (len > 1 && text[0] == '0'))
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    out->port = (uint16_t)port;
    return port <= 65535;
}

// The next field of a line that is separated by single spaces, or NULL.
static char *next_field(char **rest)
{
    return *rest ? strsep(rest, " ") : NULL;
}

static bool parse_line(struct proxy_header *out, char *line)
{
    char *rest = line;
    const char *kind = next_field(&rest);
    if (!strcmp(kind, "UNKNOWN")) {
        out->local = true;
        return true;
    }
    int family = !strcmp(kind, "TCP4") ? AF_INET : !strcmp(kind, "TCP6") ? AF_INET6 : 0;
    return family && parse_ip(&out->client, family, next_field(&rest)) &&
           parse_ip(&out->dest, family, next_field(&rest)) &&
           parse_port(&out->client, next_field(&rest)) &&
           parse_port(&out->dest, next_field(&rest)) && !rest;
}

static int parse_v1(struct proxy_header *out, const uint8_t *data, size_t len, const char **why)
{
    const uint8_t *end = memchr(data, '\n', len < V1_MAX ? len : V1_MAX);
    if (!end)
        return len < V1_MAX ? 0 : bad(why, "a PROXY line that does not end");
    char line[V1_MAX];
    size_t n = (size_t)(end - data);
    if (memchr(data, 0, n) || data[n - 1] != '\r')
        return bad(why, "a damaged PROXY line");
    n -= sizeof v1_start + 1;
    memcpy(line, data + sizeof v1_start, n);
    line[n] = '\0';
    if (!parse_line(out, line))
        return bad(why, "a damaged PROXY line");
    return (int)(end + 1 - data);
}

// --- version 2: binary ---

static uint32_t crc32c_add(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
    return crc;
}

// Over the whole header, in which the four bytes at zeroed count as zero.
static uint32_t crc32c(const uint8_t *data, size_t len, size_t zeroed)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++)
        crc = crc32c_add(crc, i >= zeroed && i < zeroed + 4 ? 0 : data[i]);
    return ~crc;
}

static bool check_extras(const uint8_t *data, size_t len, size_t at)
{
    while (at < len) {
        if (len - at < TLV_HEAD)
            return false;
        size_t value = at + TLV_HEAD, n = (size_t)data[at + 1] << 8 | data[at + 2];
        if (n > len - value)
            return false;
        if (data[at] == TLV_CRC32C) {
            const uint8_t *v = data + value;
            if (n != 4 || crc32c(data, len, value) != ((uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 |
                                                       (uint32_t)v[2] << 8 | v[3]))
                return false;
        }
        at = value + n;
    }
    return true;
}

// Two addresses, then two ports.
static void read_addresses(struct proxy_header *out, const uint8_t *p, size_t ip_len)
{
    uint8_t family = ip_len == 4 ? ADDR_IPV4 : ADDR_IPV6;
    const uint8_t *ports = p + 2 * ip_len;
    out->client = (struct addr){.family = family, .port = (uint16_t)(ports[0] << 8 | ports[1])};
    out->dest = (struct addr){.family = family, .port = (uint16_t)(ports[2] << 8 | ports[3])};
    memcpy(out->client.ip, p, ip_len);
    memcpy(out->dest.ip, p + ip_len, ip_len);
}

static int parse_v2(struct proxy_header *out, const uint8_t *data, size_t len, const char **why)
{
    enum { LOCAL = 0x20, PROXY = 0x21 };
    enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX = 0x31 };
    if (len < V2_HEAD)
        return 0;
    uint8_t command = data[12], kind = data[13];
    size_t total = V2_HEAD + ((size_t)data[14] << 8 | data[15]);
    if (command != LOCAL && command != PROXY)
        return bad(why, "a PROXY header of an unknown version or command");
    if (total > PROXY_HEADER_MAX)
        return bad(why, "a PROXY header that is too long");
    if (len < total)
        return 0;
    out->local = true;
    if (command == LOCAL)
        return (int)total; // whatever else it holds is to be ignored
    size_t addresses = kind == TCP4 ? 12 : kind == TCP6 ? 36 : kind == UNIX ? 216 : 0;
    if (kind != UNSPEC && addresses == 0)
        return bad(why, "a PROXY header of another protocol than TCP");
    if (total < V2_HEAD + addresses || !check_extras(data, total, V2_HEAD + addresses))
        return bad(why, "a damaged PROXY header");
    if (kind == TCP4 || kind == TCP6) {
        out->local = false;
        read_addresses(out, data + V2_HEAD, kind == TCP4 ? 4 : 16);
    }
    return (int)total;
}

static bool starts(const uint8_t *data, size_t len, const uint8_t *start, size_t start_len)
{
    return !memcmp(data, start, len < start_len ? len : start_len);
}

int proxy_parse(struct proxy_header *out, const uint8_t *data, size_t len, const char **why)
{
    *out = (struct proxy_header){0};
    if (len == 0)
        return 0;
    if (starts(data, len, v1_start, sizeof v1_start))
        return len < sizeof v1_start ? 0 : parse_v1(out, data, len, why);
    if (starts(data, len, v2_start, sizeof v2_start))
        return parse_v2(out, data, len, why);
    return bad(why, "no PROXY header, which this port requires");
}
