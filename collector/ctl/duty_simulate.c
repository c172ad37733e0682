/* duty_simulate.c - see duty_simulate.h. */
#include "collector/ctl/duty_simulate.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector/ctl/persons.h"
#include "collector/ctl/values.h"
#include "proto/base/clock.h"

#define PATH       "/api/fengsui/v1/duty/simulate"
#define LABELS_MAX 60

static void print_list(const char *head, const json_t *texts)
{
    if (json_array_size(texts) == 0)
        return;
    printf("  %s", head);
    for (size_t i = 0; i < json_array_size(texts); i++)
        printf("%s%s", i == 0 ? "" : ", ", json_string_value(json_array_get(texts, i)));
    printf("\n");
}

static void print_route(const struct ctl *ctl, const json_t *route)
{
    struct values values = {.next = 0};
    printf(SAY(ctl, "receiver %s, group %s, first message %s\n",
               "接收者 %s，分组 %s，首条通知 %s\n"),
           value_text(&values, route, "receiver"), value_text(&values, route, "groupKey"),
           value_instant(&values, route, "firstMessageAt"));
    print_list(SAY(ctl, "nobody is told: muted by ", "不通知任何人：处于时段 "),
               json_object_get(route, "mutedBy"));
    print_list(SAY(ctl, "channels: ", "通道："), json_object_get(route, "channels"));
    if (json_array_size(json_object_get(route, "steps")) > 0)
        steps_print(ctl, json_object_get(route, "steps"));
}

static void print_all(const struct ctl *ctl, const json_t *data)
{
    size_t index;
    json_t *route;
    print_list(SAY(ctl, "nobody is told: silenced by ", "不通知任何人：已静默 "),
               json_object_get(data, "silencedBy"));
    json_array_foreach(json_object_get(data, "routes"), index, route)
    {
        if (index > 0)
            printf("\n");
        print_route(ctl, route);
    }
}

int duty_simulate(const struct ctl *ctl, const char *alert, const char *at, char **labels,
                  int label_count)
{
    struct parameter parameters[LABELS_MAX + 2] = {{"alert", alert}};
    char *time = at == NULL ? NULL : args_time(at, clock_unix_ms(&clock_system));
    json_t *data = NULL;
    int code;

    if (alert == NULL || label_count > LABELS_MAX) {
        fprintf(stderr, "%s\n",
                alert != NULL ? SAY(ctl, "fengsuictl: too many labels", "fengsuictl：标签太多")
                              : SAY(ctl, "fengsuictl: which alert?  --alert NAME",
                                    "fengsuictl：哪个告警？请给出 --alert 名称"));
        free(time);
        return EXIT_USAGE;
    }
    parameters[1] = (struct parameter){"at", time};
    for (int i = 0; i < label_count; i++)
        parameters[2 + i] = (struct parameter){"label", labels[i]};
    code = client_get(ctl, PATH, parameters, 2 + (size_t)label_count, &data);
    free(time);
    if (data != NULL)
        print_all(ctl, data);
    json_decref(data);
    return code;
}
