/*
 * duty.c - duty.yml as a whole: loading, sharing, finding things by name; see duty.h.
 */
#include "collector/duty/duty.h"

#include <stdlib.h>
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/error.h"

struct root {
    const char *holidays;
    const struct config_node *time_zone, *persons, *teams, *rosters, *escalations;
};

static const struct config_option root_rows[] = {
    {.key = "time_zone", .type = CONFIG_NODE, .offset = offsetof(struct root, time_zone)},
    {.key = "holidays", .type = CONFIG_FILE, .offset = offsetof(struct root, holidays)},
    {.key = "persons", .type = CONFIG_NODE, .offset = offsetof(struct root, persons)},
    {.key = "teams", .type = CONFIG_NODE, .offset = offsetof(struct root, teams)},
    {.key = "rosters", .type = CONFIG_NODE, .offset = offsetof(struct root, rosters)},
    {.key = "escalations", .type = CONFIG_NODE, .offset = offsetof(struct root, escalations)},
};

/* ---- loading ----------------------------------------------------------------------------- */

static int load_calendar(struct duty *duty, struct diagnosis *why)
{
    struct diagnosis reason = {0};
    const struct config_node *node = config_child(config_root(duty->config), "holidays");
    if (duty->holidays == NULL)
        return calendar_new(&duty->calendar);
    int error = calendar_load(duty->holidays, &duty->calendar, &reason);
    if (error == 0 || error == ERR_NOMEM)
        return error;
    return config_complain(duty->config, node, why, "holidays: %s", reason.text);
}

static int read_root(struct duty *duty, struct diagnosis *why)
{
    static const struct civil_zone beijing = {"Asia/Shanghai", 8 * 60 * CIVIL_MINUTE_MS, false};
    struct root root = {0};
    int error = config_read(duty->config, config_root(duty->config), "", root_rows,
                            sizeof root_rows / sizeof *root_rows, &root, why);
    duty->holidays = root.holidays;
    if (error == 0)
        error = duty_read_zone(duty, root.time_zone, &beijing, &duty->zone, why);
    if (error == 0)
        error = load_calendar(duty, why);
    if (error == 0)
        error =
            duty_read_people(duty, &(struct duty_people_nodes){root.persons, root.teams}, why);
    if (error == 0)
        error = duty_read_rosters(duty, root.rosters, why);
    if (error == 0)
        error = duty_read_escalations(duty, root.escalations, why);
    return error;
}

static void duty_free(struct duty *duty)
{
    calendar_unref(duty->calendar);
    config_free(duty->config);
    free(duty);
}

/* Takes the document over. */
static int read_document(struct config *config, struct duty **ret_duty, struct diagnosis *why)
{
    struct duty *duty = calloc(1, sizeof *duty);
    if (duty == NULL) {
        config_free(config);
        return diagnose(why, ERR_NOMEM, "out of memory");
    }
    duty->config = config;
    atomic_init(&duty->references, 1);
    int error = read_root(duty, why);
    if (error != 0) {
        (void)diagnose(why, error, "%s: %s", config_name(config), error_text(error));
        duty_free(duty);
        return error;
    }
    *ret_duty = duty;
    return 0;
}

int duty_load(const char *path, struct duty **ret_duty, struct diagnosis *why)
{
    struct config *config;
    int error = config_load(path, &config, why);
    return error == 0 ? read_document(config, ret_duty, why) : error;
}

int duty_parse(const char *name, struct bytes text, struct duty **ret_duty,
               struct diagnosis *why)
{
    struct config *config;
    int error = config_parse(name, text, &config, why);
    return error == 0 ? read_document(config, ret_duty, why) : error;
}

struct duty *duty_ref(struct duty *duty)
{
    if (duty != NULL)
        (void)atomic_fetch_add(&duty->references, 1);
    return duty;
}

void duty_unref(struct duty *duty)
{
    if (duty != NULL && atomic_fetch_sub(&duty->references, 1) == 1)
        duty_free(duty);
}

/* ---- finding ----------------------------------------------------------------------------- */

const char *duty_holiday_folder(const struct duty *duty)
{
    return duty->holidays;
}

const struct civil_zone *duty_zone(const struct duty *duty)
{
    return &duty->zone;
}

const struct calendar *duty_calendar(const struct duty *duty)
{
    return duty->calendar;
}

const struct duty_person *duty_person_at(const struct duty *duty, size_t index)
{
    return index < duty->person_count ? &duty->persons[index] : NULL;
}

const struct duty_team *duty_team_at(const struct duty *duty, size_t index)
{
    return index < duty->team_count ? &duty->teams[index] : NULL;
}

const struct duty_escalation *duty_escalation_at(const struct duty *duty, size_t index)
{
    return index < duty->escalation_count ? &duty->escalations[index] : NULL;
}

const char *duty_roster_at(const struct duty *duty, size_t index)
{
    return index < duty->roster_count ? duty->rosters[index].name : NULL;
}

static int by_id(const void *key, const void *item)
{
    const struct duty_person *const *person = item;
    return strcmp(key, (*person)->id);
}

const struct duty_person *duty_person(const struct duty *duty, const char *id)
{
    const struct duty_person **found =
        duty->person_count == 0
            ? NULL
            : bsearch(id, duty->by_id, duty->person_count, sizeof(struct duty_person *), by_id);
    return found == NULL ? NULL : *found;
}

const struct duty_team *duty_team(const struct duty *duty, const char *name)
{
    for (size_t i = 0; i < duty->team_count; i++)
        if (strcmp(duty->teams[i].name, name) == 0)
            return &duty->teams[i];
    return NULL;
}

const struct duty_escalation *duty_escalation(const struct duty *duty, const char *name)
{
    for (size_t i = 0; i < duty->escalation_count; i++)
        if (strcmp(duty->escalations[i].name, name) == 0)
            return &duty->escalations[i];
    return NULL;
}

const struct duty_roster *duty_roster(const struct duty *duty, const char *name)
{
    for (size_t i = 0; i < duty->roster_count; i++)
        if (strcmp(duty->rosters[i].name, name) == 0)
            return &duty->rosters[i];
    return NULL;
}

bool duty_has_roster(const struct duty *duty, const char *name)
{
    return duty_roster(duty, name) != NULL;
}

const char *duty_roster_title(const struct duty *duty, const char *name)
{
    const struct duty_roster *roster = duty_roster(duty, name);
    return roster == NULL ? NULL : roster->title;
}

const struct civil_zone *duty_roster_zone(const struct duty *duty, const char *name)
{
    const struct duty_roster *roster = duty_roster(duty, name);
    return roster == NULL ? NULL : &roster->zone;
}
