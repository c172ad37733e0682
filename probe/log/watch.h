/*
 * watch.h - one path: the file that has the name now, and those that had it before.
 *
 *     tails  [rotated, read to its end] [rotated, being read] [the file at the path]
 *             oldest                                           newest
 *
 * They are read in that order; the next is begun when the one before is at its end.  A rotated
 * file stays open for WATCH_ROTATED_IDLE_MS without growth, because a writer may hold it still;
 * then a last line without newline is taken and the file closed.  A finished tail is remembered
 * while a file of its identity can still be met under another name that the globs match.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/emitter.h"
#include "probe/log/account.h"
#include "probe/log/drain.h"
#include "probe/log/settings.h"
#include "probe/log/siblings.h"
#include "probe/log/tail.h"

#define WATCH_TAILS_MAX       ((size_t)64)
#define WATCH_PATH_BYTES_MAX  ((size_t)3072) /* with the position it fits a note */
#define WATCH_ROTATED_IDLE_MS 10000

struct watch_series;
struct guard_mount;

struct watch {
    char *path;          /* as opened */
    const char *label;   /* as seen: the path without the root's prefix; points into path */
    struct tail **tails; /* WATCH_TAILS_MAX; oldest first */
    size_t count;
    struct log_account account;
    uint64_t truncations;
    uint64_t rotations;
    uint64_t lost;             /* files that were gone before they were read */
    uint64_t damaged;          /* compressed files that could not be read to their end */
    uint64_t lost_told;        /* of these an event told */
    bool was_away;             /* files may have been compressed before they were met */
    int last_error;            /* of opening the path; 0: fine */
    struct guard_mount *mount; /* what it lies on must answer first; NULL: nothing */
    bool is_away;              /* and does not: nothing is touched now */
    bool is_refused;           /* a file was met that its settings' permit does not allow */
    struct watch_series *series;
};

/* What watches share; owned by the source. */
struct watch_env {
    struct drain *drain;
    struct emitter *out;
    int64_t now_ms;
    bool tell_all;  /* emit every series, not only what changed */
    bool tell_none; /* no samples now */
    uint64_t *next_order;
    sibling_known *is_known; /* does any watch have this file? */
    void *context;
};

/* `path` is copied; `root_bytes` of it are not part of the label. */
int watch_new(const char *path, size_t root_bytes, const struct log_settings *settings,
              struct watch **ret_watch);
/* Closes the files; notes stay as they are.  NULL is allowed. */
void watch_free(struct watch *watch);

/* Gives the watch a tail from an earlier run.  The file is looked for under the path and beside
 * it; if it is gone, that is counted unless it had been finished, and the tail stays as a mark
 * from which on the name's files are not known; if it cannot be opened now, that is tried again
 * every tick.  Positions of one path come in ascending order.
 * ERR_NOMEM, ERR_LIMIT. */
int watch_resume(struct watch *watch, const struct tail_position *position, int64_t now_ms,
                 struct emitter *out);

/* Opens the file at the path for the first time.  `from_end`: only what comes from now on. */
void watch_open(struct watch *watch, const struct watch_env *env, bool from_end);

/* One tick: follows rotations, hands over lines, writes notes, emits metrics.  ERR_AGAIN: there
 * is more than the tick has room for. */
int watch_collect(struct watch *watch, const struct watch_env *env);

/* Has it this file?  A finished tail's inode may have been given to another file since; where
 * births do not tell, the first bytes do, if `fd` is not -1. */
bool watch_knows(const struct watch *watch, const struct identity *identity, int fd);

/* Is the file `path` a copy that was made before the watched one was truncated?  Then it is
 * remembered as finished.  The descriptor stays the caller's. */
bool watch_takes_copy(struct watch *watch, const struct watch_env *env, const char *path,
                      const struct sibling *file);

/* Bytes not yet read, of all its files. */
uint64_t watch_lag(const struct watch *watch);

/* Forgets finished tails for which `is_met` is false, and their notes. */
void watch_forget(struct watch *watch, const struct watch_env *env,
                  bool (*is_met)(void *context, const struct identity *identity),
                  void *context);

/* No file has the name, and all that had it are forgotten. */
bool watch_is_over(const struct watch *watch);

/* Ends the watch's series. */
void watch_end(struct watch *watch, struct emitter *out);

/* Other settings from now on: the series end, and begin anew with the next tick. */
void watch_change(struct watch *watch, const struct log_settings *settings,
                  struct emitter *out);
/* The files are not wanted any more: ends the series and forgets the notes. */
void watch_leave(struct watch *watch, const struct watch_env *env);
