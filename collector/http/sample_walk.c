/* sample_walk.c - see sample_walk.h. */
#include "collector/http/sample_walk.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/error.h"

#define WINDOW_ARENA_BYTES ((size_t)64 << 20)
#define LOOK_EVERY         256

void sample_walk_init(struct sample_walk *walk, struct queryable *store, struct arena_total *total,
                      volatile bool *cancelled, int64_t from_ms, int64_t until_ms)
{
    *walk = (struct sample_walk){.store = store,
                                 .cancelled = cancelled,
                                 .from_ms = from_ms,
                                 .until_ms = until_ms,
                                 .next_ms = from_ms,
                                 .width_ms = (uint64_t)until_ms - (uint64_t)from_ms};
    arena_init(&walk->names, NAMES_ARENA_BYTES);
    arena_init(&walk->arena, WINDOW_ARENA_BYTES);
    walk->names.total = total;
    walk->arena.total = total;
}

void sample_walk_done(struct sample_walk *walk)
{
    arena_reset(&walk->names);
    arena_reset(&walk->arena);
}

/* ---- the list of series ---------------------------------------------------------------- */

static int compare_names(const struct labels *a, const struct labels *b)
{
    return bytes_compare(labels_get_text(a, LABEL_NAME), labels_get_text(b, LABEL_NAME));
}

static int by_name_and_labels(const void *a, const void *b)
{
    const struct labels *left = *(const struct labels *const *)a;
    const struct labels *right = *(const struct labels *const *)b;
    int order = compare_names(left, right);
    return order != 0 ? order : labels_compare(left, right);
}

static int by_labels(const void *a, const void *b)
{
    return labels_compare(*(const struct labels *const *)a, *(const struct labels *const *)b);
}

static struct query_budget budget_of(const struct sample_walk *walk, uint64_t samples)
{
    return (struct query_budget){.samples_left = samples,
                                 .cancelled = walk->cancelled,
                                 .deadline_mono_ns = walk->deadline_mono_ns};
}

/* Adds what one selector finds. */
static int add_series(struct sample_walk *walk, struct querier *querier,
                      const struct selector *selector, struct diagnosis *why)
{
    struct select_hints hints = {.from_ms = walk->from_ms,
                                 .until_ms = walk->until_ms,
                                 .no_samples = true,
                                 .stored_only = walk->stored_only};
    struct query_budget budget = budget_of(walk, UINT64_MAX);
    struct series_samples *found = NULL;
    size_t count = 0;
    int error =
        walk->store->calls->select(querier, selector->matchers, selector->count, &hints,
                                   &budget, &walk->names, &found, &count, why);
    if (error != 0)
        return error;
    const struct labels **all =
        arena_alloc(&walk->names, walk->count + count + 1, sizeof(struct labels *));
    if (all == NULL)
        return diagnose(why, ERR_LIMIT, "too many series at once: select fewer");
    if (walk->count > 0)
        memcpy(all, walk->series, walk->count * sizeof *all);
    for (size_t i = 0; i < count; i++)
        all[walk->count++] = found[i].labels;
    walk->series = all;
    return 0;
}

static void sort_series(struct sample_walk *walk, enum walk_order order)
{
    size_t kept = 0;
    if (walk->count > 1)
        qsort(walk->series, walk->count, sizeof *walk->series,
              order == WALK_BY_NAME ? by_name_and_labels : by_labels);
    for (size_t i = 0; i < walk->count; i++) {
        if (kept == 0 || !labels_equal(walk->series[kept - 1], walk->series[i]))
            walk->series[kept++] = walk->series[i];
    }
    walk->count = kept;
}

/* Label names, ascending; their room counts in the walk's total. */
struct name_set {
    struct buf room; /* of struct bytes */
    size_t count;
};

static struct bytes *names_of(const struct name_set *set)
{
    return (struct bytes *)(void *)set->room.data;
}

/* Adds those of a label set, whose own are ascending, too. */
static void add_names(struct name_set *set, const struct labels *labels)
{
    size_t at = 0;
    for (size_t i = 0; i < labels->count; i++) {
        struct bytes name = labels->pairs[i].name;
        struct bytes *names = names_of(set);
        int order = -1;
        while (at < set->count && (order = bytes_compare(names[at], name)) < 0)
            at++;
        if (at < set->count && order == 0)
            continue;
        if (buf_reserve(&set->room, sizeof name) == NULL)
            return; /* the buffer remembers */
        set->room.size += sizeof name;
        names = names_of(set);
        memmove(names + at + 1, names + at, (set->count - at) * sizeof *names);
        names[at] = name;
        set->count++;
    }
}

/* The label names of a group: a selector that fixes each of them, to "" where it is missing,
 * finds one series and no other. */
static int name_labels(struct sample_walk *walk, struct walk_group *group)
{
    struct name_set set = {.room = {.total = walk->names.total}};
    struct query_budget budget = budget_of(walk, 0);
    int error = 0;
    for (size_t i = group->first; i < group->end && error == 0; i++) {
        add_names(&set, walk->series[i]);
        error = i % LOOK_EVERY == 0 ? query_budget_look(&budget) : 0;
    }
    if (error == 0 && buf_ok(&set.room))
        group->labels = arena_alloc(&walk->names, set.count + 1, sizeof *group->labels);
    else
        walk->names.total_refused |= set.room.total_refused;
    if (group->labels != NULL) {
        group->label_count = set.count;
        if (set.count > 0)
            memcpy(group->labels, names_of(&set), set.count * sizeof *group->labels);
    } else if (error == 0) {
        error = ERR_LIMIT;
    }
    buf_done(&set.room);
    return error;
}

