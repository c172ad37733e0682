/*
 * functions_info.c - info(v, {data labels}): labels of info metrics put on what they describe.
 *
 * An info series describes the series that share its `instance` and `job`.  Which these are
 * does not depend on the step, so info series are grouped by (name, instance, job) once; at a
 * step the newest sample of a group speaks for it.  A base series is split wherever what its
 * infos say changes.  The rules are Prometheus's (promql/info.go).
 */
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "collector/series/matcher.h"
#include "proto/base/error.h"

#define TARGET_INFO "target_info"
#define ANY_INFO    ".+_info" /* where names are only excluded */
#define NOBODY      SIZE_MAX

static const char *const identifying[] = {"instance", "job"};
#define IDENTIFYING 2

struct join {
    struct evaluation *ev;
    const struct grid *grid;
    struct matcher *const *matchers; /* of the second argument; none without one */
    size_t matcher_count;
    struct matcher *name; /* of the info metric, where the argument does not say it; or NULL */
    bool limits_labels;   /* are there matchers of data labels? */
    struct value infos;   /* their columns hold the time of the sample, in ms */
    struct label_index names;  /* each info metric's name, as labels */
    struct label_index groups; /* (name, instance, job) */
    size_t *group_of;          /* by info column */
    size_t *speakers;          /* [group * steps + step]: the info column, or NOBODY */
    size_t *choice;            /* scratch, by name: who speaks about a base series now */
    size_t *chosen;            /* scratch, by name: who did at the step before */
    struct column *out;
    size_t out_count, out_capacity;
};

static bool is_name_matcher(const struct matcher *matcher)
{
    return bytes_equal(matcher->name, bytes_of(LABEL_NAME));
}

/* Is it an info series itself?  Those are left as they are. */
static bool is_info(const struct join *join, const struct labels *labels)
{
    struct bytes name = labels_get_text(labels, LABEL_NAME);
    for (size_t i = 0; i < join->matcher_count; i++)
        if (is_name_matcher(join->matchers[i]) &&
            !matcher_matches(join->matchers[i], name, NULL))
            return false;
    return join->name == NULL || matcher_matches(join->name, name, NULL);
}

/* Without a name, and with none but excluded ones, Prometheus has a name in mind. */
static int imply_name(struct join *join)
{
    bool named = false;
    bool excluded = false;
    for (size_t i = 0; i < join->matcher_count; i++) {
        enum matcher_kind kind = join->matchers[i]->kind;
        bool positive = kind == MATCH_EQUAL || kind == MATCH_REGEX;
        named = named || (positive && is_name_matcher(join->matchers[i]));
        excluded = excluded || (!positive && is_name_matcher(join->matchers[i]));
    }
    if (named)
        return 0;
    return matcher_new(excluded ? MATCH_REGEX : MATCH_EQUAL, bytes_of(LABEL_NAME),
                       bytes_of(excluded ? ANY_INFO : TARGET_INFO), &join->name, join->ev->why);
}

static void put_quoted(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("\\.+*?()|[]{}^$", text.data[i]) != NULL && text.data[i] != '\0')
            buf_put_text(out, "\\");
        buf_put(out, &text.data[i], 1);
    }
}

/* label =~ "a|b|c" of the values the base series have; *ret_matcher stays NULL where they have
 * none, or too many for a pattern: what is fetched beyond need finds no partner. */
static int match_values(struct join *join, const struct value *base, const char *label,
                        struct matcher **ret_matcher)
{
    struct evaluation *ev = join->ev;
    struct label_index values;
    struct diagnosis why = {""};
    int error = label_index_init(ev, 16, &values);

    buf_clear(&ev->text);
    for (size_t i = 0; error == 0 && i < base->count; i++) {
        struct bytes value = labels_get_text(base->columns[i].labels, label);
        const struct labels *key;
        size_t number;
        size_t before = values.count;
        if (value.size == 0 || is_info(join, base->columns[i].labels))
            continue;
        labels_builder_reset(&ev->builder, NULL);
        labels_builder_set(&ev->builder, bytes_of(label), value);
        error = labels_builder_build(&ev->builder, ev->arena, &key);
        if (error == 0)
            error = label_index_add(ev, &values, key, &number);
        if (error != 0 || values.count == before)
            continue;
        if (before > 0)
            buf_put_text(&ev->text, "|");
        put_quoted(&ev->text, value);
    }
    if (error != 0 || values.count == 0 || !buf_ok(&ev->text))
        return error;
    error = matcher_new(MATCH_REGEX, bytes_of(label), buf_bytes(&ev->text), ret_matcher, &why);
    return error == ERR_INVALID ? 0 : error;
}

