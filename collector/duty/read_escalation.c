/*
 * read_escalation.c - escalations: steps of targets, repeated until somebody acknowledges.
 *
 *     escalations:
 *     - name: default
 *       steps:
 *       - {notify: [{roster: primary}]}
 *       - {wait: 10m, notify: [{roster: secondary}, {manager: true}], channels: [sms]}
 *       - {wait: 20m, notify: [{team: leads}], ways: all}
 *       repeat: 30m
 *       repeat_from: 2          # the first step is 1
 */
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"

#define ROWS(table)  (table), sizeof(table) / sizeof *(table)
#define CHANNELS_MAX ((size_t)32)
#define DAY_MS       CIVIL_DAY_MS

struct written_escalation {
    const char *name;
    const struct config_node *steps;
    int64_t repeat_ms, repeat_from;
};

static const struct config_option escalation_rows[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_escalation, name),
     .required = true},
    {.key = "steps",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_escalation, steps),
     .required = true},
    {.key = "repeat",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct written_escalation, repeat_ms),
     .fallback = "30m",
     .min = 1000,
     .max = DAY_MS},
    {.key = "repeat_from",
     .type = CONFIG_INTEGER,
     .offset = offsetof(struct written_escalation, repeat_from),
     .fallback = "1",
     .min = 1,
     .max = (int64_t)DUTY_STEPS_MAX},
};

struct written_step {
    int64_t wait_ms;
    const struct config_node *notify;
    struct config_strings channels;
    const char *ways;
};

static const char *const ways_choices[] = {"first", "all", NULL};

static const struct config_option step_rows[] = {
    {.key = "wait",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct written_step, wait_ms),
     .fallback = "0s",
     .min = 0,
     .max = 7 * DAY_MS},
    {.key = "notify",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_step, notify),
     .required = true},
    {.key = "channels",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct written_step, channels)},
    {.key = "ways",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_step, ways),
     .fallback = "first",
     .choices = ways_choices},
};

struct written_target {
    const char *person, *roster, *team;
    bool manager;
};

static const struct config_option target_rows[] = {
    {.key = "person", .type = CONFIG_STRING, .offset = offsetof(struct written_target, person)},
    {.key = "roster", .type = CONFIG_STRING, .offset = offsetof(struct written_target, roster)},
    {.key = "team", .type = CONFIG_STRING, .offset = offsetof(struct written_target, team)},
    {.key = "manager", .type = CONFIG_BOOL, .offset = offsetof(struct written_target, manager)},
};

static int find_roster(struct duty *duty, const struct config_node *node, const char *name,
                       struct diagnosis *why)
{
    const char *names[DUTY_ROSTERS_MAX];
    if (duty_has_roster(duty, name))
        return 0;
    for (size_t i = 0; i < duty->roster_count; i++)
        names[i] = duty->rosters[i].name;
    return duty_complain_unknown(duty, node, "roster", name, names, duty->roster_count, why);
}

static int find_team(struct duty *duty, const struct config_node *node, const char *name,
                     struct diagnosis *why)
{
    const char *names[DUTY_TEAMS_MAX];
    const struct duty_team *team = duty_team(duty, name);
    if (team != NULL && team->member_count == 0)
        return config_complain(duty->config, node, why, "team \"%s\" has no members", name);
    if (team != NULL)
        return 0;
    for (size_t i = 0; i < duty->team_count; i++)
        names[i] = duty->teams[i].name;
    return duty_complain_unknown(duty, node, "team", name, names, duty->team_count, why);
}

