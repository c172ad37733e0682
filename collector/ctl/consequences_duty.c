/*
 * consequences_duty.c - who would be on duty, before and after.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/consequences.h"
#include "proto/base/error.h"

#define DUTY_ARENA_BYTES ((size_t)256 << 20)

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* ---- both sides in one form -------------------------------------------------------------- */

/* Somebody is on duty in [from, to). */
struct turn {
    int64_t from_ms, to_ms;
    const char *id, *name;
};

struct turns {
    struct turn *items; /* owned */
    size_t count;
};

static int read_running(const json_t *roster, struct turns *ret_turns)
{
    const json_t *shifts = json_object_get(roster, "shifts");
    struct turns turns = {calloc(json_array_size(shifts) + 1, sizeof *turns.items), 0};
    size_t i;
    json_t *shift;
    if (turns.items == NULL)
        return ERR_NOMEM;
    json_array_foreach(shifts, i, shift)
    {
        const json_t *person = json_object_get(shift, "person");
        if (json_is_object(person))
            turns.items[turns.count++] =
                (struct turn){number(shift, "fromMs"), number(shift, "toMs"),
                              member(person, "id"), member(person, "name")};
    }
    *ret_turns = turns;
    return 0;
}

/* The swaps that people made go on: they are no part of the file. */
static int read_swaps(const json_t *swaps, struct arena *arena,
                      struct duty_overrides *ret_overrides)
{
    struct duty_override *items =
        arena_alloc(arena, json_array_size(swaps) + 1, sizeof *items);
    size_t i;
    json_t *swap;
    if (items == NULL)
        return ERR_NOMEM;
    json_array_foreach(swaps, i, swap)
    {
        const char *instead_of = member(swap, "insteadOf");
        items[i] = (struct duty_override){
            .number = (uint64_t)number(swap, "number"),
            .roster = member(swap, "roster"), .person_id = member(swap, "person"),
            .instead_of = *instead_of == '\0' ? NULL : instead_of,
            .from_ms = number(swap, "fromMs"), .to_ms = number(swap, "toMs"),
            .at_ms = number(swap, "atMs"), .by = member(swap, "by"),
            .reason = member(swap, "reason")};
    }
    *ret_overrides = (struct duty_overrides){items, json_array_size(swaps)};
    return 0;
}

static int read_offered(const struct duty *duty, const char *roster,
                        const struct duty_overrides *overrides, int64_t from_ms, int64_t to_ms,
                        struct arena *arena, struct turns *ret_turns)
{
    struct duty_shift *shifts;
    struct turns turns = {0};
    size_t count;
    int error = duty_shifts(duty, roster, overrides, from_ms, to_ms, arena, &shifts, &count);

    if (error != 0)
        return error;
    turns.items = calloc(count + 1, sizeof *turns.items);
    if (turns.items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (shifts[i].person != NULL)
            turns.items[turns.count++] =
                (struct turn){shifts[i].from_ms, shifts[i].to_ms, shifts[i].person->id,
                              shifts[i].person->name};
    *ret_turns = turns;
    return 0;
}

/* ---- the comparison ---------------------------------------------------------------------- */

static int compare_times(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a == *b ? 0 : *a < *b ? -1 : 1;
}

static bool has_person(const json_t *persons, const char *id)
{
    size_t i;
    json_t *person;
    json_array_foreach(persons, i, person)
    {
        if (strcmp(member(person, "id"), id) == 0)
            return true;
    }
    return false;
}

/* Who is on duty at a time, each once, by id. */
static json_t *present(const struct turns *turns, int64_t at_ms)
{
    json_t *persons = json_array();
    for (size_t i = 0; i < turns->count; i++) {
        const struct turn *turn = &turns->items[i];
        size_t place = json_array_size(persons);
        if (at_ms < turn->from_ms || at_ms >= turn->to_ms || has_person(persons, turn->id))
            continue;
        while (place > 0 &&
               strcmp(member(json_array_get(persons, place - 1), "id"), turn->id) > 0)
            place--;
        json_array_insert_new(persons, place,
                              json_pack("{s:s, s:s}", "id", turn->id, "name", turn->name));
    }
    return persons;
}

/* By id: another name is the same person. */
static bool are_the_same(const json_t *before, const json_t *after)
{
    size_t i;
    json_t *person;
    json_array_foreach(before, i, person)
    {
        if (!has_person(after, member(person, "id")))
            return false;
    }
    return json_array_size(before) == json_array_size(after);
}

/* Adds a stretch of one roster, or makes the last one longer. */
static void add_stretch(json_t *rows, const json_t *head, int64_t from_ms, int64_t to_ms,
                        json_t *before, json_t *after)
{
    json_t *last = json_array_size(rows) == 0
                       ? NULL
                       : json_array_get(rows, json_array_size(rows) - 1);
    json_t *row;
    if (last != NULL && strcmp(member(last, "roster"), member(head, "roster")) == 0 &&
        number(last, "toMs") == from_ms &&
        json_equal(json_object_get(last, "before"), before) != 0 &&
        json_equal(json_object_get(last, "after"), after) != 0) {
        json_object_set_new(last, "toMs", json_integer(to_ms));
        return;
    }
    row = json_copy((json_t *)(uintptr_t)head);
    json_object_set_new(row, "fromMs", json_integer(from_ms));
    json_object_set_new(row, "toMs", json_integer(to_ms));
    json_object_set(row, "before", before);
    json_object_set(row, "after", after);
    json_array_append_new(rows, row);
}

static int compare(json_t *rows, const json_t *head, const struct turns *before,
                   const struct turns *after, int64_t from_ms, int64_t to_ms)
{
    const struct turns *const sides[] = {before, after};
    int64_t *times = calloc(2 * (before->count + after->count) + 2, sizeof *times);
    size_t count = 0;

    if (times == NULL)
        return ERR_NOMEM;
    times[count++] = from_ms;
    times[count++] = to_ms;
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side]->count; i++) {
            times[count++] = sides[side]->items[i].from_ms;
            times[count++] = sides[side]->items[i].to_ms;
        }
    qsort(times, count, sizeof *times, compare_times);
    for (size_t i = 0; i + 1 < count; i++) {
        json_t *old, *fresh;
        if (times[i] == times[i + 1] || times[i] < from_ms || times[i + 1] > to_ms)
            continue;
        old = present(before, times[i]);
        fresh = present(after, times[i]);
        if (!are_the_same(old, fresh))
            add_stretch(rows, head, times[i], times[i + 1], old, fresh);
        json_decref(old);
        json_decref(fresh);
    }
    free(times);
    return 0;
}

