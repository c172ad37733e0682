/*
 * delete_apply.c - what has been deleted leaves the disk.
 *
 *     history      a file that holds some of it is rewritten, with its bucket
 *     head         its chunks are cut when they are flushed, which is soon enough
 *     checkpoint,  gone with the first pass that begins after the delete
 *     WAL
 *
 * Deletes often come in swarms, so a rewrite waits a little for the next one.  It goes bucket by
 * bucket, and after some seconds the keeper turns to its other duties.
 */
#include <roaring/roaring.h>
#include <stdlib.h>

#include "collector/store/codec/codec.h"
#include "collector/store/deletes.h"
#include "collector/store/merge.h"
#include "collector/store/parts.h"
#include "collector/store/rollup_make.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define QUIET_NS  ((mono_ns)60 * MS_PER_SEC * NS_PER_MS)  /* after the last delete */
#define LATEST_NS ((mono_ns)600 * MS_PER_SEC * NS_PER_MS) /* after the first */
#define TURN_NS   ((mono_ns)5 * MS_PER_SEC * NS_PER_MS)

uint64_t deletes_last(struct deletes *deletes)
{
    must(pthread_mutex_lock(&deletes->lock) == 0);
    uint64_t number = deletes->last_number;
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    return number;
}

void deletes_note_pass(struct store *store, uint64_t through)
{
    struct deletes *deletes = &store->deletes;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    for (size_t i = 0; i < deletes->count; i++)
        if (deletes->items[i]->number <= through)
            deletes->items[i]->is_past_checkpoint = true;
    atomic_store(&deletes->may_end, true);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
}

/* -- where it still is ------------------------------------------------------------------- */

struct look {
    const struct deletion *deletion;
    bool found;
};

static int look_at_chunk(void *context, struct bytes chunk)
{
    struct look *look = context;
    size_t count;
    int64_t first_ms;
    int64_t last_ms;
    if (chunk_describe(chunk, &count, &first_ms, &last_ms) != 0)
        return ERR_CORRUPT;
    look->found = look->found || (first_ms <= look->deletion->until_ms &&
                                  last_ms >= look->deletion->from_ms);
    return 0;
}

static int look_at_series(struct look *look, struct span_reader *reader)
{
    struct postings_source source = span_postings(reader);
    roaring_bitmap_t *ordinals = NULL;
    roaring_uint32_iterator_t at;
    int error = postings_select(&source, look->deletion->matchers, look->deletion->count,
                                NULL, &ordinals);
    if (error != 0)
        return error;
    roaring_init_iterator(ordinals, &at);
    while (at.has_value && error == 0 && !look->found) {
        struct bytes entry;
        error = span_reader_entry(reader, at.current_value, &entry);
        if (error == 0)
            error = span_entry_chunks(entry, look_at_chunk, look);
        roaring_advance_uint32_iterator(&at);
    }
    roaring_bitmap_free(ordinals);
    return error == ERR_MALFORMED ? ERR_CORRUPT : error;
}

/* Does a file hold samples that a delete covers?  ERR_CORRUPT: it cannot be told. */
static int is_in_span(const struct deletion *deletion, struct span *span, bool *ret_yes)
{
    struct look look = {.deletion = deletion};
    struct span_reader *reader;
    *ret_yes = false;
    if (span_info_of(span)->manifest.generation >= deletion->generation)
        return 0;
    int error = span_reader_open(span, &reader);
    if (error != 0)
        return error;
    error = look_at_series(&look, reader);
    span_reader_close(reader);
    *ret_yes = look.found;
    return error;
}

static bool has_chunk(struct head *head, const struct series *series,
                      const struct deletion *deletion)
{
    bool found = false;
    uint32_t shard = head_shard_of(series->id);
    must(pthread_rwlock_rdlock(&head->shards[shard]) == 0);
    for (const struct sealed *at = series->chunks; at != NULL && !found; at = at->next)
        found = at->sequence <= deletion->seal && at->first_ms <= deletion->until_ms &&
                at->first_ms + at->length_ms >= deletion->from_ms;
    must(pthread_rwlock_unlock(&head->shards[shard]) == 0);
    return found;
}

