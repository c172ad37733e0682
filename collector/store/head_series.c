/*
 * head_series.c - the series table: labels to series, id to series, matchers to series.
 *
 * A new series gets the next id at once and is put on the pending list.  The writer stores the
 * whole list with its next commit, so an id that has been handed out is durable no later than
 * anything that was submitted after it.
 */
#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/head.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define COLLECT_SERIES 1024

#define BUCKETS_FIRST 4096u
#define PAGE_SERIES   1024u

/* Selects hold it for as long as their patterns take.  With the usual kind, which lets readers in past
 * a waiting writer, two that follow each other closely would keep new series out for as long as they
 * go on.  Nobody takes it twice. */
static void init_table_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t kind;
    must(pthread_rwlockattr_init(&kind) == 0);
    must(pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    must(pthread_rwlock_init(lock, &kind) == 0);
    must(pthread_rwlockattr_destroy(&kind) == 0);
}

int head_open(int64_t span_ms, uint64_t series_limit, struct head **ret_head)
{
    struct head *head = calloc(1, sizeof *head);
    if (head == NULL)
        return ERR_NOMEM;
    head->span_ms = span_ms;
    head->series_limit = series_limit;
    head->next_id = 1;
    atomic_init(&head->stats.min_ms, INT64_MAX);
    atomic_init(&head->stats.max_ms, INT64_MIN);
    atomic_init(&head->oldest_since_ms, INT64_MAX);
    buf_init(&head->scratch, 0);
    init_table_lock(&head->table);
    for (size_t i = 0; i < HEAD_SHARDS; i++)
        must(pthread_rwlock_init(&head->shards[i], NULL) == 0);
    slab_init(&head->slab, head);
    head->bucket_count = BUCKETS_FIRST;
    head->buckets = calloc(head->bucket_count, sizeof *head->buckets);
    int error = head->buckets == NULL ? ERR_NOMEM : postings_new(&head->postings);
    if (error != 0) {
        head_close(head);
        return error;
    }
    *ret_head = head;
    return 0;
}

static void series_free(struct head *head, struct series *series)
{
    tail_done(&series->tail);
    if (series->late != NULL)
        tail_done(series->late);
    free(series->late);
    while (series->chunks != NULL) {
        struct sealed *next = series->chunks->next;
        free(series->chunks);
        series->chunks = next;
    }
    slab_free(&head->slab, series);
}

void head_close(struct head *head)
{
    if (head == NULL)
        return;
    for (size_t i = 0; i < head->page_count; i++) {
        for (size_t k = 0; head->pages[i] != NULL && k < PAGE_SERIES; k++)
            if (head->pages[i][k] != NULL)
                series_free(head, head->pages[i][k]);
        free(head->pages[i]);
    }
    free(head->pages);
    free(head->buckets);
    free(head->pending);
    postings_free(head->postings);
    buf_done(&head->scratch);
    for (size_t i = 0; i < HEAD_SHARDS; i++)
        (void)pthread_rwlock_destroy(&head->shards[i]);
    (void)pthread_rwlock_destroy(&head->table);
    free(head);
}

/* -- labels ------------------------------------------------------------------------------ */

/* What its pairs are numbers of. */
static const struct postings *postings_of(const struct series *series)
{
    const struct head *head = slab_owner(series);
    return head->postings;
}

const struct labels *series_labels(const struct series *series, struct labels_room *room)
{
    const struct postings *postings = postings_of(series);
    struct labels *labels = (struct labels *)(void *)room->bytes;
    labels->hash = series->hash;
    labels->count = series->pair_count;
    for (size_t i = 0; i < series->pair_count; i++)
        labels->pairs[i] = posting_label(postings, series->pairs[i]);
    return labels;
}

const struct labels *series_labels_copy(const struct series *series, struct arena *arena)
{
    struct labels_room room;
    return labels_copy(series_labels(series, &room), arena);
}

bool series_bears(const struct series *series, const struct labels *labels)
{
    if (series->hash != labels->hash || series->pair_count != labels->count)
        return false;
    const struct postings *postings = postings_of(series);
    for (size_t i = 0; i < labels->count; i++) {
        const struct label pair = posting_label(postings, series->pairs[i]);
        if (!bytes_equal(pair.value, labels->pairs[i].value) ||
            !bytes_equal(pair.name, labels->pairs[i].name))
            return false;
    }
    return true;
}

