/*
 * emitter_tick.h - the emitter from its owner's side: what the scheduler does with a tick.
 *
 *     emitter_begin(out, tick_ms)
 *         mark = emitter_mark(out)
 *         source->collect(...)                   emits
 *         emitter_stamp_late(out, mark, now_ms)  if it came too late for the tick
 *     until emitter_is_empty(out)
 *         emitter_seal(out, &batch)              a view of what was emitted, or of its next part
 *             definitions and batch go into the spool
 *         emitter_kept(out)                      that part is done
 *      or emitter_not_kept(out)                  samples are gone, lines and records wait
 *
 * A host with more series than a batch takes (plain.h) has a tick of several batches.  Lines,
 * records and notes go with the first.  Their ticks ascend by a millisecond, because those of
 * two batches may not be the same.
 *
 * Memory: by series 8 bytes for its hash, 8 for its value, 16 for the sealed column (of the
 * series of one part), 4 to find it, 4 for the order of emitting, 2 for whose it is.  Names,
 * labels and help are not kept: the bytes of a new definition wait in a buffer until the spool
 * has them, and the hash of the bytes (64 bits, with a random seed, so that nobody can make two
 * series meet) stands for the series from then on.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/notes.h"
#include "proto/base/buf.h"

/* Series an epoch may define.  Most hosts have some thousands, one with ten thousand interfaces
 * some hundred thousand.  A source that keeps inventing series does not get here: once most are
 * of the past, the owner starts a new epoch (emitter_is_crowded). */
#define EMITTER_SERIES_MAX ((uint32_t)(BATCH_PARTS_MAX * BATCH_SAMPLES_MAX))
/* Fewer than this are never a crowd. */
#define EMITTER_CROWD_LEAST ((uint32_t)32768)

struct emitter_counts {
    uint64_t series;        /* defined in this epoch */
    uint64_t refused_limit; /* registrations refused: too many series, labels, bytes */
    uint64_t refused_nomem;
    uint64_t records_refused;
    uint64_t samples; /* emitted since the start */
};

/* `durable` are the notes in the spool, for emitter_noted(); may be NULL; outlives the emitter.
 */
int emitter_open(const struct notes *durable, struct emitter **ret_emitter);
void emitter_close(struct emitter *out);

/* Takes a definition the spool already holds, in order from ref 0. */
int emitter_restore(struct emitter *out, struct bytes coded_definition);

/* Definitions not yet in the spool: refs first..first+count-1, one after the other
 * (definition.h). Valid until the next registration. */
struct bytes emitter_new_definitions(const struct emitter *out, uint64_t *ret_first,
                                     uint64_t *ret_count);
/* The spool has them. */
void emitter_definitions_kept(struct emitter *out);

void emitter_begin(struct emitter *out, int64_t tick_ms);
size_t emitter_mark(const struct emitter *out);
/* Gives the samples emitted since `mark` their own time.  ERR_LIMIT, ERR_NOMEM: they are
 * dropped. */
int emitter_stamp_late(struct emitter *out, size_t mark, int64_t ts_ms);

/* Whose series are those that are emitted from now on; 0: nobody's. */
void emitter_set_owner(struct emitter *out, uint16_t owner);
/* Ends every series that `owner` was the last to emit and that has not ended by itself. */
void emitter_end_owned(struct emitter *out, uint16_t owner);

/* A record between two ticks: it bears its own time, because records of two batches that bear
 * one time are taken for the same. */
int emitter_record_at(struct emitter *out, uint32_t kind, int64_t ts_ms, struct bytes data);

/* The tick as a batch, or its next part; points into the emitter, valid until _kept() or
 * _not_kept().  ERR_NOMEM. */
int emitter_seal(struct emitter *out, struct plain_batch *ret_batch);
/* Changed notes of the tick, a run as in notes.h. */
struct bytes emitter_changed_notes(const struct emitter *out);
bool emitter_is_empty(const struct emitter *out);

void emitter_kept(struct emitter *out);
void emitter_not_kept(struct emitter *out);

/* Do most of the epoch's series have no source that emits them any more?  Those of a source
 * that has not had its turn yet count among them. */
bool emitter_is_crowded(const struct emitter *out);
const struct emitter_counts *emitter_counts(const struct emitter *out);
