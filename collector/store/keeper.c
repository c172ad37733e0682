/*
 * keeper.c - when to do which piece of housekeeping.
 */
#include "collector/store/keeper.h"

#include <stdlib.h>
#include <time.h>

#include "collector/store/checkpoint.h"
#include "collector/store/deletes.h"
#include "collector/store/flush.h"
#include "collector/store/merge.h"
#include "collector/store/rollup.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define CHECKPOINT_WAL_BYTES ((uint64_t)48 << 20)
#define CHECKPOINT_EVERY_NS  ((mono_ns)300 * MS_PER_SEC * NS_PER_MS)
#define OVERDUE_BYTES        ((uint64_t)48 << 20)
#define SPARE_BYTES          ((uint64_t)4 << 20)
#define FIRST_FLUSH_NS       ((mono_ns)5 * MS_PER_SEC * NS_PER_MS)
#define MINUTE_NS            ((mono_ns)60 * MS_PER_SEC * NS_PER_MS)
#define GRACE_MS_MAX         ((int64_t)10 * 60 * MS_PER_SEC)
#define GENERATIONS_KEPT     4
#define SWEEP_IDS            4096
#define REST_MS              (MS_PER_SEC * 60)
#define CROWD_SERIES         50000

struct keeper {
    /* fixed */
    struct store *store;
    pthread_t thread;

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t wake, served;
    bool stopping;
    uint64_t asked, answered; /* requests */
    bool settle_asked;        /* and not only to clean */
    bool days_asked;          /* and days that go on are merged */
    int settle_error;

    /* the thread's own */
    mono_ns next_checkpoint, next_minute;
    mono_ns first_flush; /* after an opening whoever waited for it comes first */
    uint64_t checkpointed_wal_bytes, checkpointed_commit;
    int64_t flushed_until_ms;
    bool crowded;            /* with series that are over */
    bool rollups_due;        /* perhaps */
    uint64_t quiet, written; /* files that were there before the last flush; and after it */
};

static void report(const char *what, int error)
{
    if (error != 0)
        log_warn("store", "%s failed, will be tried again: %s", what, error_text(error));
}

/* -- pieces of work ---------------------------------------------------------------------- */

static void note_checkpoint(struct keeper *keeper, mono_ns now)
{
    struct store *store = keeper->store;
    keeper->next_checkpoint = now + CHECKPOINT_EVERY_NS;
    keeper->checkpointed_wal_bytes = atomic_load(&store->wal_bytes);
    keeper->checkpointed_commit = writer_last_commit(store->writer);
}

static void checkpoint_if_due(struct keeper *keeper, mono_ns now)
{
    struct store *store = keeper->store;
    uint64_t wal = atomic_load(&store->wal_bytes) - keeper->checkpointed_wal_bytes;
    if (now < keeper->next_checkpoint && wal < CHECKPOINT_WAL_BYTES)
        return;
    if (writer_last_commit(store->writer) == keeper->checkpointed_commit &&
        !deletes_want_pass(store)) {
        keeper->next_checkpoint = now + CHECKPOINT_EVERY_NS;
        return;
    }
    note_checkpoint(keeper, now);
    report("the checkpoint", checkpoint_pass(store, INT64_MIN, NULL));
}

static int64_t grace_ms(const struct store *store)
{
    int64_t eighth = store->head->span_ms / 8;
    return eighth < GRACE_MS_MAX ? eighth : GRACE_MS_MAX;
}

static void punch(void *context, int error)
{
    struct store *store = context;
    if (error == 0)
        live_punch_free_pages(&store->live);
}

/* LMDB does not count a commit that changes nothing, and pages become free by age in commits.
 */
static int grow_older(void *context, MDB_txn *txn, uint64_t commit)
{
    struct store *store = context;
    return live_meta_put(&store->live, txn, "punched_at", commit);
}

/* On the writer thread, because no write transaction may be open meanwhile. */
static int give_pages_back(struct store *store)
{
    struct writer_task task = {grow_older, punch, store, NULL, 0, false};
    return writer_run(store->writer, &task);
}

/* Returns how many series are over and wait for nothing but a flush. */
static size_t sweep(struct store *store, int64_t rest_ms)
{
    const int64_t now_ms = clock_unix_ms(store->clock);
    const int64_t span_ago_ms = now_ms - store->head->span_ms;
    const struct sweep_bounds bounds = {span_ago_ms, span_ago_ms, now_ms - rest_ms};
    uint64_t resume = 1;
    size_t waiting = 0;
    do
        head_sweep(store->head, &bounds, SWEEP_IDS, &resume, &waiting);
    while (resume != 0);
    return waiting;
}

