/*
 * store.c - putting the parts together; series and writes of the public interface.
 */
#include "collector/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/care.h"
#include "collector/store/checkpoint.h"
#include "collector/store/inspect.h"
#include "collector/store/keeper.h"
#include "collector/store/live_rows.h"
#include "collector/store/parts.h"
#include "collector/store/querier.h"
#include "collector/store/recover.h"
#include "collector/store/restore.h"
#include "collector/store/series_rows.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/must.h"

#define SPAN_MS_DEFAULT      ((int64_t)2 * 3600 * MS_PER_SEC)
#define SERIES_LIMIT_DEFAULT 10000000u

/* -- opening and closing ----------------------------------------------------------------- */

static int open_live(struct store *store, struct diagnosis *why)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/live", store->directory);
    if (size < 0 || (size_t)size >= sizeof path)
        return diagnose(why, ERR_LIMIT, "%s: the path is too long", store->directory);
    struct inspection found;
    uint64_t damaged = 0;
    int error = inspect_live(store->directory, &found, why);
    if (error == 0)
        error = live_open(path, store->options.live_bytes_max, &store->live, why);
    if (error == 0)
        error = live_rows_settle(&store->live, store->directory, &damaged, why);
    if (error == 0)
        store->full.live = &store->live;
    store->is_salvaged = found.faults > 0;
    atomic_fetch_add(&store->quarantined, found.faults + damaged);
    return error;
}

static int recover(struct store *store, uint64_t *ret_last_commit, struct diagnosis *why)
{
    struct recovery recovery;
    uint64_t last_id = 0;
    uint64_t through = 0;
    recovery_init(&recovery, store);
    int error = metadata_load(&store->metadata, &store->live);
    if (error == 0)
        error = series_rows_last_id(&store->live, &last_id);
    if (error == 0) {
        store->head->next_id = last_id + 1;
        error = deletes_load(store);
    }
    if (error == 0) {
        error = checkpoint_load(&recovery, &through);
    }
    if (error == 0)
        error = recovery_replay(&recovery, through, ret_last_commit);
    recovery_done(&recovery);
    if (error != 0)
        return diagnose(why, error, "%s: rebuilding the recent past: %s", store->directory,
                        error_text(error));
    return 0;
}

/* Whether the last stop was a clean one is kept in the live environment; while the store is
 * open it is not. */
static int put_clean(void *context, MDB_txn *txn, uint64_t commit)
{
    (void)commit;
    return live_meta_put(context, txn, "clean", 1);
}

static int put_unclean(void *context, MDB_txn *txn, uint64_t commit)
{
    (void)commit;
    return live_meta_put(context, txn, "clean", 0);
}

static int run_task(struct store *store, int (*run)(void *, MDB_txn *, uint64_t))
{
    struct writer_task task = {run, NULL, &store->live, NULL, 0, false};
    return writer_run(store->writer, &task);
}

static int open_history(struct store *store, struct diagnosis *why)
{
    uint64_t clean = 0;
    int error = live_meta_get(&store->live, "clean", &clean);
    if (error == 0)
        error = span_set_new(store, &store->spans);
    if (error == 0)
        error = span_set_load(store->spans, clean == 0, why);
    return error;
}

static int open_parts(struct store *store, struct diagnosis *why)
{
    uint64_t last_commit = 0;
    int error = metadata_init(&store->metadata);
    if (error == 0)
        error = ages_init(&store->deletes.ages, &store->options, store->clock);
    if (error == 0)
        error = restore_may_open(store->directory, why);
    if (error == 0)
        error = open_live(store, why);
    if (error == 0)
        error = head_open(store->options.span_ms, store->options.series_limit, &store->head);
    if (error == 0)
        store->head->deletes = &store->deletes;
    if (error == 0)
        error = log_head_new(&store->logs);
    if (error == 0)
        error = open_history(store, why);
    if (error == 0)
        error = ages_note(store);
    if (error == 0)
        error = recover(store, &last_commit, why);
    if (error == 0)
        writer_note_logs(store);
    if (error == 0)
        error = writer_start(store, last_commit, &store->writer);
    if (error == 0)
        error = run_task(store, put_unclean);
    if (error == 0)
        error = keeper_start(store, &store->keeper);
    if (error == 0)
        error = care_open(store, &store->care);
    return error;
}

