/*
 * writer.c - group commit.
 *
 * The order within one group is what makes a crash harmless:
 *
 *     1 tasks, series, metadata, puts, WAL record   into one transaction
 *     2 commit, which syncs                         durable from here on
 *     3 samples and lines into the head             visible from here on
 *     4 done(0) for every write                     acknowledged from here on
 *
 * Dying before 2 loses what nobody was promised; dying after it, replay does 3 again.
 */
#include "collector/store/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/store/series_rows.h"
#include "collector/store/wal.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

/* Copies of the labels of one block of new series, at most. */
#define BLOCK_LABELS_BYTES ((size_t)64 << 20)
/* What a sample counts for in the queue, and, as the WAL has it, in a group. */
#define QUEUED_SAMPLE_BYTES  12
#define WRITTEN_SAMPLE_BYTES 4

#define NS_PER_SEC ((mono_ns)MS_PER_SEC * NS_PER_MS)

#define SHRINKS_BYTES 256 /* a row that loses so much is put anew */

/* Writes in the order in which they came. */
struct lane {
    struct store_write *first, **last;
    size_t bytes, depth;
};
enum lane_kind { LANE_PROMPT, LANE_BULK, LANES };

struct writer {
    /* fixed */
    struct store *store;
    pthread_t thread;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t work;     /* something is queued */
    pthread_cond_t finished; /* a task has ended */
    struct lane lanes[LANES];
    struct writer_task *first_task, **last_task;
    struct writer_task *first_alone, **last_alone; /* each in a commit of its own */
    mono_ns prompt_at; /* when a group last had samples that are no bulk; 0: none had */
    mono_ns bulk_at; /* bulk waits until then */
    bool stopping;

    /* the thread's own */
    struct wal_encoder encoder;
    _Atomic uint64_t commit;
    struct series **pending;
    size_t pending_count;
};

/* What one transaction carries. */
struct group {
    struct store_write *writes;
    struct writer_task *tasks;
    size_t samples, logs;
    bool has_bulk;
};

/* -- the transaction --------------------------------------------------------------------- */

static int put_pending_series(struct writer *writer, MDB_txn *txn)
{
    struct series_row rows[SERIES_BLOCK_MAX];
    struct arena arena;
    int code = MDB_SUCCESS;
    arena_init(&arena, BLOCK_LABELS_BYTES);
    for (size_t at = 0; at < writer->pending_count && code == MDB_SUCCESS;) {
        size_t count = 0;
        arena_reset(&arena);
        for (; count < SERIES_BLOCK_MAX && at < writer->pending_count; count++, at++) {
            const struct series *series = writer->pending[at];
            rows[count] =
                (struct series_row){series->id, series_labels_copy(series, &arena)};
            if (rows[count].labels == NULL)
                code = ENOMEM;
        }
        if (code == MDB_SUCCESS)
            code = series_rows_put(&writer->store->live, txn, rows, count);
    }
    arena_reset(&arena);
    return code;
}

/* LMDB joins pages that become empty when a row goes, not when one shrinks: a message whose
 * text is dropped once it is told would keep its room for as long as its row stays. */
static int make_room(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, size_t size)
{
    MDB_val old;
    int code = mdb_get(txn, dbi, key, &old);
    if (code == MDB_NOTFOUND)
        return MDB_SUCCESS;
    if (code == MDB_SUCCESS && old.mv_size >= size + SHRINKS_BYTES)
        code = mdb_del(txn, dbi, key, NULL);
    return code;
}

static int put_state(const struct live *live, MDB_txn *txn, const struct store_write *write)
{
    const MDB_dbi dbi = live->tables[LIVE_STATE];
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < write->put_count && code == MDB_SUCCESS; i++) {
        MDB_val key = val_of(write->puts[i].key);
        if (write->puts[i].value.data != NULL) {
            code = make_room(txn, dbi, &key, write->puts[i].value.size + SEAL_BYTES);
            if (code == MDB_SUCCESS)
                code = sealed_put(txn, dbi, write->puts[i].key, write->puts[i].value, 0);
        } else {
            code = mdb_del(txn, dbi, &key, NULL);
        }
        if (code == MDB_NOTFOUND)
            code = MDB_SUCCESS;
    }
    return code;
}