int series_compare(const struct series *a, const struct series *b)
{
    return posting_lists_compare(postings_of(a), a->pairs, a->pair_count, b->pairs,
                                 b->pair_count);
}

/* -- finding ----------------------------------------------------------------------------- */

static struct series *find_id(const struct head *head, uint64_t id)
{
    size_t page = id / PAGE_SERIES;
    if (page >= head->page_count || head->pages[page] == NULL)
        return NULL;
    return head->pages[page][id % PAGE_SERIES];
}

static struct series *find_labels(struct head *head, const struct labels *labels)
{
    uint32_t id = head->buckets[labels->hash & (head->bucket_count - 1)];
    while (id != 0) {
        struct series *series = find_id(head, id);
        if (series_bears(series, labels))
            return series;
        id = series->next;
    }
    return NULL;
}

static struct series *with_reference(struct series *series)
{
    if (series != NULL)
        atomic_fetch_add_explicit(&series->references, 1, memory_order_relaxed);
    return series;
}

struct series *head_find(struct head *head, const struct labels *labels)
{
    must(pthread_rwlock_rdlock(&head->table) == 0);
    struct series *series = with_reference(find_labels(head, labels));
    must(pthread_rwlock_unlock(&head->table) == 0);
    return series;
}

struct series *head_find_id(struct head *head, uint64_t id)
{
    must(pthread_rwlock_rdlock(&head->table) == 0);
    struct series *series = with_reference(find_id(head, id));
    must(pthread_rwlock_unlock(&head->table) == 0);
    return series;
}

struct series *head_peek_id(const struct head *head, uint64_t id)
{
    return find_id(head, id);
}

void head_release(struct series *series)
{
    must(atomic_fetch_sub_explicit(&series->references, 1, memory_order_release) > 0);
}

/* -- making ------------------------------------------------------------------------------ */

static bool hold_page(struct head *head, uint64_t id)
{
    size_t page = id / PAGE_SERIES;
    if (page >= head->page_count) {
        size_t count = head->page_count * 2 > page + 1 ? head->page_count * 2 : page + 1;
        struct series ***pages = realloc(head->pages, count * sizeof *pages);
        if (pages == NULL)
            return false;
        memset(pages + head->page_count, 0, (count - head->page_count) * sizeof *pages);
        head->pages = pages;
        head->page_count = count;
    }
    if (head->pages[page] == NULL)
        head->pages[page] = calloc(PAGE_SERIES, sizeof **head->pages);
    return head->pages[page] != NULL;
}

static bool hold_pending(struct head *head)
{
    if (head->pending_count < head->pending_capacity)
        return true;
    size_t capacity = head->pending_capacity == 0 ? 256 : head->pending_capacity * 2;
    struct series **pending = realloc(head->pending, capacity * sizeof(struct series *));
    if (pending == NULL)
        return false;
    head->pending = pending;
    head->pending_capacity = capacity;
    return true;
}

static void grow_buckets(struct head *head)
{
    size_t count = head->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return; /* longer chains, no harm */
    for (size_t i = 0; i < head->bucket_count; i++)
        for (uint32_t id = head->buckets[i], next; id != 0; id = next) {
            struct series *series = find_id(head, id);
            uint32_t *bucket = &buckets[series->hash & (count - 1)];
            next = series->next;
            series->next = *bucket;
            *bucket = id;
        }
    free(head->buckets);
    head->buckets = buckets;
    head->bucket_count = count;
}

static void enlist(struct head *head, struct series *series)
{
    if (head->series_count >= head->bucket_count)
        grow_buckets(head);
    size_t bucket = series->hash & (head->bucket_count - 1);
    series->next = head->buckets[bucket];
    head->buckets[bucket] = series->id;
    head->pages[series->id / PAGE_SERIES][series->id % PAGE_SERIES] = series;
    head->series_count++;
    atomic_store_explicit(&head->stats.series_active, head->series_count, memory_order_relaxed);
}

