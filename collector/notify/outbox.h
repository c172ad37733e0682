/*
 * outbox.h - what is owed to the outside, until it is accepted there.
 *
 *        put (row committed)        2xx / 250          a receipt, where the service sends them
 *     ----------------------> QUEUED -------> ACCEPTED -------> DELIVERED
 *                             ^  |                   \
 *            retry, same id   |  |                    v
 *            and same bytes   |  | gave up           FAILED
 *                             sending -------------->
 *
 * Given up: all its alerts are over and it is older than OUTBOX_AGE_MAX_MS, or its receiver is
 * gone, or all it says was silenced meanwhile.
 *
 * A parcel is a message for one integration, already composed.  Its row "outbox/<id>" is
 * committed before the first byte leaves, in the same write as the group's memory of having said
 * it.  Sending is a state of memory only: what a kill leaves behind is QUEUED, and goes again at
 * once under the same id.  Rows that are ACCEPTED, DELIVERED or FAILED keep no body; they are
 * the ledger, for OUTBOX_LEDGER_MS.
 *
 * How often: a message is sent until it is accepted, so at least once.  Twice happens only if
 * the connection, or this process, ends between the service's taking it and our knowing it
 * (for mail and webhooks the stable id tells the double).  What a try achieved of a message that
 * goes in pieces (parts of a text message, recipients of a mail) is its progress, kept in the
 * row: the next try sends only what is left.
 *
 * Receipts: what waits for one stays in memory in a list of its own, for OUTBOX_RECEIPT_MS; its
 * progress has the service's names for it.
 *
 * Order: parcels of one lane (group and integration) go one after the other, so that an end is
 * never told before its beginning.
 *
 * Pace: where a service bounds how often it may be spoken to, parcels wait for their turn, and
 * those that wait for the same integration go together in one transfer (channel.h, join): late,
 * short, but none dropped.
 *
 * Retries: after 0.5 s, then 1.5 times as long each time up to a minute, with a quarter of
 * jitter; a refusal that another try will hardly change waits OUTBOX_SLOW_MS at once.
 *
 *     row   u8 version (4) | u8 state | sized receiver, channel | varint index
 *           | sized group key | zigzag created, settled | varint attempts | sized reason
 *           | varint n, n * u64 fingerprints of what fires
 *           | u8 flags: 1 tells an end, 2 awaits a receipt | sized body
 *           | varint incident, serial, fallbacks | zigzag fallback due | u8 fell back
 *           | varint m, m * u64 fingerprints of what has ended | sized progress
 *           (up to version 3 there were no receipts, no progress, and nobody wrote down whose end
 *           it tells; up to 2 no incidents; version 1 had no flags, such a one is taken to tell
 *           an end)
 *
 * What people are told of an incident is a parcel, too: (incident, serial, receiver "person/ID",
 * channel and index) is said once.  If its way fails, or has not worked after a while, it FALLS
 * BACK: the row is settled so, and in the same write the person's next way gets a parcel.
 *
 * Thread: the notify loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/notify/channel.h"
#include "collector/notify/dedup.h"
#include "collector/notify/pace.h"
#include "proto/base/buf.h"
#include "proto/base/clock.h"

#define OUTBOX_PREFIX       "outbox/"
#define OUTBOX_AGE_MAX_MS   ((int64_t)24 * 3600 * 1000)
#define OUTBOX_LEDGER_MS    ((int64_t)7 * 24 * 3600 * 1000)
#define OUTBOX_RECEIPT_MS   ((int64_t)3 * 24 * 3600 * 1000)
#define OUTBOX_AWAITING_MAX ((size_t)50000) /* past it the oldest waits no longer */
#define OUTBOX_RETRY_MIN_MS 500
#define OUTBOX_RETRY_MAX_MS 60000
#define OUTBOX_SLOW_MS      300000
#define OUTBOX_SENDING_MAX  32 /* transfers at once, */
#define OUTBOX_TARGET_MAX   8  /* and to one integration: one that hangs must not stop others */