/* Turn after turn, until everything deleted is out of history. */
static int clean(struct store *store)
{
    bool more = true;
    int error = 0;
    while (error == 0 && more)
        error = deletes_apply(store, true, &more);
    return error;
}

static void apply_deletes(struct store *store)
{
    bool more;
    if (deletes_are_due(store))
        report("rewriting history without what was deleted",
               deletes_apply(store, false, &more));
}

/* `gives_back`: free pages of live, too; not while an import goes on, which will take them
 * again. */
static int tidy(struct store *store, size_t least, int64_t rest_ms, bool gives_back)
{
    bool more;
    int error = merge_due(store, least);
    if (error == 0)
        error = merge_expire(store);
    if (error == 0)
        error = deletes_apply(store, true, &more);
    if (error == 0)
        error = ages_apply(store);
    (void)sweep(store, rest_ms);
    int punched = gives_back ? give_pages_back(store) : 0;
    full_look_soon(&store->full);
    return error != 0 ? error : punched;
}

/* When a span has ended; and before that, when much has come for spans that ended long ago,
 * such as an import of a year: the head must not hold it for hours. */
static void flush_if_due(struct keeper *keeper, mono_ns now)
{
    struct store *store = keeper->store;
    int64_t until_ms =
        span_start_of(store->head->span_ms, clock_unix_ms(store->clock) - grace_ms(store));
    uint64_t overdue = atomic_load(&store->head->stats.overdue_bytes);
    if (now < keeper->first_flush)
        return;
    if (until_ms <= keeper->flushed_until_ms && overdue < OVERDUE_BYTES && !keeper->crowded)
        return;
    keeper->crowded = false;
    note_checkpoint(keeper, now);
    atomic_store(&store->head->flushed_until_ms, until_ms);
    atomic_fetch_sub(&store->head->stats.overdue_bytes, overdue);
    int error = flush_samples(store, until_ms);
    if (error == 0)
        error = flush_logs(store);
    report("the flush to history", error);
    if (error != 0) {
        atomic_fetch_add(&store->head->stats.overdue_bytes, overdue);
        return;
    }
    report("merging history",
           tidy(store, GENERATIONS_KEPT, REST_MS, until_ms > keeper->flushed_until_ms));
    /* Not for every piece of an import: its days would be rolled up anew, or closed to the
     * rest. */
    if (until_ms > keeper->flushed_until_ms) {
        keeper->rollups_due = true;
        keeper->quiet = keeper->written;
        keeper->written = span_set_next_generation(store->spans);
    }
    keeper->flushed_until_ms = until_ms;
}

/* A day at a time: checkpoints and flushes come in between. */
static void roll_up_if_due(struct keeper *keeper)
{
    if (!keeper->rollups_due)
        return;
    int error = rollup_run(keeper->store, 1, keeper->quiet, &keeper->rollups_due);
    if (error != 0)
        keeper->rollups_due = false; /* with the next span that ends */
    report("rolling up", error);
}

static void each_minute(struct keeper *keeper, mono_ns now)
{
    int dead = 0;
    if (now < keeper->next_minute)
        return;
    keeper->next_minute = now + MINUTE_NS;
    (void)mdb_reader_check(keeper->store->live.env, &dead);
    /* After a burst, not between two checkpoints: what is used again soon may stay. */
    const uint64_t spare = live_spare_bytes(&keeper->store->live);
    if (spare >= SPARE_BYTES && spare > live_used_bytes(&keeper->store->live) / 2)
        report("giving free pages back", give_pages_back(keeper->store));
    span_set_close_idle(keeper->store->spans);
    /* Names that came with old times and will not come again, many and with few samples each:
     * they must not stay for hours. */
    const size_t over = sweep(keeper->store, REST_MS);
    keeper->crowded = over >= CROWD_SERIES &&
                      over > atomic_load(&keeper->store->head->stats.series_active) / 4;
    /* Not only after a flush: a full store, which flushes nothing, frees itself by expiry. */
    report("expiry", merge_expire(keeper->store));
    if (full_level(&keeper->store->full, 0) != FULL_NOT) {
        keeper->quiet = UINT64_MAX;
        keeper->rollups_due = true;
    }
}

/* A pass first: what is only in the write-ahead log and the tails is done with, too. */
static int clean_now(struct keeper *keeper)
{
    struct store *store = keeper->store;
    note_checkpoint(keeper, clock_mono(&clock_system));
    int error = checkpoint_pass(store, INT64_MIN, NULL);
    if (error == 0)
        error = clean(store);
    return error;
}

