/*
 * test_rollup.c - a store that dies at every step of rolling a day or a part of it up, of what comes
 * late for it, and of what a delete takes out of the roll-ups, is opened again: what was acknowledged is there once,
 * as samples or as records, and what was deleted is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/base/must.h"
#include "tests/fault/io_world.h"
#include "tests/fault/store_world.h"

struct bomb {
    const char *point;
    _Atomic int left; /* goes off when it has been passed so often, by whichever thread */
    _Atomic bool is_asleep;
};

static void tick(void *context, const char *point)
{
    struct bomb *bomb = context;
    if (!bomb->is_asleep && strcmp(bomb->point, point) == 0 && --bomb->left == 0)
        _exit(99);
}

/* Tells the parent how many samples are stored more. */
static void acknowledge(int fd, unsigned samples)
{
    must(write(fd, &samples, sizeof samples) == (ssize_t)sizeof samples);
}

#define DAY_MS       (12 * SPAN_MS)
#define DAY_SAMPLES  480 /* of each of SERIES, up to 22:40 */
#define LATE_SAMPLES 5   /* in buckets behind the day's last */

/* A day is written in one piece, rolled up, and expires; then samples come late for it. */
static void child_rolls_up(struct kit *kit, int fd)
{
    static struct store_sample samples[SERIES * DAY_SAMPLES];
    for (unsigned n = 0; n < SERIES; n++)
        for (unsigned i = 0; i < DAY_SAMPLES; i++)
            samples[n * DAY_SAMPLES + i] = (struct store_sample){
                kit_series(kit, n), KIT_START_MS + (int64_t)(i + 1) * 170000, i};
    struct store_write day = {.samples = samples, .sample_count = SERIES * DAY_SAMPLES};
    must(store_write_wait(kit->store, &day) == 0);
    acknowledge(fd, SERIES * DAY_SAMPLES);
    must(store_settle(kit->store) == 0);
    kit->now_ms += DAY_MS;
    must(store_settle(kit->store) == 0);
    for (unsigned i = 0; i < LATE_SAMPLES; i++)
        samples[i] = (struct store_sample){kit_series(kit, 0),
                                           KIT_START_MS + DAY_MS - 1800000 + i * 300000, i};
    struct store_write late = {.samples = samples, .sample_count = LATE_SAMPLES};
    must(store_write_wait(kit->store, &late) == 0);
    acknowledge(fd, LATE_SAMPLES);
    must(store_settle(kit->store) == 0);
}

/* What was acknowledged is there once, as samples or as records; the folder is clean, and
 * settling leaves one roll-up of each tier and nothing else. */
static void check_rolled(struct kit *kit, uint64_t acknowledged, const char *because)
{
    struct store_stats stats;
    uint64_t records;
    kit_open(kit);
    for (int settled = 0; settled < 2; settled++) {
        uint64_t found = kit_samples(kit, ALWAYS, &records);
        uint64_t pending = acknowledged == 0 ? SERIES * DAY_SAMPLES : LATE_SAMPLES;
        if (found != acknowledged && found != acknowledged + pending)
            fail_msg("after %s: %llu samples are found, %llu are stored", because,
                     (unsigned long long)found, (unsigned long long)acknowledged);
        kit->now_ms = KIT_START_MS + 5 * DAY_MS;
        must(store_settle(kit->store) == 0);
    }
    store_get_stats(kit->store, &stats);
    if (acknowledged > 0 && (stats.spans != 2 || stats.rollup_files[0] != 1 ||
                             stats.rollup_files[1] != 1 || records == 0))
        fail_msg("after %s: %llu files are left", because, (unsigned long long)stats.spans);
    assert_int_equal(stats.quarantined, 0);
    kit_close(kit);
    if (kit_faults(kit) != 0)
        fail_msg("after %s: verify finds faults or strays", because);
}

