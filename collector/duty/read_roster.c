/*
 * read_roster.c - rosters: layers of rotations, and overrides.
 *
 *     rosters:
 *     - name: primary
 *       layers:
 *       - rotation: ["1001", ["1002", "1003"]]     # a list in the list: on duty together
 *         start: 2026-11-02
 *         handover: "08:30"
 *         length: 1w
 *         restrict: [{days: workday}]
 *       overrides:
 *       - {from: 2026-12-31 08:30, to: 2027-01-01 08:30, person: "1003"}
 */
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define ROWS(table) (table), sizeof(table) / sizeof *(table)
#define HOUR_MS     (60 * CIVIL_MINUTE_MS)

struct written_roster {
    const char *name, *title;
    const struct config_node *time_zone, *layers, *overrides, *cover;
};

static const struct config_option roster_rows[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_roster, name),
     .required = true},
    {.key = "title", .type = CONFIG_STRING, .offset = offsetof(struct written_roster, title)},
    {.key = "time_zone",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_roster, time_zone)},
    {.key = "layers",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_roster, layers),
     .required = true},
    {.key = "overrides",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_roster, overrides)},
    {.key = "cover", .type = CONFIG_NODE, .offset = offsetof(struct written_roster, cover)},
};

struct written_layer {
    const char *name, *start, *until, *handover, *length;
    const struct config_node *rotation, *when;
    bool skip;
};

static const struct config_option layer_rows[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct written_layer, name)},
    {.key = "rotation",
     .type = CONFIG_NODE,
     .offset = offsetof(struct written_layer, rotation),
     .required = true},
    {.key = "start",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_layer, start),
     .required = true},
    {.key = "until", .type = CONFIG_STRING, .offset = offsetof(struct written_layer, until)},
    {.key = "handover",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_layer, handover),
     .fallback = "00:00"},
    {.key = "length", .type = CONFIG_STRING, .offset = offsetof(struct written_layer, length)},
    {.key = "skip",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct written_layer, skip),
     .fallback = "false"},
    {.key = "restrict", .type = CONFIG_NODE, .offset = offsetof(struct written_layer, when)},
};

struct written_fixed {
    const char *from, *to, *person, *instead_of, *reason;
};

static const struct config_option fixed_rows[] = {
    {.key = "from",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_fixed, from),
     .required = true},
    {.key = "to",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_fixed, to),
     .required = true},
    {.key = "person",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_fixed, person),
     .required = true},
    {.key = "instead_of",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_fixed, instead_of)},
    {.key = "reason", .type = CONFIG_STRING, .offset = offsetof(struct written_fixed, reason)},
};

/* ---- layers ------------------------------------------------------------------------------ */

static int read_group(struct duty *duty, const struct config_node *node,
                      struct duty_group *group, struct diagnosis *why)
{
    const bool is_one = node->kind == CONFIG_SCALAR;
    const size_t count = is_one ? 1 : node->count;
    int error = 0;
    if (node->kind == CONFIG_MAP || count == 0 || count > DUTY_GROUP_MAX)
        return config_complain(duty->config, node, why,
                               "rotation: expected a person's id, or a list of 1 to %zu ids",
                               DUTY_GROUP_MAX);
    group->persons = config_alloc(duty->config, count, sizeof *group->persons);
    if (group->persons == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++) {
        const struct config_node *at = is_one ? node : node->children[i];
        error =
            duty_read_person_id(duty, at, "rotation", at->kind == CONFIG_SCALAR ? at->text : "",
                                &group->persons[i], why);
    }
    group->count = count;
    return error;
}

static int read_rotation(struct duty *duty, const struct config_node *node,
                         struct duty_layer *layer, struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "rotation", DUTY_GROUPS_MAX, &count, why);
    if (error != 0)
        return error;
    if (count == 0)
        return config_complain(duty->config, node, why, "rotation: there is nobody in it");
    struct duty_group *groups = config_alloc(duty->config, count, sizeof *groups);
    if (groups == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_group(duty, node->children[i], &groups[i], why);
    layer->groups = groups;
    layer->group_count = count;
    return error;
}

