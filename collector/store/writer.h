/*
 * writer.h - the one thread that commits.
 *
 *   queue of writes ─┐
 *   queue of bulk ───┼─> group ─> transaction ─> fsync ─> head ─> done()
 *   queue of tasks ──┘
 *
 * A group is what was queued while the last commit synced, up to GROUP_BYTES_MAX.  Bulk (is_bulk)
 * has a queue of its own, so that a batch of a probe waits for none of it.  While probes send, a
 * group takes at most BULK_BYTES of it (one write at least), and after such a group no other takes
 * any for BULK_REST times as long as that took, BULK_REST_NS at most: most batches meet no bulk,
 * neither before them nor in their own commit.  Tasks are the store's own changes to the live
 * environment (checkpoint slices, span registrations, deletions): short pieces that ride in the
 * next commit, so that they cost no fsync of their own.
 */
#pragma once

#include <lmdb.h>
#include <stdint.h>

#include "collector/store/parts.h"

#define GROUP_BYTES_MAX  ((size_t)1 << 20)
#define QUEUE_BYTES_MAX  ((size_t)64 << 20) /* of each queue */
#define BULK_BYTES       ((size_t)128 << 10)
#define BULK_REST        2
#define BULK_REST_NS     ((mono_ns)40 * NS_PER_MS)
#define PROMPT_RECENT_NS ((mono_ns)1000 * NS_PER_MS) /* probes that sent so lately go on */

struct writer;

/* Commits go on from `last_commit`. */
int writer_start(struct store *store, uint64_t last_commit, struct writer **ret_writer);
/* Works off what is queued, then ends.  NULL is allowed. */
void writer_stop(struct writer *writer);

/* ERR_AGAIN: the queue is full; ERR_INVALID: a key LMDB cannot hold. */
int writer_submit(struct writer *writer, struct store_write *write);

/* A piece of the store's own work, on the writer thread.
 *   run      inside the transaction, before the group's samples reach the head: sees exactly
 * the commits up to `commit`.  Returns an LMDB code; failing fails the whole group. after when
 * the transaction is durable (error 0) or gone.  May be NULL. */
struct writer_task {
    int (*run)(void *context, MDB_txn *txn, uint64_t commit);
    void (*after)(void *context, int error);
    void *context;
    struct writer_task *next; /* the queue's, as are these */
    int error;
    bool finished;
};

/* Runs a task and waits for it; not on the writer thread.  The commit's error. */
int writer_run(struct writer *writer, struct writer_task *task);

/* The same, in a commit of its own: nothing else is between what `run` sees and `after`. */
int writer_run_alone(struct writer *writer, struct writer_task *task);

size_t writer_queue_depth(struct writer *writer);
/* Number of the last commit whose samples are in the head. */
uint64_t writer_last_commit(const struct writer *writer);
/* Publishes how much waits in the log head; the writer thread, after each change of it. */
void writer_note_logs(struct store *store);
