/*
 * querier_labels.c - label names and values, from the postings of the head and of each span.
 *
 * Every source is asked in turn, and each text is kept once (text_set.h).  The list of a file is
 * read once and kept (value_lists.h); a file whose list adds nothing to what is there already is
 * passed by, unopened: most of them hold the instances that their neighbours hold.
 */
#include <roaring/roaring.h>
#include <stdlib.h>

#include "collector/store/querier.h"
#include "collector/store/span_set.h"
#include "collector/store/text_set.h"
#include "collector/store/value_lists.h"
#include "proto/base/buf.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define LIST_BYTES_MAX ((size_t)4 << 20) /* a longer one is not kept */
/* What is at hand (query_budget): half a millisecond's work. */
#define AT_HAND_PAIRS 4096
#define AT_HAND_FILES 1024
#define AT_HAND_BYTES ((size_t)128 << 10) /* of lists */

struct texts {
    struct bytes name; /* of the label; "": the names of labels are asked for */
    struct matcher *const *matchers;
    size_t matcher_count;
    int64_t from_ms, until_ms;
    struct text_set found;
    struct select_watch watch; /* over the head and all files */
    bool at_hand;              /* nothing else is wanted, */
    size_t at_hand_bytes;      /* and no more than so much of it */

    /* of the source at hand */
    const struct postings_source *source;
    const roaring_bitmap_t *within; /* NULL: all series */
    struct bytes last_name;         /* of labels: the one at hand, and whether it is in the answer */
    bool has_last, is_last_found;
    struct buf *list; /* all texts of a file; NULL: not wanted */

    /* lists of which nothing is missing in `found` */
    struct value_lists *lists;
    struct value_list **held;
    size_t held_count, held_capacity;
};

/* Puts a text into the answer if a series that is meant bears the pair. */
static int try_text(struct texts *texts, struct bytes text, const void *token, bool *ret_found)
{
    bool is_found = text_set_has(&texts->found, text);
    int error = 0;
    if (!is_found) {
        is_found = texts->within == NULL;
        if (!is_found)
            error = texts->source->intersects(texts->source->context, token, texts->within,
                                              &is_found);
        if (error == 0 && is_found)
            error = text_set_add(&texts->found, text);
    }
    *ret_found = is_found;
    return error;
}

static int visit(void *visitor, struct bytes name, struct bytes value, const void *token)
{
    struct texts *texts = visitor;
    int error = select_watch_step(&texts->watch);
    if (error != 0)
        return error;
    const bool names = texts->name.size == 0;
    if (names && texts->has_last && bytes_equal(texts->last_name, name))
        return texts->is_last_found ? 0 : try_text(texts, name, token, &texts->is_last_found);
    if (texts->list != NULL)
        buf_put_sized(texts->list, names ? name : value);
    texts->last_name = name;
    texts->has_last = true;
    return try_text(texts, names ? name : value, token, &texts->is_last_found);
}

static int from_source(struct texts *texts, const struct postings_source *source,
                       struct buf *list)
{
    roaring_bitmap_t *within = NULL;
    int error = 0;
    if (texts->matcher_count > 0)
        error = postings_select(source, texts->matchers, texts->matcher_count, &texts->watch,
                                &within);
    texts->source = source;
    texts->within = within;
    texts->has_last = false;
    texts->list = list;
    if (error == 0)
        error = source->each(source->context, texts->name, (struct bytes){0}, visit, texts);
    if (within != NULL)
        roaring_bitmap_free(within);
    return error;
}

/* -- lists of files ---------------------------------------------------------------------- */

static bool is_held(const struct texts *texts, const struct value_list *list)
{
    for (size_t i = texts->held_count; i > 0; i--)
        if (texts->held[i - 1] == list)
            return true;
    return false;
}

/* Until the end of the question; without the memory it is released, and read once more. */
static void hold(struct texts *texts, struct value_list *list)
{
    if (texts->held_count == texts->held_capacity) {
        size_t capacity = texts->held_capacity * 2 + 16;
        struct value_list **held = realloc(texts->held, capacity * sizeof(struct value_list *));
        if (held == NULL) {
            value_lists_release(texts->lists, list);
            return;
        }
        texts->held = held;
        texts->held_capacity = capacity;
    }
    texts->held[texts->held_count++] = list;
}

static bool has_all(const struct texts *texts, const struct value_list *list)
{
    struct reader reader = reader_of(value_list_texts(list));
    while (reader_left(&reader) > 0)
        if (!text_set_has(&texts->found, reader_sized(&reader)))
            return false;
    return true;
}

static int add_all(struct texts *texts, const struct value_list *list)
{
    struct reader reader = reader_of(value_list_texts(list));
    int error = 0;
    while (error == 0 && reader_left(&reader) > 0)
        error = text_set_add(&texts->found, reader_sized(&reader));
    return error;
}

