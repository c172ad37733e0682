/*
 * cardinality.c - see cardinality.h.  Each list is a heap of the largest rows seen so far, its
 * smallest at the root.
 */
#include "collector/store/cardinality.h"

#include <stdlib.h>
#include <string.h>

#include "collector/store/head.h"
#include "collector/store/parts.h"
#include "collector/store/postings.h"
#include "collector/store/select_watch.h"
#include "proto/base/error.h"

struct tally {
    struct store_cardinality *to;
    size_t limit;
    struct select_watch watch;
    int error;
    /* The label whose values come now. */
    struct bytes label;
    uint64_t values, bytes;
};

/* Largest first. */
static int order(const void *left, const void *right)
{
    const struct store_cardinality_row *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    int by_name = bytes_compare(a->name, b->name);
    return by_name != 0 ? by_name : bytes_compare(a->value, b->value);
}

static void swap(struct store_cardinality_row *a, struct store_cardinality_row *b)
{
    const struct store_cardinality_row row = *a;
    *a = *b;
    *b = row;
}

static void sink(struct store_cardinality_list *list)
{
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < list->count; child++)
            if (order(&list->rows[child], &list->rows[least]) > 0)
                least = child;
        if (least == at)
            return;
        swap(&list->rows[at], &list->rows[least]);
        at = least;
    }
}

static void offer(struct store_cardinality_list *list, size_t limit,
                  struct store_cardinality_row row)
{
    if (list->count == limit) {
        if (limit == 0 || order(&row, &list->rows[0]) > 0)
            return;
        list->rows[0] = row;
        sink(list);
        return;
    }
    size_t at = list->count++;
    list->rows[at] = row;
    while (at > 0 && order(&list->rows[at], &list->rows[(at - 1) / 2]) > 0) {
        swap(&list->rows[at], &list->rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void end_label(struct tally *tally)
{
    const struct bytes none = {NULL, 0};
    if (tally->values > 0) {
        offer(&tally->to->label_values, tally->limit,
              (struct store_cardinality_row){tally->label, none, tally->values});
        offer(&tally->to->label_bytes, tally->limit,
              (struct store_cardinality_row){tally->label, none, tally->bytes});
    }
    tally->values = 0;
    tally->bytes = 0;
}

static bool visit(void *context, struct bytes name, struct bytes value, uint64_t series)
{
    struct tally *tally = context;
    tally->error = select_watch_step(&tally->watch);
    if (tally->error != 0)
        return false;
    if (name.data != tally->label.data) {
        end_label(tally);
        tally->label = name;
    }
    tally->values++;
    tally->bytes += value.size;
    tally->to->pairs++;
    offer(&tally->to->pair_series, tally->limit,
          (struct store_cardinality_row){name, value, series});
    if (bytes_equal(name, bytes_of(LABEL_NAME)))
        offer(&tally->to->metrics, tally->limit,
              (struct store_cardinality_row){value, {NULL, 0}, series});
    return true;
}

static int keep(struct arena *arena, struct bytes *text)
{
    uint8_t *copy = arena_alloc(arena, text->size + 1, 1);
    if (copy == NULL)
        return ERR_LIMIT;
    if (text->size > 0)
        memcpy(copy, text->data, text->size);
    text->data = copy;
    return 0;
}

static int keep_list(struct arena *arena, struct store_cardinality_list *list)
{
    int error = 0;
    qsort(list->rows, list->count, sizeof *list->rows, order);
    for (size_t i = 0; error == 0 && i < list->count; i++) {
        error = keep(arena, &list->rows[i].name);
        if (error == 0)
            error = keep(arena, &list->rows[i].value);
    }
    return error;
}

int store_get_cardinality(struct store *store, size_t limit, const struct query_budget *budget,
                          struct arena *arena, struct store_cardinality *ret)
{
    struct store_cardinality_list *const lists[] = {&ret->metrics, &ret->pair_series,
                                                    &ret->label_values, &ret->label_bytes};
    struct tally tally = {.to = ret, .limit = limit};
    int error = 0;

    *ret = (struct store_cardinality){0};
    for (size_t i = 0; error == 0 && i < sizeof lists / sizeof lists[0]; i++) {
        lists[i]->rows = arena_alloc(arena, limit + 1, sizeof *lists[i]->rows);
        if (lists[i]->rows == NULL)
            error = ERR_LIMIT;
    }
    if (error != 0)
        return error;
    select_watch_init(&tally.watch, budget, NULL);
    /* The texts are the head's: they are copied before its lock is given back. */
    struct postings *postings = head_lock_postings(store->head);
    postings_each(postings, visit, &tally);
    end_label(&tally);
    error = tally.error;
    for (size_t i = 0; error == 0 && i < sizeof lists / sizeof lists[0]; i++)
        error = keep_list(arena, lists[i]);
    head_unlock_postings(store->head);
    return error;
}
