// SPDX-License-Identifier: BSD-2-Clause
// Several who change one user of a store at the same time: tests that are the same for every kind.
#ifndef TP_TESTS_UNIT_ADMIN_CHANGES_H
#define TP_TESTS_UNIT_ADMIN_CHANGES_H

#include <stddef.h>
#include <stdint.h>

// As many processes as parts (8 at most), each of which changes its own parts (ADMIN_USER_) of one
// user in every round, by a record that it has read before. Fails where a change gets lost. The
// store is empty, and nobody in this process has it open.
void admin_changes_at_once(const char *uri, const unsigned *parts, size_t count, uint64_t rounds);

// The same by two, in the order in which a change could get lost.
void admin_change_by_an_old_record(const char *uri);

#endif
