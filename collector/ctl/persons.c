/* persons.c - see persons.h. */
#include "collector/ctl/persons.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

/* Two may bear one name: the post and the number say which. */
char *person_text(const json_t *person)
{
    const char *id = json_string_value(json_object_get(person, "id"));
    const char *name = json_string_value(json_object_get(person, "name"));
    const char *post = json_string_value(json_object_get(person, "post"));
    char *text = NULL;

    if (id == NULL)
        return NULL;
    if (name == NULL)
        return strdup(id);
    if (asprintf(&text, "%s（%s%s%s）", name, post == NULL ? "" : post,
                 post == NULL || *post == '\0' ? "" : "，", id) < 0)
        return NULL;
    return text;
}

static bool is_there_before(const json_t *persons, size_t index)
{
    const char *id = json_string_value(json_object_get(json_array_get(persons, index), "id"));
    for (size_t i = 0; i < index; i++) {
        const char *at = json_string_value(json_object_get(json_array_get(persons, i), "id"));
        if (id != NULL && at != NULL && strcmp(at, id) == 0)
            return true;
    }
    return false;
}

char *persons_text(const json_t *persons)
{
    char *text = strdup("");
    for (size_t i = 0; text != NULL && i < json_array_size(persons); i++) {
        char *one, *longer = NULL;
        if (is_there_before(persons, i))
            continue;
        one = person_text(json_array_get(persons, i));
        if (one == NULL ||
            asprintf(&longer, "%s%s%s", text, *text == '\0' ? "" : "、", one) < 0)
            longer = NULL;
        free(one);
        free(text);
        text = longer;
    }
    return text;
}

/* "roster primary, manager" */
static char *targets_text(const struct ctl *ctl, const json_t *targets)
{
    char *text = strdup("");
    size_t index;
    json_t *target;
    json_array_foreach(targets, index, target)
    {
        const char *kind = json_object_iter_key(json_object_iter(target));
        const char *name = kind == NULL ? NULL
                                        : json_string_value(json_object_get(target, kind));
        char *longer = NULL;
        if (kind != NULL && ctl->chinese)
            kind = strcmp(kind, "person") == 0   ? "人员"
                   : strcmp(kind, "roster") == 0 ? "值班表"
                   : strcmp(kind, "team") == 0   ? "班组"
                                                 : "主管";
        if (text == NULL || asprintf(&longer, "%s%s%s%s%s", text, index > 0 ? ", " : "",
                                     kind == NULL ? "" : kind,
                                     name == NULL || *name == '\0' ? "" : " ",
                                     name == NULL ? "" : name) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static char *channels_text(const json_t *persons)
{
    char *text = strdup("");
    for (size_t i = 0; text != NULL && i < json_array_size(persons); i++) {
        const json_t *channels = json_object_get(json_array_get(persons, i), "channels");
        for (size_t j = 0; text != NULL && j < json_array_size(channels); j++) {
            const char *channel = json_string_value(json_array_get(channels, j));
            char *longer = NULL;
            if (channel == NULL || strstr(text, channel) != NULL)
                continue;
            if (asprintf(&longer, "%s%s%s", text, *text == '\0' ? "" : ", ", channel) < 0)
                longer = NULL;
            free(text);
            text = longer;
        }
    }
    return text;
}

void steps_print(const struct ctl *ctl, const json_t *steps)
{
    struct table table;
    struct values values = {.next = 0};
    size_t index;
    json_t *step;

    table_init(&table, 5);
    table_row(&table,
              (const char *[]){SAY(ctl, "STEP", "步骤"), SAY(ctl, "TIME", "时间"),
                               SAY(ctl, "WHOM", "对象"), SAY(ctl, "WHO THAT IS", "届时是谁"),
                               SAY(ctl, "BY", "方式")});
    json_array_foreach(steps, index, step)
    {
        const json_t *persons = json_object_get(step, "persons");
        char *targets = targets_text(ctl, json_object_get(step, "targets"));
        char *who = persons_text(persons), *by = channels_text(persons);
        table_row(&table, (const char *[]){value_text(&values, step, "step"),
                                           value_instant(&values, step, "at"),
                                           targets == NULL ? "" : targets,
                                           who == NULL || *who == '\0'
                                               ? SAY(ctl, "nobody!", "无人！")
                                               : who,
                                           by == NULL ? "" : by});
        free(targets);
        free(who);
        free(by);
    }
    table_print(&table);
}
