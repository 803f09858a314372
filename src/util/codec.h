// SPDX-License-Identifier: BSD-2-Clause
// Hex, base64, and text made safe to print.
#ifndef TP_UTIL_CODEC_H
#define TP_UTIL_CODEC_H

#include <stddef.h>

// Writes 2*len lower-case hex digits and a zero; out holds 2*len+1 bytes. Returns out.
char *hex_encode(char *out, const void *data, size_t len);

// Decodes exactly 2*len hex digits from text (which must end there) into out. 0, or -EINVAL.
int hex_decode(void *out, size_t len, const char *text);

// Standard base64 with padding (RFC 4648 section 4). out holds BASE64_LEN(len)+1 bytes. Returns the
// length.
#define BASE64_LEN(len) (((size_t)(len) + 2) / 3 * 4)
size_t base64_encode(char *out, const void *data, size_t len);

// Decodes text_len characters of base64 into out (at most cap bytes). The length, or -EINVAL.
int base64_decode(void *out, size_t cap, const char *text, size_t text_len);

// The same for the alphabet of RFC 4648 section 5, without padding, as in JSON Web Tokens.
int base64url_decode(void *out, size_t cap, const char *text, size_t text_len);

// Copies len bytes into buf (cap bytes, at least 8) as printable ASCII: backslash, quote, control
// and non-ASCII bytes become \xNN; what does not fit is cut with "...". For names that come from
// the network. Returns buf.
const char *text_escape(char *buf, size_t cap, const void *data, size_t len);

// Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
int utf8_valid(const void *data, size_t len);

#endif