static int read_target(struct duty *duty, const struct config_node *node, bool is_first_step,
                       struct duty_target *target, struct diagnosis *why)
{
    struct written_target written = {0};
    const struct duty_person *person;
    int error = config_read(duty->config, node, "notify", ROWS(target_rows), &written, why);
    if (error != 0)
        return error;
    if (node->count != 1 || (config_child(node, "manager") != NULL && !written.manager))
        return config_complain(duty->config, node, why,
                               "notify: each entry is one of {person: ID}, {roster: NAME}, "
                               "{team: NAME} and {manager: true}");
    const struct config_node *at = node->children[0];
    if (written.person != NULL) {
        *target = (struct duty_target){DUTY_PERSON, written.person};
        return duty_read_person_id(duty, at, "notify.person", written.person, &person, why);
    }
    if (written.roster != NULL) {
        *target = (struct duty_target){DUTY_ROSTER, written.roster};
        return find_roster(duty, at, written.roster, why);
    }
    if (written.team != NULL) {
        *target = (struct duty_target){DUTY_TEAM, written.team};
        return find_team(duty, at, written.team, why);
    }
    *target = (struct duty_target){DUTY_MANAGER, NULL};
    if (is_first_step)
        return config_complain(duty->config, at, why,
                               "notify.manager: before the first step nobody has been told");
    return 0;
}

static int read_step(struct duty *duty, const struct config_node *node, bool is_first_step,
                     struct duty_step *step, struct diagnosis *why)
{
    struct written_step written = {0};
    size_t count;
    int error = config_read(duty->config, node, "steps", ROWS(step_rows), &written, why);
    if (error == 0)
        error = duty_read_list(duty, written.notify, "notify", DUTY_TARGETS_MAX, &count, why);
    if (error != 0)
        return error;
    if (count == 0)
        return config_complain(duty->config, node, why, "notify: the step tells nobody");
    if (written.channels.count > CHANNELS_MAX)
        return config_complain(duty->config, config_child(node, "channels"), why,
                               "channels: more than %zu", CHANNELS_MAX);
    struct duty_target *targets = config_alloc(duty->config, count, sizeof *targets);
    if (targets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_target(duty, written.notify->children[i], is_first_step, &targets[i], why);
    for (size_t i = 0; error == 0 && i < written.channels.count; i++)
        error = duty_mention(duty, config_child(node, "channels"), written.channels.items[i]);
    *step = (struct duty_step){written.wait_ms,
                               targets,
                               count,
                               written.channels.items,
                               written.channels.count,
                               strcmp(written.ways, "all") == 0};
    return error;
}

static int read_escalation(struct duty *duty, const struct config_node *node,
                           struct diagnosis *why)
{
    struct written_escalation written = {0};
    size_t count;
    int error =
        config_read(duty->config, node, "escalations", ROWS(escalation_rows), &written, why);
    if (error == 0)
        error = duty_check_name(duty, config_child(node, "name"), "escalations.name",
                                written.name, why);
    if (error == 0 && duty_escalation(duty, written.name) != NULL)
        error = config_complain(duty->config, node, why, "escalation \"%s\" is there twice",
                                written.name);
    if (error == 0)
        error = duty_read_list(duty, written.steps, "steps", DUTY_STEPS_MAX, &count, why);
    if (error != 0)
        return error;
    if (count == 0 || written.repeat_from > (int64_t)count)
        return config_complain(
            duty->config, count == 0 ? node : config_child(node, "repeat_from"), why,
            count == 0 ? "steps: escalation %s has none" : "repeat_from: %s has no such step",
            written.name);
    struct duty_step *steps = config_alloc(duty->config, count, sizeof *steps);
    if (steps == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_step(duty, written.steps->children[i], i == 0, &steps[i], why);
    if (error == 0)
        duty->escalations[duty->escalation_count++] = (struct duty_escalation){
            written.name, steps, count, written.repeat_ms, (size_t)(written.repeat_from - 1)};
    return error;
}

int duty_read_escalations(struct duty *duty, const struct config_node *node,
                          struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "escalations", DUTY_ESCALATIONS_MAX, &count, why);
    if (error != 0)
        return error;
    duty->escalations = config_alloc(duty->config, count + 1, sizeof *duty->escalations);
    if (duty->escalations == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_escalation(duty, node->children[i], why);
    return error;
}
