/* running.c - see running.h. */
#include "collector/ctl/running.h"

#include <stdio.h>

#define CALENDAR_COMMENT "\n    # calendar: " /* as interval_print() hides it from Alertmanager */

/* A duty.yml of nothing but holidays, which is where intervals find their workdays: its persons
 * would want channels that this configuration does not show. */
static struct duty *only_holidays(const struct duty *calendar)
{
    const char *holidays = duty_holiday_folder(calendar);
    struct buf text = {0};
    struct diagnosis why = {0};
    struct duty *duty = NULL;

    buf_put_text(&text, holidays == NULL ? "persons: []\n" : "holidays: '");
    for (const char *at = holidays; at != NULL && *at != '\0'; at++)
        buf_printf(&text, *at == '\'' ? "''" : "%c", *at);
    buf_put_text(&text, holidays == NULL ? "" : "'\n");
    if (!buf_ok(&text) || duty_parse("holidays", buf_bytes(&text), &duty, &why) != 0)
        duty = NULL; /* the offered files were read, so that it is no news to anybody */
    buf_done(&text);
    return duty;
}

static void show_calendars(const char *text, struct buf *out)
{
    const char *found;
    while ((found = strstr(text, CALENDAR_COMMENT)) != NULL) {
        buf_put(out, text, (size_t)(found - text));
        buf_put_text(out, "\n    calendar: ");
        text = found + strlen(CALENDAR_COMMENT);
    }
    buf_put_text(out, text);
}

static int parse(const struct ctl *ctl, const char *text, const struct duty *calendar,
                 struct alerting **ret_alerting, struct diagnosis *why)
{
    struct duty *duty = calendar == NULL ? NULL : only_holidays(calendar);
    struct buf whole = {0};
    int error;

    if (duty != NULL)
        show_calendars(text, &whole);
    else
        buf_put_text(&whole, text);
    error = !buf_ok(&whole)
                ? -1
                : alerting_parse(SAY(ctl, "configuration in force", "运行中的配置"),
                                 buf_bytes(&whole), duty, ret_alerting, why);
    buf_done(&whole);
    duty_unref(duty);
    return error;
}

int running_alerting(const struct ctl *ctl, const struct duty *calendar,
                     struct alerting **ret_alerting)
{
    struct ctl quiet = *ctl;
    struct diagnosis why = {0};
    json_t *status = NULL;
    const char *text;
    int code;

    quiet.json = false;
    code = client_bare(&quiet, "GET", "/api/v2/status", NULL, 0, NULL, &status);
    if (code != EXIT_FINE)
        return code;
    text = json_string_value(json_object_get(json_object_get(status, "config"), "original"));
    if (text == NULL || parse(ctl, text, calendar, ret_alerting, &why) != 0) {
        fprintf(stderr, "fengsuictl: %s: %s\n", ctl->url,
                text == NULL ? SAY(ctl, "no configuration in its status", "状态中没有配置")
                             : why.text);
        code = EXIT_FAILED;
    }
    json_decref(status);
    return code;
}
