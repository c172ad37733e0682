/*
 * spool.h - keeps every batch until the collector has stored it: bounded, checksummed, oldest
 * dropped first, drops told as numbered gaps.
 *
 *   STATE/spool/
 *     EPOCH.definitions     who the epoch is, its definitions log, what it had to drop
 *     EPOCH-NUMBER.segment  batches NUMBER, NUMBER+1, ...
 *                           EPOCH is 16 hex digits, NUMBER 20 digits
 *
 *   segment frames (frame.h)
 *     1 header     epoch u64 | tick before the first batch i64 | unconfirmed-from u64 | notes
 *     2 batch      tick i64 | changed notes (sized) | plain batch
 *     3 confirmed  u8
 *     4 distrusted epoch u64 | unconfirmed-from u64
 *   definitions frames
 *     1 epoch      epoch u64 | sequence u64 | boot id 16 | taken-over epoch u64 | from u64
 *     2 items      first ref varint | count varint | definitions (definition.h)
 *     3 drop       first u64 | last u64 | first tick i64 | last tick i64 | reason, text
 *
 * A batch's number is its place: the number in the file's name plus its index among the batch
 * frames.  Therefore whole segments can be handed to another epoch by renaming them.
 *
 * Epochs.  Batches are numbered from 1 without holes within an epoch.  A new folder, a boot id
 * other than the epoch's, or a crowded definitions log begins a new random epoch; batches left
 * keep theirs.  The page cache outlives kill -9, and a power cut changes the boot id: so
 * nothing is synced batch by batch, and numbers are never given twice to different content.
 *
 * With one exception: the folder was restored from an older copy within the same boot.  Its
 * next number may have been used.  The spool therefore distrusts itself at each start: the
 * numbers it gives are *unconfirmed*, and begin in a segment of their own, until the
 * collector's Resume is there; nothing unconfirmed is ever sent.  If the collector then knows a
 * number at or past the first unconfirmed one, it cannot have it from this folder's history:
 *
 *     copy:      1 ........ 99 |                        the copy's last batch is 99
 *     original:  1 ........ 99 | 100 ....... 150        sent and stored before the restoring
 *     restored:  1 ........ 99 | 100 .. 120             read since, and not the same batches
 *
 *   - 1..99 are the same on both sides: sent again under the old epoch where not acknowledged.
 *   - the restored 100..120 become 1..21 of a new epoch: spool_confirm() renames segments.
 *   - of 100..150, what the collector lacks is lost with the original: a gap "epoch_lost".
 *   - what the original held past 150, unsent, nobody knows; that is what the event is for.
 *   If the copy was taken, and restored, while its newest batches were unconfirmed, these may
 *   be sent under both epochs: the same samples at the same times, which the store holds once.
 *   A collector that answers `renew` has seen a conflict this rule did not foresee (a cloned
 *   host).  Which batches it means is unknown: all that are left go to the new epoch, again at
 *   worst twice the same samples.
 *
 * A collector restored from a backup may know less than was acknowledged: numbers that are in
 * no segment any more are then told as a gap "spool_lost", never passed over.
 *
 * Errors of the disk are returned and leave the spool as it was.  Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/notes.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"
#include "proto/base/file.h"
#include "proto/wire/envelope.h"

#define SPOOL_BOOT_ID_BYTES  16
#define SPOOL_LIMIT_DEFAULT  ((uint64_t)256 << 20)
#define SPOOL_LIMIT_LEAST    ((uint64_t)8 << 20) /* room for a batch of any size, and the next */
#define SPOOL_AGE_DEFAULT_MS ((int64_t)7 * 24 * 3600 * 1000)
/* More, of a probe that restarts all the time, drop the oldest. */
#define SPOOL_SEGMENTS_MAX 4096
#define SPOOL_REASON_BYTES 16
#define SPOOL_NUMBER_MAX   ((uint64_t)1 << 62) /* of a batch; sums of two do not overflow */

struct spool_options {
    const char *directory; /* made if missing */
    uint64_t limit_bytes;
    int64_t age_limit_ms;
    uint64_t segment_bytes; /* 0: chosen from the limit */
    bool wants_epoch;       /* most series of the newest epoch are gone: begin another */
    uint8_t boot_id[SPOOL_BOOT_ID_BYTES];
    const struct file_io *io;
};

struct spool_counts {
    uint64_t bytes; /* held now, in segments */
    uint64_t segments;
    uint64_t batches_appended; /* since the start */
    uint64_t batches_dropped;
    uint64_t batches_corrupt;
    uint64_t write_failures;
};

