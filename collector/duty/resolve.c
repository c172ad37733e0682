/*
 * resolve.c - whom a step of an escalation means at a moment.
 */
#include <string.h>

#include "collector/duty/duty_parts.h"

struct found {
    const struct duty_person **persons;
    size_t count;
};

static void put(struct found *found, const struct duty_person *person)
{
    if (person == NULL || found->count == DUTY_RESOLVED_MAX)
        return;
    for (size_t i = 0; i < found->count; i++)
        if (found->persons[i] == person)
            return;
    found->persons[found->count++] = person;
}

static void put_roster(struct found *found, const struct duty *duty, const char *name,
                       const struct duty_overrides *overrides, int64_t at_ms)
{
    const struct duty_roster *roster = duty_roster(duty, name);
    struct duty_present all[DUTY_GROUP_MAX];
    int64_t until_ms = INT64_MAX;

    if (roster == NULL || at_ms < 0 || at_ms > DUTY_TIME_MAX_MS)
        return;
    size_t count = duty_present_at(duty, roster, overrides, at_ms, all, &until_ms);
    for (size_t i = 0; i < count; i++)
        put(found, all[i].person);
}

static bool is_member(const struct duty_team *team, const struct duty_person *person)
{
    for (size_t i = 0; i < team->member_count; i++)
        if (team->members[i] == person)
            return true;
    return false;
}

/* One's own manager; without one, those of one's teams. */
static void put_manager(struct found *found, const struct duty *duty,
                        const struct duty_person *person)
{
    if (person->manager_id != NULL) {
        put(found, duty_person(duty, person->manager_id));
        return;
    }
    for (size_t i = 0; i < duty->team_count; i++)
        if (duty->teams[i].manager != person && is_member(&duty->teams[i], person))
            put(found, duty->teams[i].manager);
}

size_t duty_resolve(const struct duty *duty, const struct duty_overrides *overrides,
                    const struct duty_target *target, int64_t at_ms,
                    const struct duty_person *const *told, size_t told_count,
                    const struct duty_person **ret_persons)
{
    struct found found = {ret_persons, 0};
    const struct duty_team *team;

    switch (target->kind) {
    case DUTY_PERSON:
        put(&found, duty_person(duty, target->name));
        break;
    case DUTY_ROSTER:
        put_roster(&found, duty, target->name, overrides, at_ms);
        break;
    case DUTY_TEAM:
        team = duty_team(duty, target->name);
        for (size_t i = 0; team != NULL && i < team->member_count; i++)
            put(&found, team->members[i]);
        break;
    case DUTY_MANAGER:
        for (size_t i = 0; i < told_count; i++)
            put_manager(&found, duty, told[i]);
        break;
    }
    return found.count;
}
