/*
 * recording_emitter.c - an emitter that remembers (recording_emitter.h).
 */
#include "tests/unit/recording_emitter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/config.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

struct recorded {
    char *name;    /* name{label="value",...} */
    size_t family; /* bytes of the name alone */
    char *help;
    enum metric_type type;
    double value;
    bool has_value, has_ended;
};

struct emitter {
    struct recorded *series;
    size_t count, capacity;
    size_t *slots; /* of a hash table: index + 1 */
    size_t slot_count;
    struct buf record;
    uint32_t record_kind;
};

struct emitter *recorder_new(void)
{
    struct emitter *out = calloc(1, sizeof(*out));
    must(out != NULL);
    return out;
}

void recorder_free(struct emitter *out)
{
    for (size_t i = 0; i < out->count; i++) {
        free(out->series[i].name);
        free(out->series[i].help);
    }
    free(out->series);
    free(out->slots);
    buf_done(&out->record);
    free(out);
}

void recorder_tick(struct emitter *out)
{
    for (size_t i = 0; i < out->count; i++)
        out->series[i].has_value = out->series[i].has_ended = false;
    buf_clear(&out->record);
    out->record_kind = 0;
}

static size_t slot_of(const struct emitter *out, const char *name)
{
    size_t hash = 1469598103934665603u;
    for (const char *at = name; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    size_t slot = hash & (out->slot_count - 1);
    while (out->slots[slot] != 0 && strcmp(out->series[out->slots[slot] - 1].name, name) != 0)
        slot = (slot + 1) & (out->slot_count - 1);
    return slot;
}

static void grow(struct emitter *out)
{
    if (out->count + 1 < out->capacity)
        return;
    out->capacity = out->capacity > 0 ? out->capacity * 2 : 256;
    out->series = realloc(out->series, out->capacity * sizeof(*out->series));
    free(out->slots);
    out->slot_count = out->capacity * 2;
    out->slots = calloc(out->slot_count, sizeof(*out->slots));
    must(out->series != NULL && out->slots != NULL);
    for (size_t i = 0; i < out->count; i++)
        out->slots[slot_of(out, out->series[i].name)] = i + 1;
}

static void put_escaped(struct buf *text, struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = (char)value.data[i];
        if (c == '"' || c == '\\')
            buf_put_char(text, '\\');
        if (c == '\n')
            buf_put_text(text, "\\n");
        else
            buf_put_char(text, c);
    }
}