static int is_in_head(struct head *head, const struct deletion *deletion, bool *ret_yes)
{
    struct series **series = NULL;
    size_t count = 0;
    bool found = false;
    int error = head_select(head, deletion->matchers, deletion->count, NULL, &series, &count);
    for (size_t i = 0; i < count && error == 0; i++) {
        found = found || has_chunk(head, series[i], deletion);
        head_release(series[i]);
    }
    free(series);
    *ret_yes = found;
    return error;
}

/* -- rewriting --------------------------------------------------------------------------- */

struct walk {
    bool any;      /* a file was rewritten */
    bool more;     /* the turn is over, and there are others */
    bool is_blind; /* a file is damaged: what it holds cannot be told, or not be rewritten */
};

/* One walk over the files there are; those that it writes are for the next. */
static int rewrite_once(struct store *store, const struct deletion *deletion, mono_ns deadline,
                        struct walk *walk)
{
    struct span **spans;
    size_t count;
    walk->any = false;
    int error = span_set_acquire(store->spans, deletion->from_ms, deletion->until_ms, &spans,
                                 &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < count && error == 0 && !walk->more; i++) {
        bool yes;
        error = is_in_span(deletion, spans[i], &yes);
        if (error == 0 && !yes)
            continue;
        walk->more = error == 0 && clock_mono(&clock_system) >= deadline;
        if (error == 0 && !walk->more) {
            store_step(store, "delete.rewrite");
            error = merge_rewrite(store, span_info_of(spans[i]));
            store_step(store, "delete.rewritten");
            walk->any = walk->any || error == 0;
        }
        if (error == ERR_CORRUPT || error == ERR_AGAIN || error == ERR_LIMIT) {
            walk->is_blind = true; /* named where it was met; readers go on leaving it out */
            error = 0;
        }
    }
    span_set_release(store->spans, spans, count);
    return error;
}

/* Those, too, whose samples are still there.  They will be made anew of them, but not if there is
 * no room when the samples expire: then these are what is read. */
static int rewrite_rollups(struct store *store, const struct deletion *deletion, mono_ns deadline,
                           struct walk *walk)
{
    int error = 0;
    for (size_t t = 0; t < ROLLUP_TIERS && error == 0; t++) {
        struct span **spans = NULL;
        size_t count = 0;
        error = span_set_acquire_kind(store->spans, rollup_tiers[t].kind, deletion->from_ms,
                                      deletion->until_ms, &spans, &count);
        for (size_t i = 0; i < count && error == 0 && !walk->more; i++) {
            bool yes;
            error = is_in_span(deletion, spans[i], &yes);
            walk->more = yes && clock_mono(&clock_system) >= deadline;
            if (error == 0 && yes && !walk->more) {
                store_step(store, "delete.rollup");
                error = rollup_rewrite(store, spans[i]);
                store_step(store, "delete.rollup_rewritten");
            }
            if (error == ERR_CORRUPT || error == ERR_LIMIT) {
                walk->is_blind = true;
                error = 0;
            }
        }
        if (spans != NULL)
            span_set_release(store->spans, spans, count);
    }
    return error;
}

static int rewrite_for(struct store *store, struct deletion *deletion, mono_ns deadline,
                       bool *ret_more)
{
    struct walk walk = {.any = true};
    int error = 0;
    while (walk.any && !walk.more && error == 0) {
        walk.is_blind = false;
        error = rewrite_once(store, deletion, deadline, &walk);
    }
    if (error == 0 && !walk.more)
        error = rewrite_rollups(store, deletion, deadline, &walk);
    *ret_more = walk.more;
    deletion->is_past_history = error == 0 && !walk.more && !walk.is_blind;
    return error;
}

/* -- the end of a delete ----------------------------------------------------------------- */

struct retiring {
    struct store *store;
    struct deletes_view view; /* of which nothing is left */
};

static int delete_rows(void *context, MDB_txn *txn, uint64_t commit)
{
    struct retiring *retiring = context;
    int code = MDB_SUCCESS;
    (void)commit;
    for (size_t i = 0; i < retiring->view.count && code == MDB_SUCCESS; i++) {
        uint8_t number[DELETE_KEY_BYTES];
        key_put_u64(number, retiring->view.items[i]->number);
        MDB_val key = {sizeof number, number};
        code = mdb_del(txn, retiring->store->live.tables[LIVE_DELETES], &key, NULL);
        if (code == MDB_NOTFOUND)
            code = MDB_SUCCESS;
    }
    return code;
}

