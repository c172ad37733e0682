/*
 * forecast.c - see forecast.h.
 */
#include "collector/incident/forecast.h"

#include <string.h>

#include "proto/base/error.h"

struct people {
    const struct duty_person **items;
    size_t count, room;
};

static void add(struct people *people, const struct duty_person *person)
{
    for (size_t i = 0; i < people->count; i++)
        if (people->items[i] == person)
            return;
    if (people->count < people->room)
        people->items[people->count++] = person;
}

static int resolve(const struct duty *duty, const struct duty_overrides *overrides,
                   struct people *told, struct arena *arena, struct forecast_step *step)
{
    const struct duty_person *found[DUTY_RESOLVED_MAX];
    struct people here = {
        arena_alloc(arena, DUTY_RESOLVED_MAX, sizeof(const struct duty_person *)), 0,
        DUTY_RESOLVED_MAX};

    if (here.items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < step->what->target_count; i++) {
        const size_t count =
            duty_resolve(duty, overrides, &step->what->targets[i], step->at_ms,
                         (const struct duty_person *const *)told->items, told->count, found);
        for (size_t j = 0; j < count; j++)
            add(&here, found[j]);
    }
    for (size_t i = 0; i < here.count; i++)
        add(told, here.items[i]);
    step->persons = here.items;
    step->person_count = here.count;
    return 0;
}

int forecast_make(const struct duty *duty, const struct duty_overrides *overrides,
                  const struct duty_escalation *escalation, const struct forecast_start *start,
                  size_t most, struct arena *arena, struct forecast_step **ret_steps,
                  size_t *ret_count)
{
    const size_t room = start->told_count + most * DUTY_RESOLVED_MAX;
    struct people told = {arena_alloc(arena, room + 1, sizeof(const struct duty_person *)), 0,
                          room};
    struct forecast_step *steps = arena_alloc(arena, most + 1, sizeof *steps);
    int64_t at_ms = start->at_ms;
    size_t count = 0;
    int error = told.items == NULL || steps == NULL ? ERR_NOMEM : 0;

    for (size_t i = 0; error == 0 && i < start->told_count; i++)
        add(&told, start->told[i]);
    for (; error == 0 && count < most && escalation->step_count > 0; count++) {
        const uint32_t number = start->step + (uint32_t)count;
        const bool nobody_before = count > 0 && steps[count - 1].person_count == 0;
        /* incident_next_step(): who reaches nobody does not keep the next one waiting */
        if (count > 0 && !(nobody_before && number < escalation->step_count))
            at_ms += incident_wait_ms(escalation, number);
        steps[count] = (struct forecast_step){
            .step = number, .at_ms = at_ms, .what = incident_step(escalation, number)};
        error = resolve(duty, overrides, &told, arena, &steps[count]);
    }
    *ret_steps = steps;
    *ret_count = count;
    return error;
}

static bool is_named(const struct duty_step *what, const char *channel)
{
    for (size_t i = 0; i < what->channel_count; i++)
        if (strcmp(what->channels[i], channel) == 0)
            return true;
    return false;
}

bool forecast_uses_way(const struct duty_step *what, const struct duty_person *person,
                       size_t way)
{
    if (what->all_ways || is_named(what, person->ways[way].channel))
        return true;
    for (size_t i = 0; i < person->way_count; i++)
        if (is_named(what, person->ways[i].channel))
            return false;
    return way == 0;
}