enum parcel_state {
    PARCEL_QUEUED = 1,
    PARCEL_ACCEPTED = 2,
    PARCEL_FAILED = 3,
    PARCEL_DELIVERED = 4,
    PARCEL_FALLBACK = 5, /* another way was taken instead */
};
/* "queued", "accepted", "failed", "delivered", "fallback". */
const char *parcel_state_name(enum parcel_state state);

struct parcel {
    char id[MESSAGE_ID_BYTES];
    enum parcel_state state;
    char *receiver, *channel, *group_key; /* owned */
    unsigned index;
    int64_t created_ms, settled_ms;
    unsigned attempts;
    char reason[200];           /* of the last failure; empty after none */
    struct fingerprints firing; /* owned */
    struct fingerprints ended;  /* owned; told as over */
    bool tells_end;             /* of some alert: it is sent whatever is silenced */
    uint64_t incident;          /* its number; 0: not of one */
    uint32_t serial;            /* which of the incident's messages */
    uint32_t fallbacks;         /* ways tried before this one */
    int64_t fallback_ms;        /* when another way is tried if this has not worked; Unix */
    bool fell_back;             /* it was, or there is none */
    uint8_t *body;              /* owned */
    size_t body_size;
    bool awaits;       /* ACCEPTED, and a receipt is to come */
    uint8_t *progress; /* owned; the channel's (channel.h) */
    size_t progress_size;
    /* memory only */
    bool sending;
    bool yields; /* most have it: its lane does not wait for the rest */
    bool shares; /* the first of a transfer that is one of many on one connection: it takes nobody's place */
    void *owner; /* the sender's, while sending */
    bool dirty; /* its row is to be written */
    bool refused;   /* the last try, in a way that another will hardly change */
    bool withdrawn; /* settled because it is needless */
    bool takes_other_way;   /* once `falling` is committed (incident_fallback.c) */
    struct parcel *falling; /* the next of the same incident that falls back */
    mono_ns next_try;
    uint64_t silences_version; /* when it was last held against the silences */
    uint64_t lane;
    struct outbox *box;
    struct outbox_target *target;
    struct parcel *together; /* the next of the same transfer, while sending */
    bool chosen;             /* within outbox_together() */
    struct parcel *next, *previous;
    struct parcel *next_dirty, *next_settled;
    /* outbox_lane.h's */
    struct parcel *lane_next;              /* the next of the lane */
    struct parcel *lane_last, *bucket_next; /* of a lane's first: its last, the next lane */
    struct parcel *heap_child, *heap_next, *heap_back;
    bool waits;   /* in its target's heap */
    bool in_lane; /* one that yields is not, and goes when it is due */
};

/* An integration, as far as parcels wait for it or its pace is known. */
struct outbox_target {
    char *receiver, *channel;
    unsigned index;
    struct pace pace; /* per_minute 0: it may be spoken to as often as one likes */
    size_t sending;   /* transfers */
    struct parcel *top;
    struct outbox_target *next;
};

#define OUTBOX_LANE_BUCKETS 4096u

/* Copies the names; body and fingerprints are filled by the caller (owned by the parcel). */
int parcel_new(const char *receiver, const char *channel, unsigned index, const char *group_key,
               int64_t now_ms, struct parcel **ret_parcel);
void parcel_free(struct parcel *parcel); /* NULL is allowed */
void parcel_write(const struct parcel *parcel, struct buf *out);
/* A copy in the place of what it had.  ERR_NOMEM: nothing has changed. */
int parcel_set_progress(struct parcel *parcel, struct bytes progress);
/* ERR_CORRUPT, ERR_NOMEM. */
int parcel_read(const char *id, struct bytes row, struct parcel **ret_parcel);
/* A new id: 44 bits of Unix ms, 20 random bits; ids sort by time, also where the clock is set
 * back: none is less than one that was made or put before. */
void parcel_make_id(int64_t now_ms, char id[MESSAGE_ID_BYTES]);
uint64_t parcel_lane(const char *receiver, const char *channel, unsigned index,
                     const char *group_key);

/* How long to wait after the attempts so far; `chance` in 0..1 is the jitter's. */
int64_t outbox_delay_ms(unsigned attempts, bool recoverable, double chance);

