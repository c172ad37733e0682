/*
 * span_set.c - registrations of history files.
 *
 * What is not registered does not exist: a file without a row is what a crash left of a flush
 * or merge, and is removed at the next opening.
 */
#include "collector/store/span_set.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/store/group_cache.h"
#include "collector/store/kept_run.h"
#include "collector/store/quarantine.h"
#include "collector/store/span_parts.h"
#include "collector/store/value_lists.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define GROUPS_BYTES ((size_t)32 << 20) /* unpacked groups: what some walls of boards read */
#define RUNS_BYTES   ((size_t)24 << 20) /* three million samples of theirs */
#define LISTS_BYTES  ((size_t)16 << 20) /* thirty lists of ten thousand values, of any number of files */

int span_set_new(struct store *store, struct span_set **ret_set)
{
    struct span_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return ERR_NOMEM;
    set->store = store;
    must(pthread_mutex_init(&set->lock, NULL) == 0);
    int error = group_cache_new(GROUPS_BYTES, &set->groups);
    if (error == 0)
        error = kept_runs_new(RUNS_BYTES, &set->runs);
    if (error == 0)
        error = value_lists_new(LISTS_BYTES, &set->lists);
    if (error != 0) {
        span_set_free(set);
        return error;
    }
    if (asprintf(&set->directory, "%s/" HISTORY, store->directory) < 0) {
        set->directory = NULL;
        span_set_free(set);
        return ERR_NOMEM;
    }
    *ret_set = set;
    return 0;
}

static void span_free(struct span *span)
{
    if (span->env != NULL)
        mdb_env_close(span->env);
    (void)pthread_mutex_destroy(&span->lock);
    free(span);
}

void span_set_free(struct span_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        span_free(set->items[i]);
    group_cache_free(set->groups);
    kept_runs_free(set->runs);
    value_lists_free(set->lists);
    free(set->items);
    free(set->kept);
    free(set->directory);
    (void)pthread_mutex_destroy(&set->lock);
    free(set);
}

struct group_cache *span_set_groups(const struct span_set *set)
{
    return set->groups;
}

struct kept_runs *span_set_runs(const struct span_set *set)
{
    return set->runs;
}

struct value_lists *span_set_lists(const struct span_set *set)
{
    return set->lists;
}

const char *span_set_directory(const struct span_set *set)
{
    return set->directory;
}

/* -- the list ---------------------------------------------------------------------------- */

static int span_new(struct span_set *set, const struct span_info *info, bool verify,
                    struct span **ret_span)
{
    struct span *span = calloc(1, sizeof *span);
    if (span == NULL)
        return ERR_NOMEM;
    span->set = set;
    span->info = *info;
    atomic_init(&span->is_sole, info->is_sole);
    span->references = 1;
    span->verify = verify;
    span_file_name((enum span_kind)info->manifest.kind, info->manifest.start_ms,
                   info->manifest.end_ms, info->manifest.generation, span->name);
    must(pthread_mutex_init(&span->lock, NULL) == 0);
    *ret_span = span;
    return 0;
}

static int insert(struct span_set *set, struct span *span)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 64 : set->capacity * 2;
        struct span **items = realloc(set->items, capacity * sizeof(struct span *));
        if (items == NULL)
            return ERR_NOMEM;
        set->items = items;
        set->capacity = capacity;
    }
    size_t at = set->count;
    while (at > 0 &&
           set->items[at - 1]->info.manifest.generation > span->info.manifest.generation) {
        set->items[at] = set->items[at - 1];
        at--;
    }
    set->items[at] = span;
    set->count++;
    if (span->info.manifest.generation > set->generation)
        set->generation = span->info.manifest.generation;
    return 0;
}

static void unlink_name(const struct span_set *set, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", set->directory, name);
    (void)unlink(path);
    quarantine_drop(set->store->directory, name);
}

/* For the time when nobody has the set pinned; false: out of memory. */
static bool keep_name(struct span_set *set, const char *name)
{
    if (set->kept_count == set->kept_capacity) {
        size_t capacity = set->kept_capacity == 0 ? 16 : set->kept_capacity * 2;
        void *grown = realloc(set->kept, capacity * sizeof *set->kept);
        if (grown == NULL)
            return false;
        set->kept = grown;
        set->kept_capacity = capacity;
    }
    memcpy(set->kept[set->kept_count++], name, SPAN_NAME_BYTES);
    return true;
}

static void drop_reference(struct span *span)
{
    if (--span->references > 0)
        return;
    /* Without the memory to remember it the file stays, a stray for the next opening. */
    if (span->doomed && span->set->pins == 0)
        unlink_name(span->set, span->name);
    else if (span->doomed)
        (void)keep_name(span->set, span->name);
    value_lists_forget(span->set->lists, span->info.manifest.generation);
    span_free(span);
}

