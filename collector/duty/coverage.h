/*
 * coverage.h - will there be somebody?  What a roster leaves open, found before it is needed.
 *
 *     GAP              hours that `cover` asks for, and nobody is on duty
 *     NO_WAY           somebody is on duty who can be reached in no way
 *     NO_HOLIDAYS      a year whose holidays are needed and not known: weekdays would be worked
 *     ENDS_AT_NOBODY   an escalation whose repeated steps reach nobody
 *
 * Pure; any thread.
 */
#pragma once

#include "collector/duty/duty.h"

#define DUTY_COVERAGE_DAYS 60 /* looked ahead at a load and every day */

enum duty_finding_kind {
    DUTY_FOUND_GAP,
    DUTY_FOUND_NO_WAY,
    DUTY_FOUND_NO_HOLIDAYS,
    DUTY_FOUND_ENDS_AT_NOBODY,
    DUTY_FOUND_KINDS
};

/* All stretches of one kind about one subject. */
struct duty_finding {
    enum duty_finding_kind kind;
    const char
        *subject; /* a roster, an escalation; of a year: the first roster that needs it */
    const struct duty_person *person; /* NO_WAY */
    int year;                         /* NO_HOLIDAYS */
    int64_t from_ms, to_ms;           /* the first stretch */
    size_t count;                     /* of stretches */
};

/* Looks at [from, to).  ERR_LIMIT as duty_shifts(), ERR_NOMEM.  Findings live in `arena`. */
int duty_coverage(const struct duty *duty, const struct duty_overrides *overrides,
                  int64_t from_ms, int64_t to_ms, struct arena *arena,
                  struct duty_finding **ret_findings, size_t *ret_count);
/* "gap", "no_way", "no_holidays", "ends_at_nobody" */
const char *duty_finding_name(enum duty_finding_kind kind);
/* Appends one sentence in Chinese, or English, without an end of line. */
void duty_finding_print(const struct duty *duty, const struct duty_finding *finding,
                        bool english, struct buf *out);
