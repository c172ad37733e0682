/*
 * test_week.c - days of steady ingest with two days of retention: a store whose clock is ours
 * grows no more once it has what it keeps.
 *
 * Series every 15 s, written by the minute; the keeper's work is asked for by the hour, as time
 * goes too fast for it to notice.  Some samples come late, some series are new each day.  From
 * the end of the second day on the folder's size (as the disk counts it, live and history) may
 * grow by a tenth.  Without `--long` four days of few series, with it a week of many.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "proto/base/must.h"
#include "tests/fault/io_world.h"
#include "tests/fault/store_world.h"

#define STEP_MS   INT64_C(15000)
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define GROWTH    1.10
#define SERIES_MAX 200

static unsigned days = 4;
static unsigned series_count = 24;

static uint64_t bytes_in(const char *directory, const char *name)
{
    char path[512];
    uint64_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    DIR *folder = opendir(path);
    must(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat stat_;
        if (entry->d_name[0] != '.' && fstatat(dirfd(folder), entry->d_name, &stat_, 0) == 0)
            bytes += (uint64_t)stat_.st_blocks * 512;
    }
    (void)closedir(folder);
    return bytes;
}

/* A counter, a temperature, a flag, or noise: the codec has something of each to do. */
static double value_of(unsigned n, int64_t ts_ms, unsigned *seed)
{
    switch (n % 4) {
    case 0:
        return (double)(ts_ms / 1000 * (n + 1));
    case 1:
        return (double)(2000 + rand_r(seed) % 50) / 10;
    case 2:
        return ts_ms / HOUR_MS % 7 == 0;
    default:
        return (double)rand_r(seed) / 7;
    }
}

static void write_minute(struct kit *kit, int64_t minute_ms, unsigned *seed)
{
    struct store_sample samples[SERIES_MAX * 5];
    size_t count = 0;
    for (unsigned n = 0; n < series_count; n++)
        for (int64_t ts_ms = minute_ms; ts_ms < minute_ms + MINUTE_MS; ts_ms += STEP_MS) {
            bool is_late = rand_r(seed) % 500 == 0; /* a day, as after an outage */
            samples[count++] = (struct store_sample){kit_series(kit, n),
                                                     is_late ? ts_ms - DAY_MS + 1 : ts_ms,
                                                     value_of(n, ts_ms, seed)};
        }
    struct store_write write = {.samples = samples, .sample_count = count};
    must(store_write_wait(kit->store, &write) == 0);
}

static void the_size_stays_once_retention_is_full(void **state)
{
    (void)state;
    struct kit kit;
    unsigned seed = 9;
    uint64_t full = 0;
    uint64_t largest = 0;
    kit_start(&kit);
    kit_close(&kit);
    kit.options.retention_raw_ms = 2 * DAY_MS;
    kit_open(&kit);
    for (unsigned day = 1; day <= days; day++) {
        uint64_t today = 0;
        for (unsigned hour = 0; hour < 24; hour++) {
            for (unsigned minute = 0; minute < 60; minute++) {
                int64_t at_ms = kit.now_ms;
                write_minute(&kit, at_ms, &seed);
                kit.now_ms = at_ms + MINUTE_MS;
            }
            must(store_settle(kit.store) == 0);
            uint64_t now = bytes_in(kit.directory, "live") + bytes_in(kit.directory, "history");
            today = now > today ? now : today;
        }
        print_message("day %u: at most %llu kB\n", day, (unsigned long long)today / 1024);
        if (day <= 2)
            full = today > full ? today : full;
        else
            largest = today > largest ? today : largest;
    }
    assert_true((double)largest <= (double)full * GROWTH);
    /* And what is kept is there: two days of every series. */
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", kit.now_ms - 2 * DAY_MS,
                               kit.now_ms),
                     series_count);
    assert_int_equal(kit_count(&kit, MATCH_EQUAL, "__name__", "m", KIT_START_MS,
                               kit.now_ms - 2 * DAY_MS - 2 * HOUR_MS - 12 * HOUR_MS),
                     0);
    kit_stop(&kit);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_stays_once_retention_is_full),
    };
    if (argc > 1 && strcmp(argv[1], "--long") == 0) {
        days = 7;
        series_count = SERIES_MAX;
    }
    io_world_watch("/tmp");
    io_world_fast();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