void span_set_pin(struct span_set *set)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    set->pins++;
    must(pthread_mutex_unlock(&set->lock) == 0);
}

void span_set_unpin(struct span_set *set)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    must(set->pins > 0);
    if (--set->pins == 0) {
        for (size_t i = 0; i < set->kept_count; i++)
            unlink_name(set, set->kept[i]);
        set->kept_count = 0;
    }
    must(pthread_mutex_unlock(&set->lock) == 0);
}

/* Under the set's lock. */
static void take_out(struct span_set *set, struct span *span)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i] != span)
            continue;
        set->count--;
        memmove(set->items + i, set->items + i + 1, (set->count - i) * sizeof(struct span *));
        span->doomed = true;
        drop_reference(span);
        return;
    }
}

void span_set_retire(struct span_set *set, struct span *const *soles, size_t sole_count,
                     struct span *const *removed, size_t removed_count)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    for (size_t i = 0; i < sole_count; i++)
        atomic_store(&soles[i]->is_sole, true);
    for (size_t i = 0; i < removed_count; i++)
        take_out(set, removed[i]);
    must(pthread_mutex_unlock(&set->lock) == 0);
}

bool span_is_sole(const struct span *span)
{
    return atomic_load(&span->is_sole);
}

int span_set_change(struct span_set *set, const struct span_info *added,
                    struct span *const *removed, size_t removed_count)
{
    struct span *span = NULL;
    int error = added == NULL ? 0 : span_new(set, added, false, &span);
    if (error != 0)
        return error;
    must(pthread_mutex_lock(&set->lock) == 0);
    if (span != NULL)
        error = insert(set, span);
    for (size_t i = 0; i < removed_count && error == 0; i++)
        take_out(set, removed[i]);
    must(pthread_mutex_unlock(&set->lock) == 0);
    if (error != 0)
        span_free(span);
    return error;
}

uint64_t span_set_next_generation(struct span_set *set)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    uint64_t generation = ++set->generation;
    must(pthread_mutex_unlock(&set->lock) == 0);
    return generation;
}

void span_set_skip_generations(struct span_set *set, uint64_t through)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    if (through > set->generation)
        set->generation = through;
    must(pthread_mutex_unlock(&set->lock) == 0);
}

int span_set_acquire_kind(struct span_set *set, enum span_kind kind, int64_t from_ms,
                          int64_t until_ms, struct span ***ret_spans, size_t *ret_count)
{
    size_t found = 0;
    must(pthread_mutex_lock(&set->lock) == 0);
    struct span **spans = malloc((set->count + 1) * sizeof(struct span *));
    for (size_t i = 0; i < set->count && spans != NULL; i++) {
        const struct span_manifest *manifest = &set->items[i]->info.manifest;
        if (manifest->kind != kind || manifest->min_ms > until_ms || manifest->max_ms < from_ms)
            continue;
        set->items[i]->references++;
        spans[found++] = set->items[i];
    }
    must(pthread_mutex_unlock(&set->lock) == 0);
    if (spans == NULL)
        return ERR_NOMEM;
    *ret_spans = spans;
    *ret_count = found;
    return 0;
}

int span_set_acquire(struct span_set *set, int64_t from_ms, int64_t until_ms,
                     struct span ***ret_spans, size_t *ret_count)
{
    return span_set_acquire_kind(set, SPAN_SAMPLES, from_ms, until_ms, ret_spans, ret_count);
}

void span_set_release(struct span_set *set, struct span **spans, size_t count)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    for (size_t i = 0; i < count; i++)
        drop_reference(spans[i]);
    must(pthread_mutex_unlock(&set->lock) == 0);
    free(spans);
}

struct span *span_set_acquire_one(struct span_set *set, const struct span_info *info)
{
    struct span *found = NULL;
    must(pthread_mutex_lock(&set->lock) == 0);
    for (size_t i = 0; i < set->count && found == NULL; i++)
        if (set->items[i]->info.manifest.generation == info->manifest.generation &&
            set->items[i]->info.manifest.kind == info->manifest.kind)
            found = set->items[i];
    if (found != NULL)
        found->references++;
    must(pthread_mutex_unlock(&set->lock) == 0);
    return found;
}

void span_set_release_one(struct span_set *set, struct span *span)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    drop_reference(span);
    must(pthread_mutex_unlock(&set->lock) == 0);
}

const struct span_info *span_info_of(const struct span *span)
{
    return &span->info;
}

size_t span_set_count(struct span_set *set)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    size_t count = set->count;
    must(pthread_mutex_unlock(&set->lock) == 0);
    return count;
}

