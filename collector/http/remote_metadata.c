/* remote_metadata.c - see remote_metadata.h. */
#include "collector/http/remote_metadata.h"

#include <pthread.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "collector/series/matcher.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define SLOTS          ((size_t)131072) /* power of two, more than twice the names */
#define LOOK_BACK_MS   (60 * 60 * 1000)
#define LOOKUP_BYTES   ((size_t)64 << 20)
_Static_assert(SLOTS > 2 * METADATA_NAMES_MAX, "probing ends at a free slot");

struct known {
    struct bytes name; /* one allocation with unit and help */
    struct metadata metadata;
};

struct remote_metadata_table {
    struct store *store;
    pthread_mutex_t lock;
    struct known *slots; /* name.data NULL: free */
    size_t count;
};

int remote_metadata_open(struct store *store, struct remote_metadata_table **ret_table)
{
    struct remote_metadata_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return ERR_NOMEM;
    table->store = store;
    table->slots = calloc(SLOTS, sizeof *table->slots);
    if (table->slots == NULL) {
        free(table);
        return ERR_NOMEM;
    }
    must(pthread_mutex_init(&table->lock, NULL) == 0);
    *ret_table = table;
    return 0;
}

static void forget(struct known *known)
{
    free((void *)(uintptr_t)known->name.data);
}

void remote_metadata_close(struct remote_metadata_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        forget(&table->slots[i]);
    free(table->slots);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

static struct known *slot_of(struct remote_metadata_table *table, struct bytes name)
{
    size_t at = XXH3_64bits(name.data, name.size) & (SLOTS - 1);
    while (table->slots[at].name.data != NULL && !bytes_equal(table->slots[at].name, name))
        at = (at + 1) & (SLOTS - 1);
    return &table->slots[at];
}

static bool is_fit(const struct remote_metadata *item)
{
    return item->name.size > 0 && item->name.size <= NAME_BYTES_MAX &&
           item->metadata.help.size <= HELP_BYTES_MAX &&
           item->metadata.unit.size <= NAME_BYTES_MAX && utf8_is_valid(item->name) &&
           utf8_is_valid(item->metadata.help) && utf8_is_valid(item->metadata.unit);
}

static bool is_same(const struct metadata *a, const struct metadata *b)
{
    return a->type == b->type && bytes_equal(a->unit, b->unit) && bytes_equal(a->help, b->help);
}

static struct bytes copy_to(uint8_t **at, struct bytes bytes)
{
    struct bytes copy = {*at, bytes.size};
    if (bytes.size > 0)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return copy;
}

/* Keeps one entry.  Returns whether it says something new. */
static bool keep(struct remote_metadata_table *table, const struct remote_metadata *item)
{
    struct known *known = slot_of(table, item->name);
    bool is_known = known->name.data != NULL;
    if (is_known && is_same(&known->metadata, &item->metadata))
        return false;
    if (!is_known && table->count == METADATA_NAMES_MAX)
        return false;
    uint8_t *bytes = malloc(item->name.size + item->metadata.unit.size +
                            item->metadata.help.size + 1);
    if (bytes == NULL)
        return false;
    if (is_known)
        forget(known);
    else
        table->count++;
    known->name = copy_to(&bytes, item->name);
    known->metadata.type = item->metadata.type;
    known->metadata.unit = copy_to(&bytes, item->metadata.unit);
    known->metadata.help = copy_to(&bytes, item->metadata.help);
    return true;
}

/* Finds one recent series of the name and resolves it with the new metadata. */
static void tell_store(struct store *store, const struct remote_metadata *item)
{
    struct queryable *queryable = store_queryable(store);
    struct querier *querier = NULL;
    struct matcher *matcher = NULL;
    struct series_samples *found = NULL;
    size_t count = 0;
    int64_t now_ms = clock_unix_ms(&clock_system);
    struct select_hints hints = {.from_ms = now_ms - LOOK_BACK_MS, .until_ms = now_ms,
                                 .no_samples = true, .series_limit = 1};
    struct query_budget budget = {.samples_left = 1000};
    struct arena arena;
    arena_init(&arena, LOOKUP_BYTES);
    int error = matcher_new(MATCH_EQUAL, bytes_of(LABEL_NAME), item->name, &matcher, NULL);
    if (error == 0)
        error = queryable->calls->open(queryable, hints.from_ms, hints.until_ms, &querier, NULL);
    if (error == 0)
        error = queryable->calls->select(querier, (struct matcher *const *)&matcher, 1, &hints,
                                         &budget, &arena, &found, &count, NULL);
    if (error == 0 && count > 0) {
        struct series *series = NULL;
        if (store_series_resolve(store, found[0].labels, &item->metadata, &series) == 0)
            store_series_release(store, series);
    }
    if (querier != NULL)
        queryable->calls->close(querier);
    matcher_free(matcher);
    arena_reset(&arena);
}

void remote_metadata_learn(struct remote_metadata_table *table,
                           const struct remote_metadata *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_fit(&items[i]))
            continue;
        must(pthread_mutex_lock(&table->lock) == 0);
        bool is_new = keep(table, &items[i]);
        must(pthread_mutex_unlock(&table->lock) == 0);
        if (is_new)
            tell_store(table->store, &items[i]);
    }
}

static bool cut_suffix(struct bytes *name)
{
    static const char *const suffixes[] = {"_bucket", "_count", "_sum"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        struct bytes suffix = bytes_of(suffixes[i]);
        if (name->size > suffix.size &&
            memcmp(name->data + name->size - suffix.size, suffix.data, suffix.size) == 0) {
            name->size -= suffix.size;
            return true;
        }
    }
    return false;
}

int remote_metadata_resolve(struct remote_metadata_table *table, const struct labels *labels,
                            struct series **ret_series)
{
    struct bytes name = labels_get_text(labels, LABEL_NAME);
    /* Held during the call, because the texts belong to the table; new series are rare. */
    must(pthread_mutex_lock(&table->lock) == 0);
    struct known *known = slot_of(table, name);
    if (known->name.data == NULL && cut_suffix(&name))
        known = slot_of(table, name);
    int error = store_series_resolve(table->store, labels,
                                     known->name.data != NULL ? &known->metadata : NULL,
                                     ret_series);
    must(pthread_mutex_unlock(&table->lock) == 0);
    return error;
}
