// SPDX-License-Identifier: BSD-2-Clause
// Input: what was asked for, then what a name server answers.
#include "fuzz.h"

#include <string.h>

#include "probe/dns_answer.h"

static void check_record(const struct dns_record *r, enum dns_type type)
{
    CHECK(memchr(r->name, 0, sizeof(r->name)) && memchr(r->flags, 0, sizeof(r->flags)) &&
          memchr(r->services, 0, sizeof(r->services)));
    CHECK(r->addr.family == (type == DNS_A ? ADDR_IPV4 : type == DNS_AAAA ? ADDR_IPV6 : ADDR_NONE));
    CHECK(type == DNS_SRV || type == DNS_NAPTR || !r->name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_record records[DNS_RECORDS], few[2];
    if (size < 1)
        return 0;
    enum dns_type type = data[0] % 4u;
    uint8_t *answer = malloc(size); // exactly: reading behind it shows

    CHECK(answer);
    memcpy(answer, data + 1, size - 1);
    answer = realloc(answer, size - 1 ? size - 1 : 1);
    CHECK(answer);
    int n = dns_answer_read(answer, size - 1, type, records, DNS_RECORDS);
    CHECK(n != 0 && n <= DNS_RECORDS);
    for (int i = 0; i < n; i++)
        check_record(&records[i], type);
    int m = dns_answer_read(answer, size - 1, type, few, 2);
    CHECK(n < 0 ? m < 0 || m == 2 : m == (n < 2 ? n : 2));
    free(answer);
    return 0;
}