static bool run_rolling_child(struct kit *kit, struct bomb bomb, uint64_t *acknowledged)
{
    unsigned samples;
    int fds[2];
    int status;
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        kit->options.step = tick;
        kit->options.step_context = &bomb;
        kit_open(kit);
        child_rolls_up(kit, fds[1]);
        kit_close(kit);
        _exit(0);
    }
    (void)close(fds[1]);
    *acknowledged = 0;
    while (read(fds[0], &samples, sizeof samples) == (ssize_t)sizeof samples)
        *acknowledged += samples;
    (void)close(fds[0]);
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
    return WEXITSTATUS(status) == 99;
}

static void dying_while_rolling_up_leaves_all_or_nothing_of_it(void **state)
{
    (void)state;
    static const char *const points[] = {
        "rollup.written",      "rollup.finished", "rollup.registered", "rollup.replaced",
        "rollup.unregistered", "rollup.retired",  "commit.begin",      "commit.durable",
    };
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++)
        for (int left = 1; left <= 2; left++) { /* of the day, and of what comes late for it */
            struct kit kit;
            uint64_t acknowledged;
            kit_start(&kit);
            kit_close(&kit);
            kit.options.retention_raw_ms = 2 * DAY_MS;
            kit.options.rolls_up = true;
            kit.now_ms = KIT_START_MS + 3 * DAY_MS - SPAN_MS;
            if (!run_rolling_child(&kit, (struct bomb){points[p], left, false}, &acknowledged))
                fail_msg("the child has not passed %s %d times", points[p], left);
            check_rolled(&kit, acknowledged, points[p]);
            kit_stop_closed(&kit);
        }
}

/* -- a part of a day --------------------------------------------------------------------- */

/* The samples of one of SERIES go first, and what comes late for it follows; then the others'. */
static void dying_while_a_part_of_a_day_goes_leaves_each_sample_once(void **state)
{
    (void)state;
    static const struct {
        const char *point;
        int days, most; /* the others' age; passed so often */
    } points[] = {
        {"rollup.written", 3, 3},      {"rollup.finished", 3, 3}, {"rollup.registered", 3, 3},
        {"rollup.replaced", 3, 3},     {"rollup.parted", 3, 1},   {"rollup.unregistered", 3, 1},
        {"rollup.retired", 3, 1},      {"rollup.written", 4, 2},  {"rollup.finished", 4, 2},
        {"rollup.registered", 4, 2},   {"rollup.replaced", 4, 2}, {"rollup.parted", 4, 2},
        {"commit.durable", 4, 6},
    };
    struct matcher *matcher;
    assert_int_equal(matcher_new(MATCH_EQUAL, bytes_of("n"), bytes_of("0"), &matcher, NULL), 0);
    const struct store_retention age = {.selection = {&matcher, 1},
                                        .raw_ms = 2 * DAY_MS,
                                        .rollup_5m_ms = 30 * DAY_MS};
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++)
        for (int left = 1; left <= points[p].most; left++) {
            struct kit kit;
            uint64_t acknowledged;
            kit_start(&kit);
            kit_close(&kit);
            kit.options.retention_raw_ms = points[p].days * DAY_MS;
            kit.options.rolls_up = true;
            kit.options.ages = &age;
            kit.options.age_count = 1;
            kit.now_ms = KIT_START_MS + 3 * DAY_MS;
            if (!run_rolling_child(&kit, (struct bomb){points[p].point, left, false},
                                   &acknowledged))
                fail_msg("the child has not passed %s %d times", points[p].point, left);
            check_rolled(&kit, acknowledged, points[p].point);
            kit_stop_closed(&kit);
        }
    matcher_free(matcher);
}

/* -- a delete ---------------------------------------------------------------------------- */

#define RETENTION  (16 * DAY_MS) /* a day is rolled up when two of it are left */
#define WRITES     30
#define DELETED    7 /* the seed of a delete that takes much */

/* A day is rolled up, and perhaps expires; then something of it is deleted, and the roll-ups are
 * written anew without. */