series_handle emitter_series(struct emitter *out, const struct metric *metric,
                             const struct label *labels, size_t count)
{
    const struct label *sorted[SERIES_LABELS_MAX];
    struct buf text = {0};
    must(count <= SERIES_LABELS_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && bytes_compare(sorted[at - 1]->name, labels[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &labels[i];
    }
    buf_put_text(&text, metric->name);
    for (size_t i = 0; i < count; i++) {
        buf_put_char(&text, i == 0 ? '{' : ',');
        buf_put(&text, sorted[i]->name.data, sorted[i]->name.size);
        buf_put_text(&text, "=\"");
        put_escaped(&text, sorted[i]->value);
        buf_put_char(&text, '"');
    }
    if (count > 0)
        buf_put_char(&text, '}');
    grow(out);
    size_t slot = slot_of(out, buf_text(&text));
    if (out->slots[slot] == 0) {
        out->series[out->count] = (struct recorded){
            .name = strdup(buf_text(&text)),
            .family = strlen(metric->name),
            .help = strdup(metric->help),
            .type = metric->type,
        };
        out->slots[slot] = ++out->count;
    }
    buf_done(&text);
    return (series_handle)(out->slots[slot] - 1);
}

void emit(struct emitter *out, series_handle handle, double value)
{
    if (handle == SERIES_NONE)
        return;
    must(handle < out->count);
    out->series[handle].value = value;
    out->series[handle].has_value = true;
    out->series[handle].has_ended = false;
}

void emitter_end(struct emitter *out, series_handle handle)
{
    if (handle == SERIES_NONE)
        return;
    must(handle < out->count);
    out->series[handle].has_ended = true;
    out->series[handle].has_value = false;
}

int emitter_at(struct emitter *out, int64_t ts_ms, const series_handle *handles,
               const double *values, size_t count)
{
    (void)ts_ms;
    for (size_t i = 0; i < count; i++)
        emit(out, handles[i], values[i]);
    return 0;
}

int emitter_record(struct emitter *out, uint32_t kind, struct bytes data)
{
    buf_clear(&out->record);
    buf_put(&out->record, data.data, data.size);
    out->record_kind = kind;
    return 0;
}

static const struct recorded *find(const struct emitter *out, const char *series)
{
    if (out->count == 0)
        return NULL;
    size_t found = out->slots[slot_of(out, series)];
    return found > 0 ? &out->series[found - 1] : NULL;
}

double recorder_value(const struct emitter *out, const char *series)
{
    const struct recorded *found = find(out, series);
    return found != NULL && found->has_value ? found->value : (double)NAN;
}

bool recorder_has(const struct emitter *out, const char *series)
{
    const struct recorded *found = find(out, series);
    return found != NULL && found->has_value;
}

bool recorder_ended(const struct emitter *out, const char *series)
{
    const struct recorded *found = find(out, series);
    return found != NULL && found->has_ended;
}

size_t recorder_count(const struct emitter *out)
{
    size_t count = 0;
    for (size_t i = 0; i < out->count; i++)
        count += out->series[i].has_value;
    return count;
}

size_t recorder_series(const struct emitter *out)
{
    return out->count;
}

struct bytes recorder_record(const struct emitter *out, uint32_t *ret_kind)
{
    *ret_kind = out->record_kind;
    return buf_bytes(&out->record);
}

static int compare_series(const void *left, const void *right)
{
    const struct recorded *a = *(const struct recorded *const *)left;
    const struct recorded *b = *(const struct recorded *const *)right;
    size_t shorter = a->family < b->family ? a->family : b->family;
    int order = memcmp(a->name, b->name, shorter);
    if (order == 0 && a->family != b->family)
        order = a->family < b->family ? -1 : 1;
    return order != 0 ? order : strcmp(a->name, b->name);
}

void recorder_print(const struct emitter *out, FILE *file)
{
    static const char *const types[] = {"untyped", "counter", "gauge",  "histogram",
                                        "summary", "gauge",   "untyped"};
    const struct recorded **sorted = calloc(out->count + 1, sizeof(*sorted));
    must(sorted != NULL);
    size_t count = 0;
    for (size_t i = 0; i < out->count; i++)
        if (out->series[i].has_value)
            sorted[count++] = &out->series[i];
    qsort(sorted, count, sizeof(*sorted), compare_series);
    for (size_t i = 0; i < count; i++) {
        const struct recorded *at = sorted[i];
        if (i == 0 || at->family != sorted[i - 1]->family ||
            memcmp(at->name, sorted[i - 1]->name, at->family) != 0)
            fprintf(file, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)at->family, at->name,
                    at->help, (int)at->family, at->name, types[at->type]);
        fprintf(file, "%s %.17g\n", at->name, at->value);
    }
    free(sorted);
}

int running_source_start(struct running_source *running, const struct source *source,
                         const char *root, const char *yaml, struct emitter *out,
                         struct diagnosis *why)
{
    static const char *const live[] = {"/proc", "/sys", "/"};
    char *roots[3];
    for (int i = 0; i < 3; i++) {
        static const char *const folders[] = {"proc", "sys", ""};
        size_t size = root != NULL ? strlen(root) + 8 : 8;
        roots[i] = malloc(size);
        must(roots[i] != NULL);
        if (root == NULL)
            snprintf(roots[i], size, "%s", live[i]);
        else
            snprintf(roots[i], size, "%s/%s", root, folders[i]);
    }
    *running = (struct running_source){
        .source = source,
        .state = calloc(1, source->state_bytes + 1),
        .env = {.procfs = roots[0],
                .sysfs = roots[1],
                .rootfs = roots[2],
                .live = root == NULL,
                .interval_ms = source->interval_ms > 0 ? source->interval_ms : 5000},
    };
    must(running->state != NULL);
    struct config *config = NULL;
    int error = 0;
    if (yaml != NULL)
        error = config_parse("test.yml", bytes_of(yaml), &config, why);
    if (error == 0 && source->configure != NULL)
        error = source->configure(running->state, config,
                                  config != NULL ? config_root(config) : NULL, why);
    config_free(config);
    if (error == 0)
        error = source->start(running->state, &running->env, out);
    return error;
}

int running_source_tick(struct running_source *running, int64_t now_ms, struct emitter *out)
{
    running->env.now_ms = now_ms;
    recorder_tick(out);
    int error = 0;
    if (running->source->blocking)
        error = running->source->gather(running->state, &running->env);
    return error != 0 ? error : running->source->collect(running->state, &running->env, out);
}

void running_source_stop(struct running_source *running)
{
    if (running->source->stop != NULL)
        running->source->stop(running->state);
    free(running->state);
    free((char *)running->env.procfs);
    free((char *)running->env.sysfs);
    free((char *)running->env.rootfs);
}