/* Where the infos are looked up: as the first selector of the argument says, like Prometheus.
 */
static const struct node *first_selector(const struct node *node)
{
    if (node->kind == NODE_SELECTOR)
        return node;
    for (const struct node *child = node->first; child != NULL; child = child->next) {
        const struct node *found = first_selector(child);
        if (found != NULL)
            return found;
    }
    return node->second != NULL ? first_selector(node->second) : NULL;
}

void info_times(const struct plan *plan, const struct node *call, int64_t lookback_ms,
                int64_t *from_ms, int64_t *until_ms)
{
    const struct node *selector = first_selector(call->first);
    const struct plan_node *planned =
        selector != NULL ? &plan->nodes[selector->id] : &(struct plan_node){.fixed = false};
    if (planned->fixed)
        *from_ms = *until_ms = planned->fixed_ms;
    *from_ms -= planned->offset_ms + lookback_ms;
    *until_ms -= planned->offset_ms;
}

/* Columns that hold the time of the newest sample within the lookback, in milliseconds. */
static int info_columns(struct join *join, const struct series_samples *series, size_t count)
{
    struct evaluation *ev = join->ev;
    int error = value_columns(ev, count, &join->infos);
    for (size_t i = 0; error == 0 && i < count; i++) {
        struct column *column = &join->infos.columns[join->infos.count];
        size_t next = 0;
        error = column_init(ev, join->grid, column);
        if (error != 0)
            break;
        column->labels = series[i].labels;
        for (size_t step = 0; step < join->grid->count; step++) {
            int64_t now_ms = grid_time(join->grid, step);
            while (next < series[i].count && series[i].times_ms[next] <= now_ms)
                next++;
            if (next > 0 && series[i].times_ms[next - 1] > now_ms - ev->lookback_ms &&
                !is_stale_nan(series[i].values[next - 1]))
                column_set(column, step, (double)series[i].times_ms[next - 1]);
        }
        join->infos.count += column_any(column, join->grid);
    }
    return error;
}

static int fetch_infos(struct join *join, const struct node *call, const struct value *base)
{
    struct evaluation *ev = join->ev;
    const struct grid *grid = join->grid;
    struct matcher *own[IDENTIFYING] = {NULL};
    struct matcher **all =
        arena_alloc(ev->arena, join->matcher_count + IDENTIFYING + 1, sizeof(void *));
    struct select_hints hints = {.from_ms = grid_time(grid, 0),
                                 .until_ms = grid_time(grid, grid->count - 1)};
    struct series_samples *series = NULL;
    size_t count = 0;
    size_t series_count = 0;
    int error = all == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < join->matcher_count; i++)
        all[count++] = join->matchers[i];
    for (size_t i = 0; error == 0 && i < IDENTIFYING; i++) {
        error = match_values(join, base, identifying[i], &own[i]);
        if (own[i] != NULL)
            all[count++] = own[i];
    }
    bool identified = own[0] != NULL || own[1] != NULL; /* else nothing can be described */
    if (error == 0 && join->name != NULL)
        all[count++] = join->name;
    info_times(ev->plan, call, ev->lookback_ms, &hints.from_ms, &hints.until_ms);
    hints.from_ms++; /* lookbacks are open on the left */
    if (error == 0 && identified)
        error = ev->store->calls->select(ev->querier, all, count, &hints, ev->budget, ev->arena,
                                         &series, &series_count, ev->why);
    if (error == 0)
        error = info_columns(join, series, series_count);
    for (size_t i = 0; i < IDENTIFYING; i++)
        matcher_free(own[i]);
    return error;
}

/* (name, instance, job), name and labels taken from two places. */
static int signature(struct join *join, struct bytes name, const struct labels *labels,
                     const struct labels **ret_signature)
{
    struct labels_builder *builder = &join->ev->builder;
    labels_builder_reset(builder, NULL);
    labels_builder_set(builder, bytes_of(LABEL_NAME), name);
    for (size_t i = 0; labels != NULL && i < IDENTIFYING; i++)
        labels_builder_set(builder, bytes_of(identifying[i]),
                           labels_get_text(labels, identifying[i]));
    return labels_builder_build(builder, join->ev->arena, ret_signature);
}

static int complain_twins(struct join *join, size_t a, size_t b, double time_ms)
{
    struct buf *text = &join->ev->text;
    buf_clear(text);
    buf_put_text(text, "found duplicate series for info metric: existing ");
    labels_print(join->infos.columns[a].labels, text);
    buf_printf(text, " @ %lld, new ", (long long)time_ms);
    labels_print(join->infos.columns[b].labels, text);
    buf_printf(text, " @ %lld", (long long)time_ms);
    return diagnose(join->ev->why, ERR_INVALID, "%s", buf_text(text));
}

