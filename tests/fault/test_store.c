/*
 * test_store.c - a store that dies at every step of its work, and at random, is opened again
 * and compared with what it had acknowledged.
 *
 * A child writes and settles; the parent learns through a pipe what was acknowledged.  After
 * the child's death the parent opens the folder: everything acknowledged must be there, and
 * nothing that was never sent.  What was sent but not acknowledged may be there or not, as a
 * whole.  It deletes, too: what an acknowledged delete covers must not come back, whatever the
 * child was at when it died; and a verification finds the folder whole.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/store/verify.h"
#include "proto/base/must.h"
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define SERIES  6
#define WRITE   10 /* samples of one write */
#define LINES   2  /* log lines of one write */
#define STREAM  9
#define PATH    "/var/log/app.log"
#define DELETE  (1u << 30) /* an operation: a seed, with this bit for a delete */

/* What the child tells: before an operation ('s') and after its acknowledgement ('a'). */
struct note {
    char what;
    unsigned seed;
};

/* -- the child --------------------------------------------------------------------------- */

struct bomb {
    const char *point; /* NULL: any */
    _Atomic int left;  /* goes off when it has been passed so often, by whichever thread */
};

static void tick(void *context, const char *point)
{
    struct bomb *bomb = context;
    if (bomb->point != NULL && strcmp(bomb->point, point) != 0)
        return;
    if (--bomb->left == 0)
        _exit(99);
}

/* How far apart the samples of a write can be, at least. */
static int64_t step_ms = 60000;

/* A write is a function of its seed, so that both sides know it. */
static void write_of(unsigned seed, struct model_sample samples[WRITE])
{
    for (int i = 0; i < WRITE; i++) {
        unsigned state = seed * 7919u + (unsigned)i;
        samples[i].series = (unsigned)rand_r(&state) % SERIES;
        samples[i].ts_ms = KIT_START_MS + rand_r(&state) % 400 * step_ms;
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

/* So is a delete: an hour or so of one series, now and then of all. */
static void delete_of(unsigned seed, unsigned *ret_series, int64_t *ret_from_ms,
                      int64_t *ret_until_ms)
{
    unsigned state = seed * 104729u;
    unsigned series = (unsigned)rand_r(&state) % (SERIES + 1);
    *ret_series = series == SERIES ? MODEL_ALL : series;
    *ret_from_ms = KIT_START_MS + rand_r(&state) % 400 * step_ms;
    *ret_until_ms = *ret_from_ms + rand_r(&state) % 60 * step_ms;
}

static void send_note(int fd, char what, unsigned seed)
{
    struct note note = {.what = what, .seed = seed};
    must(write(fd, &note, sizeof note) == (ssize_t)sizeof note);
}

static void child_deletes(struct kit *kit, int fd, unsigned seed)
{
    unsigned series;
    int64_t from_ms;
    int64_t until_ms;
    delete_of(seed, &series, &from_ms, &until_ms);
    send_note(fd, 's', seed | DELETE);
    must(kit_delete(kit, series, from_ms, until_ms) == 0);
    send_note(fd, 'a', seed | DELETE);
}

static void child_writes(struct kit *kit, int fd, unsigned first_seed, int count,
                         int settle_every)
{
    for (int w = 0; w < count; w++) {
        struct model_sample planned[WRITE];
        struct store_sample samples[WRITE];
        unsigned seed = first_seed + (unsigned)w;
        write_of(seed, planned);
        char texts[LINES][32];
        struct log_line lines[LINES];
        struct store_log_chunk log;
        lines_of(seed, texts, lines, &log);
        for (int i = 0; i < WRITE; i++)
            samples[i] = (struct store_sample){kit_series(kit, planned[i].series),
                                               planned[i].ts_ms, planned[i].value};
        char key[32];
        (void)snprintf(key, sizeof key, "seed/%u", seed);
        struct store_put put = {bytes_of(key), bytes_of("stored")};
        struct store_write write = {.samples = samples,
                                    .sample_count = WRITE,
                                    .logs = &log,
                                    .log_count = 1,
                                    .puts = &put,
                                    .put_count = 1};
        send_note(fd, 's', seed);
        must(store_write_wait(kit->store, &write) == 0);
        send_note(fd, 'a', seed);
        if (w % 4 == 0)
            child_deletes(kit, fd, seed);
        if (settle_every > 0 && w % settle_every == settle_every / 2)
            must(store_clean_deletes(kit->store) == 0);
        if (settle_every > 0 && w % settle_every == settle_every - 1)
            must(store_settle(kit->store) == 0);
    }
}

/* -- the parent -------------------------------------------------------------------------- */

struct history {
    unsigned *seeds; /* operations that are certain to be stored, in order */
    size_t count, capacity;
    size_t writes; /* of them */
    unsigned pending; /* sent, not acknowledged; 0: none */
};

static void history_add(struct history *history, unsigned seed)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 256 : history->capacity * 2;
        history->seeds = realloc(history->seeds, history->capacity * sizeof(unsigned));
        must(history->seeds != NULL);
    }
    history->seeds[history->count++] = seed;
    history->writes += (seed & DELETE) == 0;
}

