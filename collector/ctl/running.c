/* running.c - see running.h. */
#include "collector/ctl/running.h"

#include <stdio.h>

int running_alerting(const struct ctl *ctl, struct alerting **ret_alerting)
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
    if (text == NULL || alerting_parse(SAY(ctl, "configuration in force", "运行中的配置"),
                                       bytes_of(text), NULL, ret_alerting, &why) != 0) {
        fprintf(stderr, "fengsuictl: %s: %s\n", ctl->url,
                text == NULL ? SAY(ctl, "no configuration in its status", "状态中没有配置")
                             : why.text);
        code = EXIT_FAILED;
    }
    json_decref(status);
    return code;
}