struct outbox {
    struct parcel *first, *last; /* ascending by id; QUEUED, or settled but not yet written */
    size_t count, sending;       /* parcels; transfers, */
    size_t crowding;             /* and those of them that take a place */
    struct parcel *dirty;        /* whose rows are to be written */
    struct parcel *settled;
    struct outbox_target *targets;
    struct parcel *awaiting; /* ACCEPTED, written, and a receipt is to come; newest first */
    size_t awaiting_count;
    struct outbox_target others; /* what is owed to whom there was no memory for; no pace */
    struct parcel *lanes[OUTBOX_LANE_BUCKETS]; /* the first of each */
};

/* Says how often an integration may be spoken to; 0: as often as one likes.  For every
 * integration after each reading of the configuration.  ERR_NOMEM. */
int outbox_limit(struct outbox *outbox, const char *receiver, const char *channel,
                 unsigned index, unsigned per_minute, mono_ns now);

/* Its row is to be written. */
void outbox_make_dirty(struct parcel *parcel);
/* All rows are in a write: verdicts from now on make theirs dirty again. */
void outbox_clear_dirty(struct outbox *outbox);
/* Takes the parcel.  A newer id goes to the end. */
void outbox_put(struct outbox *outbox, struct parcel *parcel);
/* Unlinks the settled parcels whose rows have been written: into `awaiting`, or freed. */
void outbox_sweep(struct outbox *outbox);
/* Something is owed in this lane. */
bool outbox_owes(const struct outbox *outbox, uint64_t lane);
/* The next parcel to send: oldest of its lane, not under way, longest due; NULL if there is none, or
 * OUTBOX_SENDING_MAX are under way, or OUTBOX_TARGET_MAX where it would go. */
struct parcel *outbox_due(struct outbox *outbox, mono_ns now);
/* What may go together with `head`, which outbox_due() gave: itself and, if the pace would make
 * them wait, the parcels due for the same integration, oldest first.  Returns how many. */
size_t outbox_together(struct outbox *outbox, struct parcel *head, mono_ns now,
                       struct parcel **ret_parcels, size_t most);
/* A transfer of these parcels begins; they are chained by `together`, the first is its head. */
void outbox_begin(struct outbox *outbox, struct parcel *const *parcels, size_t count,
                  mono_ns now);
/* The transfer of `head` is over; its parcels are to be settled one by one. */
void outbox_finish(struct outbox *outbox, const struct parcel *head, int64_t pause_ms,
                   mono_ns now);
/* When outbox_due() will next have one; UINT64_MAX: not by itself. */
mono_ns outbox_next_due(const struct outbox *outbox);
/* The verdict of a try.  `is_live`: something it tells of still fires.  Marks the row dirty. */
void outbox_settle(struct parcel *parcel, const struct client_verdict *verdict, bool is_live,
                   int64_t now_ms, mono_ns now);
/* A receipt told more of a parcel that awaits it, in whichever list: its progress, and perhaps
 * its last state.  Marks the row dirty.  ERR_NOMEM: nothing has changed. */
int outbox_receive(struct outbox *outbox, struct parcel *parcel, enum parcel_state state,
                   struct bytes progress, const char *reason, int64_t now_ms);
/* Receipts that have not come by now will not. */
void outbox_stop_awaiting(struct outbox *outbox, int64_t now_ms);
/* It is not to be sent after all; marks the row dirty.  Not while it is sending. */
void outbox_withdraw(struct parcel *parcel, const char *reason, int64_t now_ms);
/* Another way has taken its place; marks the row dirty.  Not while it is sending. */
void outbox_fall_back(struct parcel *parcel, int64_t now_ms);
/* Time has jumped by so much: other ways are as far off as before. */
void outbox_shift(struct outbox *outbox, int64_t shift_ms);
void outbox_free(struct outbox *outbox);

/* Between outbox.c and outbox_target.c. */
struct outbox_target *outbox_find_target(struct outbox *outbox, const char *receiver,
                                         const char *channel, unsigned index);
void outbox_forget_targets(struct outbox *outbox);