static void child_deletes(struct kit *kit, int fd, struct bomb *bomb, bool is_sole)
{
    for (unsigned seed = 1; seed <= WRITES; seed++)
        must(world_write(kit, seed) == 0);
    must(store_settle(kit->store) == 0);
    if (is_sole) {
        kit->now_ms += DAY_MS;
        must(store_settle(kit->store) == 0);
    }
    bomb->is_asleep = false;
    acknowledge(fd, 0);
    must(world_delete(kit, DELETED) == 0);
    acknowledge(fd, DELETED);
    must(store_clean_deletes(kit->store) == 0);
}

/* Whether the bomb went off; the history is what the child has said. */
static bool run_deleting_child(struct kit *kit, struct bomb bomb, bool is_sole,
                               struct history *history)
{
    unsigned said;
    int fds[2];
    int status;
    must(pipe(fds) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        kit->options.step = tick;
        kit->options.step_context = &bomb;
        kit_open(kit);
        child_deletes(kit, fds[1], &bomb, is_sole);
        kit_close(kit);
        _exit(0);
    }
    (void)close(fds[1]);
    for (unsigned seed = 1; seed <= WRITES; seed++)
        history_add(history, seed);
    if (is_sole)
        history_add(history, EXPIRE);
    while (read(fds[0], &said, sizeof said) == (ssize_t)sizeof said) {
        history->pending = said == 0 ? DELETED | DELETE : 0;
        if (said != 0)
            history_add(history, DELETED | DELETE);
    }
    (void)close(fds[0]);
    must(waitpid(child, &status, 0) == child);
    must(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
    return WEXITSTATUS(status) == 99;
}

/* As it is; then when it is settled and the samples have expired. */
static void check_deleted(struct kit *kit, struct history *history, const char *because)
{
    struct store_stats stats;
    world_check(kit, history, because);
    kit->now_ms = KIT_START_MS + RETENTION + DAY_MS;
    if (!history->is_expired)
        history_add(history, EXPIRE);
    kit_open(kit);
    must(store_settle(kit->store) == 0);
    store_get_stats(kit->store, &stats);
    if (stats.rollup_files[0] != 1 || stats.rollup_files[1] != 1 || stats.deletes_pending != 0)
        fail_msg("after %s: %llu deletes wait", because,
                 (unsigned long long)stats.deletes_pending);
    kit_close(kit);
    world_check(kit, history, because);
    if (kit_faults(kit) != 0)
        fail_msg("after %s: verify finds faults or strays", because);
}

static void dying_while_a_roll_up_loses_what_was_deleted_brings_nothing_back(void **state)
{
    (void)state;
    static const struct {
        const char *point;
        int most; /* passed so often */
    } points[] = {
        {"delete.durable", 1},    {"delete.rollup", 2},           {"rollup.written", 2},
        {"rollup.finished", 2},   {"rollup.registered", 2},       {"rollup.replaced", 2},
        {"delete.retired", 1},    {"delete.rollup_rewritten", 2}, {"commit.begin", 3},
        {"commit.durable", 3},    {"checkpoint.ended", 1},
    };
    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++)
        for (int i = 0; i < 2 * points[p].most; i++) {
            bool is_sole = i % 2 == 1;
            struct bomb bomb = {points[p].point, i / 2 + 1, true};
            struct kit kit;
            struct history history = {0};
            kit_start(&kit);
            kit_close(&kit);
            kit.options.retention_raw_ms = RETENTION;
            kit.options.rolls_up = true;
            kit.now_ms = KIT_START_MS + RETENTION;
            if (!run_deleting_child(&kit, bomb, is_sole, &history))
                fail_msg("the child has not passed %s %d times", bomb.point, bomb.left);
            kit.now_ms += is_sole ? DAY_MS : 0;
            check_deleted(&kit, &history, bomb.point);
            free(history.seeds);
            kit_stop_closed(&kit);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dying_while_rolling_up_leaves_all_or_nothing_of_it),
        cmocka_unit_test(dying_while_a_part_of_a_day_goes_leaves_each_sample_once),
        cmocka_unit_test(dying_while_a_roll_up_loses_what_was_deleted_brings_nothing_back),
    };
    io_world_watch("/tmp");
    io_world_fast(); /* a process that dies leaves its system alone */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
