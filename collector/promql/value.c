/*
 * value.c - columns: making, naming, merging.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/eval.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define STEPS_A_TICK 256 /* about as much work as the rest of a tick */
#define TICKS_A_LOOK 128 /* at the clock */

int evaluation_tick_steps(struct evaluation *ev, size_t steps)
{
    size_t ticks = 1 + steps / STEPS_A_TICK;
    if (ev->query->cancelled != NULL && __atomic_load_n(ev->query->cancelled, __ATOMIC_RELAXED))
        return ERR_CANCELLED;
    if (ticks < ev->ticks_left) {
        ev->ticks_left -= ticks;
        return 0;
    }
    ev->ticks_left = TICKS_A_LOOK;
    if (ev->query->deadline_mono_ns != 0 &&
        clock_mono(&clock_system) >= (mono_ns)ev->query->deadline_mono_ns)
        return ERR_TIMEOUT;
    return 0;
}

int evaluation_tick(struct evaluation *ev)
{
    return evaluation_tick_steps(ev, 0);
}

int evaluation_charge(struct evaluation *ev, size_t samples)
{
    if (samples > ev->budget->samples_left) {
        ev->budget->samples_left = 0;
        return ERR_LIMIT;
    }
    ev->budget->samples_left -= samples;
    return 0;
}

/* Is it the query's own grid, or a part of it that is the same at every step? */
static bool is_own_grid(const struct evaluation *ev, const struct grid *grid)
{
    return grid->start_ms == ev->grid.start_ms && grid->step_ms == ev->grid.step_ms &&
           grid->count <= ev->grid.count;
}

void evaluation_look(struct evaluation *ev, const struct grid *grid, size_t step,
                     size_t samples)
{
    if (!is_own_grid(ev, grid))
        return;
    ev->looked_at += samples;
    if (ev->looked_at_by_step != NULL)
        ev->looked_at_by_step[step] += samples;
}

void evaluation_look_column(struct evaluation *ev, const struct grid *grid,
                            const struct column *column)
{
    if (!is_own_grid(ev, grid))
        return;
    for (size_t step = 0; ev->looked_at_by_step != NULL && step < grid->count; step++)
        ev->looked_at_by_step[step] += column_has(column, step);
    for (size_t word = 0; word < (grid->count + 63) / 64; word++)
        ev->looked_at += (size_t)__builtin_popcountll(column->present[word]);
}

