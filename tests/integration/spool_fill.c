/*
 * spool_fill.c - a spool as a probe of this host has it after hours without a collector.
 *
 *     spool_fill SPOOL_FOLDER TICKS SERIES INTERVAL_MS
 *
 * TICKS batches up to now, of SERIES gauges filled{n="0"} and on: the first holds the tick's
 * place, the others change now and then.  Prints the epoch and the first tick in milliseconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/definition.h"
#include "probe/host.h"
#include "probe/spool.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/wire/plain.h"

#define SERIES_MOST 1000

static void define(struct spool *spool, uint64_t series)
{
    struct buf items = {0};
    for (uint64_t i = 0; i < series; i++) {
        char place[24];
        (void)snprintf(place, sizeof place, "%" PRIu64, i);
        struct label label = {bytes_of("n"), bytes_of(place)};
        struct definition definition = {
            .name = bytes_of("filled"), .labels = &label, .label_count = 1};
        must(definition_write(&definition, &items) == 0);
    }
    must(spool_add_definitions(spool, 0, series, buf_bytes(&items)) == 0);
    buf_done(&items);
}

static void put(struct spool *spool, uint64_t place, int64_t tick_ms, uint64_t series)
{
    static uint64_t refs[SERIES_MOST];
    static double values[SERIES_MOST];
    struct buf plain = {0};
    uint64_t number;
    for (uint64_t i = 0; i < series; i++) {
        refs[i] = i;
        values[i] = i == 0 ? (double)place : (double)(place / (i + 1));
    }
    struct plain_batch batch = {
        .tick_ms = tick_ms, .definition_count = series, .samples = {refs, values, series}};
    must(plain_write(&batch, &plain) == 0);
    must(spool_append(spool, tick_ms, buf_bytes(&plain), (struct bytes){0}, tick_ms, &number) ==
         0);
    buf_done(&plain);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return EXIT_FAILURE;
    uint64_t ticks = strtoull(argv[2], NULL, 10), series = strtoull(argv[3], NULL, 10);
    int64_t interval_ms = strtoll(argv[4], NULL, 10);
    must(series >= 1 && series <= SERIES_MOST);
    int64_t first_ms = clock_unix_ms(&clock_system) - (int64_t)ticks * interval_ms;
    struct spool *spool;
    struct diagnosis why = {0};
    struct spool_options options = {.directory = argv[1],
                                    .limit_bytes = SPOOL_LIMIT_DEFAULT,
                                    .age_limit_ms = SPOOL_AGE_DEFAULT_MS,
                                    .io = &file_io_system};
    if (host_boot_id(options.boot_id, &why) != 0 || spool_open(&options, &spool, &why) != 0) {
        (void)fprintf(stderr, "spool_fill: %s\n", why.text);
        return EXIT_FAILURE;
    }
    define(spool, series);
    for (uint64_t i = 0; i < ticks; i++)
        put(spool, i + 1, first_ms + (int64_t)i * interval_ms, series);
    (void)printf("%" PRIu64 " %" PRId64 "\n", spool_epoch(spool), first_ms);
    spool_close(spool);
    return EXIT_SUCCESS;
}
