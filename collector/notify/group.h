/*
 * group.h - alerts that are told together, and when.
 *
 *     tracked alert  one alert as last heard, in as many groups as routes take it
 *     group          (group key, receiver): members, the next flush, and for each integration
 *                    what was last said (dedup.h)
 *
 *     new group ---group_wait---> flush ---group_interval---> flush ---> ...
 *                  (0 if the alert began longer ago)             empty after a flush: gone
 *
 * Rows: "notify/alert/<fingerprint>" = alert.h's row; "notify/group/<hash>" =
 *     u8 version (4) | sized key, receiver | u8 flushed | zigzag due (Unix ms) | varint n,
 *     n times: sized channel | varint index | u8 said | zigzag said ms
 *              | varint f, f * u64 | varint r, r * u64 | varint m, m * u64
 *              | sized thread | varint p, p * u64
 * (of fingerprints told as firing, as ended, silenced since, and told as flapping; version 1 had
 * no silenced ones, 2 no thread, 3 no flapping ones).
 *
 * Thread: the notify loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/notify/acknowledge.h"
#include "collector/notify/alert.h"
#include "collector/notify/alerting_config.h"
#include "collector/notify/dedup.h"
#include "collector/notify/inhibit.h"
#include "collector/notify/silence.h"
#include "proto/base/clock.h"

#define NOTIFY_ALERT_PREFIX "notify/alert/"
#define NOTIFY_GROUP_PREFIX "notify/group/"

struct flush;

struct tracked {
    struct alert *alert; /* owned */
    size_t group_count;
    size_t dropping; /* of these groups, how many let it go in the write being made */
    bool dirty;      /* its row is to be written */
    struct acknowledgement *acknowledgement; /* owned; NULL: nobody has */
    bool acknowledgement_over;               /* its row is to be deleted */
    struct muting muting;
    struct inhibited inhibited;
    struct tracked *next;             /* of its bucket */
    struct tracked *next_fingerprint; /* of its other bucket */
};

struct group {
    uint64_t hash; /* of key and receiver: names the row */
    char *key;
    const struct receiver *receiver;
    const struct route *route;
    const struct labels *labels; /* owned */
    struct tracked **members;
    size_t member_count, member_capacity;
    struct dedup_record *records; /* one an integration of the receiver */
    bool flushed;
    mono_ns due;
    bool dirty;
    const struct flush *flushing; /* while a turn plans incidents */
    struct group *next;           /* of its bucket */
};

/* What a stored row said of a group that has not been met again yet. */
struct group_memory {
    uint64_t hash;
    bool flushed;
    int64_t due_ms;
    struct bytes row; /* owned copy; records are read when the group appears */
    struct group_memory *next;
};

#define GROUP_BUCKETS 4096u /* ten thousand alerts make chains of two or three */

struct groups {
    struct tracked *tracked[GROUP_BUCKETS];      /* by hash of the labels */
    struct tracked *fingerprints[GROUP_BUCKETS]; /* the same by fingerprint */
    struct group *groups[GROUP_BUCKETS];         /* by hash */
    struct group_memory *memories[GROUP_BUCKETS]; /* of before the start, by hash */
    size_t tracked_count, group_count;
    uint64_t version; /* goes up when other alerts fire than before */
};

/* Iteration: the first after `after` (NULL: the first of all), NULL at the end. */
struct tracked *groups_next_alert(const struct groups *groups, const struct tracked *after);
struct group *groups_next(const struct groups *groups, const struct group *after);

uint64_t group_hash(const char *key, const char *receiver);
/* What one integration of a group was told; NULL if there is no such group any more. */
struct dedup_record *groups_find_record(const struct groups *groups, const char *key,
                                        const char *receiver, const char *channel,
                                        unsigned index, struct group **ret_group);

/* NULL: there is none. */
struct group *groups_find_hash(const struct groups *groups, uint64_t hash);
struct group *groups_find(const struct groups *groups, const char *key, const char *receiver);
struct tracked *groups_find_alert(const struct groups *groups, const struct labels *labels);
struct tracked *groups_find_fingerprint(const struct groups *groups, uint64_t fingerprint);
/* Puts an alert in the place of what was known (copied), and into the groups of its routes.  An
 * external alert is merged with what is known as Alertmanager does; it changes nothing of an
 * alert that a rule of ours says is firing. */
int groups_take_alert(struct groups *groups, const struct route *root,
                      const struct alert *alert, int64_t now_ms, mono_ns now);
/* External alerts whose time is over have ended; some hundreds of them, if it is over for all
 * of a storm.  Returns when the next one will have (maybe in the past); INT64_MAX: none. */
int64_t groups_end_overdue(struct groups *groups, int64_t now_ms);
/* Time has jumped by so much: what was told so long ago, and what ends so soon, still does.
 * Rows are dirty then. */
void groups_shift(struct groups *groups, int64_t shift_ms, int64_t now_ms);
/* It fires, or its end is not told yet (hold_until_ms). */
static inline bool alert_is_open(const struct alert *alert, int64_t now_ms)
{
    return alert->firing || alert->hold_until_ms > now_ms;
}
/* Removes members that were not open at a time, and frees alerts no group holds.  Returns what is
 * left. */
size_t group_drop_ended(struct groups *groups, struct group *group, int64_t now_ms);
/* Unlinks and frees a group. */
void groups_remove(struct groups *groups, struct group *group);
/* Forgets groups and routes (not alerts), keeping what groups remember: before a new
 * configuration; groups_route_all() makes the new groups. */
int groups_unroute(struct groups *groups, int64_t now_ms, mono_ns now);
int groups_route_all(struct groups *groups, const struct route *root, int64_t now_ms,
                     mono_ns now);

/* Puts a tracked alert into the group of one route, whatever its matchers. */
int groups_enter(struct groups *groups, const struct route *route, struct tracked *tracked,
                 int64_t now_ms, mono_ns now);
/* The same, if there was such a group before the restart or the reload. */
int groups_reenter(struct groups *groups, const struct route *route, struct tracked *tracked,
                   int64_t now_ms, mono_ns now);

void group_write(const struct group *group, int64_t now_ms, mono_ns now, struct buf *out);
/* Takes a stored row; ERR_CORRUPT if it does not parse. */
int groups_remember(struct groups *groups, struct bytes row);
void groups_free(struct groups *groups);
