/*
 * watch_series.c - see watch_series.h.
 */
#include "probe/log/watch_series.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe/log/account_series.h"
#include "probe/log/told.h"
#include "proto/base/path.h"

enum plain_series { TRUNCATIONS, ROTATIONS, LOST, DAMAGED, LAG, PLAIN_COUNT };

static const struct metric plain[PLAIN_COUNT] = {
    [TRUNCATIONS] = {"logwatch_truncations_total", METRIC_COUNTER,
                     "Times a log file was truncated in place.", NULL},
    [ROTATIONS] = {"logwatch_rotations_total", METRIC_COUNTER,
                   "Times a log file's name passed to another file.", NULL},
    [LOST] = {"logwatch_lost_files_total", METRIC_COUNTER,
              "Rotated log files that were gone before they were read to their end.", NULL},
    [DAMAGED] = {"logwatch_damaged_files_total", METRIC_COUNTER,
                 "Compressed log files that could not be read to their end.", NULL},
    [LAG] = {"logwatch_read_lag_bytes", METRIC_GAUGE,
             "Bytes of a log file that are not read yet.", NULL},
};

struct watch_series {
    struct told plain[PLAIN_COUNT];
    struct account_series *account;
};

struct watch_series *watch_series_new(const struct watch *watch, struct emitter *out)
{
    struct watch_series *series = malloc(sizeof *series);
    if (series == NULL)
        return NULL;
    series->account = account_series_new(&watch->account, out);
    if (series->account == NULL) {
        free(series);
        return NULL;
    }
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        series->plain[i] =
            told_never(series_one(out, &plain[i], "file", bytes_of(watch->label)));
    return series;
}

void watch_series_free(struct watch_series *series)
{
    if (series == NULL)
        return;
    account_series_free(series->account);
    free(series);
}

void watch_series_emit(struct watch_series *series, const struct watch *watch, bool all,
                       struct emitter *out)
{
    told_emit(&series->plain[TRUNCATIONS], (double)watch->truncations, all, out);
    told_emit(&series->plain[ROTATIONS], (double)watch->rotations, all, out);
    told_emit(&series->plain[LOST], (double)watch->lost, all, out);
    told_emit(&series->plain[DAMAGED], (double)watch->damaged, all, out);
    if (all) /* moves with every line; nobody needs it at once */
        told_emit(&series->plain[LAG], (double)watch_lag(watch), all, out);
    account_series_emit(series->account, &watch->account, all, out);
}

void watch_series_end(const struct watch_series *series, const struct watch *watch,
                      struct emitter *out)
{
    told_end(series->plain, PLAIN_COUNT, out);
    account_series_end(series->account, &watch->account, out);
}

void watch_event(const struct watch *watch, struct emitter *out, const char *kind,
                 const char *text)
{
    struct label file = {bytes_of("file"), bytes_of(watch->label)};
    account_event(out, kind, text, &file, 1);
}

void watch_tell_damage(struct watch *watch, const struct tail *tail, struct emitter *out)
{
    char name[PATH_MAX], text[PATH_MAX + 128];
    if (!path_of_descriptor(tail->fd, name, sizeof name))
        name[0] = '\0';
    (void)snprintf(text, sizeof text,
                   "the compressed log file %s is damaged; what follows byte %" PRIu64
                   " of its lines is lost",
                   name, tail->position.offset);
    watch->damaged++;
    watch_event(watch, out, "log_damaged", text);
}
