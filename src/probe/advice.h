// SPDX-License-Identifier: BSD-2-Clause
// What failures mean, and what to check.
#ifndef TP_PROBE_ADVICE_H
#define TP_PROBE_ADVICE_H

#include "probe/report.h"
#include "probe/uri.h"
#include "stun/message.h"

// For an error response. NULL where the code says all there is.
const struct advice *advice_for_code(enum stun_method method, int code);

// For a failed connection or one that gives no answer (a negative errno). Never NULL.
const struct advice *advice_for_errno(int err, enum transport transport);

// For DNS. Never NULL.
const struct advice *advice_for_dns(int err);

// For the handshake (a negative errno), and for a certificate that was not accepted.
const struct advice *advice_for_handshake(int err, enum transport transport);
const struct advice *advice_for_certificate(void);

// A code for programs and a text for people: "timeout", "no answer".
const char *errno_code(int err);
const char *errno_text(int err);

extern const struct advice advice_unsigned, advice_realm, advice_relay, advice_no_other_address,
    advice_other_address, advice_both_symmetric, advice_one_symmetric, advice_no_path,
    advice_no_meeting;

#endif