/* Who speaks for each group at each step: the newest; two at once is an error where there is
 * anything to describe. */
static int find_speakers(struct join *join, const struct value *base)
{
    struct evaluation *ev = join->ev;
    size_t steps = join->grid->count;
    size_t words = (steps + 63) / 64;
    uint64_t *described = arena_alloc(ev->arena, words, sizeof *described);
    join->speakers = arena_alloc(ev->arena, join->groups.count * steps + 1, sizeof(size_t));
    if (described == NULL || join->speakers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < join->groups.count * steps; i++)
        join->speakers[i] = NOBODY;
    for (size_t i = 0; i < base->count; i++)
        for (size_t word = 0; word < words; word++)
            described[word] |= base->columns[i].present[word];
    for (size_t i = 0; i < join->infos.count; i++) {
        const struct column *info = &join->infos.columns[i];
        size_t *speakers = join->speakers + join->group_of[i] * steps;
        int error = evaluation_tick_steps(ev, steps);
        if (error != 0)
            return error;
        for (size_t step = 0; step < steps; step++) {
            if (!column_has(info, step) || (described[step / 64] >> (step % 64) & 1) == 0)
                continue;
            double other = speakers[step] == NOBODY
                               ? -1e300
                               : join->infos.columns[speakers[step]].values[step];
            if (other == info->values[step])
                return complain_twins(join, speakers[step], i, other);
            if (other < info->values[step])
                speakers[step] = i;
        }
    }
    return 0;
}

static int group_infos(struct join *join, const struct value *base)
{
    struct evaluation *ev = join->ev;
    int error = label_index_init(ev, 4, &join->names);
    if (error == 0)
        error = label_index_init(ev, join->infos.count, &join->groups);
    join->group_of = arena_alloc(ev->arena, join->infos.count + 1, sizeof(size_t));
    if (error == 0 && join->group_of == NULL)
        error = ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < join->infos.count; i++) {
        const struct labels *labels = join->infos.columns[i].labels;
        struct bytes name = labels_get_text(labels, LABEL_NAME);
        const struct labels *key;
        size_t number;
        error = signature(join, name, NULL, &key);
        if (error == 0)
            error = label_index_add(ev, &join->names, key, &number);
        if (error == 0)
            error = signature(join, name, labels, &key);
        if (error == 0)
            error = label_index_add(ev, &join->groups, key, &join->group_of[i]);
    }
    if (error != 0)
        return error;
    join->choice = arena_alloc(ev->arena, join->names.count + 1, sizeof(size_t));
    join->chosen = arena_alloc(ev->arena, join->names.count + 1, sizeof(size_t));
    if (join->choice == NULL || join->chosen == NULL)
        return ERR_NOMEM;
    return find_speakers(join, base);
}

static bool is_wanted(const struct join *join, struct bytes label)
{
    if (!join->limits_labels)
        return true;
    for (size_t i = 0; i < join->matcher_count; i++)
        if (bytes_equal(join->matchers[i]->name, label))
            return true;
    return false;
}

/* What one info adds to the base labels, behind the pairs there are. */
static int add_pairs(struct join *join, const struct labels *base, const struct labels *info,
                     struct label *pairs, size_t *count)
{
    size_t before = *count;
    for (size_t i = 0; i < info->count; i++) {
        const struct label *pair = &info->pairs[i];
        if (bytes_equal(pair->name, bytes_of(LABEL_NAME)) || !is_wanted(join, pair->name) ||
            labels_get(base, pair->name).size > 0)
            continue;
        size_t n = 0;
        while (n < before && !bytes_equal(pairs[n].name, pair->name))
            n++;
        if (n < before && !bytes_equal(pairs[n].value, pair->value))
            return diagnose(join->ev->why, ERR_INVALID, "conflicting label: %.*s",
                            (int)pair->name.size, (const char *)pair->name.data);
        if (n == before)
            pairs[(*count)++] = *pair;
    }
    return 0;
}

/* The base labels with what the chosen infos add; *ret_labels is NULL where nobody speaks and a
 * matcher demands that somebody does. */
