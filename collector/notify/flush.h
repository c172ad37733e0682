/*
 * flush.h - what a group has to say now.
 *
 * Makes the parcels a flush owes and what the group's records shall be once they are committed;
 * changes neither group nor outbox (flush_apply() does, after the commit).
 *
 * Thread: the notify loop's.
 */
#pragma once

#include "collector/notify/group.h"
#include "collector/notify/mute.h"
#include "collector/notify/outbox.h"
#include "collector/notify/passed.h"

struct flush_record {
    enum dedup_verdict verdict; /* of an escalation: nothing else says so */
    bool replaces; /* `record` takes the place of the group's */
    struct dedup_record record;
    struct parcel *parcel; /* NULL: nothing to send */
    bool tells_passed;     /* the parcel has the line of passed.h */
};

struct flush {
    struct group *group;
    struct flush_record *records; /* one an integration */
    bool drops_ended;             /* members have ended and go after the commit */
    bool changes;                 /* the group's row is to be written */
    int64_t now_ms;               /* when it was planned */
    uint64_t template_errors;     /* of the messages composed */
    struct flush *next;
};

/* What a message to one person says besides its alerts. */
struct flush_frame {
    uint64_t incident;
    const char *acknowledge_url; /* or NULL */
    const char *external_url;
    const char *reply_to; /* the message that told the beginning; or NULL */
    bool tells_ended; /* also what has ended, if it was told as firing */
    const struct passed_line *passed; /* NULL: nothing */
};

/* A parcel of what the group has to say through one integration of `receiver`, held against
 * what `record` remembers; NULL: nothing.  Under the view lock.  ERR_NOMEM. */
int flush_compose(const struct group *group, const struct mutes *mutes,
                  const struct dedup_record *record, const struct receiver *receiver,
                  const struct integration *integration, const struct flush_frame *frame,
                  int64_t now_ms, mono_ns now, struct parcel **ret_parcel);

/* What a flush is planned by, beside its group. */
struct flush_scene {
    const struct mutes *mutes;
    const struct outbox *outbox;
    struct passed *passed; /* what has a message is claimed for the group */
    const char *external_url;
    int64_t now_ms;
    mono_ns now;
};

/* What is muted by now is not told (mute.h); what is acknowledged is not repeated. */
int flush_plan(struct group *group, const struct flush_scene *scene, struct flush **ret_flush);
/* How much of a write its messages are. */
size_t flush_bytes(const struct flush *flush);
/* When its group is flushed next: after group_interval, or when an end may be told. */
mono_ns flush_next(const struct flush *flush, mono_ns now);
/* The group's row as it will be after the flush; empty if the group will be gone. */
void flush_write_row(struct flush *flush, int64_t now_ms, mono_ns now, struct buf *out);
/* After the commit: records, parcels (given to the outbox) and members become so. */
void flush_apply(struct groups *groups, struct outbox *outbox, struct flush *flush);
/* NULL is allowed; frees parcels that were not applied. */
void flush_free(struct flush *flush);
