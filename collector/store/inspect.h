/*
 * inspect.h - before LMDB is trusted with a file: is it what LMDB takes it for?
 *
 * LMDB follows the page numbers it finds; a turned bit there ends the process, or hands out what
 * belongs to another key.  So meta pages and trees are walked (page_walk.h) before a file is
 * opened: of the live environment at each start, clean stop or not, because a sector goes bad
 * in a clean stop, too; of a history file before it is mapped first.  Values are not
 * looked at: they bear seals, which are tried when they are read.  But for a file's index and
 * the index of lines by time, where a key that was turned would be missed by nobody.
 *
 *   live/data.mdb is                              then
 *   whole, or not there                           nothing changes
 *   unborn: its creation was not completed        it is created anew; one line in the log says so
 *   damaged, and whole as of the commit before    it goes on from there; the meta pages as they
 *                                                 were are in quarantine/live.metas
 *   damaged as of both                            every row that can be reached is copied into a
 *                                                 new environment; the old one is
 *                                                 quarantine/live-N.mdb
 *
 * What was found and done is logged, and the reason stands in quarantine/ (quarantine.h).
 * Nothing else has the files open.  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/store/quarantine.h"
#include "proto/base/diagnosis.h"

struct inspection {
    uint64_t faults; /* 0: it is whole */
    char first[QUARANTINE_REASON_BYTES - 64];
    uint64_t log_rows[2]; /* sums over the rows of lines, and over their index by time */
};

/* Did the creation of the store in DATA never come to its end, so that nothing in it can have been
 * acknowledged?  There is a data.mdb.new and no data.mdb (live.h).  Versions before that one left a
 * data.mdb of which no meta page of a commit is there, and nothing but meta pages; what else can
 * become of such a file is taken for damage.  Where there is history, there was a commit: no. */
bool inspect_is_unborn(const char *directory);

/* `directory` is DATA.  0: LMDB may open it; what is missing then is said by `faults`.
 * ERR_CORRUPT: not a row can be reached, or what can be cannot be put in place; `why` says what
 * to do.  ERR_NOMEM, ERR_IO, ERR_FULL. */
int inspect_live(const char *directory, struct inspection *ret_found, struct diagnosis *why);

/* A history file.  0: walked to the end; ERR_NOMEM, ERR_IO. */
int inspect_file(const char *path, struct inspection *ret_found);