static int enrich(struct join *join, const struct labels *base,
                  const struct labels **ret_labels)
{
    struct evaluation *ev = join->ev;
    size_t most = 0;
    size_t count = 0;
    bool any = false;
    int error = 0;

    for (size_t n = 0; n < join->names.count; n++)
        if (join->choice[n] != NOBODY)
            most += join->infos.columns[join->choice[n]].labels->count;
    struct label *pairs = arena_alloc(ev->arena, most + 1, sizeof *pairs);
    if (pairs == NULL)
        return ERR_NOMEM;
    for (size_t n = 0; error == 0 && n < join->names.count; n++) {
        if (join->choice[n] == NOBODY)
            continue;
        any = true;
        error =
            add_pairs(join, base, join->infos.columns[join->choice[n]].labels, pairs, &count);
    }
    *ret_labels = NULL;
    for (size_t i = 0; error == 0 && !any && i < join->matcher_count; i++)
        if (!is_name_matcher(join->matchers[i]) && !matcher_matches_empty(join->matchers[i]))
            return 0;
    if (error != 0)
        return error;
    labels_builder_reset(&ev->builder, base);
    for (size_t i = 0; i < count; i++)
        labels_builder_set(&ev->builder, pairs[i].name, pairs[i].value);
    return labels_builder_build(&ev->builder, ev->arena, ret_labels);
}

static int out_column(struct join *join, const struct column *base, const struct labels *labels,
                      size_t first, size_t *ret_number)
{
    for (size_t i = first; i < join->out_count; i++)
        if (labels_equal(join->out[i].labels, labels)) {
            *ret_number = i;
            return 0;
        }
    if (join->out_count == join->out_capacity) {
        size_t capacity = join->out_capacity * 2 + 8;
        struct column *grown = arena_alloc(join->ev->arena, capacity, sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        if (join->out_count > 0)
            memcpy(grown, join->out, join->out_count * sizeof *grown);
        join->out = grown;
        join->out_capacity = capacity;
    }
    int error = column_init(join->ev, join->grid, &join->out[join->out_count]);
    join->out[join->out_count].labels = labels;
    join->out[join->out_count].drop_name = base->drop_name;
    *ret_number = join->out_count;
    join->out_count += error == 0;
    return error;
}

static int describe(struct join *join, const struct column *base)
{
    struct evaluation *ev = join->ev;
    size_t steps = join->grid->count;
    size_t *groups = arena_alloc(ev->arena, join->names.count + 1, sizeof *groups);
    size_t first = join->out_count;
    size_t out = NOBODY;
    bool known = false; /* is `out` what the choice before leads to? */
    int error = groups == NULL ? ERR_NOMEM : 0;

    for (size_t n = 0; error == 0 && n < join->names.count; n++) {
        const struct labels *key;
        error = signature(join, labels_get_text(join->names.keys[n], LABEL_NAME), base->labels,
                          &key);
        groups[n] = error == 0 ? label_index_find(&join->groups, key) : NOBODY;
    }
    for (size_t step = 0; error == 0 && step < steps; step++) {
        if (!column_has(base, step))
            continue;
        for (size_t n = 0; n < join->names.count; n++)
            join->choice[n] =
                groups[n] == NOBODY ? NOBODY : join->speakers[groups[n] * steps + step];
        size_t bytes = join->names.count * sizeof *join->choice;
        if (!known || memcmp(join->choice, join->chosen, bytes) != 0) {
            const struct labels *labels = NULL;
            error = enrich(join, base->labels, &labels);
            out = NOBODY;
            if (error == 0 && labels != NULL)
                error = out_column(join, base, labels, first, &out);
            memcpy(join->chosen, join->choice, bytes);
            known = true;
        }
        if (error == 0 && out != NOBODY)
            column_set(&join->out[out], step, base->values[step]);
    }
    return error;
}

WHOLE_FUNCTION(info)
{
    const struct node *selector = call->first->next;
    struct join join = {.ev = ev, .grid = grid};
    struct value base = {0};

    if (selector != NULL) {
        join.matchers = node_unwrap(selector)->matchers;
        join.matcher_count = node_unwrap(selector)->matcher_count;
    }
    for (size_t i = 0; i < join.matcher_count; i++)
        join.limits_labels = join.limits_labels || !is_name_matcher(join.matchers[i]);
    int error = imply_name(&join);
    if (error == 0)
        error = evaluate(ev, call->first, grid, &base);
    if (error == 0)
        error = fetch_infos(&join, call, &base);
    if (error == 0)
        error = group_infos(&join, &base);
    for (size_t i = 0; error == 0 && i < base.count; i++) {
        const struct column *column = &base.columns[i];
        size_t out;
        if (!is_info(&join, column->labels)) {
            error = describe(&join, column);
            continue;
        }
        error = out_column(&join, column, column->labels, join.out_count, &out);
        for (size_t step = 0; error == 0 && step < grid->count; step++)
            if (column_has(column, step))
                column_set(&join.out[out], step, column->values[step]);
    }
    matcher_free(join.name);
    *ret_value =
        (struct value){.type = PROMQL_VECTOR, .columns = join.out, .count = join.out_count};
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}