static int read_length(struct duty *duty, const struct config_node *node,
                       const struct written_layer *written, struct duty_layer *layer,
                       struct diagnosis *why)
{
    const struct config_node *at = config_child(node, "length");
    struct civil start;

    layer->skips_days = written->skip;
    civil_read(layer->start_day * CIVIL_DAY_MS, &start);
    if (written->length == NULL && layer->group_count == 1 && !written->skip)
        return 0;
    if (written->length == NULL)
        return config_complain(duty->config, node, why,
                               "length is missing: how long a turn lasts (1d, 1w, 12h, month)");
    if (strcmp(written->length, "month") == 0) {
        layer->is_monthly = true;
        if (start.day > 28 || written->skip)
            return config_complain(duty->config, at, why,
                                   written->skip ? "length: month does not go with skip"
                                                 : "length: months begin on a day up to the "
                                                   "28th, see start");
        return 0;
    }
    if (duration_parse(written->length, &layer->length_ms) != 0 || layer->length_ms < HOUR_MS ||
        layer->length_ms > 366 * CIVIL_DAY_MS || layer->length_ms % CIVIL_MINUTE_MS != 0)
        return config_complain(duty->config, at, why,
                               "length: \"%s\" is neither month nor whole minutes from 1h to "
                               "366d, such as 12h, 1d or 1w",
                               written->length);
    if (written->skip && layer->length_ms % CIVIL_DAY_MS != 0)
        return config_complain(duty->config, at, why,
                               "length: with skip it is of whole days, not %s",
                               written->length);
    return 0;
}

static int read_times(struct duty *duty, const struct config_node *node,
                      const struct written_layer *written, struct duty_layer *layer,
                      struct diagnosis *why)
{
    const char *start = written->start, *handover = written->handover;
    const int64_t first = civil_days(1990, 1, 1), last = DUTY_TIME_MAX_MS / CIVIL_DAY_MS;
    if (!civil_parse_date(&start, &layer->start_day) || *start != '\0' ||
        layer->start_day < first || layer->start_day >= last)
        return config_complain(duty->config, config_child(node, "start"), why,
                               "start: \"%s\" is not a date from 1990 on such as 2026-11-02",
                               written->start);
    if (!civil_parse_minute(&handover, &layer->handover) || *handover != '\0' ||
        layer->handover == CIVIL_DAY_MINUTE)
        return config_complain(duty->config, config_child(node, "handover"), why,
                               "handover: \"%s\" is not a time such as 08:30",
                               written->handover);
    layer->until_ms = INT64_MAX;
    if (written->until == NULL)
        return 0;
    if (!civil_parse_moment(written->until, true, &layer->until_ms))
        return config_complain(duty->config, config_child(node, "until"), why,
                               "until: \"%s\" is not a date such as 2026-12-31, or with a time "
                               "such as 2026-12-31 08:30",
                               written->until);
    if (layer->until_ms <= layer->start_day * CIVIL_DAY_MS + layer->handover * CIVIL_MINUTE_MS)
        return config_complain(duty->config, config_child(node, "until"), why,
                               "until: the layer ends before it starts");
    return 0;
}

static int read_layer(struct duty *duty, const struct config_node *node,
                      struct duty_layer *layer, struct diagnosis *why)
{
    struct written_layer written = {0};
    int error = config_read(duty->config, node, "layers", ROWS(layer_rows), &written, why);
    if (error != 0)
        return error;
    layer->name = written.name != NULL ? written.name : "";
    if (strcmp(layer->name, DUTY_LAYER_OVERRIDE) == 0)
        return config_complain(duty->config, config_child(node, "name"), why,
                               "layers.name: \"%s\" is what overrides are called",
                               DUTY_LAYER_OVERRIDE);
    error = read_rotation(duty, written.rotation, layer, why);
    if (error == 0)
        error = read_times(duty, node, &written, layer, why);
    if (error == 0)
        error = read_length(duty, node, &written, layer, why);
    if (error == 0)
        error = duty_read_when(duty, written.when, "restrict", &layer->when, why);
    if (error == 0 && layer->skips_days)
        error = duty_count_days(duty, layer);
    return error;
}

