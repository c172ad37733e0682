/*
 * deletes.c - the list of deletes: committing one, reading them back, who is covered by what.
 */
#include "collector/store/deletes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/parts.h"
#include "collector/store/span_set.h"
#include "collector/store/writer.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

void deletes_init(struct deletes *deletes)
{
    *deletes = (struct deletes){.count = 0};
    must(pthread_mutex_init(&deletes->lock, NULL) == 0);
    must(pthread_cond_init(&deletes->landed, NULL) == 0);
}

void deletes_done(struct deletes *deletes)
{
    for (size_t i = 0; i < deletes->count; i++)
        deletion_release(deletes->items[i]);
    free(deletes->items);
    ages_done(&deletes->ages);
    (void)pthread_cond_destroy(&deletes->landed);
    (void)pthread_mutex_destroy(&deletes->lock);
}

static int hold(struct deletes *deletes, size_t count)
{
    if (count <= deletes->capacity)
        return 0;
    struct deletion **items = realloc(deletes->items, count * sizeof(struct deletion *));
    if (items == NULL)
        return ERR_NOMEM;
    deletes->items = items;
    deletes->capacity = count;
    return 0;
}

/* -- committing -------------------------------------------------------------------------- */

struct making {
    struct store *store;
    struct deletion **items; /* the list's, once they are durable */
    size_t count;
    mono_ns now;
    int error;     /* refused before the transaction could fail */
    bool has_place; /* in flight */
};

static int put_row(struct live *live, MDB_txn *txn, const struct deletion *deletion)
{
    uint8_t key[DELETE_KEY_BYTES];
    struct buf out = {.limit = DELETE_ROW_BYTES_MAX};
    key_put_u64(key, deletion->number);
    delete_row_write(deletion, &out);
    int code = ENOMEM;
    if (buf_ok(&out))
        code = sealed_put(txn, live->tables[LIVE_DELETES], (struct bytes){key, sizeof key},
                          buf_bytes(&out), 0);
    buf_done(&out);
    return code;
}

/* Room in the list is made beforehand, so that nothing can fail once it is durable.  In flight
 * comes before the generation: whoever has a higher one and looks then, waits. */
static int take_place(struct making *making, uint64_t commit)
{
    struct store *store = making->store;
    struct deletes *deletes = &store->deletes;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    int error = deletes->count + making->count > DELETES_MAX
                    ? ERR_LIMIT
                    : hold(deletes, deletes->count + making->count);
    if (error == 0) {
        deletes->in_flight++;
        for (size_t i = 0; i < making->count; i++)
            making->items[i]->number = deletes->last_number + 1 + i;
    }
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    if (error != 0)
        return error;
    making->has_place = true;
    uint64_t generation = span_set_next_generation(store->spans);
    for (size_t i = 0; i < making->count; i++) {
        making->items[i]->generation = generation;
        making->items[i]->seal = store->head->sequence;
        making->items[i]->commit = commit;
        making->items[i]->made_ms = clock_unix_ms(store->clock);
    }
    return 0;
}

static int run_delete(void *context, MDB_txn *txn, uint64_t commit)
{
    struct making *making = context;
    making->error = take_place(making, commit);
    int code = MDB_SUCCESS;
    for (size_t i = 0; i < making->count && making->error == 0 && code == MDB_SUCCESS; i++)
        code = put_row(&making->store->live, txn, making->items[i]);
    return code;
}

static void land(void *context, int error)
{
    struct making *making = context;
    struct deletes *deletes = &making->store->deletes;
    if (!making->has_place)
        return;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    for (size_t i = 0; i < making->count && error == 0; i++) {
        making->items[i]->fence = ++deletes->fence;
        deletes->items[deletes->count++] = making->items[i];
        deletes->last_number = making->items[i]->number;
        deletes->last_made = making->now;
        if (deletes->first_made == 0)
            deletes->first_made = making->now;
    }
    if (error == 0) {
        making->store->head->fence = deletes->fence;
        atomic_store(&deletes->held, deletes->count);
        atomic_fetch_add(&deletes->made, making->count);
        making->count = 0; /* the list's now */
    }
    deletes->in_flight--;
    must(pthread_cond_broadcast(&deletes->landed) == 0);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    store_step(making->store, "delete.durable");
}

int store_delete(struct store *store, const struct store_selection *selections, size_t count,
                 int64_t from_ms, int64_t until_ms)
{
    struct making making = {.store = store, .now = clock_mono(&clock_system)};
    struct deletion **items = calloc(count == 0 ? 1 : count, sizeof(struct deletion *));
    int error = items == NULL ? ERR_NOMEM : 0;
    if (count == 0 || from_ms > until_ms)
        error = error == 0 ? ERR_INVALID : error;
    for (size_t i = 0; i < count && error == 0; i++) {
        must(selections[i].count > 0);
        error = deletion_new(selections[i].matchers, selections[i].count, from_ms, until_ms,
                             &items[i]);
        making.count += error == 0;
    }
    size_t made = making.count;
    making.items = items;
    if (error == 0) {
        struct writer_task task = {run_delete, land, &making, NULL, 0, false};
        error = writer_run_alone(store->writer, &task);
        if (error == 0)
            error = making.error;
    }
    for (size_t i = 0; i < made && error != 0; i++)
        deletion_release(items[i]);
    free(items);
    return error;
}

