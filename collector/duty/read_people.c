/*
 * read_people.c - persons, their ways and managers; teams.
 *
 *     persons:
 *     - {id: "1001", name: 值班员甲, post: 数据库管理员, team: db, manager: "1010",
 *        ways: [{channel: sms, to: "13800000000"}]}
 *     teams:
 *     - {name: db, title: 数据库组, manager: "1010", members: ["1002"]}
 *
 * References are by id.  Two may share a name, so a name is refused even where it is unique
 * today, and the refusal lists the ids that bear it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/duty/duty_parts.h"
#include "proto/base/config_memory.h"
#include "proto/base/error.h"

#define NAMES_NEAR ((size_t)1000) /* looked through for a misspelt one */

#define ROWS(table) (table), sizeof(table) / sizeof *(table)

struct written_person {
    const char *id, *name, *post, *manager, *team;
    const struct config_node *ways;
};

static const struct config_option person_rows[] = {
    {.key = "id",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_person, id),
     .required = true},
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_person, name),
     .required = true},
    {.key = "post",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_person, post),
     .fallback = ""},
    {.key = "manager",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_person, manager)},
    {.key = "team", .type = CONFIG_STRING, .offset = offsetof(struct written_person, team)},
    {.key = "ways", .type = CONFIG_NODE, .offset = offsetof(struct written_person, ways)},
};

struct written_way {
    const char *channel, *to;
};

static const struct config_option way_rows[] = {
    {.key = "channel",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_way, channel),
     .required = true},
    {.key = "to",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_way, to),
     .required = true},
};

struct written_team {
    const char *name, *title, *manager;
    const struct config_node *members;
};

static const struct config_option team_rows[] = {
    {.key = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct written_team, name),
     .required = true},
    {.key = "title", .type = CONFIG_STRING, .offset = offsetof(struct written_team, title)},
    {.key = "manager", .type = CONFIG_STRING, .offset = offsetof(struct written_team, manager)},
    {.key = "members", .type = CONFIG_NODE, .offset = offsetof(struct written_team, members)},
};

/* ---- what all readers use ---------------------------------------------------------------- */

int duty_read_list(struct duty *duty, const struct config_node *node, const char *where,
                   size_t max, size_t *ret_count, struct diagnosis *why)
{
    *ret_count = 0;
    if (node == NULL || (node->kind == CONFIG_SCALAR && node->text[0] == '\0'))
        return 0;
    if (node->kind != CONFIG_LIST || node->count > max)
        return config_complain(duty->config, node, why, "%s: expected a list of at most %zu",
                               where, max);
    *ret_count = node->count;
    return 0;
}

int duty_check_name(struct duty *duty, const struct config_node *node, const char *where,
                    const char *name, struct diagnosis *why)
{
    bool is_good = name[0] != '\0' && strlen(name) <= DUTY_NAME_BYTES_MAX;
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++)
        is_good = is_good && *at > ' ' && *at != 127 && *at != '/';
    if (is_good)
        return 0;
    return config_complain(duty->config, node, why,
                           "%s: \"%s\" is not 1 to %zu bytes without spaces and \"/\"", where,
                           name, DUTY_NAME_BYTES_MAX);
}

int duty_complain_unknown(struct duty *duty, const struct config_node *node, const char *what,
                          const char *wrong, const char *const *names, size_t count,
                          struct diagnosis *why)
{
    const char *near = nearest_name(wrong, names, count);
    return config_complain(duty->config, node, why, "there is no %s \"%s\"%s%s%s", what, wrong,
                           near == NULL ? "" : " (did you mean \"", near == NULL ? "" : near,
                           near == NULL ? "" : "\"?)");
}

int duty_mention(struct duty *duty, const struct config_node *node, const char *channel)
{
    struct duty_mention *mention = config_alloc(duty->config, 1, sizeof *mention);
    if (mention == NULL)
        return ERR_NOMEM;
    *mention = (struct duty_mention){duty->mentions, node, channel};
    duty->mentions = mention;
    return 0;
}

int duty_check_channels(const struct duty *duty, const char *const *channels, size_t count,
                        struct diagnosis *why)
{
    const struct duty_mention *first = NULL;
    for (const struct duty_mention *at = duty->mentions; at != NULL; at = at->next) {
        size_t i = 0;
        while (i < count && strcmp(channels[i], at->channel) != 0)
            i++;
        if (i == count)
            first = at; /* the list runs from the end of the file to its beginning */
    }
    if (first == NULL)
        return 0;
    const char *near = nearest_name(first->channel, channels, count);
    return config_complain(duty->config, first->node, why,
                           "there is no contact channel \"%s\" in alerting.yml%s%s%s",
                           first->channel, near == NULL ? "" : " (did you mean \"",
                           near == NULL ? "" : near, near == NULL ? "" : "\"?)");
}

