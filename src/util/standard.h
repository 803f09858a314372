// SPDX-License-Identifier: BSD-2-Clause
// The three descriptors that every program is given, as a rule.
#ifndef TP_UTIL_STANDARD_H
#define TP_UTIL_STANDARD_H

// Fills the places of those that were closed with ones that can be neither read nor written: a
// socket or file that got such a number would be logged to. To be called before anything is opened.
void standard_fill(void);

#endif
