/*
 * store_kit.c - a store in a folder of its own, compared with a naive model.
 */
#include "tests/unit/store_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/verify.h"
#include "proto/base/must.h"

static int64_t kit_unix_ms(void *context)
{
    return ((struct kit *)context)->now_ms;
}

static mono_ns kit_mono(void *context)
{
    return (mono_ns)((struct kit *)context)->now_ms * NS_PER_MS;
}

/* Both on the writer thread. */
void kit_gate(struct kit *kit, const char *point)
{
    if (strcmp(point, "commit.begin") == 0)
        must(pthread_mutex_lock(&kit->gate) == 0);
    else if (strcmp(point, "commit.done") == 0)
        must(pthread_mutex_unlock(&kit->gate) == 0);
}

static void gate(void *context, const char *point)
{
    kit_gate(context, point);
}

void kit_open(struct kit *kit)
{
    struct diagnosis why = {""};
    kit->options.directory = kit->directory;
    kit->options.clock = &kit->clock;
    if (kit->options.step == NULL) {
        kit->options.step = gate;
        kit->options.step_context = kit;
    }
    if (store_open(&kit->options, &kit->store, &why) != 0) {
        (void)fprintf(stderr, "store_open: %s\n", why.text);
        abort();
    }
}

void kit_start(struct kit *kit)
{
    *kit = (struct kit){.now_ms = KIT_START_MS};
    kit->clock = (struct clock){kit_unix_ms, kit_mono, kit};
    (void)snprintf(kit->directory, sizeof kit->directory, "/tmp/fengsui-store-XXXXXX");
    must(mkdtemp(kit->directory) != NULL);
    must(pthread_mutex_init(&kit->gate, NULL) == 0);
    kit_open(kit);
}

void kit_close(struct kit *kit)
{
    for (size_t i = 0; i < 256; i++) {
        if (kit->series[i] != NULL)
            store_series_release(kit->store, kit->series[i]);
        kit->series[i] = NULL;
    }
    store_close(kit->store);
    kit->store = NULL;
}

void kit_stop(struct kit *kit)
{
    kit_close(kit);
    kit_stop_closed(kit);
}

void kit_stop_closed(struct kit *kit)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit->directory);
    must(system(command) == 0);
}

const struct labels *kit_labels(const char *name, const char *value)
{
    struct label pairs[] = {
        {bytes_of("__name__"), bytes_of(name)},
        {bytes_of("job"), bytes_of("node")},
        {bytes_of("n"), bytes_of(value)},
    };
    const struct labels *labels;
    must(labels_build(pairs, 3, NULL, &labels) == 0);
    return labels;
}

struct series *kit_series(struct kit *kit, unsigned n)
{
    must(n < 256);
    if (kit->series[n] == NULL) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", n);
        const struct labels *labels = kit_labels("m", text);
        must(store_series_resolve(kit->store, labels, NULL, &kit->series[n]) == 0);
        labels_free(labels);
    }
    return kit->series[n];
}

int kit_write(struct kit *kit, unsigned n, int64_t ts_ms, double value)
{
    struct store_sample sample = {kit_series(kit, n), ts_ms, value};
    struct store_write write = {.samples = &sample, .sample_count = 1};
    return store_write_wait(kit->store, &write);
}

int kit_put(struct kit *kit, const char *key, const char *value)
{
    struct store_put put = {bytes_of(key), {0}};
    if (value != NULL)
        put.value = bytes_of(value);
    struct store_write write = {.puts = &put, .put_count = 1};
    return store_write_wait(kit->store, &write);
}

int kit_delete(struct kit *kit, unsigned n, int64_t from_ms, int64_t until_ms)
{
    struct matcher *matchers[2] = {NULL, NULL};
    struct diagnosis why = {""};
    char text[16];
    (void)snprintf(text, sizeof text, "%u", n);
    must(matcher_new(MATCH_EQUAL, bytes_of("__name__"), bytes_of("m"), &matchers[0], &why) ==
         0);
    must(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of(text), &matchers[1], &why) == 0);
    struct store_selection selection = {matchers, n == MODEL_ALL ? 1 : 2};
    int error = store_delete(kit->store, &selection, 1, from_ms, until_ms);
    matcher_free(matchers[0]);
    matcher_free(matchers[1]);
    return error;
}

