// SPDX-License-Identifier: BSD-2-Clause
#include "util/opaque.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#define NFC_GROWTH 3 // code points that one can become at most, UAX 15

// What RFC 8264 9 calls LetterDigits, OtherLetterDigits, Spaces, Symbols and Punctuation. No code
// point outside of them that is not refused before has a compatibility equivalent (HasCompat).
#define FREEFORM                                                                                   \
    (UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_S |           \
     UC_CATEGORY_MASK_P | UC_CATEGORY_MASK_Zs)

struct text {
    const ucs4_t *at;
    size_t len;
};

static _Thread_local char reason[80];

static bool has_script(ucs4_t c, const char *name)
{
    const uc_script_t *script = uc_script(c);
    return script && strcmp(script->name, name) == 0;
}

static bool is_virama(ucs4_t c)
{
    return uc_combining_class(c) == UC_CCC_VR;
}

// RFC 5892 A.1: after a virama, or between letters that join.
static bool non_joiner_fits(const struct text *t, size_t i)
{
    size_t before = i, after = i + 1;

    if (i > 0 && is_virama(t->at[i - 1]))
        return true;
    while (before > 0 && uc_joining_type(t->at[before - 1]) == UC_JOINING_TYPE_T)
        before--;
    while (after < t->len && uc_joining_type(t->at[after]) == UC_JOINING_TYPE_T)
        after++;
    if (before == 0 || after == t->len)
        return false;
    int left = uc_joining_type(t->at[before - 1]), right = uc_joining_type(t->at[after]);
    return (left == UC_JOINING_TYPE_L || left == UC_JOINING_TYPE_D) &&
           (right == UC_JOINING_TYPE_R || right == UC_JOINING_TYPE_D);
}

static bool any_between(const struct text *t, ucs4_t first, ucs4_t last)
{
    for (size_t i = 0; i < t->len; i++)
        if (t->at[i] >= first && t->at[i] <= last)
            return true;
    return false;
}

static bool any_japanese(const struct text *t)
{
    for (size_t i = 0; i < t->len; i++)
        if (t->at[i] != 0x30fb && (has_script(t->at[i], "Hiragana") ||
                                   has_script(t->at[i], "Katakana") || has_script(t->at[i], "Han")))
            return true;
    return false;
}

// Whether a code point needs its neighbours to be allowed, and has them (RFC 5892 A.1 to A.9).
static bool context_decides(const struct text *t, size_t i, bool *fits)
{
    ucs4_t c = t->at[i];

    if (c == 0x200c) // ZERO WIDTH NON-JOINER
        *fits = non_joiner_fits(t, i);
    else if (c == 0x200d) // ZERO WIDTH JOINER
        *fits = i > 0 && is_virama(t->at[i - 1]);
    else if (c == 0x00b7) // MIDDLE DOT, as in Catalan
        *fits = i > 0 && i + 1 < t->len && t->at[i - 1] == 'l' && t->at[i + 1] == 'l';
    else if (c == 0x0375) // GREEK LOWER NUMERAL SIGN
        *fits = i + 1 < t->len && has_script(t->at[i + 1], "Greek");
    else if (c == 0x05f3 || c == 0x05f4) // HEBREW GERESH, GERSHAYIM
        *fits = i > 0 && has_script(t->at[i - 1], "Hebrew");
    else if (c == 0x30fb) // KATAKANA MIDDLE DOT
        *fits = any_japanese(t);
    else if (c >= 0x0660 && c <= 0x0669) // ARABIC-INDIC DIGITS, not mixed with the extended ones
        *fits = !any_between(t, 0x06f0, 0x06f9);
    else if (c >= 0x06f0 && c <= 0x06f9)
        *fits = !any_between(t, 0x0660, 0x0669);
    else
        return false;
    return true;
}

static bool is_old_jamo(ucs4_t c)
{
    return (c >= 0x1100 && c <= 0x11ff) || (c >= 0xa960 && c <= 0xa97c) ||
           (c >= 0xd7b0 && c <= 0xd7fb);
}

// RFC 8264 9.6: letters that are no part of words.
static bool is_exception(ucs4_t c)
{
    return c == 0x0640 || c == 0x07fa || c == 0x302e || c == 0x302f ||
           (c >= 0x3031 && c <= 0x3035) || c == 0x303b;
}

// FreeformClass, in the order of RFC 8264 section 8.
static bool is_allowed(const struct text *t, size_t i)
{
    ucs4_t c = t->at[i];
    bool fits;

    if (context_decides(t, i, &fits))
        return fits;
    if (is_exception(c) || is_old_jamo(c) || uc_is_property_default_ignorable_code_point(c) ||
        uc_is_property_not_a_character(c))
        return false;
    return uc_is_general_category_withtable(c, FREEFORM);
}

static int fail(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

// Code points, with every space made the one of ASCII (RFC 8265 4.2.2, step 2).
static int decode(ucs4_t *out, const uint8_t *text, size_t len, const char **why)
{
    int n = 0;

    for (size_t at = 0; at < len;) {
        ucs4_t c;
        int used = u8_mbtoucr(&c, text + at, len - at);
        if (used <= 0)
            return fail(why, -EINVAL, "is not valid UTF-8");
        out[n++] = uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Zs) ? ' ' : c;
        at += (size_t)used;
    }
    return n;
}

// What is allowed is judged at the end (RFC 8264 section 7), so that Hangul typed as separate Jamo
// is as good as the syllables.
static int encode(char *out, size_t cap, const struct text *t, const char **why)
{
    size_t len = 0;

    for (size_t i = 0; i < t->len; i++) {
        if (!is_allowed(t, i)) {
            snprintf(reason, sizeof reason,
                     "has U+%04X, which OpaqueString (RFC 8265) does not allow there",
                     (unsigned)t->at[i]);
            return fail(why, -EINVAL, reason);
        }
        int used = u8_uctomb((uint8_t *)out + len, t->at[i], (ptrdiff_t)(cap - 1 - len));
        if (used < 0) {
            snprintf(reason, sizeof reason, "is too long, allowed are %zu bytes", cap - 1);
            return fail(why, -E2BIG, reason);
        }
        len += (size_t)used;
    }
    out[len] = 0;
    return (int)len;
}

int opaque_prepare(char *out, size_t cap, const void *text, size_t len, const char **why)
{
    ucs4_t points[OPAQUE_IN_MAX], composed[NFC_GROWTH * OPAQUE_IN_MAX];
    size_t count = sizeof composed / sizeof *composed;

    if (len == 0)
        return fail(why, -EINVAL, "is empty");
    if (len > OPAQUE_IN_MAX)
        return fail(why, -E2BIG, "is too long");
    int n = decode(points, text, len, why);
    if (n < 0)
        return n;
    ucs4_t *nfc = u32_normalize(UNINORM_NFC, points, (size_t)n, composed, &count);
    if (!nfc)
        return fail(why, -ENOMEM, "cannot be prepared: out of memory");
    n = encode(out, cap, &(struct text){nfc, count}, why);
    if (nfc != composed)
        free(nfc);
    explicit_bzero(points, sizeof points);
    explicit_bzero(composed, sizeof composed);
    return n;
}