/* One epoch, as Hello offers it. */
struct spool_stream {
    uint64_t epoch;
    uint64_t first_number;
    uint64_t next_number;
    uint64_t definition_count;
    bool is_current;
};

/* The first thing not yet acknowledged: a batch, or a run of numbers that are gone. */
struct spool_item {
    bool is_gap;
    uint64_t first, last;                /* a batch: the same */
    int64_t first_tick_ms, last_tick_ms; /* of a gap; 0: unknown */
    const char *reason;                  /* of a gap; valid until the next call */
};

struct spool;

/* Opens, or makes, the spool.  What is damaged is left out and will be told as a gap.  ERR_IO,
 * ERR_FULL, ERR_NOMEM, ERR_REFUSED. */
int spool_open(const struct spool_options *options, struct spool **ret_spool,
               struct diagnosis *why);
void spool_close(struct spool *spool);

/* Why the current epoch was begun by this spool_open(): NULL if it goes on. */
const char *spool_epoch_reason(const struct spool *spool);
uint64_t spool_epoch(const struct spool *spool);
/* Of the newest batch in the spool, of any epoch; 0 if there never was one.  Ticks go on from
 * it. */
int64_t spool_last_tick_ms(const struct spool *spool);
/* What sources noted (emitter.h), as of the newest batch. */
const struct notes *spool_notes(const struct spool *spool);
const struct spool_counts *spool_counts(const struct spool *spool);

/* Appends to the current epoch's definitions log; `first_ref` must be what it has.  ERR_FULL,
 * ERR_IO, ERR_NOMEM, and then nothing has happened. */
int spool_add_definitions(struct spool *spool, uint64_t first_ref, uint64_t count,
                          struct bytes items);

/* Definitions of an epoch from `first_ref` on, as many as lie together; items in `into`.
 * ERR_NOTFOUND: there is no such epoch or ref; ERR_CORRUPT, ERR_IO, ERR_NOMEM. */
int spool_read_definitions(struct spool *spool, uint64_t epoch, uint64_t first_ref,
                           struct buf *into, struct bytes *ret_items, uint64_t *ret_count);

/* Appends a batch and the notes that changed with it, as one write, and makes room before.
 * ERR_FULL, ERR_IO, ERR_NOMEM, ERR_LIMIT, and then nothing has happened. */
int spool_append(struct spool *spool, int64_t tick_ms, struct bytes plain,
                 struct bytes changed_notes, int64_t now_ms, uint64_t *ret_number);

/* The epochs held, oldest first, the current one last. */
size_t spool_stream_count(const struct spool *spool);
struct spool_stream spool_stream_at(const struct spool *spool, size_t index);

/* The first item of `epoch` at or past `from` that is not acknowledged; false if there is none.
 * */
bool spool_next(struct spool *spool, uint64_t epoch, uint64_t from,
                struct spool_item *ret_item);

/* How many numbers, of all epochs, are not acknowledged; and the tick of the oldest batch among
 * them, as far as segments tell (exact where ticks are regular).  0: there is none. */
uint64_t spool_waiting(const struct spool *spool, int64_t *ret_oldest_ms);

/* A batch as it was appended; the plain bytes are in `into`.  ERR_NOTFOUND; ERR_CORRUPT: it,
 * and what lay behind it in its segment, is lost, and is a gap from now on. */
int spool_read(struct spool *spool, uint64_t epoch, uint64_t number, struct buf *into,
               struct bytes *ret_plain);

/* Gives up a batch that can never be sent (its definitions are lost), with what lies behind it
 * in its segment: a gap "spool_corrupt" from now on.  ERR_FULL, ERR_IO, ERR_NOMEM: it lies in
 * the segment being written, and another cannot be begun; it is as it was. */
int spool_condemn(struct spool *spool, uint64_t epoch, uint64_t number);

/* The collector's word on one epoch: frees what it has stored.  Numbers never assigned are
 * ignored. */
void spool_acknowledge(struct spool *spool, const struct stream_state *state);

/* The collector's Resume is there.  `state` speaks of the current epoch.  If it proves the
 * folder to be a restored copy, or asks to renew, a new epoch takes over the batches (see
 * above) and
 * *ret_reason says why; otherwise the epoch is confirmed and *ret_reason is NULL.  Must come
 * before spool_acknowledge() of the current epoch.  ERR_FULL, ERR_IO, ERR_NOMEM: nothing may be
 * sent yet; try again.  ERR_INVALID: numbers that nobody can have given. */
int spool_confirm(struct spool *spool, const struct stream_state *state,
                  const char **ret_reason);
bool spool_is_confirmed(const struct spool *spool);
