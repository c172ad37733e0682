/*
 * dedup.h - has this been said already?
 *
 * For each group and integration we remember what the last message said: which alerts were
 * firing, which had ended, and when.  The decision is Alertmanager's (notify/dedup_stage.go):
 *
 *     never said anything          say it if something fires
 *     something new fires          say it
 *     something has begun to flap  say it
 *     nothing fires any more       say it if the last message had something firing
 *     something new has ended      say it, if ends are told
 *     nothing new                  say it again after repeat_interval
 *
 * Alerts that are silenced (here and below: or muted otherwise, mute.h) count neither as firing
 * nor as news, but one that was told as firing before it was silenced moves to `muted`: its end
 * is still owed, and it is news again should the silence end first.  (Alertmanager forgets it,
 * and never tells its end.)  Acknowledged alerts alone are no reason to say anything again.
 *
 * Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprints {
    uint64_t *items; /* ascending, unique */
    size_t count;
};

#define DEDUP_THREAD_BYTES 17 /* a message id (channel.h) */

struct dedup_record {
    bool said; /* false: there was no message yet */
    int64_t said_ms;
    char thread[DEDUP_THREAD_BYTES]; /* id of the message that told the beginning; or empty */
    struct fingerprints firing, resolved;
    struct fingerprints muted; /* told as firing, then silenced; not in `firing` */
    struct fingerprints flapping; /* those of `firing` told as coming and going */
};

/* A group as a flush finds it. */
struct dedup_sight {
    struct fingerprints firing;       /* and not silenced */
    struct fingerprints muted;        /* firing, but silenced */
    struct fingerprints ended;        /* to be told if anything is */
    struct fingerprints acknowledged; /* those of `firing` that are */
    struct fingerprints flapping;     /* those of `firing` that come and go */
};

enum dedup_verdict { DEDUP_SILENT, DEDUP_NEWS, DEDUP_REPEAT };

enum dedup_verdict dedup_decide(const struct dedup_record *record,
                                const struct dedup_sight *sight, bool send_resolved,
                                int64_t repeat_interval_ms, int64_t now_ms);
/* A message now would tell a beginning: nothing that was told is still open. */
bool dedup_begins(const struct dedup_record *record);
/* Is the end of this alert owed to whoever got the last message? */
bool dedup_owes_end(const struct dedup_record *record, uint64_t fingerprint);
/* The record after a message (`verdict` NEWS or REPEAT), or after silences came or went without
 * one (SILENT); *ret_changed tells whether there is one.  ERR_NOMEM. */
int dedup_next(const struct dedup_record *record, const struct dedup_sight *sight,
               enum dedup_verdict verdict, int64_t now_ms, struct dedup_record *ret_record,
               bool *ret_changed);
/* A message that was to tell of these as firing was taken back, because they are silenced: they
 * move to `muted`, as if a flush had found them so.  ERR_NOMEM: nothing has changed. */
int dedup_take_back(struct dedup_record *record, const struct fingerprints *silenced);

/* Sorts and removes doubles in place. */
void fingerprints_sort(struct fingerprints *set);
bool fingerprints_contain(const struct fingerprints *set, uint64_t fingerprint);
/* A copy of one's own.  ERR_NOMEM. */
int fingerprints_copy(const struct fingerprints *set, struct fingerprints *ret_copy);
void dedup_record_done(struct dedup_record *record);