static int make_groups(struct sample_walk *walk)
{
    walk->groups =
        arena_alloc(&walk->names, walk->count + 1, sizeof *walk->groups);
    if (walk->groups == NULL)
        return ERR_LIMIT;
    for (size_t i = 0; i < walk->count; i++) {
        if (i == 0 || compare_names(walk->series[i - 1], walk->series[i]) != 0)
            walk->groups[walk->group_count++] = (struct walk_group){
                .name = labels_get_text(walk->series[i], LABEL_NAME), .first = i};
        walk->groups[walk->group_count - 1].end = i + 1;
    }
    int error = 0;
    for (size_t i = 0; i < walk->group_count && error == 0; i++)
        error = name_labels(walk, &walk->groups[i]);
    return error;
}

int sample_walk_list(struct sample_walk *walk, const struct selector *selectors, size_t count,
                     enum walk_order order, struct diagnosis *why)
{
    struct querier *querier = NULL;
    int error =
        walk->store->calls->open(walk->store, walk->from_ms, walk->until_ms, &querier, why);
    for (size_t i = 0; i < count && error == 0; i++)
        error = add_series(walk, querier, &selectors[i], why);
    if (querier != NULL)
        walk->store->calls->close(querier);
    if (error != 0)
        return error;
    sort_series(walk, order);
    return make_groups(walk);
}

/* ---- a window of a series -------------------------------------------------------------- */

static int make_matchers(const struct walk_group *group, const struct labels *labels,
                         struct matcher **matchers)
{
    int error = 0;
    for (size_t i = 0; i < group->label_count && error == 0; i++)
        error = matcher_new(MATCH_EQUAL, group->labels[i], labels_get(labels, group->labels[i]),
                            &matchers[i], NULL);
    return error;
}

static int select_window(struct sample_walk *walk, struct matcher *const *matchers, size_t count,
                         int64_t until_ms)
{
    struct select_hints hints = {
        .from_ms = walk->next_ms, .until_ms = until_ms, .stored_only = walk->stored_only,
        .in_passing = true};
    struct query_budget budget = budget_of(walk, WALK_WINDOW_SAMPLES);
    struct querier *querier = NULL;
    struct series_samples *found = NULL;
    size_t found_count = 0;
    walk->samples = 0;
    arena_reset(&walk->arena);
    int error = walk->store->calls->open(walk->store, hints.from_ms, hints.until_ms,
                                         &querier, NULL);
    if (error == 0)
        error = walk->store->calls->select(querier, matchers, count, &hints, &budget,
                                           &walk->arena, &found, &found_count, NULL);
    if (querier != NULL)
        walk->store->calls->close(querier);
    if (error == ERR_LIMIT && walk->arena.total_refused)
        return ERR_NOMEM; /* a narrower window does not help */
    for (size_t i = 0; i < found_count && error == 0; i++) {
        if (!labels_equal(found[i].labels, walk->series[walk->at]))
            continue;
        walk->times_ms = found[i].times_ms;
        walk->values = found[i].values;
        walk->samples = found[i].count;
    }
    return error;
}

/* Reads on from next_ms, in windows as wide as the samples lie far apart. */
int sample_walk_read(struct sample_walk *walk)
{
    const struct walk_group *group = &walk->groups[walk->group_at];
    struct matcher **matchers = calloc(group->label_count + 1, sizeof *matchers);
    if (matchers == NULL)
        return ERR_NOMEM;
    int error = make_matchers(group, walk->series[walk->at], matchers);
    int64_t until_ms = walk->next_ms;
    while (error == 0) {
        uint64_t left_ms = (uint64_t)walk->until_ms - (uint64_t)walk->next_ms;
        uint64_t width_ms = left_ms < walk->width_ms ? left_ms : walk->width_ms;
        until_ms = (int64_t)((uint64_t)walk->next_ms + width_ms);
        error = select_window(walk, matchers, group->label_count, until_ms);
        if (error != ERR_LIMIT || width_ms == 0)
            break;
        walk->width_ms = width_ms / 2; /* too much at once */
        error = 0;
    }
    if (error == 0) {
        if (walk->samples < WALK_WINDOW_SAMPLES / 4 && walk->width_ms < INT64_MAX)
            walk->width_ms = walk->width_ms * 2 + 1;
        walk->is_read = until_ms == walk->until_ms;
        walk->next_ms = walk->is_read ? until_ms : until_ms + 1;
    }
    for (size_t i = 0; i < group->label_count; i++)
        matcher_free(matchers[i]);
    free(matchers);
    return error;
}

bool sample_walk_ended(const struct sample_walk *walk)
{
    return walk->is_read;
}

void sample_walk_next(struct sample_walk *walk)
{
    walk->at++;
    if (walk->at < walk->count && walk->at == walk->groups[walk->group_at].end)
        walk->group_at++;
    walk->next_ms = walk->from_ms;
    walk->is_read = false;
    walk->samples = 0;
}