void annotate(struct evaluation *ev, const struct node *node, bool warning, const char *format,
              ...)
{
    struct annotations *notes = &ev->notes;
    const char **texts = warning ? notes->warnings : notes->infos;
    size_t *count = warning ? &notes->warning_count : &notes->info_count;
    char text[640];
    unsigned line = 1;
    unsigned column = 1;
    va_list arguments;

    int size = snprintf(text, sizeof text, "PromQL %s: ", warning ? "warning" : "info");
    va_start(arguments, format);
    size += vsnprintf(text + size, sizeof text - (size_t)size - 32, format, arguments);
    va_end(arguments);
    size = size > (int)sizeof text - 33 ? (int)sizeof text - 33 : size;
    for (size_t i = 0; i < node->at && ev->expression->text[i] != '\0'; i++) {
        column++;
        if (ev->expression->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    size += snprintf(text + size, sizeof text - (size_t)size, " (%u:%u)", line, column);
    for (size_t i = 0; i < *count; i++)
        if (strcmp(texts[i], text) == 0)
            return;
    char *copy = *count < ANNOTATIONS_MAX ? arena_alloc(ev->arena, (size_t)size + 1, 1) : NULL;
    if (copy != NULL) /* a note too many, or no memory for it, is no reason to fail */
        texts[(*count)++] = memcpy(copy, text, (size_t)size + 1);
}

int column_init(struct evaluation *ev, const struct grid *grid, struct column *ret_column)
{
    int error = evaluation_tick_steps(ev, grid->count);
    if (error != 0)
        return error;
    double *values = arena_alloc(ev->arena, grid->count, sizeof *values);
    uint64_t *present = arena_alloc(ev->arena, (grid->count + 63) / 64, sizeof *present);
    if (values == NULL || present == NULL)
        return ERR_NOMEM;
    *ret_column = (struct column){.values = values, .present = present};
    return 0;
}

bool column_any(const struct column *column, const struct grid *grid)
{
    for (size_t word = 0; word < (grid->count + 63) / 64; word++)
        if (column->present[word] != 0)
            return true;
    return false;
}

int value_columns(struct evaluation *ev, size_t count, struct value *ret_value)
{
    *ret_value = (struct value){.type = PROMQL_VECTOR};
    ret_value->columns = arena_alloc(ev->arena, count + 1, sizeof *ret_value->columns);
    return ret_value->columns == NULL ? ERR_NOMEM : 0;
}

/* What says what a metric is; the name is the first. */
static const char *const identity_labels[] = {LABEL_NAME, "__type__", "__unit__"};

static size_t identity_count(const struct evaluation *ev)
{
    return ev->options->experimental ? sizeof identity_labels / sizeof *identity_labels : 1;
}

bool label_goes_with_name(const struct evaluation *ev, struct bytes name)
{
    for (size_t i = 0; i < identity_count(ev); i++)
        if (bytes_equal(name, bytes_of(identity_labels[i])))
            return true;
    return false;
}

void builder_drop_name(struct evaluation *ev)
{
    for (size_t i = 0; i < identity_count(ev); i++)
        labels_builder_delete(&ev->builder, bytes_of(identity_labels[i]));
}

int labels_without_name(struct evaluation *ev, const struct labels *labels,
                        const struct labels **ret_labels)
{
    bool has_any = false;
    for (size_t i = 0; i < identity_count(ev); i++)
        has_any = has_any || labels_get_text(labels, identity_labels[i]).size > 0;
    if (!has_any) {
        *ret_labels = labels;
        return 0;
    }
    labels_builder_reset(&ev->builder, labels);
    builder_drop_name(ev);
    return labels_builder_build(&ev->builder, ev->arena, ret_labels);
}

int column_drop_name(struct evaluation *ev, struct column *column)
{
    if (ev->options->delayed_name_removal) {
        column->drop_name = true;
        return 0;
    }
    return labels_without_name(ev, column->labels, &column->labels);
}

static int merge_into(struct evaluation *ev, const struct grid *grid, struct column *to,
                      const struct column *from)
{
    for (size_t word = 0; word < (grid->count + 63) / 64; word++)
        if ((to->present[word] & from->present[word]) != 0)
            return diagnose(ev->why, ERR_INVALID,
                            "vector cannot contain metrics with the same labelset");
    for (size_t step = 0; step < grid->count; step++)
        if (column_has(from, step))
            column_set(to, step, from->values[step]);
    return 0;
}

int value_merge(struct evaluation *ev, const struct grid *grid, struct value *value)
{
    struct label_index index;
    size_t kept = 0;
    int error = label_index_init(ev, value->count, &index);

    for (size_t i = 0; error == 0 && i < value->count; i++) {
        size_t number;
        error = label_index_add(ev, &index, value->columns[i].labels, &number);
        if (error != 0)
            break;
        if (number == kept) {
            value->columns[kept++] = value->columns[i];
        } else {
            error = merge_into(ev, grid, &value->columns[number], &value->columns[i]);
            value->columns[number].drop_name =
                value->columns[number].drop_name && value->columns[i].drop_name;
        }
    }
    value->count = kept;
    return error;
}

int value_distinct(struct evaluation *ev, const struct value *value)
{
    struct label_index index;
    int error = label_index_init(ev, value->count, &index);
    for (size_t i = 0; error == 0 && i < value->count; i++) {
        size_t number;
        error = label_index_add(ev, &index, value->columns[i].labels, &number);
        if (error == 0 && number != i)
            error = diagnose(ev->why, ERR_INVALID,
                             "vector cannot contain metrics with the same labelset");
    }
    return error;
}

int value_finish_names(struct evaluation *ev, const struct grid *grid, struct value *value)
{
    bool any = false;
    for (size_t i = 0; i < value->count; i++) {
        struct column *column = &value->columns[i];
        if (!column->drop_name)
            continue;
        int error = labels_without_name(ev, column->labels, &column->labels);
        if (error != 0)
            return error;
        column->drop_name = false;
        any = true;
    }
    return any ? value_merge(ev, grid, value) : 0;
}

int value_broadcast(struct evaluation *ev, const struct grid *grid, struct value *value)
{
    if (value->type == PROMQL_SCALAR) {
        double *scalars = arena_alloc(ev->arena, grid->count, sizeof *scalars);
        if (scalars == NULL)
            return ERR_NOMEM;
        for (size_t step = 0; step < grid->count; step++)
            scalars[step] = value->scalars[0];
        value->scalars = scalars;
        return 0;
    }
    for (size_t i = 0; i < value->count; i++) {
        struct column wide;
        int error = column_init(ev, grid, &wide);
        if (error != 0)
            return error;
        wide.labels = value->columns[i].labels;
        wide.drop_name = value->columns[i].drop_name;
        for (size_t step = 0; column_has(&value->columns[i], 0) && step < grid->count; step++)
            column_set(&wide, step, value->columns[i].values[0]);
        value->columns[i] = wide;
    }
    return 0;
}

int label_index_init(struct evaluation *ev, size_t expected, struct label_index *ret_index)
{
    *ret_index =
        (struct label_index){.capacity = expected < 8 ? 8 : expected, .slot_count = 16};
    while (ret_index->slot_count < ret_index->capacity * 2)
        ret_index->slot_count *= 2;
    ret_index->keys = arena_alloc(ev->arena, ret_index->capacity, sizeof *ret_index->keys);
    ret_index->slots = arena_alloc(ev->arena, ret_index->slot_count, sizeof *ret_index->slots);
    return ret_index->keys == NULL || ret_index->slots == NULL ? ERR_NOMEM : 0;
}

/* The slot of the labels, or the free one where they belong. */
static size_t find_slot(const struct label_index *index, const struct labels *labels)
{
    size_t slot = (size_t)labels->hash & (index->slot_count - 1);
    while (index->slots[slot] != 0 &&
           !labels_equal(index->keys[index->slots[slot] - 1], labels))
        slot = (slot + 1) & (index->slot_count - 1);
    return slot;
}

static int index_grow(struct evaluation *ev, struct label_index *index)
{
    struct label_index bigger;
    int error = label_index_init(ev, index->capacity * 2, &bigger);
    if (error != 0)
        return error;
    memcpy(bigger.keys, index->keys, index->count * sizeof *index->keys);
    bigger.count = index->count;
    for (size_t i = 0; i < bigger.count; i++)
        bigger.slots[find_slot(&bigger, bigger.keys[i])] = i + 1;
    *index = bigger;
    return 0;
}

int label_index_add(struct evaluation *ev, struct label_index *index,
                    const struct labels *labels, size_t *ret_number)
{
    size_t slot = find_slot(index, labels);
    if (index->slots[slot] == 0) {
        if (index->count == index->capacity) {
            int error = index_grow(ev, index);
            if (error != 0)
                return error;
            slot = find_slot(index, labels);
        }
        index->keys[index->count++] = labels;
        index->slots[slot] = index->count;
    }
    *ret_number = index->slots[slot] - 1;
    return 0;
}

size_t label_index_find(const struct label_index *index, const struct labels *labels)
{
    return index->slots[find_slot(index, labels)] - 1;
}
