/*
 * world.c - see world.h.
 */
#include "collector/ruletest/world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/rules/evaluate.h"
#include "collector/rules/round.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define LOOKBACK_MS  ((int64_t)5 * 60 * 1000)
#define TIMEOUT_MS   ((int64_t)60000)
#define SAMPLES_MAX  ((uint64_t)50000000)
#define MEMORY_BYTES ((size_t)1 << 30)
#define FOLDER_FILES 16 /* descriptors nftw() may use */

/* ---- time and place ---------------------------------------------------------------------- */

static int64_t world_unix_ms(void *context)
{
    const struct test_world *world = context;
    return atomic_load(&world->now_ms);
}

static mono_ns world_mono(void *context)
{
    (void)context;
    return clock_mono(&clock_system);
}

static int make_folder(struct test_world *world, struct diagnosis *why)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(world->folder, sizeof world->folder, "%s/fengsui-test.XXXXXX",
                       places[i]);
        if (mkdtemp(world->folder) != NULL)
            return 0;
    }
    world->folder[0] = '\0';
    return diagnose(why, ERR_IO, "no folder for a test's store in /dev/shm or /tmp");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

/* ---- rules ------------------------------------------------------------------------------- */

/* Groups named in group_eval_order go first and in that order; the others follow. */
static int order_groups(const struct test_file *file, struct test_world *world,
                        struct diagnosis *why)
{
    size_t count = world->rules->group_count, placed = 0;
    world->groups = calloc(count + 1, sizeof *world->groups);
    if (world->groups == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        world->groups[i] = world->rules->groups[i];
    for (size_t i = 0; i < file->group_order.count; i++) {
        size_t at = placed;
        while (at < count && strcmp(world->groups[at]->name, file->group_order.items[i]) != 0)
            at++;
        if (at == count)
            return config_complain(file->config, config_root(file->config), why,
                                   "group_eval_order: there is no group \"%s\"",
                                   file->group_order.items[i]);
        const struct rule_group *group = world->groups[at];
        memmove(&world->groups[placed + 1], &world->groups[placed],
                (at - placed) * sizeof(struct rule_group *));
        world->groups[placed++] = group;
    }
    return 0;
}

static int load_rules(const struct test_file *file, struct test_world *world,
                      struct diagnosis *why)
{
    const struct rule_set_options options = {file->rule_files.items, file->rule_files.count,
                                             file->evaluation_interval_ms};
    int error = rule_set_load(&options, &world->rules, why);

    if (error == 0)
        error = order_groups(file, world, why);
    if (error != 0)
        return error;
    world->states = calloc(world->rules->rule_count + 1, sizeof *world->states);
    if (world->states == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < world->rules->rule_count; i++) {
        world->states[i].rule = world->rules->rules[i];
        error = outputs_new(world->store, &world->states[i].outputs);
    }
    return error;
}

/* ---- samples ----------------------------------------------------------------------------- */

static int resolve_series(struct test_world *world)
{
    const struct metadata nothing = {0};
    int error = 0;

    world->series = calloc(world->test->series_count + 1, sizeof(struct series *));
    if (world->series == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < world->test->series_count; i++)
        error = store_series_resolve(world->store, world->test->series[i].labels, &nothing,
                                     &world->series[i]);
    return error;
}

/* The number of the first point of the input that is later than ts_ms. */
static size_t points_until(const struct test_world *world, int64_t ts_ms)
{
    int64_t since = ts_ms - world->test->start_ms;
    return since < 0 ? 0 : (size_t)(since / world->test->interval_ms) + 1;
}

static int write_samples(struct test_world *world, int64_t after_ms, int64_t ts_ms)
{
    const struct rule_test *test = world->test;
    size_t first = points_until(world, after_ms), last = points_until(world, ts_ms);
    struct store_sample *samples =
        calloc((last - first) * test->series_count + 1, sizeof *samples);
    struct store_write write = {.samples = samples};
    int error = 0;

    if (samples == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < test->series_count; i++) {
        const struct series_line *line = &test->series[i];
        for (size_t point = first; point < last && point < line->count; point++)
            if (line->points[point].present)
                samples[write.sample_count++] = (struct store_sample){
                    world->series[i], test->start_ms + (int64_t)point * test->interval_ms,
                    line->points[point].value};
    }
    if (write.sample_count > 0)
        error = store_write_wait(world->store, &write);
    free(samples);
    return error;
}

/* ---- steps ------------------------------------------------------------------------------- */

static int evaluate_group(struct test_world *world, const struct rule_group *group,
                          struct diagnosis *why)
{
    volatile bool cancelled = false;
    const struct evaluation_options options = {&world->promql, TIMEOUT_MS, &cancelled,
                                               INT64_MIN / 2, false};
    struct round round;
    int error = 0;

