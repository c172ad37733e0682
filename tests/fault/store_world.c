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

#include "collector/store/records.h"
#include "collector/store/verify.h"
#include "proto/base/must.h"

#define STREAM   9
#define WIDTH_MS ((int64_t)5 * 60000) /* of the records that are read */
#define PATH     "/var/log/app.log"

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
    history->writes += (operation & (DELETE | EXPIRE)) == 0;
    history->is_expired = history->is_expired || operation == EXPIRE;
}

static bool is_in_bucket(const struct model_sample *sample, unsigned series, int64_t end_ms,
                         int64_t width_ms)
{
    return sample->series == series && bucket_end(sample->ts_ms, width_ms) == end_ms;
}

/* Of the buckets of one series those of which the first or last sample, or one in between, is in the
 * interval. */
static void delete_buckets(struct model *model, int64_t width_ms, unsigned series,
                           int64_t from_ms, int64_t until_ms)
{
    for (size_t i = 0; i < model->count; i++) {
        const struct model_sample *item = &model->items[i];
        int64_t end_ms = bucket_end(item->ts_ms, width_ms);
        int64_t first_ms = item->ts_ms;
        int64_t last_ms = item->ts_ms;
        for (size_t j = 0; j < model->count; j++) {
            if (!is_in_bucket(&model->items[j], item->series, end_ms, width_ms))
                continue;
            int64_t ts_ms = model->items[j].ts_ms;
            first_ms = ts_ms < first_ms ? ts_ms : first_ms;
            last_ms = ts_ms > last_ms ? ts_ms : last_ms;
        }
        if ((series != MODEL_ALL && series != item->series) || first_ms > until_ms ||
            last_ms < from_ms)
            continue;
        model_delete(model, item->series, end_ms - width_ms + 1, end_ms);
        i = SIZE_MAX; /* from the beginning: there are others now */
    }
}

static void write_into_empty(struct model *model, int64_t width_ms,
                             const struct model_sample samples[WRITE])
{
    bool is_closed[WRITE] = {false};
    for (int j = 0; j < WRITE; j++)
        for (size_t i = 0; i < model->count; i++)
            is_closed[j] = is_closed[j] ||
                           is_in_bucket(&model->items[i], samples[j].series,
                                        bucket_end(samples[j].ts_ms, width_ms), width_ms);
    for (int j = 0; j < WRITE; j++)
        if (!is_closed[j])
            model_write(model, samples[j].series, samples[j].ts_ms, samples[j].value);
}

void history_replay(const struct history *history, int64_t width_ms, struct model *model)
{
    bool is_expired = false;
    for (size_t i = 0; i < history->count; i++) {
        struct model_sample samples[WRITE];
        unsigned series;
        int64_t from_ms;
        int64_t until_ms;
        unsigned operation = history->seeds[i];
        if (operation == EXPIRE) {
            is_expired = true;
            continue;
        }
        if ((operation & DELETE) != 0) {
            delete_of(operation & ~DELETE, &series, &from_ms, &until_ms);
            if (is_expired)
                delete_buckets(model, width_ms, series, from_ms, until_ms);
            else
                model_delete(model, series, from_ms, until_ms);
            continue;
        }
        write_of(operation, samples);
        if (is_expired)
            write_into_empty(model, width_ms, samples);
        for (int j = 0; j < WRITE && !is_expired; j++)
            model_write(model, samples[j].series, samples[j].ts_ms, samples[j].value);
    }
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

static bool agrees(struct kit *kit, const struct history *history, char *why, size_t why_bytes)
{
    struct model model = {0};
    history_replay(history, WIDTH_MS, &model);
    bool good = history->is_expired
                    ? world_buckets_agree(kit, &model, WIDTH_MS, why, why_bytes)
                    : kit_agrees(kit, &model, ALWAYS, why, why_bytes);
    model_done(&model);
    return good;
}

/* Whether the unacknowledged operation is there: a write says so itself, a delete by what it
 * covers, as a whole. */
static bool is_done(struct kit *kit, const struct history *history)
{
    struct history with = *history;
    struct buf out = {0};
    char why[256];
    char key[32];
    bool done;
    if (history->pending == EXPIRE)
        return true; /* whether it has happened or not, buckets hold the same */
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
    done = agrees(kit, &with, why, sizeof why);
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
    world_compare(kit, history, because);
}

void world_compare(struct kit *kit, struct history *history, const char *because)
{
    char why[256] = "";
    kit_open(kit);
    if (history->pending != 0 && is_done(kit, history))
        history_add(history, history->pending);
    history->pending = 0;
    if (!agrees(kit, history, why, sizeof why))
        fail_msg("after %s: %s", because, why);
    check_lines(kit, history, because);
    struct store_stats stats;
    store_get_stats(kit->store, &stats);
    if (stats.quarantined != 0)
        fail_msg("after %s: %llu values are quarantined", because,
                 (unsigned long long)stats.quarantined);
    kit_close(kit);
}
