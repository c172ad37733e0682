/*
 * store_world.c - writes by seed, and the comparison of a folder with them.
 */
#include "tests/fault/store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/store/verify.h"
#include "proto/base/must.h"

#define STREAM 9
#define PATH   "/var/log/app.log"

/* -- writes ------------------------------------------------------------------------------ */

int64_t world_step_ms = 60000;

/* A write is a function of its seed, so that both sides know it. */
static void write_of(unsigned seed, struct model_sample samples[WRITE])
{
    for (int i = 0; i < WRITE; i++) {
        unsigned state = seed * 7919u + (unsigned)i;
        samples[i].series = (unsigned)rand_r(&state) % SERIES;
        samples[i].ts_ms = KIT_START_MS + rand_r(&state) % 400 * world_step_ms;
        samples[i].value = (double)seed;
        for (int j = 0; j < i; j++) /* one write says one thing about one time */
            if (samples[j].series == samples[i].series && samples[j].ts_ms == samples[i].ts_ms)
                samples[i].value = samples[j].value;
    }
}

/* Its lines, in one of three files; no two writes have the same. */
static void lines_of(unsigned seed, char texts[LINES][32], struct log_line lines[LINES],
                     struct store_log_chunk *ret_log)
{
    for (unsigned i = 0; i < LINES; i++) {
        (void)snprintf(texts[i], 32, "seed %u line %u", seed, i);
        lines[i] = (struct log_line){.offset = (uint64_t)seed * 100 + i,
                                     .ts_ms = KIT_START_MS + seed % 400 * 60000,
                                     .severity = 7,
                                     .text = bytes_of(texts[i])};
    }
    *ret_log = (struct store_log_chunk){STREAM, {seed % 3, bytes_of(PATH), lines, LINES}};
}

int world_write(struct kit *kit, unsigned seed)
{
    struct model_sample planned[WRITE];
    struct store_sample samples[WRITE];
    char texts[LINES][32];
    struct log_line lines[LINES];
    struct store_log_chunk log;
    char key[32];
    write_of(seed, planned);
    lines_of(seed, texts, lines, &log);
    for (int i = 0; i < WRITE; i++)
        samples[i] = (struct store_sample){kit_series(kit, planned[i].series),
                                           planned[i].ts_ms, planned[i].value};
    (void)snprintf(key, sizeof key, "seed/%u", seed);
    struct store_put put = {bytes_of(key), bytes_of("stored")};
    struct store_write write = {.samples = samples,
                                .sample_count = WRITE,
                                .logs = &log,
                                .log_count = 1,
                                .puts = &put,
                                .put_count = 1};
    return store_write_wait(kit->store, &write);
}

static void delete_of(unsigned seed, unsigned *ret_series, int64_t *ret_from_ms,
                      int64_t *ret_until_ms)
{
    unsigned state = seed * 104729u;
    unsigned series = (unsigned)rand_r(&state) % (SERIES + 1);
    *ret_series = series == SERIES ? MODEL_ALL : series;
    *ret_from_ms = KIT_START_MS + rand_r(&state) % 400 * world_step_ms;
    *ret_until_ms = *ret_from_ms + rand_r(&state) % 60 * world_step_ms;
}

int world_delete(struct kit *kit, unsigned seed)
{
    unsigned series;
    int64_t from_ms;
    int64_t until_ms;
    delete_of(seed, &series, &from_ms, &until_ms);
    return kit_delete(kit, series, from_ms, until_ms);
}

/* -- the comparison ---------------------------------------------------------------------- */

void history_add(struct history *history, unsigned operation)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 256 : history->capacity * 2;
        history->seeds = realloc(history->seeds, history->capacity * sizeof(unsigned));
        must(history->seeds != NULL);
    }
    history->seeds[history->count++] = operation;
    history->writes += (operation & DELETE) == 0;
}

static bool is_stored(const struct history *history, unsigned seed)
{
    for (size_t i = 0; i < history->count; i++)
        if (history->seeds[i] == seed)
            return true;
    return false;
}

/* A line of a write that is stored, and behind the one before in (time, file, offset). */
static bool is_line(const struct history *history, const struct log_hit *hit,
                    const struct log_hit *before)
{
    char texts[LINES][32];
    struct log_line lines[LINES];
    struct store_log_chunk log;
    unsigned seed = (unsigned)(hit->line.offset / 100);
    size_t i = hit->line.offset % 100;
    if (i >= LINES || !is_stored(history, seed))
        return false;
    lines_of(seed, texts, lines, &log);
    if (hit->stream_id != STREAM || hit->file_id != log.chunk.file_id ||
        hit->line.ts_ms != lines[i].ts_ms || hit->line.severity != lines[i].severity ||
        !bytes_equal(hit->line.text, lines[i].text) || !bytes_equal(hit->path, log.chunk.path))
        return false;
    if (before == NULL || before->line.ts_ms < hit->line.ts_ms)
        return true;
    return before->line.ts_ms == hit->line.ts_ms &&
           (before->file_id < hit->file_id ||
            (before->file_id == hit->file_id && before->line.offset < hit->line.offset));
}