static int put_wal(struct writer *writer, MDB_txn *txn, const struct group *group)
{
    struct store *store = writer->store;
    struct bytes record;
    if (group->samples == 0 && group->logs == 0)
        return MDB_SUCCESS;
    wal_encoder_clear(&writer->encoder);
    for (const struct store_write *at = group->writes; at != NULL; at = at->next)
        wal_encoder_add(&writer->encoder, at);
    if (wal_encoder_finish(&writer->encoder, &record) != 0)
        return ENOMEM;
    int code = wal_put(&store->live, txn, writer->commit + 1, record);
    if (code == MDB_SUCCESS) {
        atomic_fetch_add_explicit(&store->wal_bytes, record.size, memory_order_relaxed);
        atomic_fetch_add_explicit(&store->wal_records, 1, memory_order_relaxed);
    }
    return code;
}

static int fill(struct writer *writer, MDB_txn *txn, const struct group *group)
{
    struct store *store = writer->store;
    int code = MDB_SUCCESS;
    for (struct writer_task *at = group->tasks; at != NULL && code == MDB_SUCCESS;
         at = at->next)
        code = at->run(at->context, txn, writer->commit);
    if (code == MDB_SUCCESS)
        code = put_pending_series(writer, txn);
    if (code == MDB_SUCCESS)
        code = metadata_put(&store->metadata, &store->live, txn);
    for (struct store_write *at = group->writes; at != NULL && code == MDB_SUCCESS;
         at = at->next)
        code = put_state(&store->live, txn, at);
    if (code == MDB_SUCCESS)
        code = put_wal(writer, txn, group);
    return code;
}