/* -- views ------------------------------------------------------------------------------- */

static int view_locked(struct deletes *deletes, int64_t from_ms, int64_t until_ms,
                       struct deletes_view *ret_view)
{
    struct deletes_view view = {0};
    if (deletes->count > 0) {
        view.items = malloc(deletes->count * sizeof(struct deletion *));
        if (view.items == NULL)
            return ERR_NOMEM;
    }
    for (size_t i = 0; i < deletes->count; i++) {
        struct deletion *deletion = deletes->items[i];
        if (deletion->from_ms > until_ms || deletion->until_ms < from_ms)
            continue;
        atomic_fetch_add_explicit(&deletion->references, 1, memory_order_relaxed);
        view.items[view.count++] = deletion;
    }
    ages_view(&deletes->ages, from_ms, &view);
    *ret_view = view;
    return 0;
}

int deletes_view(struct deletes *deletes, int64_t from_ms, int64_t until_ms,
                 struct deletes_view *ret_view)
{
    *ret_view = (struct deletes_view){0};
    ages_view(&deletes->ages, from_ms, ret_view);
    if (atomic_load(&deletes->held) == 0)
        return 0;
    must(pthread_mutex_lock(&deletes->lock) == 0);
    int error = view_locked(deletes, from_ms, until_ms, ret_view);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    return error;
}

int deletes_view_landed(struct deletes *deletes, int64_t from_ms, int64_t until_ms,
                        struct deletes_view *ret_view)
{
    must(pthread_mutex_lock(&deletes->lock) == 0);
    while (deletes->in_flight > 0)
        must(pthread_cond_wait(&deletes->landed, &deletes->lock) == 0);
    int error = view_locked(deletes, from_ms, until_ms, ret_view);
    must(pthread_mutex_unlock(&deletes->lock) == 0);
    return error;
}

void deletes_view_done(struct deletes_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        deletion_release(view->items[i]);
    free(view->items);
    *view = (struct deletes_view){0};
}

bool deletion_matches(const struct deletion *deletion, const struct labels *labels)
{
    return matchers_match(deletion->matchers, deletion->count, labels);
}

int64_t deletion_last_ms(int64_t from_ms, int64_t until_ms, int64_t last_ms)
{
    if (last_ms < from_ms || last_ms > until_ms)
        return last_ms;
    return from_ms <= STORE_TIME_MS_MIN ? INT64_MIN : from_ms - 1;
}

int deletes_holes(const struct deletes_view *view, const struct labels *labels,
                  struct arena *arena, struct holes *ret_holes)
{
    struct holes holes = {0};
    if (view->ages != NULL) {
        holes.items = arena_alloc(arena, view->count + 1, sizeof *holes.items);
        if (holes.items == NULL)
            return ERR_LIMIT;
        ages_holes(view, labels, &holes);
    }
    for (size_t i = 0; i < view->count; i++) {
        const struct deletion *deletion = view->items[i];
        if (!deletion_matches(deletion, labels))
            continue;
        if (holes.items == NULL)
            holes.items = arena_alloc(arena, view->count - i, sizeof *holes.items);
        if (holes.items == NULL)
            return ERR_LIMIT;
        holes.items[holes.count++] = (struct hole){.from_ms = deletion->from_ms,
                                                   .until_ms = deletion->until_ms,
                                                   .generation = deletion->generation,
                                                   .seal = deletion->seal,
                                                   .fence = deletion->fence};
    }
    *ret_holes = holes;
    return 0;
}

/* -- opening ----------------------------------------------------------------------------- */

static int load_row(struct store *store, struct bytes key, struct bytes value)
{
    struct deletes *deletes = &store->deletes;
    struct deletion *deletion;
    struct bytes payload;
    int error = key.size == DELETE_KEY_BYTES ? sealed_open(key, value, &payload) : ERR_CORRUPT;
    if (error == 0)
        error = delete_row_read(payload, &deletion);
    if (error == ERR_CORRUPT || error == ERR_MALFORMED) {
        log_error("store", "a delete is damaged: what it covered and is not rewritten yet "
                           "comes back; delete it again");
        atomic_fetch_add(&store->quarantined, 1);
        return 0;
    }
    if (error == 0)
        error = hold(deletes, deletes->count + 1);
    if (error != 0)
        return error;
    deletion->number = key_get_u64(key.data);
    deletes->items[deletes->count++] = deletion;
    deletes->last_number = deletion->number;
    deletes->first_made = deletes->last_made = clock_mono(&clock_system);
    atomic_store(&deletes->held, deletes->count);
    /* A chunk or file with a number that was given out already would be taken for covered. */
    if (deletion->seal > store->head->sequence)
        store->head->sequence = deletion->seal;
    span_set_skip_generations(store->spans, deletion->generation);
    return 0;
}

int deletes_load(struct store *store)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int error = 0;
    int code = mdb_txn_begin(store->live.env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, store->live.tables[LIVE_DELETES], &cursor);
    if (code == MDB_SUCCESS) {
        while (error == 0 &&
               (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
            error = load_row(store, bytes_of_val(key), bytes_of_val(value));
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        error = error_from_lmdb(code);
    return error;
}
