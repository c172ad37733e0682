/*
 * interest.h - which rules care about a series, answered in a few nanoseconds.
 *
 *     series id --page table--> class --> { rules, instance }
 *
 * The first time a series is touched its labels are compared with every selector that could mean
 * its metric; the answer, an interned class (these rules, this instance), is remembered by series
 * id.  After that a touch is one look at the page table and one flag.
 *
 *     pages: id >> 12 -> 4096 class numbers; 0 not known yet, 1 nobody cares
 *
 * Thread: the caller's lock.  Belongs to one rule set and never changes with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/rules/rule_file.h"
#include "collector/store/store.h"

#define INTEREST_CLASSES_MAX ((size_t)4 << 20)

struct interest;

struct interest_class {
    const struct rule *const *rules;
    size_t rule_count;
    const char *instance; /* interned: equal texts are one pointer */
    bool pending;
};

/* Takes the selectors of the set's alerting rules; recording rules run at timed steps only. */
int interest_new(const struct rule_set *set, struct interest **ret_interest);
void interest_free(struct interest *interest); /* NULL is allowed */

/* A sample of this series was committed.  Returns true if a class became pending by it. */
bool interest_touch(struct interest *interest, const struct series *series);

/* The classes touched since the last call, at most `capacity`; returns their number. */
size_t interest_take(struct interest *interest, struct interest_class **ret_classes,
                     size_t capacity);