static int commit_group(struct writer *writer, const struct group *group)
{
    struct store *store = writer->store;
    MDB_txn *txn;
    mono_ns start = clock_mono(&clock_system);

    must(head_take_pending(store->head, &writer->pending, &writer->pending_count) == 0);
    store_step(store, "commit.begin");
    int code = mdb_txn_begin(store->live.env, NULL, 0, &txn);
    if (code == MDB_SUCCESS) {
        code = fill(writer, txn, group);
        store_step(store, "commit.filled");
        if (code == MDB_SUCCESS)
            code = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    head_settle_pending(store->head, writer->pending, writer->pending_count,
                        code == MDB_SUCCESS);
    metadata_settle(&store->metadata, code == MDB_SUCCESS);
    atomic_fetch_add_explicit(&store->commit_ns, clock_mono(&clock_system) - start,
                              memory_order_relaxed);
    if (code != MDB_SUCCESS) {
        atomic_fetch_add_explicit(&store->commit_failures, 1, memory_order_relaxed);
        full_note_failure(&store->full, mdb_strerror(code));
        if (code == MDB_PANIC)
            atomic_store(&store->broken, true);
        log_error("store", "commit failed: %s", mdb_strerror(code));
        return error_from_lmdb(code);
    }
    full_note_success(&store->full);
    atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
    store_step(store, "commit.durable");
    return 0;
}

/* -- into the head ----------------------------------------------------------------------- */

void writer_note_logs(struct store *store)
{
    atomic_store(&store->lines_waiting, log_head_line_count(store->logs));
    atomic_store(&store->logs_due, log_head_is_due(store->logs));
}

static void apply_group(struct writer *writer, const struct group *group)
{
    struct store *store = writer->store;
    int64_t now_ms = clock_unix_ms(store->clock);
    int64_t retention_ms = store_retention_ms(store);
    int64_t floor_ms = retention_ms > 0 ? now_ms - retention_ms : INT64_MIN;

    head_take_oldest(store->head);
    for (const struct store_write *at = group->writes; at != NULL; at = at->next) {
        /* The samples are durable: losing one in memory only would break the promise that an
         * acknowledged write is visible, while a restart replays it. */
        uint64_t kept = 0;
        must(head_append_all(store->head, at->samples, at->sample_count, floor_ms, now_ms,
                             &kept) == 0);
        atomic_fetch_add_explicit(&store->head->stats.stored, kept, memory_order_relaxed);
        for (size_t i = 0; i < at->log_count; i++) {
            size_t taken = 0;
            must(log_head_append(store->logs, at->logs[i].stream_id, &at->logs[i].chunk,
                                 &taken) == 0);
            atomic_fetch_add_explicit(&store->log_lines, taken, memory_order_relaxed);
        }
    }
    if (group->logs > 0)
        writer_note_logs(store);
    if (group->samples > 0 || group->logs > 0)
        atomic_fetch_add_explicit(&writer->commit, 1, memory_order_release);
    store_step(store, "commit.applied");
}

/* -- the thread -------------------------------------------------------------------------- */

static void finish_tasks(struct writer *writer, struct writer_task *tasks, int error)
{
    for (struct writer_task *at = tasks, *next; at != NULL; at = next) {
        next = at->next;
        if (at->after != NULL)
            at->after(at->context, error);
        must(pthread_mutex_lock(&writer->lock) == 0);
        at->error = error;
        at->finished = true;
        must(pthread_cond_broadcast(&writer->finished) == 0);
        must(pthread_mutex_unlock(&writer->lock) == 0);
    }
}

static void finish_writes(struct store_write *writes, int error)
{
    for (struct store_write *at = writes, *next; at != NULL; at = next) {
        next = at->next;
        at->done(at, error);
    }
}

static bool probes_send(const struct writer *writer, mono_ns now)
{
    return writer->prompt_at != 0 && now - writer->prompt_at < PROMPT_RECENT_NS;
}

/* Under the lock: until there is something to do. */
static void wait_for_work(struct writer *writer)
{
    while (writer->lanes[LANE_PROMPT].first == NULL && writer->first_task == NULL &&
           writer->first_alone == NULL && !writer->stopping) {
        struct timespec until;
        if (writer->lanes[LANE_BULK].first == NULL) {
            must(pthread_cond_wait(&writer->work, &writer->lock) == 0);
            continue;
        }
        if (clock_mono(&clock_system) >= writer->bulk_at)
            return;
        until.tv_sec = (time_t)(writer->bulk_at / NS_PER_SEC);
        until.tv_nsec = (long)(writer->bulk_at % NS_PER_SEC);
        (void)pthread_cond_timedwait(&writer->work, &writer->lock, &until);
    }
}

/* Under the lock: moves writes to the end of the group, one at least, up to so many bytes of
 * it. */
static struct store_write **take_writes(struct lane *lane, size_t bytes_max,
                                        struct group *group, struct store_write **last)
{
    for (size_t bytes = 0; lane->first != NULL && (bytes == 0 || bytes < bytes_max);) {
        struct store_write *write = lane->first;
        lane->first = write->next;
        write->next = NULL;
        *last = write;
        last = &write->next;
        bytes += write->approximate_bytes -
                 write->sample_count * (QUEUED_SAMPLE_BYTES - WRITTEN_SAMPLE_BYTES);
        group->samples += write->sample_count;
        group->logs += write->log_count;
        lane->bytes -= write->approximate_bytes;
        lane->depth--;
    }
    if (lane->first == NULL)
        lane->last = &lane->first;
    return last;
}

/* The next group, waiting for one; false when there is nothing left and the end has come. */
static bool take_group(struct writer *writer, struct group *ret_group)
{
    struct group group = {0};
    must(pthread_mutex_lock(&writer->lock) == 0);
    wait_for_work(writer);
    if (writer->first_alone != NULL) {
        group.tasks = writer->first_alone;
        writer->first_alone = group.tasks->next;
        if (writer->first_alone == NULL)
            writer->last_alone = &writer->first_alone;
        group.tasks->next = NULL;
        must(pthread_mutex_unlock(&writer->lock) == 0);
        *ret_group = group;
        return true;
    }
    const mono_ns now = clock_mono(&clock_system);
    struct store_write **last =
        take_writes(&writer->lanes[LANE_PROMPT], GROUP_BYTES_MAX, &group, &group.writes);
    if (group.samples > 0)
        writer->prompt_at = now;
    if (now >= writer->bulk_at || writer->stopping) {
        group.has_bulk = writer->lanes[LANE_BULK].first != NULL;
        (void)take_writes(&writer->lanes[LANE_BULK],
                          probes_send(writer, now) ? BULK_BYTES : GROUP_BYTES_MAX, &group,
                          last);
    }
    group.tasks = writer->first_task;
    writer->first_task = NULL;
    writer->last_task = &writer->first_task;
    must(pthread_mutex_unlock(&writer->lock) == 0);
    *ret_group = group;
    return group.writes != NULL || group.tasks != NULL;
}

static bool is_essential(const struct store_write *write)
{
    return write->is_essential || (write->sample_count == 0 && write->log_count == 0);
}

/* Takes the writes for which there is no room out of the group, and answers them. */
static void refuse_for_room(struct writer *writer, struct group *group)
{
    struct store_write *refused = NULL, **last_refused = &refused, **link = &group->writes;
    uint64_t bytes = 0;
    for (const struct store_write *at = group->writes; at != NULL; at = at->next)
        bytes += at->approximate_bytes;
    enum full_level level =
        group->writes == NULL ? FULL_NOT : full_level(&writer->store->full, bytes);
    if (level == FULL_NOT)
        return;
    while (*link != NULL) {
        struct store_write *write = *link;
        if (level == FULL_BUT_ESSENTIAL && is_essential(write)) {
            link = &write->next;
            continue;
        }
        *link = write->next;
        write->next = NULL;
        *last_refused = write;
        last_refused = &write->next;
        group->samples -= write->sample_count;
        group->logs -= write->log_count;
    }
    finish_writes(refused, ERR_FULL);
}

/* A group with bulk is over: when the next may have some. */
static void rest_bulk(struct writer *writer, mono_ns begun)
{
    const mono_ns now = clock_mono(&clock_system);
    const mono_ns work = BULK_REST * (now - begun);
    const mono_ns rest = work < BULK_REST_NS ? work : BULK_REST_NS;
    must(pthread_mutex_lock(&writer->lock) == 0);
    writer->bulk_at = probes_send(writer, now) ? now + rest : 0;
    must(pthread_mutex_unlock(&writer->lock) == 0);
}

static void *writer_main(void *context)
{
    struct writer *writer = context;
    struct group group;

    while (take_group(writer, &group)) {
        const mono_ns begun = clock_mono(&clock_system);
        refuse_for_room(writer, &group);
        if (group.writes == NULL && group.tasks == NULL)
            continue;
        int error = commit_group(writer, &group);
        if (error == 0)
            apply_group(writer, &group);
        finish_tasks(writer, group.tasks, error);
        finish_writes(group.writes, error);
        if (group.has_bulk)
            rest_bulk(writer, begun);
        store_step(writer->store, "commit.done");
    }
    return NULL;
}

int writer_start(struct store *store, uint64_t last_commit, struct writer **ret_writer)
{
    pthread_condattr_t monotonic;
    struct writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ERR_NOMEM;
    writer->store = store;
    for (size_t i = 0; i < LANES; i++)
        writer->lanes[i].last = &writer->lanes[i].first;
    writer->last_task = &writer->first_task;
    writer->last_alone = &writer->first_alone;
    atomic_init(&writer->commit, last_commit);
    wal_encoder_init(&writer->encoder);
    must(pthread_mutex_init(&writer->lock, NULL) == 0);
    must(pthread_condattr_init(&monotonic) == 0);
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&writer->work, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    must(pthread_cond_init(&writer->finished, NULL) == 0);
    if (pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
        wal_encoder_done(&writer->encoder);
        free(writer);
        return ERR_NOMEM;
    }
    *ret_writer = writer;
    return 0;
}

void writer_stop(struct writer *writer)
{
    if (writer == NULL)
        return;
    must(pthread_mutex_lock(&writer->lock) == 0);
    writer->stopping = true;
    must(pthread_cond_broadcast(&writer->work) == 0);
    must(pthread_mutex_unlock(&writer->lock) == 0);
    must(pthread_join(writer->thread, NULL) == 0);
    wal_encoder_done(&writer->encoder);
    (void)pthread_cond_destroy(&writer->work);
    (void)pthread_cond_destroy(&writer->finished);
    (void)pthread_mutex_destroy(&writer->lock);
    free(writer);
}

/* -- the queues -------------------------------------------------------------------------- */

static size_t bytes_of_write(const struct store_write *write)
{
    size_t bytes = 64 + write->sample_count * QUEUED_SAMPLE_BYTES;
    for (size_t i = 0; i < write->log_count; i++) {
        const struct log_chunk *chunk = &write->logs[i].chunk;
        bytes += 32 + chunk->path.size;
        for (size_t line = 0; line < chunk->count; line++)
            bytes += 8 + chunk->lines[line].text.size;
    }
    for (size_t i = 0; i < write->put_count; i++)
        bytes += 16 + write->puts[i].key.size + write->puts[i].value.size;
    return bytes;
}

static bool keys_fit(const struct store_write *write)
{
    for (size_t i = 0; i < write->put_count; i++)
        if (write->puts[i].key.size == 0 || write->puts[i].key.size > LIVE_KEY_BYTES_MAX)
            return false;
    return true;
}

int writer_submit(struct writer *writer, struct store_write *write)
{
    must(write->done != NULL);
    if (!keys_fit(write))
        return ERR_INVALID;
    write->approximate_bytes = bytes_of_write(write);
    if (write->approximate_bytes > WAL_RECORD_BYTES_MAX / 4)
        return ERR_INVALID;
    write->next = NULL;
    int error = 0;
    struct lane *lane = &writer->lanes[write->is_bulk ? LANE_BULK : LANE_PROMPT];
    must(pthread_mutex_lock(&writer->lock) == 0);
    must(!writer->stopping);
    if (lane->depth > 0 && lane->bytes + write->approximate_bytes > QUEUE_BYTES_MAX)
        error = ERR_AGAIN;
    if (error == 0) {
        *lane->last = write;
        lane->last = &write->next;
        lane->bytes += write->approximate_bytes;
        lane->depth++;
        must(pthread_cond_signal(&writer->work) == 0);
    }
    must(pthread_mutex_unlock(&writer->lock) == 0);
    return error;
}

static int run_in(struct writer *writer, struct writer_task ***last, struct writer_task *task)
{
    must(pthread_mutex_lock(&writer->lock) == 0);
    task->next = NULL;
    task->finished = false;
    **last = task;
    *last = &task->next;
    must(pthread_cond_signal(&writer->work) == 0);
    while (!task->finished)
        must(pthread_cond_wait(&writer->finished, &writer->lock) == 0);
    int error = task->error;
    must(pthread_mutex_unlock(&writer->lock) == 0);
    return error;
}

int writer_run(struct writer *writer, struct writer_task *task)
{
    return run_in(writer, &writer->last_task, task);
}

int writer_run_alone(struct writer *writer, struct writer_task *task)
{
    return run_in(writer, &writer->last_alone, task);
}

size_t writer_queue_depth(struct writer *writer)
{
    must(pthread_mutex_lock(&writer->lock) == 0);
    size_t depth = writer->lanes[LANE_PROMPT].depth + writer->lanes[LANE_BULK].depth;
    must(pthread_mutex_unlock(&writer->lock) == 0);
    return depth;
}

uint64_t writer_last_commit(const struct writer *writer)
{
    return atomic_load_explicit(&writer->commit, memory_order_acquire);
}