void kit_crash(struct kit *kit)
{
    char command[256];
    char copy[sizeof kit->directory + 8];
    (void)snprintf(copy, sizeof copy, "%s.crash", kit->directory);
    /* No commit runs meanwhile, so the copy is what one of them left; a file that is just being
     * removed may fail to be copied, and is registered no more. */
    (void)snprintf(command, sizeof command, "cp -r %s %s 2>/dev/null; true", kit->directory,
                   copy);
    must(pthread_mutex_lock(&kit->gate) == 0);
    must(system(command) == 0);
    must(pthread_mutex_unlock(&kit->gate) == 0);
    kit_close(kit);
    (void)snprintf(command, sizeof command, "rm -rf %s && mv %s %s", kit->directory, copy,
                   kit->directory);
    must(system(command) == 0);
    kit_open(kit);
}

/* -- the model --------------------------------------------------------------------------- */

void model_done(struct model *model)
{
    free(model->items);
    *model = (struct model){0};
}

void model_write(struct model *model, unsigned series, int64_t ts_ms, double value)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].series == series && model->items[i].ts_ms == ts_ms) {
            model->items[i].value = value;
            return;
        }
    if (model->count == model->capacity) {
        model->capacity = model->capacity == 0 ? 256 : model->capacity * 2;
        model->items = realloc(model->items, model->capacity * sizeof *model->items);
        must(model->items != NULL);
    }
    model->items[model->count++] = (struct model_sample){series, ts_ms, value};
}

void model_delete(struct model *model, unsigned series, int64_t from_ms, int64_t until_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_sample *item = &model->items[i];
        if ((series != MODEL_ALL && series != item->series) || item->ts_ms < from_ms ||
            item->ts_ms > until_ms)
            model->items[kept++] = *item;
    }
    model->count = kept;
}

static const struct model_sample *model_find(const struct model *model, unsigned series,
                                             int64_t ts_ms)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->items[i].series == series && model->items[i].ts_ms == ts_ms)
            return &model->items[i];
    return NULL;
}

/* -- comparing --------------------------------------------------------------------------- */

size_t kit_select(struct kit *kit, int kind, const char *name, const char *value,
                  int64_t from_ms, int64_t until_ms, struct arena *arena,
                  struct series_samples **ret_series)
{
    struct matcher *matcher;
    struct querier *querier;
    struct diagnosis why = {""};
    size_t count = 0;
    struct queryable *queryable = store_queryable(kit->store);
    must(matcher_new((enum matcher_kind)kind, bytes_of(name), bytes_of(value), &matcher,
                     &why) == 0);
    must(queryable->calls->open(queryable, from_ms, until_ms, &querier, &why) == 0);
    struct select_hints hints = {.from_ms = from_ms, .until_ms = until_ms};
    struct query_budget budget = {.samples_left = UINT64_MAX};
    must(queryable->calls->select(querier, &matcher, 1, &hints, &budget, arena, ret_series,
                                  &count, &why) == 0);
    queryable->calls->close(querier);
    matcher_free(matcher);
    return count;
}

uint64_t kit_samples(struct kit *kit, int64_t from_ms, int64_t until_ms, uint64_t *ret_records)
{
    struct arena arena;
    struct series_samples *series;
    double samples = 0;
    *ret_records = 0;
    arena_init(&arena, (size_t)1 << 30);
    size_t count =
        kit_select(kit, MATCH_EQUAL, "__name__", "m", from_ms, until_ms, &arena, &series);
    for (size_t i = 0; i < count; i++) {
        size_t records = series[i].rolled != NULL ? series[i].rolled->count : 0;
        for (size_t j = 0; j < records; j++)
            samples += series[i].rolled->columns[ROLLED_SAMPLES][j];
        samples += (double)(series[i].count - records);
        *ret_records += records;
    }
    arena_reset(&arena);
    return (uint64_t)samples;
}