static int intern_locked(struct head *head, const struct labels *labels, uint64_t id,
                         struct series **ret_series)
{
    struct series *series = find_labels(head, labels);
    if (series != NULL) {
        *ret_series = with_reference(series);
        return 0;
    }
    bool is_new = id == 0;
    if (is_new)
        id = head->next_id;
    if ((head->series_limit > 0 && head->series_count >= head->series_limit) ||
        id > SERIES_ID_MAX)
        return ERR_LIMIT;
    if (!hold_page(head, id) || (is_new && !hold_pending(head)))
        return ERR_NOMEM;
    must(find_id(head, id) == NULL);
    series = slab_alloc(&head->slab, offsetof(struct series, pairs) +
                                         labels->count * sizeof series->pairs[0]);
    if (series == NULL)
        return ERR_NOMEM;
    int error = postings_add(head->postings, labels, (uint32_t)id, series->pairs);
    if (error != 0) {
        slab_free(&head->slab, series);
        return error;
    }
    series->id = (uint32_t)id;
    series->hash = labels->hash;
    series->pair_count = (uint8_t)labels->count;
    series->last_ms = INT64_MIN;
    atomic_init(&series->references, 1);
    enlist(head, series);
    if (is_new) {
        series->pending = true;
        atomic_fetch_add_explicit(&head->stats.series_created, 1, memory_order_relaxed);
        head->pending[head->pending_count++] = with_reference(series);
    }
    if (id >= head->next_id)
        head->next_id = id + 1;
    *ret_series = series;
    return 0;
}

int head_intern(struct head *head, const struct labels *labels, uint64_t id,
                struct series **ret_series)
{
    must(pthread_rwlock_wrlock(&head->table) == 0);
    int error = intern_locked(head, labels, id, ret_series);
    must(pthread_rwlock_unlock(&head->table) == 0);
    return error;
}

int head_take_pending(struct head *head, struct series ***ret_series, size_t *ret_count)
{
    *ret_series = NULL;
    *ret_count = 0;
    if (atomic_load_explicit(&head->pending_count, memory_order_acquire) == 0)
        return 0; /* most commits wait for no select */
    must(pthread_rwlock_wrlock(&head->table) == 0);
    *ret_series = head->pending;
    *ret_count = head->pending_count;
    head->pending = NULL;
    head->pending_count = 0;
    head->pending_capacity = 0;
    must(pthread_rwlock_unlock(&head->table) == 0);
    return 0;
}

void head_settle_pending(struct head *head, struct series **series, size_t count, bool stored)
{
    if (count == 0) {
        free(series);
        return;
    }
    must(pthread_rwlock_wrlock(&head->table) == 0);
    for (size_t i = 0; i < count && stored; i++)
        series[i]->pending = false;
    if (!stored) {
        /* Back in front, in the order of their ids, so that the next commit takes them. */
        size_t both = count + head->pending_count;
        struct series **joined = realloc(series, both * sizeof(struct series *));
        must(joined != NULL);
        if (head->pending_count > 0)
            memcpy(joined + count, head->pending, head->pending_count * sizeof *joined);
        free(head->pending);
        head->pending = joined;
        head->pending_count = both;
        head->pending_capacity = both;
    }
    must(pthread_rwlock_unlock(&head->table) == 0);
    if (!stored)
        return;
    for (size_t i = 0; i < count; i++)
        head_release(series[i]);
    free(series);
}

/* -- forgetting -------------------------------------------------------------------------- */

/* To the second, the later one. */
static bool touched_before(const struct series *series, int64_t clock_ms)
{
    return (int64_t)series->touched * MS_PER_SEC < clock_ms;
}

enum idleness { IN_USE, OVER_WITH_SAMPLES, OVER };

static enum idleness idleness_of(struct head *head, struct series *series,
                                 const struct sweep_bounds *bounds)
{
    if (series->pending || atomic_load_explicit(&series->references, memory_order_acquire) != 0)
        return IN_USE;
    uint32_t shard = head_shard_of(series->id);
    must(pthread_rwlock_rdlock(&head->shards[shard]) == 0);
    const bool is_over =
        touched_before(series, bounds->touched_ms) ||
        (series->last_ms < bounds->last_ms && touched_before(series, bounds->rested_ms));
    const bool is_empty =
        series->chunks == NULL && series->late == NULL && tail_is_empty(&series->tail);
    head_unlock_shard(head, shard);
    return !is_over ? IN_USE : is_empty ? OVER : OVER_WITH_SAMPLES;
}

