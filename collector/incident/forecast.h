/*
 * forecast.h - whom an escalation will tell, and when, if nobody acknowledges.
 *
 * Pure; any thread.
 */
#pragma once

#include "collector/incident/incident.h"

struct forecast_step {
    uint32_t step; /* counted over repetitions */
    int64_t at_ms;
    const struct duty_step *what;
    const struct duty_person **persons; /* as they are on duty then; none: nobody */
    size_t person_count;
};

struct forecast_start {
    uint32_t step;
    int64_t at_ms; /* when that step runs */
    const struct duty_person *const *told; /* before */
    size_t told_count;
};

/* The next `most` steps, in `arena`.  ERR_NOMEM. */
int forecast_make(const struct duty *duty, const struct duty_overrides *overrides,
                  const struct duty_escalation *escalation, const struct forecast_start *start,
                  size_t most, struct arena *arena, struct forecast_step **ret_steps,
                  size_t *ret_count);
/* Is this one of the ways by which `what` tells `person`?  (A person who has none of the channels
 * that are named is told by the first way.) */
bool forecast_uses_way(const struct duty_step *what, const struct duty_person *person,
                       size_t way);
