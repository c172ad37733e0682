/*
 * test_rollup.c - a store that dies at every step of rolling a day up, and of what comes late for
 * it, is opened again: what was acknowledged is there once, as samples or as records.
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
#include "tests/unit/store_kit.h"

#define ALWAYS  INT64_MIN / 2, INT64_MAX / 2
#define SPAN_MS ((int64_t)2 * 3600 * 1000)
#define SERIES  6

struct bomb {
    const char *point;
    _Atomic int left; /* goes off when it has been passed so often, by whichever thread */
};

static void tick(void *context, const char *point)
{
    struct bomb *bomb = context;
    if (strcmp(bomb->point, point) == 0 && --bomb->left == 0)
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
            if (!run_rolling_child(&kit, (struct bomb){points[p], left}, &acknowledged))
                fail_msg("the child has not passed %s %d times", points[p], left);
            check_rolled(&kit, acknowledged, points[p]);
            kit_stop_closed(&kit);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dying_while_rolling_up_leaves_all_or_nothing_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