static const json_t *find_roster(const json_t *rosters, const char *name)
{
    size_t i;
    json_t *roster;
    json_array_foreach(rosters, i, roster)
    {
        if (strcmp(member(roster, "name"), name) == 0)
            return roster;
    }
    return NULL;
}

struct comparison {
    const json_t *running; /* rosters */
    const struct duty *offered;
    struct duty_overrides swaps;
    int64_t from_ms, to_ms;
    struct arena arena;
    json_t *rows;
};

static int compare_roster(struct comparison *all, const char *name)
{
    const json_t *running = find_roster(all->running, name);
    const bool is_offered = all->offered != NULL && duty_has_roster(all->offered, name);
    struct turns before = {0}, after = {0};
    json_t *head = NULL;
    int error = read_running(running, &before);

    if (error == 0 && is_offered)
        error = read_offered(all->offered, name, &all->swaps, all->from_ms, all->to_ms,
                             &all->arena, &after);
    if (error == 0) {
        head = json_pack("{s:s, s:s, s:I, s:s}", "roster", name, "title",
                         is_offered ? duty_roster_title(all->offered, name)
                                    : member(running, "title"),
                         "offsetMs",
                         is_offered
                             ? (json_int_t)duty_roster_zone(all->offered, name)->offset_ms
                             : (json_int_t)number(running, "offsetMs"),
                         "becomes",
                         running == NULL ? "added" : is_offered ? "changed" : "removed");
        error = head == NULL ? ERR_NOMEM
                             : compare(all->rows, head, &before, &after, all->from_ms,
                                       all->to_ms);
    }
    json_decref(head);
    free(before.items);
    free(after.items);
    arena_reset(&all->arena);
    return error;
}

json_t *consequences_of_duty(const json_t *running, const json_t *swaps,
                             const struct duty *offered, int64_t from_ms, int64_t to_ms)
{
    struct comparison all = {.running = json_object_get(running, "rosters"),
                             .offered = offered, .from_ms = from_ms, .to_ms = to_ms,
                             .rows = json_array()};
    struct arena kept;
    size_t i;
    json_t *roster;
    int error;

    arena_init(&kept, DUTY_ARENA_BYTES);
    arena_init(&all.arena, DUTY_ARENA_BYTES);
    error = read_swaps(swaps, &kept, &all.swaps);
    json_array_foreach(all.running, i, roster)
    {
        if (error == 0)
            error = compare_roster(&all, member(roster, "name"));
    }
    for (i = 0; error == 0 && offered != NULL && duty_roster_at(offered, i) != NULL; i++)
        if (find_roster(all.running, duty_roster_at(offered, i)) == NULL)
            error = compare_roster(&all, duty_roster_at(offered, i));
    arena_reset(&all.arena);
    arena_reset(&kept);
    if (error == 0)
        return all.rows;
    json_decref(all.rows);
    return NULL;
}