static void tell_fault(void *context, const char *file, const char *text)
{
    (void)context;
    (void)fprintf(stderr, "%s: %s\n", file, text);
}

uint64_t kit_faults(struct kit *kit)
{
    struct diagnosis why = {""};
    struct verify verify = {.fault = tell_fault};
    must(verify_folder(&verify, kit->directory, &why) == 0);
    uint64_t found = verify.counts.faults + verify.counts.strays;
    verify_done(&verify);
    return found;
}

size_t kit_count(struct kit *kit, int matcher_kind, const char *name, const char *value,
                 int64_t from_ms, int64_t until_ms)
{
    struct arena arena;
    struct series_samples *series;
    arena_init(&arena, (size_t)1 << 30);
    size_t count =
        kit_select(kit, matcher_kind, name, value, from_ms, until_ms, &arena, &series);
    arena_reset(&arena);
    return count;
}

bool kit_agrees(struct kit *kit, const struct model *model, int64_t from_ms, int64_t until_ms,
                char *why, size_t why_bytes)
{
    struct arena arena;
    struct series_samples *series;
    size_t found = 0;
    size_t expected = 0;
    bool good = true;
    arena_init(&arena, (size_t)1 << 30);
    size_t count =
        kit_select(kit, MATCH_EQUAL, "__name__", "m", from_ms, until_ms, &arena, &series);
    for (size_t i = 0; i < count && good; i++) {
        struct bytes text = labels_get_text(series[i].labels, "n");
        unsigned n = (unsigned)strtoul((const char *)text.data, NULL, 10);
        for (size_t j = 0; j < series[i].count && good; j++) {
            const struct model_sample *sample = model_find(model, n, series[i].times_ms[j]);
            good = sample != NULL &&
                   memcmp(&sample->value, &series[i].values[j], sizeof(double)) == 0 &&
                   (j == 0 || series[i].times_ms[j - 1] < series[i].times_ms[j]);
            if (!good)
                (void)snprintf(why, why_bytes, "series %u at %lld: %g, the model has %g", n,
                               (long long)series[i].times_ms[j], series[i].values[j],
                               sample == NULL ? -1.0 : sample->value);
            found++;
        }
    }
    arena_reset(&arena);
    for (size_t i = 0; i < model->count; i++)
        expected += model->items[i].ts_ms >= from_ms && model->items[i].ts_ms <= until_ms;
    if (good && found != expected) {
        (void)snprintf(why, why_bytes, "%zu samples where the model has %zu", found, expected);
        return false;
    }
    return good;
}

void kit_expect(struct kit *kit, const struct model *model, int64_t from_ms, int64_t until_ms)
{
    char why[256] = "";
    if (!kit_agrees(kit, model, from_ms, until_ms, why, sizeof why))
        fail_msg("%s", why);
}

void kit_run(struct kit *kit, struct model *model, unsigned n, int64_t from_ms,
             int64_t until_ms, double value)
{
    struct store_sample samples[512];
    size_t count = 0;
    unsigned noise = n;
    for (int64_t ts = from_ms; ts < until_ms; ts += KIT_STEP_MS) {
        double v = isnan(value) ? (double)rand_r(&noise) / 7 : value;
        samples[count++] = (struct store_sample){kit_series(kit, n), ts, v};
        model_write(model, n, ts, v);
        if (count == 512 || ts + KIT_STEP_MS >= until_ms) {
            struct store_write write = {.samples = samples, .sample_count = count};
            must(store_write_wait(kit->store, &write) == 0);
            count = 0;
        }
    }
}

void kit_delete_both(struct kit *kit, struct model *model, unsigned n, int64_t from_ms,
                     int64_t until_ms)
{
    must(kit_delete(kit, n, from_ms, until_ms) == 0);
    model_delete(model, n, from_ms, until_ms);
}