/* A name instead of an id: "1001 (post), 1002 (post)". */
static size_t list_bearers(const struct duty *duty, const char *name, char *out, size_t size)
{
    size_t bearers = 0, used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < duty->person_count; i++) {
        const struct duty_person *person = &duty->persons[i];
        if (strcmp(person->name, name) != 0)
            continue;
        int put = snprintf(out + used, size - used, "%s\"%s\"%s%s%s", bearers == 0 ? "" : ", ",
                           person->id, person->post[0] == '\0' ? "" : " (", person->post,
                           person->post[0] == '\0' ? "" : ")");
        bearers++;
        if (put < 0 || (size_t)put >= size - used)
            break;
        used += (size_t)put;
    }
    return bearers;
}

int duty_read_person_id(struct duty *duty, const struct config_node *node, const char *where,
                        const char *text, const struct duty_person **ret_person,
                        struct diagnosis *why)
{
    const struct duty_person *found = duty_person(duty, text);
    const char *names[NAMES_NEAR];
    char bearers[300];
    size_t count = 0;

    if (found != NULL) {
        *ret_person = found;
        return 0;
    }
    size_t shared = list_bearers(duty, text, bearers, sizeof bearers);
    if (shared > 1)
        return config_complain(duty->config, node, why,
                               "%s: \"%s\" is the name of several persons; write the id: %s",
                               where, text, bearers);
    if (shared == 1)
        return config_complain(duty->config, node, why,
                               "%s: \"%s\" is a name; persons are referred to by id: %s", where,
                               text, bearers);
    for (; count < duty->person_count && count < NAMES_NEAR; count++)
        names[count] = duty->persons[count].id;
    return duty_complain_unknown(duty, node, "person with the id", text, names, count, why);
}

/* ---- persons ----------------------------------------------------------------------------- */

static int read_ways(struct duty *duty, const struct config_node *node,
                     struct duty_person *person, struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, node, "ways", DUTY_WAYS_MAX, &count, why);
    if (error != 0)
        return error;
    struct duty_way *ways = config_alloc(duty->config, count + 1, sizeof *ways);
    if (ways == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct config_node *at = node->children[i];
        struct written_way written = {0};
        error = config_read(duty->config, at, "ways", ROWS(way_rows), &written, why);
        if (error == 0)
            error = duty_check_name(duty, config_child(at, "channel"), "ways.channel",
                                    written.channel, why);
        if (error == 0 && written.to[0] == '\0')
            error = config_complain(duty->config, config_child(at, "to"), why,
                                    "ways.to: %s has no address here", person->id);
        if (error == 0)
            error = duty_mention(duty, config_child(at, "channel"), written.channel);
        if (error != 0)
            return error;
        ways[i] = (struct duty_way){written.channel, written.to};
    }
    person->ways = ways;
    person->way_count = count;
    return 0;
}

static int read_person(struct duty *duty, const struct config_node *node,
                       struct duty_person *person, struct diagnosis *why)
{
    struct written_person written = {0};
    int error = config_read(duty->config, node, "persons", ROWS(person_rows), &written, why);
    if (error == 0)
        error = duty_check_name(duty, config_child(node, "id"), "persons.id", written.id, why);
    if (error == 0 && written.name[0] == '\0')
        error = config_complain(duty->config, config_child(node, "name"), why,
                                "persons.name: %s has no name", written.id);
    *person = (struct duty_person){.id = written.id,
                                   .name = written.name,
                                   .post = written.post,
                                   .manager_id = written.manager};
    return error != 0 ? error : read_ways(duty, written.ways, person, why);
}

static int by_id(const void *a, const void *b)
{
    const struct duty_person *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static int sort_persons(struct duty *duty, const struct config_node *list,
                        struct diagnosis *why)
{
    duty->by_id = config_alloc(duty->config, duty->person_count + 1, sizeof *duty->by_id);
    if (duty->by_id == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < duty->person_count; i++)
        duty->by_id[i] = &duty->persons[i];
    if (duty->person_count > 0)
        qsort(duty->by_id, duty->person_count, sizeof *duty->by_id, by_id);
    for (size_t i = 1; i < duty->person_count; i++)
        if (strcmp(duty->by_id[i - 1]->id, duty->by_id[i]->id) == 0) {
            const struct duty_person *later =
                duty->by_id[i - 1] > duty->by_id[i] ? duty->by_id[i - 1] : duty->by_id[i];
            return config_complain(duty->config, list->children[later - duty->persons], why,
                                   "persons: the id \"%s\" is there twice", later->id);
        }
    return 0;
}

static int check_managers(struct duty *duty, const struct config_node *list,
                          struct diagnosis *why)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < duty->person_count; i++) {
        struct duty_person *person = &duty->persons[i];
        const struct config_node *node = config_child(list->children[i], "manager");
        const struct duty_person *manager;
        if (person->manager_id == NULL)
            continue;
        error = duty_read_person_id(duty, node, "persons.manager", person->manager_id, &manager,
                                    why);
        if (error == 0 && manager == person)
            error = config_complain(duty->config, node, why,
                                    "persons.manager: %s is their own manager", person->id);
    }
    return error;
}

