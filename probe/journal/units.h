/*
 * units.h - whose line it is: an origin journal://UNIT for each unit that writes to the
 * journal.
 *
 * The unit is systemd's, without one what the writer calls itself; the kernel's lines are of
 * journal://kernel.  Past JOURNAL_UNITS_MAX of them, and for names that are none, there is
 * journal://other.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"
#include "probe/journal/export.h"
#include "probe/log/account.h"

#define JOURNAL_UNITS_MAX ((size_t)128)

struct account_series;

struct journal_unit {
    char *path;
    struct log_account account;
    struct account_series *series; /* NULL: not registered yet */
    uint64_t file_id;              /* of this run: offsets begin at 0 again */
    uint64_t offset;               /* of its next line */
};

struct journal_units {
    struct journal_unit *items[JOURNAL_UNITS_MAX + 1];
    size_t count;
    const struct log_settings *settings;
    const struct emitter *notes; /* of earlier runs: which templates a unit has had */
    int64_t started_ms;
};

void journal_units_done(struct journal_units *units);

/* The unit of an entry, made if it is new.  NULL: out of memory. */
struct journal_unit *journal_units_find(struct journal_units *units,
                                        const struct journal_export *entry);

void journal_units_emit(struct journal_units *units, bool all, struct emitter *out);
