/* care_show.c - see care_show.h. */
#include "collector/ctl/care_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/ctl/client_parts.h"
#include "collector/ctl/progress.h"
#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

#define LOOK_NS 100000000L

static bool is_running(const json_t *data)
{
    const char *state = json_string_value(json_object_get(data, "state"));
    return state != NULL && strcmp(state, "running") == 0;
}

void care_tell_fault(const struct ctl *ctl, const char *file, const char *what)
{
    char *visible_file = text_visible(file);
    char *visible_what = text_visible(what);
    fprintf(stderr, SAY(ctl, "DAMAGED %s: %s\n", "损坏 %s：%s\n"),
            visible_file != NULL ? visible_file : "", visible_what != NULL ? visible_what : "");
    free(visible_file);
    free(visible_what);
}

void care_tell_found(const struct ctl *ctl, const json_t *data)
{
    size_t index;
    json_t *row;
    json_t *found = json_object_get(data, "found");
    int64_t faults = value_integer(data, "faults");
    json_array_foreach(found, index, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        const char *what = json_string_value(json_object_get(row, "what"));
        care_tell_fault(ctl, file != NULL ? file : "", what != NULL ? what : "");
    }
    if (faults > (int64_t)json_array_size(found))
        fprintf(stderr, SAY(ctl, "and %" PRId64 " more\n", "另有 %" PRId64 " 处\n"),
                faults - (int64_t)json_array_size(found));
}

void care_print_json(json_t *data)
{
    json_t *root = json_pack("{s:s, s:O}", "status", "success", "data", data);
    char *text = json_dumps(root, JSON_COMPACT);
    printf("%s\n", text != NULL ? text : "");
    free(text);
    json_decref(root);
}

int care_watch(const struct ctl *ctl, const char *path, json_t *body, const char *name,
               json_t **ret_data)
{
    struct ctl quiet = *ctl;
    struct progress progress;
    json_t *data = NULL;
    quiet.json = false; /* what is printed is how it ended */
    int code = client_post(&quiet, path, body, &data);
    if (code != EXIT_FINE)
        return code;
    progress_begin(&progress, ctl, name, (uint64_t)value_integer(data, "totalBytes"));
    while (code == EXIT_FINE && is_running(data)) {
        const struct timespec rest = {0, LOOK_NS};
        (void)nanosleep(&rest, NULL);
        json_decref(data);
        data = NULL;
        code = client_get(&quiet, path, NULL, 0, &data);
        progress.total_bytes = (uint64_t)value_integer(data, "totalBytes");
        if (code == EXIT_FINE)
            progress_show(&progress, (uint64_t)value_integer(data, "bytes"), 0);
    }
    progress_clear(&progress);
    if (code == EXIT_FINE)
        *ret_data = data;
    return code;
}