/* As many lines as the stored writes have, each one of them and each greater than the one
 * before: so each is there once, and in order. */
static void check_lines(struct kit *kit, const struct history *history, const char *because)
{
    struct arena arena;
    struct diagnosis why = {""};
    const struct log_query query = {.from_ms = INT64_MIN / 2,
                                    .until_ms = INT64_MAX / 2,
                                    .limit = history->writes * LINES * 2 + 10};
    struct log_hit *hits;
    size_t count;
    arena_init(&arena, (size_t)256 << 20);
    if (store_log_search(kit->store, &query, &arena, &hits, &count, &why) != 0)
        fail_msg("after %s: %s", because, why.text);
    if (count != history->writes * LINES)
        fail_msg("after %s: %zu lines are found, %zu are stored", because, count,
                 history->writes * LINES);
    for (size_t i = 0; i < count; i++)
        if (!is_line(history, &hits[i], i == 0 ? NULL : &hits[i - 1]))
            fail_msg("after %s: line %zu is twice, out of place or nobody's: %.*s", because, i,
                     (int)hits[i].line.text.size, (const char *)hits[i].line.text.data);
    arena_reset(&arena);
}

static void replay(const struct history *history, struct model *model)
{
    for (size_t i = 0; i < history->count; i++) {
        struct model_sample samples[WRITE];
        unsigned series;
        int64_t from_ms;
        int64_t until_ms;
        if ((history->seeds[i] & DELETE) != 0) {
            delete_of(history->seeds[i] & ~DELETE, &series, &from_ms, &until_ms);
            model_delete(model, series, from_ms, until_ms);
            continue;
        }
        write_of(history->seeds[i], samples);
        for (int j = 0; j < WRITE; j++)
            model_write(model, samples[j].series, samples[j].ts_ms, samples[j].value);
    }
}

/* Whether the unacknowledged operation is there: a write says so itself, a delete by what it
 * covers, as a whole. */
static bool is_done(struct kit *kit, const struct history *history)
{
    struct history with = *history;
    struct model model = {0};
    struct buf out = {0};
    char why[256];
    char key[32];
    bool done;
    if ((history->pending & DELETE) == 0) {
        (void)snprintf(key, sizeof key, "seed/%u", history->pending);
        done = store_state_get(kit->store, bytes_of(key), &out) == 0;
        buf_done(&out);
        return done;
    }
    with.seeds = malloc((history->count + 1) * sizeof(unsigned));
    must(with.seeds != NULL);
    if (history->count > 0)
        memcpy(with.seeds, history->seeds, history->count * sizeof(unsigned));
    with.seeds[with.count++] = history->pending;
    replay(&with, &model);
    done = kit_agrees(kit, &model, ALWAYS, why, sizeof why);
    model_done(&model);
    free(with.seeds);
    return done;
}

static void complain(void *context, const char *file, const char *text)
{
    fail_msg("after %s: %s: %s", (const char *)context, file, text);
}

void world_check(struct kit *kit, struct history *history, const char *because)
{
    struct verify verify = {.fault = complain, .context = (void *)(uintptr_t)because};
    struct diagnosis why = {""};
    if (verify_folder(&verify, kit->directory, &why) != 0)
        fail_msg("after %s: %s", because, why.text);
    world_check_from(kit, history, INT64_MIN / 2, because);
}

void world_check_from(struct kit *kit, struct history *history, int64_t from_ms,
                      const char *because)
{
    struct model model = {0};
    char why[256] = "";
    kit_open(kit);
    if (history->pending != 0 && is_done(kit, history))
        history_add(history, history->pending);
    history->pending = 0;
    replay(history, &model);
    if (!kit_agrees(kit, &model, from_ms, INT64_MAX / 2, why, sizeof why))
        fail_msg("after %s: %s", because, why);
    check_lines(kit, history, because);
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    if (stats.quarantined != 0)
        fail_msg("after %s: %llu values are quarantined", because,
                 (unsigned long long)stats.quarantined);
    model_done(&model);
    kit_close(kit);
}