void span_set_sum(struct span_set *set, enum span_kind kind, uint64_t *ret_files,
                  uint64_t *ret_bytes)
{
    uint64_t files = 0;
    uint64_t bytes = 0;
    must(pthread_mutex_lock(&set->lock) == 0);
    for (size_t i = 0; i < set->count; i++) {
        const struct span_info *info = &set->items[i]->info;
        files += info->manifest.kind == kind;
        bytes += info->manifest.kind == kind ? info->file_bytes : 0;
    }
    must(pthread_mutex_unlock(&set->lock) == 0);
    *ret_files = files;
    *ret_bytes = bytes;
}

void span_set_close_idle(struct span_set *set)
{
    must(pthread_mutex_lock(&set->lock) == 0);
    for (size_t i = 0; i < set->count; i++) {
        struct span *span = set->items[i];
        /* Locked is in use: its bytes may be being verified, which takes as long as it is
         * large, and every query waits for the set. */
        if (pthread_mutex_trylock(&span->lock) != 0)
            continue;
        if (span->readers == 0 && span->env != NULL) {
            mdb_env_close(span->env);
            span->env = NULL;
        }
        must(pthread_mutex_unlock(&span->lock) == 0);
    }
    must(pthread_mutex_unlock(&set->lock) == 0);
}

void span_set_discard(struct span_set *set, const struct span_info *info)
{
    struct live *live = &set->store->live;
    MDB_txn *txn;
    char name[SPAN_NAME_BYTES];
    char path[4096];
    if (mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return;
    int code = span_row_find(live, txn, info);
    mdb_txn_abort(txn);
    if (code != MDB_NOTFOUND)
        return;
    span_file_name((enum span_kind)info->manifest.kind, info->manifest.start_ms,
                   info->manifest.end_ms, info->manifest.generation, name);
    (void)snprintf(path, sizeof path, "%s/%s", set->directory, name);
    (void)unlink(path);
}

/* -- loading ----------------------------------------------------------------------------- */

/* A file set aside earlier is still missing, and said again at each start; or somebody has put
 * a good copy back, which has to prove itself. */
static void look_aside(struct span *span)
{
    char reason[QUARANTINE_REASON_BYTES];
    char path[4096];
    if (!quarantine_reason(span->set->store->directory, span->name, reason))
        return;
    (void)snprintf(path, sizeof path, "%s/%s", span->set->directory, span->name);
    span->was_aside = true;
    span->verify = true;
    if (access(path, F_OK) == 0)
        return;
    span->quarantined = true;
    atomic_fetch_add_explicit(&span->set->store->quarantined, 1, memory_order_relaxed);
    log_error("store", "history/%s was set aside earlier: %s", span->name, reason);
}

static int load_rows(struct span_set *set, bool verify)
{
    struct live *live = &set->store->live;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    int error = 0;
    int code = mdb_txn_begin(live->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS)
        return error_from_lmdb(code);
    code = mdb_cursor_open(txn, live->tables[LIVE_SPANS], &cursor);
    if (code == MDB_SUCCESS) {
        while (error == 0 &&
               (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
            struct span_info info;
            struct span *span;
            if (key.mv_size != SPAN_ROW_KEY_BYTES)
                continue;
            int bad = span_row_read(bytes_of_val(key), bytes_of_val(value), &info);
            if (bad != 0) {
                log_error("store", "%s",
                          bad == ERR_INVALID
                              ? "a history file was written by a newer version of this program: "
                                "it is kept and not read; start that version to see it"
                              : "a history registration is damaged; its file is not read");
                atomic_fetch_add(&set->store->quarantined, 1);
                set->damaged_rows++;
                continue;
            }
            error = span_new(set, &info, verify, &span);
            if (error == 0)
                look_aside(span);
            if (error == 0 && (error = insert(set, span)) != 0)
                span_free(span);
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (error == 0 && code != MDB_NOTFOUND && code != MDB_SUCCESS)
        error = error_from_lmdb(code);
    return error;
}

static bool is_registered(const struct span_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i]->name, name) == 0)
            return true;
    return false;
}

/* While a registration is damaged, or when live has lost rows, files without one may be
 * somebody's data: they are set aside. */
static void remove_strays(struct span_set *set)
{
    DIR *folder = opendir(set->directory);
    bool may_be_data = set->store->is_salvaged || set->damaged_rows > 0;
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        size_t size = strlen(entry->d_name);
        bool ours = (size > 4 && strcmp(entry->d_name + size - 4, ".mdb") == 0) ||
                    (size > 4 && strcmp(entry->d_name + size - 4, ".tmp") == 0);
        if (!ours || is_registered(set, entry->d_name))
            continue;
        if (may_be_data && entry->d_name[size - 1] == 'b')
            quarantine_move(set->store->directory, HISTORY, entry->d_name,
                            "its registration is damaged or lost");
        else
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
}

int span_set_load(struct span_set *set, bool verify, struct diagnosis *why)
{
    int error = file_make_directories(set->directory, why);
    if (error == 0)
        error = load_rows(set, verify);
    if (error == 0)
        remove_strays(set);
    return error;
}