static int settle(struct keeper *keeper, bool days)
{
    struct store *store = keeper->store;
    note_checkpoint(keeper, clock_mono(&clock_system));
    int error = flush_samples(store, INT64_MAX);
    if (error == 0)
        error = flush_logs(store);
    if (error == 0 && days)
        error = merge_early(store);
    if (error == 0)
        error = tidy(store, 2, 0, true);
    /* The flush left rows that say of every series that nothing of it is open. */
    if (error == 0)
        error = checkpoint_pass(store, INT64_MIN, NULL);
    if (error == 0)
        error = rollup_run(store, SIZE_MAX, UINT64_MAX, &keeper->rollups_due);
    if (error == 0)
        error = clean(store);
    /* Two empty commits more, and even the pages of the last ones can be given back. */
    for (int i = 0; i < 3 && error == 0; i++)
        error = give_pages_back(store);
    return error;
}

/* -- the thread -------------------------------------------------------------------------- */

static void wait_a_second(struct keeper *keeper)
{
    struct timespec until;
    must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += 1;
    while (!keeper->stopping && keeper->asked == keeper->answered)
        if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) != 0)
            break;
}

static void *keeper_main(void *context)
{
    struct keeper *keeper = context;
    must(pthread_mutex_lock(&keeper->lock) == 0);
    while (!keeper->stopping) {
        uint64_t asked = keeper->asked;
        bool requested = asked != keeper->answered;
        bool settles = keeper->settle_asked, days = keeper->days_asked;
        keeper->settle_asked = keeper->days_asked = false;
        must(pthread_mutex_unlock(&keeper->lock) == 0);

        int error = 0;
        mono_ns now = clock_mono(&clock_system);
        if (requested) {
            error = settles ? settle(keeper, days) : clean_now(keeper);
        } else {
            if (atomic_load(&keeper->store->logs_due))
                report("packing log lines", checkpoint_logs(keeper->store, false));
            flush_if_due(keeper, now);
            checkpoint_if_due(keeper, now);
            apply_deletes(keeper->store);
            roll_up_if_due(keeper);
            each_minute(keeper, now);
        }

        must(pthread_mutex_lock(&keeper->lock) == 0);
        if (requested) {
            keeper->answered = asked;
            keeper->settle_error = error;
            must(pthread_cond_broadcast(&keeper->served) == 0);
        }
        wait_a_second(keeper);
    }
    keeper->answered = keeper->asked;
    must(pthread_cond_broadcast(&keeper->served) == 0);
    must(pthread_mutex_unlock(&keeper->lock) == 0);
    return NULL;
}

int keeper_start(struct store *store, struct keeper **ret_keeper)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    pthread_condattr_t monotonic;
    if (keeper == NULL)
        return ERR_NOMEM;
    keeper->store = store;
    /* What was in the head before the restart is flushed if its time has come. */
    keeper->flushed_until_ms = INT64_MIN;
    keeper->written = span_set_next_generation(store->spans);
    const mono_ns now = clock_mono(&clock_system);
    keeper->next_checkpoint = now + CHECKPOINT_EVERY_NS;
    keeper->next_minute = now + MINUTE_NS;
    keeper->first_flush = now + FIRST_FLUSH_NS;
    must(pthread_condattr_init(&monotonic) == 0);
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    must(pthread_mutex_init(&keeper->lock, NULL) == 0);
    must(pthread_cond_init(&keeper->wake, &monotonic) == 0);
    must(pthread_cond_init(&keeper->served, NULL) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    if (pthread_create(&keeper->thread, NULL, keeper_main, keeper) != 0) {
        free(keeper);
        return ERR_NOMEM;
    }
    *ret_keeper = keeper;
    return 0;
}

void keeper_stop(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    must(pthread_mutex_lock(&keeper->lock) == 0);
    keeper->stopping = true;
    must(pthread_cond_broadcast(&keeper->wake) == 0);
    must(pthread_mutex_unlock(&keeper->lock) == 0);
    must(pthread_join(keeper->thread, NULL) == 0);
    (void)pthread_cond_destroy(&keeper->wake);
    (void)pthread_cond_destroy(&keeper->served);
    (void)pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

static int ask(struct keeper *keeper, bool settles, bool days)
{
    must(pthread_mutex_lock(&keeper->lock) == 0);
    uint64_t ticket = ++keeper->asked;
    keeper->settle_asked = keeper->settle_asked || settles;
    keeper->days_asked = keeper->days_asked || days;
    must(pthread_cond_broadcast(&keeper->wake) == 0);
    while (keeper->answered < ticket)
        must(pthread_cond_wait(&keeper->served, &keeper->lock) == 0);
    int error = keeper->settle_error;
    must(pthread_mutex_unlock(&keeper->lock) == 0);
    return error;
}

int keeper_settle(struct keeper *keeper, bool days)
{
    return ask(keeper, true, days);
}

int keeper_clean(struct keeper *keeper)
{
    return ask(keeper, false, false);
}
