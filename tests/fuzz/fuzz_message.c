// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as a STUN message: parse it, use every way to read it, write it again.
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "stun/integrity.h"

static uint8_t out[65536 + 128];

static void check_attr(const struct stun_msg *msg, const struct stun_attr *attr)
{
    const struct stun_attr_info *info = stun_attr_info(attr->type);
    struct stun_attr first;
    struct addr a;

    CHECK(attr->value >= msg->buf + STUN_HEADER_LEN + 4);
    CHECK(attr->value + attr->len <= msg->buf + msg->attrs_end);
    CHECK(!info || (attr->len >= info->min_len && attr->len <= info->max_len));
    CHECK(attr->type != STUN_ATTR_FINGERPRINT && attr->type != STUN_ATTR_MESSAGE_INTEGRITY &&
          attr->type != STUN_ATTR_MESSAGE_INTEGRITY_SHA256);
    CHECK(stun_find(msg, attr->type, &first));
    CHECK(first.type == attr->type && first.value <= attr->value);
    int rc = stun_attr_addr(msg, attr, &a);
    CHECK(rc == 0 || rc == -EBADMSG);
    CHECK(rc == 0 ? addr_ip_len(&a) + 4 == attr->len : a.family == ADDR_NONE);
}

static void check_getters(const struct stun_msg *msg, uint16_t type)
{
    struct stun_attr attr;
    struct addr a;
    uint32_t v32;
    uint64_t v64;
    int code;
    const char *reason;
    size_t reason_len;
    bool found = stun_find(msg, type, &attr);

    CHECK((stun_get_addr(msg, type, &a) == -ENOENT) == !found);
    CHECK(stun_get_u32(msg, type, &v32) == (!found ? -ENOENT : attr.len == 4 ? 0 : -EBADMSG));
    CHECK(stun_get_u64(msg, type, &v64) == (!found ? -ENOENT : attr.len == 8 ? 0 : -EBADMSG));
    if (type == STUN_ATTR_ERROR_CODE && stun_get_error(msg, &code, &reason, &reason_len) == 0) {
        CHECK(code >= 300 && code <= 699);
        CHECK(reason_len == attr.len - 4u);
        CHECK((const uint8_t *)reason == attr.value + 4);
    }
}

static bool accept_even(uint16_t method, uint16_t type)
{
    return type % 2 == 0;
}

static void check_unknown(const struct stun_msg *msg, bool (*accept)(uint16_t, uint16_t))
{
    uint16_t list[8];
    struct stun_attr attr;
    size_t n = stun_unknown_required(msg, accept, list, 8);

    CHECK(n <= 8);
    for (size_t i = 0; i < n; i++) {
        CHECK(stun_attr_required(list[i]));
        CHECK(!stun_attr_info(list[i]) || (accept && !accept(msg->method, list[i])));
        CHECK(stun_find(msg, list[i], &attr));
        for (size_t j = 0; j < i; j++)
            CHECK(list[i] != list[j]);
    }
}

// The same attributes, with integrity and fingerprint of ours.
static void check_rewritten(const struct stun_msg *msg)
{
    struct stun_writer w;
    struct stun_msg again;
    struct stun_attr a, b;
    size_t pos = 0, pos_again = 0;

    stun_begin(&w, out, sizeof(out), msg->class_, msg->method, msg->txid, msg);
    while (stun_next(msg, &pos, &a))
        stun_put(&w, a.type, a.value, a.len);
    stun_put_integrity(&w, "key", 3);
    stun_put_integrity256(&w, "key", 3);
    stun_put_fingerprint(&w);
    size_t len = stun_end(&w);
    if (len == 0) {
        CHECK(msg->attrs_end + 24 + 36 + 8 > 65532);
        return;
    }
    CHECK(len == msg->attrs_end + 24 + 36 + 8);
    CHECK(stun_parse(&again, out, len) == STUN_PARSE_OK);
    CHECK(again.class_ == msg->class_ && again.method == msg->method);
    CHECK(again.classic == msg->classic && again.attrs_end == msg->attrs_end);
    CHECK(memcmp(out + 4, msg->buf + 4, 16) == 0);
    CHECK(stun_check_integrity(&again, "key", 3) && stun_check_integrity256(&again, "key", 3));
    CHECK(!stun_check_integrity(&again, "kez", 3) && !stun_check_integrity256(&again, "kez", 3));
    for (pos = 0; stun_next(msg, &pos, &a);) {
        CHECK(stun_next(&again, &pos_again, &b));
        CHECK(a.type == b.type && a.len == b.len && memcmp(a.value, b.value, a.len) == 0);
    }
    CHECK(!stun_next(&again, &pos_again, &b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stun_msg msg;
    struct stun_attr attr;
    size_t pos = 0, before = 0;
    enum stun_parse rc = stun_parse(&msg, data, size);

    if (rc == STUN_PARSE_NOT_STUN)
        return 0;
    CHECK(msg.buf == data && msg.txid == data + 8 && msg.method <= 0xfff);
    if (rc == STUN_PARSE_MALFORMED) {
        CHECK(msg.len == STUN_HEADER_LEN && !stun_next(&msg, &pos, &attr));
        CHECK(!msg.integrity && !msg.integrity256 && !msg.fingerprint);
        return 0;
    }
    CHECK(msg.len == size && msg.attrs_end >= STUN_HEADER_LEN && msg.attrs_end <= size);
    CHECK(!msg.integrity || (msg.integrity >= msg.attrs_end && msg.integrity + 24u <= size));
    CHECK(!msg.integrity256 ||
          (msg.integrity256 >= msg.attrs_end && msg.integrity256 + 20u <= size));
    CHECK(!msg.fingerprint || msg.fingerprint + 8u == size);

    uint32_t sum = stun_fingerprint(data, size);
    // Finding each attribute is quadratic, and long lists show nothing that short ones do not.
    for (int n = 0; stun_next(&msg, &pos, &attr) && n < 64; n++, before = pos) {
        CHECK(pos > before && pos % 4 == 0);
        check_attr(&msg, &attr);
        check_getters(&msg, attr.type);
    }
    check_getters(&msg, STUN_ATTR_ERROR_CODE);
    check_unknown(&msg, NULL);
    check_unknown(&msg, accept_even);
    stun_check_integrity(&msg, "key", 3);
    stun_check_integrity256(&msg, "key", 3);
    CHECK(sum == stun_fingerprint(data, size));
    check_rewritten(&msg);
    return 0;
}