static void read_notes(int fd, struct history *history)
{
    struct note note;
    for (;;) {
        ssize_t got = read(fd, &note, sizeof note);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof note)
            return;
        if (note.what == 's')
            history->pending = note.seed;
        if (note.what == 'a') {
            history_add(history, note.seed);
            history->pending = 0;
        }
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

static void check_folder(const struct kit *kit, const char *because)
{
    struct verify verify = {.fault = complain, .context = (void *)(uintptr_t)because};
    struct diagnosis why = {""};
    if (verify_folder(&verify, kit->directory, &why) != 0)
        fail_msg("after %s: %s", because, why.text);
}

/* Opens, asks the store itself whether what was not acknowledged is there, compares. */
static void check(struct kit *kit, struct history *history, const char *because)
{
    struct model model = {0};
    char why[256] = "";
    check_folder(kit, because);
    kit_open(kit);
    if (history->pending != 0 && is_done(kit, history))
        history_add(history, history->pending);
    history->pending = 0;
    replay(history, &model);
    if (!kit_agrees(kit, &model, ALWAYS, why, sizeof why))
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

/* Runs a child with a bomb on the kit's folder.  Whether it went off. */
static bool run_child(struct kit *kit, struct bomb bomb, struct history *history,
                      unsigned first_seed)
{
    int fds[2];
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        kit->options.step = tick;
        kit->options.step_context = &bomb;
        kit_open(kit);
        child_writes(kit, fds[1], first_seed, 24, 8);
        kit_close(kit);
        _exit(0);
    }
    (void)close(fds[1]);
    read_notes(fds[0], history);
    (void)close(fds[0]);
    int status;
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
    return WEXITSTATUS(status) == 99;
}

static void dying_at_any_step_loses_nothing_acknowledged(void **state)
{
    (void)state;
    static const char *const points[] = {
        "commit.begin",       "commit.filled",       "commit.durable",
        "commit.applied",     "commit.done",         "checkpoint.begun",
        "checkpoint.slice",   "checkpoint.slices",   "checkpoint.ended",
        "checkpoint.trimmed", "flush.written",       "flush.finished",
        "flush.registered",   "flush.removed",       "flush.forgetting",
        "merge.written",      "merge.finished",      "merge.registered",
        "merge.replaced",     "flush_logs.finished", "flush_logs.registered",
        "delete.durable",     "delete.rewrite",      "delete.rewritten",
        "delete.retired",
    };
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        struct kit kit;
        struct history history = {0};
        bool ever = false;
        kit_start(&kit);
        kit_close(&kit);
        kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
        /* One folder through all its deaths: leftovers of one must not harm the next. */
        for (int left = 1; left <= 9; left += 2) {
            bool went_off = run_child(&kit, (struct bomb){points[p], left}, &history,
                                      1 + (unsigned)left * 100);
            ever = ever || went_off;
            check(&kit, &history, points[p]);
        }
        if (!ever)
            fail_msg("no child has passed %s", points[p]);
        free(history.seeds);
        kit_stop_closed(&kit);
    }
}