static int read_persons(struct duty *duty, const struct config_node *list,
                        struct diagnosis *why)
{
    size_t count;
    int error = duty_read_list(duty, list, "persons", DUTY_PERSONS_MAX, &count, why);
    if (error != 0)
        return error;
    duty->persons = config_alloc(duty->config, count + 1, sizeof *duty->persons);
    if (duty->persons == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_person(duty, list->children[i], &duty->persons[i], why);
    if (error != 0)
        return error;
    duty->person_count = count;
    error = sort_persons(duty, list, why);
    return error != 0 ? error : check_managers(duty, list, why);
}

/* ---- teams ------------------------------------------------------------------------------- */

static bool is_among(const struct duty_person *const *members, size_t count,
                     const struct duty_person *person)
{
    for (size_t i = 0; i < count; i++)
        if (members[i] == person)
            return true;
    return false;
}

/* Those the team names, then those who name the team. */
static int read_members(struct duty *duty, const struct config_node *list,
                        const struct config_node *persons, struct duty_team *team,
                        struct diagnosis *why)
{
    size_t named, count = 0;
    int error = duty_read_list(duty, list, "teams.members", DUTY_RESOLVED_MAX, &named, why);
    if (error != 0)
        return error;
    const struct duty_person **members =
        config_alloc(duty->config, DUTY_RESOLVED_MAX, sizeof(struct duty_person *));
    if (members == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < named; i++) {
        const struct config_node *at = list->children[i];
        const char *text = at->kind == CONFIG_SCALAR ? at->text : "";
        error = duty_read_person_id(duty, at, "teams.members", text, &members[count], why);
        if (error != 0)
            return error;
        count += !is_among(members, count, members[count]);
    }
    for (size_t i = 0; i < duty->person_count; i++) {
        const struct config_node *node = config_child(persons->children[i], "team");
        if (node == NULL || strcmp(node->text, team->name) != 0 ||
            is_among(members, count, &duty->persons[i]))
            continue;
        if (count == DUTY_RESOLVED_MAX)
            return config_complain(duty->config, node, why, "team %s: more than %zu members",
                                   team->name, DUTY_RESOLVED_MAX);
        members[count++] = &duty->persons[i];
    }
    team->members = members;
    team->member_count = count;
    return 0;
}

static int read_team(struct duty *duty, const struct config_node *node,
                     const struct config_node *persons, struct diagnosis *why)
{
    struct written_team written = {0};
    struct duty_team team = {0};
    int error = config_read(duty->config, node, "teams", ROWS(team_rows), &written, why);
    if (error == 0)
        error =
            duty_check_name(duty, config_child(node, "name"), "teams.name", written.name, why);
    if (error == 0 && duty_team(duty, written.name) != NULL)
        error = config_complain(duty->config, node, why, "team \"%s\" is there twice",
                                written.name);
    team.name = written.name;
    team.title = written.title != NULL ? written.title : written.name;
    if (error == 0 && written.manager != NULL)
        error = duty_read_person_id(duty, config_child(node, "manager"), "teams.manager",
                                    written.manager, &team.manager, why);
    if (error == 0)
        error = read_members(duty, written.members, persons, &team, why);
    if (error == 0)
        duty->teams[duty->team_count++] = team;
    return error;
}

/* Whoever names a team names one that is there. */
static int check_teams(struct duty *duty, const struct config_node *persons,
                       struct diagnosis *why)
{
    const char *names[DUTY_TEAMS_MAX];
    for (size_t i = 0; i < duty->team_count; i++)
        names[i] = duty->teams[i].name;
    for (size_t i = 0; i < duty->person_count; i++) {
        const struct config_node *node = config_child(persons->children[i], "team");
        if (node != NULL && duty_team(duty, node->text) == NULL)
            return duty_complain_unknown(duty, node, "team", node->text, names,
                                         duty->team_count, why);
    }
    return 0;
}

int duty_read_people(struct duty *duty, const struct duty_people_nodes *nodes,
                     struct diagnosis *why)
{
    size_t count;
    int error = read_persons(duty, nodes->persons, why);
    if (error == 0)
        error = duty_read_list(duty, nodes->teams, "teams", DUTY_TEAMS_MAX, &count, why);
    if (error != 0)
        return error;
    duty->teams = config_alloc(duty->config, count + 1, sizeof *duty->teams);
    if (duty->teams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++)
        error = read_team(duty, nodes->teams->children[i], nodes->persons, why);
    return error != 0 ? error : check_teams(duty, nodes->persons, why);
}