/* Takes the list over.  Whether the file need not be read. */
static bool is_known(struct texts *texts, struct value_list *list, int *ret_error)
{
    *ret_error = 0;
    if (list == NULL)
        return false;
    if (is_held(texts, list)) {
        value_lists_release(texts->lists, list);
        return true;
    }
    if (texts->matcher_count == 0)
        *ret_error = add_all(texts, list);
    else if (!has_all(texts, list)) {
        value_lists_release(texts->lists, list);
        return false;
    }
    hold(texts, list);
    return true;
}

static bool is_at_hand(struct texts *texts, const struct value_list *list)
{
    if (list != NULL && is_held(texts, list))
        return true;
    if (list == NULL || value_list_texts(list).size > texts->at_hand_bytes)
        return false;
    texts->at_hand_bytes -= value_list_texts(list).size;
    return true;
}

static int from_span(struct texts *texts, struct span *span)
{
    const uint64_t generation = span_info_of(span)->manifest.generation;
    struct value_list *kept = value_lists_find(texts->lists, generation, texts->name);
    const bool is_kept = kept != NULL;
    struct span_reader *reader = NULL;
    struct buf list;
    int error;
    if (texts->at_hand && !is_at_hand(texts, kept)) {
        value_lists_release(texts->lists, kept);
        return ERR_AGAIN;
    }
    if (is_known(texts, kept, &error))
        return error;
    buf_init(&list, LIST_BYTES_MAX);
    error = span_reader_open(span, &reader);
    if (error == 0) {
        struct postings_source source = span_postings(reader);
        error = from_source(texts, &source, is_kept ? NULL : &list);
    }
    span_reader_close(reader);
    if (error == 0 && !is_kept && buf_ok(&list)) {
        int ignored;
        (void)is_known(texts,
                       value_lists_put(texts->lists, generation, texts->name, buf_bytes(&list)),
                       &ignored);
    }
    buf_done(&list);
    return error == ERR_CORRUPT ? 0 : error; /* counted where it was found */
}

/* Those of one kind; roll-ups as far as they are sole. */
static int from_spans(struct texts *texts, struct store *store, enum span_kind kind)
{
    struct span **spans;
    size_t span_count;
    int error = span_set_acquire_kind(store->spans, kind, texts->from_ms, texts->until_ms,
                                      &spans, &span_count);
    if (error != 0)
        return error;
    if (texts->at_hand && span_count > AT_HAND_FILES)
        error = ERR_AGAIN;
    for (size_t i = 0; i < span_count && error == 0; i++) {
        error = select_watch_look(&texts->watch);
        if (error == 0 && (kind == SPAN_SAMPLES || span_is_sole(spans[i])))
            error = from_span(texts, spans[i]);
    }
    span_set_release(store->spans, spans, span_count);
    return error;
}

static int from_head(void *context, const struct postings_source *source)
{
    return from_source(context, source, NULL);
}

static int gather_texts(struct texts *texts, struct store *store)
{
    static const enum span_kind kinds[] = {SPAN_SAMPLES, SPAN_ROLLUP_5M, SPAN_ROLLUP_1H};
    int error = 0;
    /* Not to the series, like spans and Prometheus's blocks. */
    if (head_touches(store->head, texts->from_ms, texts->until_ms))
        error = texts->at_hand
                    ? head_ask_at_once(store->head, AT_HAND_PAIRS, from_head, texts)
                    : head_ask(store->head, &texts->watch, from_head, texts);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && error == 0; i++)
        error = from_spans(texts, store, kinds[i]);
    return error;
}

static int answer(struct querier *querier, struct bytes name, struct matcher *const *matchers,
                  size_t count, const struct query_budget *budget, struct arena *arena,
                  struct bytes **ret_items, size_t *ret_count, struct diagnosis *why)
{
    struct texts texts = {.name = name,
                          .matchers = matchers,
                          .matcher_count = count,
                          .at_hand = budget != NULL && budget->at_hand,
                          .at_hand_bytes = AT_HAND_BYTES,
                          .found.arena = arena};
    if (texts.at_hand && count > 0) /* matchers look into the files */
        return ERR_AGAIN;
    select_watch_init(&texts.watch, budget, arena->total);
    struct store *store = querier_store(querier, &texts.from_ms, &texts.until_ms);
    texts.lists = span_set_lists(store->spans);
    int error = gather_texts(&texts, store);
    if (error == 0)
        error = text_set_sorted(&texts.found, ret_items, ret_count);
    for (size_t i = 0; i < texts.held_count; i++)
        value_lists_release(texts.lists, texts.held[i]);
    free(texts.held);
    text_set_done(&texts.found);
    select_watch_done(&texts.watch);
    return error == 0 ? 0 : select_watch_explain(&texts.watch, error, why);
}

int querier_label_names(struct querier *querier, struct matcher *const *matchers,
                        size_t matcher_count, const struct query_budget *budget,
                        struct arena *arena, struct bytes **ret_names, size_t *ret_count,
                        struct diagnosis *why)
{
    return answer(querier, (struct bytes){0}, matchers, matcher_count, budget, arena, ret_names,
                  ret_count, why);
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
    return answer(querier, name, matchers, matcher_count, budget, arena, ret_values, ret_count,
                  why);
}