int store_open(const struct store_options *options, struct store **ret_store,
               struct diagnosis *why)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    store->queryable.calls = &querier_calls;
    store->options = *options;
    store->clock = options->clock != NULL ? options->clock : &clock_system;
    if (store->options.span_ms <= 0)
        store->options.span_ms = SPAN_MS_DEFAULT;
    if (store->options.series_limit == 0)
        store->options.series_limit = SERIES_LIMIT_DEFAULT;
    store->directory = strdup(options->directory);
    absent_init(&store->absent);
    deletes_init(&store->deletes);
    full_init(&store->full, store->directory, options->quota_bytes, &clock_system);
    int error = store->directory == NULL ? ERR_NOMEM : open_parts(store, why);
    if (error != 0) {
        store_close(store);
        return diagnose(why, error, "%s: %s", options->directory, error_text(error));
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    bool was_open = store->keeper != NULL;
    care_close(store->care);
    keeper_stop(store->keeper);
    /* If either fails the next opening replays more and verifies more, no harm. */
    if (was_open && checkpoint_pass(store, INT64_MIN, NULL) == 0)
        (void)run_task(store, put_clean);
    writer_stop(store->writer);
    span_set_free(store->spans);
    log_head_free(store->logs);
    head_close(store->head);
    live_close(&store->live);
    metadata_done(&store->metadata);
    absent_done(&store->absent);
    full_done(&store->full);
    deletes_done(&store->deletes);
    free(store->directory);
    free(store);
}

/* -- series ------------------------------------------------------------------------------ */

int store_series_resolve(struct store *store, const struct labels *labels,
                         const struct metadata *metadata, struct series **ret_series)
{
    struct series *series = head_find(store->head, labels);
    if (series == NULL) {
        uint64_t id = 0;
        int error = series_rows_id_of(&store->live, labels, &id);
        if (error == 0 || error == ERR_NOTFOUND)
            error = head_intern(store->head, labels, id, &series);
        if (error != 0)
            return error;
    }
    if (metadata != NULL)
        (void)metadata_note(&store->metadata, labels_get_text(labels, LABEL_NAME), metadata);
    *ret_series = series;
    return 0;
}

void store_series_release(struct store *store, struct series *series)
{
    (void)store;
    if (series != NULL)
        head_release(series);
}

uint64_t store_series_id(const struct series *series)
{
    return series->id;
}

uint64_t store_series_hash(const struct series *series)
{
    return series->hash;
}

const struct labels *store_series_labels(const struct series *series, struct labels_room *room)
{
    return series_labels(series, room);
}

int store_series_by_id(struct store *store, uint64_t id, struct series **ret_series)
{
    struct series *series = head_find_id(store->head, id);
    if (series != NULL) {
        *ret_series = series;
        return 0;
    }
    struct series_reader *reader = malloc(sizeof *reader);
    if (reader == NULL)
        return ERR_NOMEM;
    const struct labels *labels;
    series_reader_init(reader, &store->live);
    int error = series_reader_find(reader, id, &labels);
    if (error == 0)
        error = head_intern(store->head, labels, id, ret_series);
    series_reader_done(reader);
    free(reader);
    return error;
}

void store_series_set_source(struct series *series, uint64_t source)
{
    atomic_store_explicit(&series->source, source, memory_order_relaxed);
}

void store_set_absent(struct store *store, uint64_t source, int64_t since_ms)
{
    (void)absent_set(&store->absent, source, since_ms);
}

int store_metadata_scan(struct store *store,
                        int (*each)(void *context, struct bytes name,
                                    const struct metadata *metadata),
                        void *context)
{
    return metadata_scan(&store->metadata, each, context);
}

/* -- writing ----------------------------------------------------------------------------- */

int store_write_submit(struct store *store, struct store_write *write)
{
    return writer_submit(store->writer, write);
}

struct waiting {
    struct store_write write;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool is_done;
    int error;
};

static void wake(struct store_write *write, int error)
{
    struct waiting *waiting = write->context;
    must(pthread_mutex_lock(&waiting->lock) == 0);
    waiting->error = error;
    waiting->is_done = true;
    must(pthread_cond_signal(&waiting->finished) == 0);
    must(pthread_mutex_unlock(&waiting->lock) == 0);
}

int store_write_wait(struct store *store, struct store_write *write)
{
    struct waiting waiting = {.write = *write,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .finished = PTHREAD_COND_INITIALIZER};
    waiting.write.done = wake;
    waiting.write.context = &waiting;
    int error = writer_submit(store->writer, &waiting.write);
    if (error != 0)
        return error;
    must(pthread_mutex_lock(&waiting.lock) == 0);
    while (!waiting.is_done)
        must(pthread_cond_wait(&waiting.finished, &waiting.lock) == 0);
    must(pthread_mutex_unlock(&waiting.lock) == 0);
    (void)pthread_cond_destroy(&waiting.finished);
    (void)pthread_mutex_destroy(&waiting.lock);
    return waiting.error;
}

int store_settle_days(struct store *store)
{
    return keeper_settle(store->keeper, true);
}

int store_settle(struct store *store)
{
    return keeper_settle(store->keeper, false);
}

int store_clean_deletes(struct store *store)
{
    return keeper_clean(store->keeper);
}

struct queryable *store_queryable(struct store *store)
{
    return &store->queryable;
}