    round_begin(&round, world->store, NULL, &world->lock, world->test->external_url,
                atomic_load(&world->now_ms));
    round.external_labels = world->test->external_labels;
    for (size_t i = 0; error == 0 && i < group->rule_count; i++) {
        struct rule_state *state = &world->states[group->rules[i].number];
        struct diagnosis reason = {0};
        if (round_is_read_by(&round, state->rule))
            error = round_commit(&round);
        if (error == 0 && evaluate_rule(state, EVALUATE_TIMED, &options, &round, &reason) != 0)
            (void)diagnose(why, ERR_INVALID, "%s:%u: rule \"%s\": %s", group->file,
                           state->rule->line, state->rule->name, reason.text);
    }
    if (error == 0)
        error = round_commit(&round);
    round_done(&round);
    return error;
}

int test_world_step(struct test_world *world, int64_t ts_ms, struct diagnosis *why)
{
    int64_t before_ms = atomic_load(&world->now_ms);
    int error;

    atomic_store(&world->now_ms, ts_ms);
    error = write_samples(world, before_ms, ts_ms);
    for (size_t i = 0; error == 0 && i < world->rules->group_count; i++)
        error = evaluate_group(world, world->groups[i], why);
    if (error != 0)
        return diagnose(why, error, "%s", error_text(error));
    return why->text[0] == '\0' ? 0 : ERR_INVALID;
}

/* ---- life -------------------------------------------------------------------------------- */

int test_world_open(const struct test_file *file, const struct rule_test *test,
                    struct test_world *world, struct diagnosis *why)
{
    int error;

    memset(world, 0, sizeof *world);
    world->test = test;
    world->clock = (struct clock){world_unix_ms, world_mono, world};
    world->promql = (struct promql_options){.lookback_ms = LOOKBACK_MS,
                                            .default_step_ms = file->evaluation_interval_ms,
                                            .max_samples = SAMPLES_MAX,
                                            .max_memory_bytes = MEMORY_BYTES,
                                            .experimental = true};
    atomic_store(&world->now_ms, test->start_ms - 1);
    must(pthread_mutex_init(&world->lock, NULL) == 0);
    error = make_folder(world, why);
    if (error == 0) {
        const struct store_options options = {.directory = world->folder,
                                              .clock = &world->clock};
        error = store_open(&options, &world->store, why);
    }
    if (error == 0)
        error = load_rules(file, world, why);
    if (error == 0)
        error = resolve_series(world);
    if (error != 0)
        test_world_close(world);
    return error;
}

void test_world_close(struct test_world *world)
{
    for (size_t i = 0; world->states != NULL && i < world->rules->rule_count; i++)
        rule_state_done(&world->states[i]);
    free(world->states);
    free(world->groups);
    rule_set_free(world->rules);
    for (size_t i = 0; world->series != NULL && i < world->test->series_count; i++)
        if (world->series[i] != NULL)
            store_series_release(world->store, world->series[i]);
    free(world->series);
    store_close(world->store);
    if (world->folder[0] != '\0')
        (void)nftw(world->folder, remove_one, FOLDER_FILES, FTW_DEPTH | FTW_PHYS);
    (void)pthread_mutex_destroy(&world->lock);
    memset(world, 0, sizeof *world);
}