static void forget(struct head *head, struct series *series)
{
    uint32_t *link = &head->buckets[series->hash & (head->bucket_count - 1)];
    while (*link != series->id)
        link = &find_id(head, *link)->next;
    *link = series->next;
    head->pages[series->id / PAGE_SERIES][series->id % PAGE_SERIES] = NULL;
    head->series_count--;
    atomic_store_explicit(&head->stats.series_active, head->series_count, memory_order_relaxed);
    postings_remove(head->postings, series->pairs, series->pair_count, series->id);
    series_free(head, series);
}

void head_sweep(struct head *head, const struct sweep_bounds *bounds, size_t limit,
                uint64_t *resume, size_t *waiting)
{
    must(pthread_rwlock_wrlock(&head->table) == 0);
    uint64_t id = *resume;
    uint64_t end = id + limit < head->next_id ? id + limit : head->next_id;
    for (; id < end; id++) {
        struct series *series = find_id(head, id);
        enum idleness idleness = series == NULL ? IN_USE : idleness_of(head, series, bounds);
        if (idleness == OVER)
            forget(head, series);
        *waiting += idleness == OVER_WITH_SAMPLES;
    }
    *resume = end == head->next_id ? 0 : end;
    must(pthread_rwlock_unlock(&head->table) == 0);
}

size_t head_collect(struct head *head, uint64_t *from, size_t limit, struct series **series)
{
    size_t count = 0;
    must(pthread_rwlock_rdlock(&head->table) == 0);
    uint64_t id = *from;
    for (; id < head->next_id && count < limit; id++) {
        struct series *at = find_id(head, id);
        if (at != NULL)
            series[count++] = with_reference(at);
    }
    *from = id >= head->next_id ? 0 : id;
    must(pthread_rwlock_unlock(&head->table) == 0);
    return count;
}

int head_each_series(struct head *head, int (*each)(void *context, struct series *series),
                     void *context)
{
    struct series *series[COLLECT_SERIES];
    uint64_t next = 1;
    int error = 0;
    while (next != 0 && error == 0) {
        size_t count = head_collect(head, &next, COLLECT_SERIES, series);
        for (size_t i = 0; i < count; i++) {
            uint32_t shard = head_shard_of(series[i]->id);
            must(pthread_rwlock_rdlock(&head->shards[shard]) == 0);
            if (error == 0)
                error = each(context, series[i]);
            must(pthread_rwlock_unlock(&head->shards[shard]) == 0);
            head_release(series[i]);
        }
    }
    return error;
}

/* -- selecting --------------------------------------------------------------------------- */

/* What a select asks the head for. */
struct choice {
    const struct head *head;
    struct matcher *const *matchers;
    size_t matcher_count;
    struct select_watch *watch;
    struct series **series; /* malloc'd */
    size_t count;
};

static int choose(void *context, const struct postings_source *source)
{
    struct choice *choice = context;
    roaring_bitmap_t *ids = NULL;
    int error =
        postings_select(source, choice->matchers, choice->matcher_count, choice->watch, &ids);
    if (error != 0)
        return error;
    choice->count = roaring_bitmap_get_cardinality(ids);
    if (choice->count > 0) {
        choice->series = malloc(choice->count * sizeof(struct series *));
        error = choice->series == NULL ? ERR_NOMEM : 0;
    }
    if (error == 0 && choice->count > 0) {
        roaring_uint32_iterator_t at;
        roaring_init_iterator(ids, &at);
        for (size_t i = 0; i < choice->count; i++, roaring_advance_uint32_iterator(&at)) {
            must(at.has_value);
            choice->series[i] = with_reference(find_id(choice->head, at.current_value));
        }
    }
    roaring_bitmap_free(ids);
    return error;
}

int head_select(struct head *head, struct matcher *const *matchers, size_t count,
                struct select_watch *watch, struct series ***ret_series, size_t *ret_count)
{
    struct select_watch own = {.cancelled = NULL};
    struct choice choice = {head, matchers, count, watch != NULL ? watch : &own, NULL, 0};
    int error = head_ask(head, choice.watch, choose, &choice);
    select_watch_done(&own);
    if (error != 0)
        return error;
    *ret_series = choice.series;
    *ret_count = choice.count;
    return 0;
}

struct postings *head_lock_postings(struct head *head)
{
    must(pthread_rwlock_rdlock(&head->table) == 0);
    return head->postings;
}

void head_unlock_postings(struct head *head)
{
    must(pthread_rwlock_unlock(&head->table) == 0);
}