static void dying_at_the_nth_step_whatever_it_is_loses_nothing(void **state)
{
    (void)state;
    struct kit kit;
    struct history history = {0};
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int left = 3; left < 160; left += 7) {
        (void)run_child(&kit, (struct bomb){NULL, left}, &history, 1 + (unsigned)left * 100);
        check(&kit, &history, "the n-th step");
    }
    free(history.seeds);
    kit_stop_closed(&kit);
}

/* What the first death leaves half done is still there at the second: between a flush and the
 * deletion of what it wrote, then before the same span is flushed again. */
static void a_second_death_loses_nothing_either(void **state)
{
    (void)state;
    static const char *const seconds[] = {"checkpoint.trimmed", "flush.written",
                                          "flush.registered"};
    struct kit kit;
    struct history history = {0};
    unsigned seed = 1;
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int left = 2; left <= 4; left++)
        for (size_t p = 0; p < sizeof seconds / sizeof seconds[0]; p++) {
            (void)run_child(&kit, (struct bomb){"flush.registered", left}, &history, seed);
            check(&kit, &history, "a death between flush and deletion");
            (void)run_child(&kit, (struct bomb){seconds[p], 1}, &history, seed + 100);
            check(&kit, &history, seconds[p]);
            seed += 200;
        }
    free(history.seeds);
    kit_stop_closed(&kit);
}

/* What is late by days is flushed by the day: many spans of the checkpoint into one file. */
static void dying_while_days_are_written_loses_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {"checkpoint.slice", "flush.written",
                                         "flush.registered", "flush.removed",
                                         "flush.forgetting", "merge.registered"};
    struct kit kit;
    struct history history = {0};
    unsigned seed = 1;
    step_ms = 15 * 60000; /* five days */
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 6 * 12 * SPAN_MS;
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++)
        for (int left = 1; left <= 4; left += 3) {
            if (!run_child(&kit, (struct bomb){points[p], left}, &history, seed))
                fail_msg("the child has not passed %s %d times", points[p], left);
            check(&kit, &history, points[p]);
            seed += 100;
        }
    step_ms = 60000;
    free(history.seeds);
    kit_stop_closed(&kit);
}

static void a_kill_at_any_moment_loses_nothing_acknowledged(void **state)
{
    (void)state;
    struct kit kit;
    struct history history = {0};
    unsigned random = 11;
    kit_start(&kit);
    kit_close(&kit);
    kit.now_ms = KIT_START_MS + 3 * SPAN_MS;
    for (int round = 0; round < 12; round++) {
        int fds[2];
        must(pipe(fds) == 0);
        pid_t child = fork();
        must(child >= 0);
        if (child == 0) {
            (void)close(fds[0]);
            kit_open(&kit);
            child_writes(&kit, fds[1], 1 + (unsigned)round * 100000, 100000, 40);
            _exit(0);
        }
        (void)close(fds[1]);
        /* The moment is chosen by what the child has done, not by a clock. */
        struct note note;
        int notes = 1 + rand_r(&random) % 150;
        while (notes-- > 0 && read(fds[0], &note, sizeof note) == (ssize_t)sizeof note) {
            if (note.what == 's')
                history.pending = note.seed;
            if (note.what == 'a') {
                history_add(&history, note.seed);
                history.pending = 0;
            }
        }
        must(kill(child, SIGKILL) == 0);
        read_notes(fds[0], &history);
        (void)close(fds[0]);
        must(waitpid(child, NULL, 0) == child);
        check(&kit, &history, "a kill");
    }
    free(history.seeds);
    kit_stop_closed(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dying_at_any_step_loses_nothing_acknowledged),
        cmocka_unit_test(dying_at_the_nth_step_whatever_it_is_loses_nothing),
        cmocka_unit_test(a_second_death_loses_nothing_either),
        cmocka_unit_test(dying_while_days_are_written_loses_nothing),
        cmocka_unit_test(a_kill_at_any_moment_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