static int read_layers(struct duty *duty, const struct config_node *node,
                       struct duty_roster *roster, struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "layers", DUTY_LAYERS_MAX, &count, why);
    if (error != 0)
        return error;
    if (count == 0)
        return config_complain(duty->config, node, why, "layers: roster %s has none",
                               roster->name);
    struct duty_layer *layers = config_alloc(duty->config, count, sizeof *layers);
    if (layers == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_layer(duty, node->children[i], &layers[i], why);
    roster->layers = layers;
    roster->layer_count = count;
    return error;
}

/* ---- overrides --------------------------------------------------------------------------- */

static int read_fixed(struct duty *duty, const struct config_node *node,
                      struct duty_fixed *fixed, struct diagnosis *why)
{
    struct written_fixed written = {0};
    int error = config_read(duty->config, node, "overrides", ROWS(fixed_rows), &written, why);
    if (error != 0)
        return error;
    if (!civil_parse_moment(written.from, false, &fixed->from_ms) ||
        !civil_parse_moment(written.to, true, &fixed->to_ms) || fixed->from_ms >= fixed->to_ms)
        return config_complain(duty->config, node, why,
                               "overrides: from and to are dates, or dates and times such as "
                               "2026-12-31 08:30, from before to");
    error = duty_read_person_id(duty, config_child(node, "person"), "overrides.person",
                                written.person, &fixed->person, why);
    if (error == 0 && written.instead_of != NULL)
        error =
            duty_read_person_id(duty, config_child(node, "instead_of"), "overrides.instead_of",
                                written.instead_of, &fixed->instead_of, why);
    return error;
}

static int read_overrides(struct duty *duty, const struct config_node *node,
                          struct duty_roster *roster, struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "overrides", DUTY_OVERRIDES_MAX, &count, why);
    if (error != 0)
        return error;
    struct duty_fixed *fixed = config_alloc(duty->config, count + 1, sizeof *fixed);
    if (fixed == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_fixed(duty, node->children[i], &fixed[i], why);
    roster->fixed = fixed;
    roster->fixed_count = count;
    return error;
}

/* ---- rosters ----------------------------------------------------------------------------- */

static int read_cover(struct duty *duty, const struct config_node *node,
                      struct duty_roster *roster, struct diagnosis *why)
{
    if (node == NULL || node->kind != CONFIG_SCALAR)
        return duty_read_when(duty, node, "cover", &roster->cover, why);
    roster->cover_none = strcmp(node->text, "none") == 0;
    if (roster->cover_none || strcmp(node->text, "always") == 0)
        return 0;
    return config_complain(duty->config, node, why,
                           "cover: expected always, none, or entries such as {days: workday, "
                           "hours: [\"08:30-17:30\"]}");
}

static int read_roster(struct duty *duty, const struct config_node *node, struct diagnosis *why)
{
    struct written_roster written = {0};
    struct duty_roster roster = {.line = node->line};
    int error = config_read(duty->config, node, "rosters", ROWS(roster_rows), &written, why);
    if (error == 0)
        error = duty_check_name(duty, config_child(node, "name"), "rosters.name", written.name,
                                why);
    if (error == 0 && duty_has_roster(duty, written.name))
        error = config_complain(duty->config, node, why, "roster \"%s\" is there twice",
                                written.name);
    if (error != 0)
        return error;
    roster.name = written.name;
    roster.title = written.title != NULL ? written.title : written.name;
    error = duty_read_zone(duty, written.time_zone, &duty->zone, &roster.zone, why);
    if (error == 0)
        error = read_layers(duty, written.layers, &roster, why);
    if (error == 0)
        error = read_overrides(duty, written.overrides, &roster, why);
    if (error == 0)
        error = read_cover(duty, written.cover, &roster, why);
    if (error == 0)
        duty->rosters[duty->roster_count++] = roster;
    return error;
}

int duty_read_rosters(struct duty *duty, const struct config_node *node, struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "rosters", DUTY_ROSTERS_MAX, &count, why);
    if (error != 0)
        return error;
    duty->rosters = config_alloc(duty->config, count + 1, sizeof *duty->rosters);
    if (duty->rosters == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_roster(duty, node->children[i], why);
    return error;
}
