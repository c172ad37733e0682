/*
 * querier_labels.c - label names and values, from the postings of the head and of each span.
 *
 * Every source is asked in turn; the texts are gathered, sorted and made unique at the end.
 */
#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/querier.h"
#include "collector/store/span_set.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

struct texts {
    const struct postings_source *source;
    struct select_watch watch;      /* over the head and all files */
    const roaring_bitmap_t *within; /* NULL: all series */
    bool names;                     /* gather names, not values */
    struct arena *arena;
    struct bytes *items;
    size_t count, capacity;
    struct bytes last_name;
    int64_t from_ms, until_ms;
};

static int add_text(struct texts *texts, struct bytes text)
{
    if (texts->count == texts->capacity) {
        size_t capacity = texts->capacity == 0 ? 256 : texts->capacity * 2;
        struct bytes *items = realloc(texts->items, capacity * sizeof *items);
        if (items == NULL)
            return ERR_NOMEM;
        texts->items = items;
        texts->capacity = capacity;
    }
    uint8_t *copy = arena_alloc(texts->arena, 1, text.size + 1);
    if (copy == NULL)
        return ERR_LIMIT;
    memcpy(copy, text.data, text.size);
    texts->items[texts->count++] = (struct bytes){copy, text.size};
    return 0;
}

static int visit(void *visitor, struct bytes name, struct bytes value, const void *token)
{
    struct texts *texts = visitor;
    if (texts->names && bytes_equal(texts->last_name, name))
        return 0;
    if (texts->within != NULL) {
        bool yes = false;
        int error =
            texts->source->intersects(texts->source->context, token, texts->within, &yes);
        if (error != 0 || !yes)
            return error;
    }
    int error = add_text(texts, texts->names ? name : value);
    if (error == 0 && texts->names)
        texts->last_name = texts->items[texts->count - 1];
    return error;
}

static int from_source(struct texts *texts, const struct postings_source *source,
                       struct bytes name, struct matcher *const *matchers, size_t count)
{
    roaring_bitmap_t *within = NULL;
    int error = 0;
    if (count > 0)
        error = postings_select(source, matchers, count, &texts->watch, &within);
    texts->source = source;
    texts->within = within;
    texts->last_name = (struct bytes){0};
    if (error == 0)
        error = source->each(source->context, name, (struct bytes){0}, visit, texts);
    if (within != NULL)
        roaring_bitmap_free(within);
    return error;
}

static int by_bytes(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static int finish(struct texts *texts, struct bytes **ret_items, size_t *ret_count)
{
    size_t kept = 0;
    if (texts->count > 1)
        qsort(texts->items, texts->count, sizeof *texts->items, by_bytes);
    struct bytes *items =
        arena_alloc(texts->arena, texts->count == 0 ? 1 : texts->count, sizeof *items);
    if (items == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < texts->count; i++)
        if (kept == 0 || !bytes_equal(items[kept - 1], texts->items[i]))
            items[kept++] = texts->items[i];
    *ret_items = items;
    *ret_count = kept;
    return 0;
}

/* Does the interval touch what the head holds?  Not to the series, like spans and Prometheus's
 * blocks. */
static bool touches_head(struct head *head, int64_t from_ms, int64_t until_ms)
{
    int64_t min_ms = atomic_load_explicit(&head->stats.min_ms, memory_order_relaxed);
    int64_t max_ms = atomic_load_explicit(&head->stats.max_ms, memory_order_relaxed);
    return from_ms <= until_ms && from_ms <= max_ms && until_ms >= min_ms;
}

/* Those of one kind; roll-ups as far as they are sole. */
static int from_spans(struct texts *texts, struct store *store, enum span_kind kind,
                      struct bytes name, struct matcher *const *matchers, size_t count)
{
    struct span **spans;
    size_t span_count;
    int error = span_set_acquire_kind(store->spans, kind, texts->from_ms, texts->until_ms,
                                      &spans, &span_count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < span_count && error == 0; i++) {
        struct span_reader *reader = NULL;
        if (kind != SPAN_SAMPLES && !span_is_sole(spans[i]))
            continue;
        error = span_reader_open(spans[i], &reader);
        if (error == 0) {
            struct postings_source source = span_postings(reader);
            error = from_source(texts, &source, name, matchers, count);
        }
        if (error == ERR_CORRUPT)
            error = 0; /* counted where it was found */
        span_reader_close(reader);
    }
    span_set_release(store->spans, spans, span_count);
    return error;
}

static int gather_texts(struct querier *querier, struct bytes name,
                        struct matcher *const *matchers, size_t count,
                        const struct query_budget *budget, struct arena *arena,
                        struct bytes **ret_items, size_t *ret_count, struct diagnosis *why)
{
    struct texts texts = {.names = name.size == 0, .arena = arena};
    select_watch_init(&texts.watch, budget, arena->total);
    int64_t from_ms;
    int64_t until_ms;
    struct store *store = querier_store(querier, &from_ms, &until_ms);

    int error = 0;
    if (touches_head(store->head, from_ms, until_ms)) {
        must(pthread_rwlock_rdlock(&store->head->table) == 0);
        struct postings_source head = postings_source_of(store->head->postings);
        error = from_source(&texts, &head, name, matchers, count);
        must(pthread_rwlock_unlock(&store->head->table) == 0);
    }

    static const enum span_kind kinds[] = {SPAN_SAMPLES, SPAN_ROLLUP_5M, SPAN_ROLLUP_1H};
    texts.from_ms = from_ms;
    texts.until_ms = until_ms;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && error == 0; i++)
        error = from_spans(&texts, store, kinds[i], name, matchers, count);
    if (error == 0)
        error = finish(&texts, ret_items, ret_count);
    free(texts.items);
    select_watch_done(&texts.watch);
    return error == 0 ? 0 : select_watch_explain(&texts.watch, error, why);
}

int querier_label_names(struct querier *querier, struct matcher *const *matchers,
                        size_t matcher_count, const struct query_budget *budget,
                        struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                        struct diagnosis *why)
{
    return gather_texts(querier, (struct bytes){0}, matchers, matcher_count, budget, arena,
                        ret_names, ret_count, why);
}

int querier_label_values(struct querier *querier, struct bytes name,
                         struct matcher *const *matchers, size_t matcher_count,
                         const struct query_budget *budget, struct arena *arena,
                         struct bytes **ret_values, size_t *ret_count, struct diagnosis *why)
{
    if (name.size == 0) {
        *ret_values = NULL;
        *ret_count = 0;
        return 0;
    }
    return gather_texts(querier, name, matchers, matcher_count, budget, arena, ret_values,
                        ret_count, why);
}
