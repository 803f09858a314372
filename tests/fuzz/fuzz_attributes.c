// SPDX-License-Identifier: BSD-2-Clause
// Input: a byte of options, a byte for the capacity, then attributes as type (2 bytes), length (1
// byte) and value. They are written as a message and read back: what comes out has to be what went
// in.
#include "fuzz.h"

#include <string.h>

#include "stun/integrity.h"

#define MAX_ATTRS 256

enum { WITH_SHA1 = 1, WITH_SHA256 = 2, WITH_FINGERPRINT = 4, WITH_SMALL_BUFFER = 8 };

struct item {
    uint16_t type;
    uint8_t len;
    const uint8_t *value;
    bool typed; // written by the function of its kind
    struct addr addr;
};

static struct item items[MAX_ATTRS];
static uint8_t out[80000];

static size_t read_items(struct cursor *c)
{
    size_t n = 0;
    while (n < MAX_ATTRS) {
        struct item *it = &items[n];
        *it = (struct item){.type = cursor_u16(c), .len = cursor_u8(c)};
        it->value = cursor_take(c, it->len);
        if (!c->ok)
            break;
        // These three are not ordinary attributes; fuzz_message sees them at every place.
        if (it->type != STUN_ATTR_FINGERPRINT && it->type != STUN_ATTR_MESSAGE_INTEGRITY &&
            it->type != STUN_ATTR_MESSAGE_INTEGRITY_SHA256)
            n++;
    }
    return n;
}

static bool fits_table(const struct item *it)
{
    const struct stun_attr_info *info = stun_attr_info(it->type);
    return !info || (it->len >= info->min_len && it->len <= info->max_len);
}

static void put_item(struct stun_writer *w, struct item *it)
{
    const struct stun_attr_info *info = stun_attr_info(it->type);
    enum stun_attr_kind kind = info ? info->kind : STUN_KIND_BYTES;
    struct cursor c = cursor_reader(it->value, it->len);

    it->typed = true;
    if (kind == STUN_KIND_U32 && it->len == 4) {
        stun_put_u32(w, it->type, cursor_u32(&c));
    } else if (kind == STUN_KIND_U64 && it->len == 8) {
        uint64_t high = cursor_u32(&c);
        stun_put_u64(w, it->type, high << 32 | cursor_u32(&c));
    } else if ((kind == STUN_KIND_ADDR || kind == STUN_KIND_XADDR) &&
               (it->len == 8 || it->len == 20)) {
        it->addr.family = it->len == 8 ? ADDR_IPV4 : ADDR_IPV6;
        cursor_u16(&c);
        it->addr.port = cursor_u16(&c);
        memcpy(it->addr.ip, it->value + 4, it->len - 4u);
        stun_put_addr(w, it->type, &it->addr);
    } else {
        it->typed = false;
        stun_put(w, it->type, it->value, it->len);
    }
}

static void compare(const struct stun_msg *msg, size_t n)
{
    struct stun_attr attr;
    struct addr a;
    size_t pos = 0;

    for (size_t i = 0; i < n; i++) {
        const struct item *it = &items[i];
        CHECK(stun_next(msg, &pos, &attr));
        CHECK(attr.type == it->type && attr.len == it->len);
        for (const uint8_t *p = attr.value + attr.len; p < msg->buf + pos; p++)
            CHECK(*p == 0);
        if (it->addr.family) {
            CHECK(stun_attr_addr(msg, &attr, &a) == 0);
            CHECK(addr_equal(&a, &it->addr));
        } else {
            CHECK(memcmp(attr.value, it->value, it->len) == 0);
        }
    }
    CHECK(!stun_next(msg, &pos, &attr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t txid[STUN_TXID_LEN] = "transactions";
    struct cursor c = cursor_reader(data, size);
    uint8_t options = cursor_u8(&c);
    size_t cap = options & WITH_SMALL_BUFFER ? cursor_u8(&c) * 4u : sizeof(out) - 8;
    struct stun_writer w;
    struct stun_msg msg;
    bool sound = true;
    size_t want = STUN_HEADER_LEN;
    size_t n = read_items(&c);

    memset(out + cap, 0xee, 8);
    stun_begin(&w, out, cap, (enum stun_class)(options >> 6), (uint16_t)(options << 4), txid, NULL);
    for (size_t i = 0; i < n; i++) {
        sound = sound && fits_table(&items[i]);
        want += 4 + (items[i].len + 3u) / 4 * 4;
        put_item(&w, &items[i]);
    }
    if (options & WITH_SHA1)
        stun_put_integrity(&w, data, size);
    if (options & WITH_SHA256)
        stun_put_integrity256(&w, data, size);
    if (options & WITH_FINGERPRINT)
        stun_put_fingerprint(&w);
    size_t attrs_end = want;
    want += (options & WITH_SHA1 ? 24 : 0) + (options & WITH_SHA256 ? 36 : 0) +
            (options & WITH_FINGERPRINT ? 8 : 0);

    size_t len = stun_end(&w);
    CHECK(len == (want <= cap && want <= 65532 ? want : 0));
    for (int i = 0; i < 8; i++)
        CHECK(out[cap + (size_t)i] == 0xee);
    if (len == 0)
        return 0;
    CHECK(stun_parse(&msg, out, len) == (sound ? STUN_PARSE_OK : STUN_PARSE_MALFORMED));
    CHECK(msg.method == (options << 4 & 0xfff) && msg.class_ == (enum stun_class)(options >> 6));
    if (!sound)
        return 0;
    CHECK(msg.attrs_end == attrs_end);
    compare(&msg, n);
    CHECK(stun_check_integrity(&msg, data, size) == !!(options & WITH_SHA1));
    CHECK(stun_check_integrity256(&msg, data, size) == !!(options & WITH_SHA256));
    CHECK(!!msg.fingerprint == !!(options & WITH_FINGERPRINT));
    return 0;
}
