/*
 * dedup.h - has this been said already?
 *
 * For each group and integration we remember what the last message said: which alerts were
 * firing, which had ended, and when.  The decision is Alertmanager's (notify/dedup_stage.go):
 *
 *     never said anything          say it if something fires
 *     something new fires          say it
 *     nothing fires any more       say it if the last message had something firing
 *     something new has ended      say it, if ends are told
 *     nothing new                  say it again after repeat_interval
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

struct dedup_record {
    bool said; /* false: there was no message yet */
    int64_t said_ms;
    struct fingerprints firing, resolved;
};

enum dedup_verdict { DEDUP_SILENT, DEDUP_NEWS, DEDUP_REPEAT };

enum dedup_verdict dedup_decide(const struct dedup_record *record,
                                const struct fingerprints *firing,
                                const struct fingerprints *resolved, bool send_resolved,
                                int64_t repeat_interval_ms, int64_t now_ms);

/* Sorts and removes doubles in place. */
void fingerprints_sort(struct fingerprints *set);
bool fingerprints_contain(const struct fingerprints *set, uint64_t fingerprint);
/* Replaces the record's content by copies; untouched on ERR_NOMEM. */
int dedup_record_set(struct dedup_record *record, const struct fingerprints *firing,
                     const struct fingerprints *resolved, int64_t now_ms);
void dedup_record_done(struct dedup_record *record);