static void forget(void *context, int error)
{
    struct retiring *retiring = context;
    struct deletes *deletes = &retiring->store->deletes;
    if (error != 0)
        return;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    size_t kept = 0;
    for (size_t i = 0, next = 0; i < deletes->count; i++) {
        /* Both ascend. */
        if (next < retiring->view.count && retiring->view.items[next] == deletes->items[i]) {
            next++;
            deletion_release(deletes->items[i]);
            continue;
        }
        deletes->items[kept++] = deletes->items[i];
    }
    deletes->count = kept;
    atomic_store(&deletes->held, kept);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
}

static int retire(struct store *store, const struct deletes_view *view)
{
    struct retiring retiring = {.store = store};
    int error = 0;
    retiring.view.items = calloc(view->count + 1, sizeof(struct deletion *));
    if (retiring.view.items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < view->count && error == 0; i++) {
        bool is_left = true;
        if (!view->items[i]->is_past_checkpoint || !view->items[i]->is_past_history)
            continue;
        error = is_in_head(store->head, view->items[i], &is_left);
        if (error == ERR_LIMIT) { /* a pattern that takes too long holds up no other delete */
            is_left = true;
            error = 0;
        }
        if (error == 0 && !is_left)
            retiring.view.items[retiring.view.count++] = view->items[i];
    }
    if (error == 0 && retiring.view.count > 0) {
        struct writer_task task = {delete_rows, forget, &retiring, NULL, 0, false};
        error = writer_run(store->writer, &task);
        store_step(store, "delete.retired");
    }
    free(retiring.view.items);
    return error;
}

/* -- a turn ------------------------------------------------------------------------------ */

static bool is_time(struct deletes *deletes)
{
    mono_ns now = clock_mono(&clock_system);
    must(pthread_mutex_lock(&deletes->lock) == 0);
    bool yes = deletes->first_made != 0 &&
               (now >= deletes->last_made + QUIET_NS || now >= deletes->first_made + LATEST_NS);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    return yes;
}

bool deletes_are_due(struct store *store)
{
    struct deletes *deletes = &store->deletes;
    if (atomic_load(&deletes->held) == 0)
        return false;
    return atomic_load(&deletes->may_end) || is_time(deletes);
}

bool deletes_want_pass(struct store *store)
{
    struct deletes *deletes = &store->deletes;
    bool yes = false;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    for (size_t i = 0; i < deletes->count && !yes; i++)
        yes = !deletes->items[i]->is_past_checkpoint;
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    return yes;
}

/* What was cut short goes on with the next turn; what failed, for want of room perhaps, in a
 * while. */
static void note_turn(struct deletes *deletes, uint64_t through, bool more, int error)
{
    must(pthread_mutex_lock(&deletes->lock) == 0);
    if (error != 0)
        deletes->first_made = deletes->last_made = clock_mono(&clock_system);
    else if (more)
        deletes->first_made = deletes->last_made = 1;
    else if (deletes->last_number == through)
        deletes->first_made = 0;
    must(pthread_mutex_unlock(&deletes->lock) == 0);
}

int deletes_apply(struct store *store, bool now, bool *ret_more)
{
    struct deletes *deletes = &store->deletes;
    struct deletes_view view;
    uint64_t last = deletes_last(deletes);
    mono_ns deadline = clock_mono(&clock_system) + TURN_NS;
    bool rewrites = now || is_time(deletes);
    *ret_more = false;
    atomic_store(&deletes->may_end, false);
    int error = deletes_view(deletes, INT64_MIN, INT64_MAX, &view);
    if (error != 0)
        return error;
    for (size_t i = 0; i < view.count && rewrites && error == 0 && !*ret_more; i++)
        if (!view.items[i]->is_past_history)
            error = rewrite_for(store, view.items[i], deadline, ret_more);
    if (rewrites)
        note_turn(deletes, last, *ret_more, error);
    if (error == 0)
        error = retire(store, &view);
    deletes_view_done(&view);
    return error;
}
