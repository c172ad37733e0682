/*
 * remote_report.c - what the receivers have got, in text format.
 */
#include <stdlib.h>

#include "collector/remote/remote_parts.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

void remote_each(struct remote *remote,
                 void (*each)(void *context, const struct sender_status *status), void *context)
{
    struct sender_status statuses[REMOTE_TARGETS_MAX];
    if (remote == NULL)
        return;
    must(pthread_mutex_lock(&remote->lock) == 0);
    const size_t count = remote->count;
    for (size_t i = 0; i < count; i++)
        sender_get_status(remote->senders[i], &statuses[i]);
    must(pthread_mutex_unlock(&remote->lock) == 0);
    for (size_t i = 0; i < count; i++)
        each(context, &statuses[i]);
}

#define AT(field) offsetof(struct sender_status, field)

/* Rows of one receiver; the reason is a second label. */
static const struct {
    const char *name, *type, *help, *reason;
    size_t offset;
} counts[] = {
    {"samples_pending", "gauge", "Samples that wait, those under way included.", NULL,
     AT(pending_samples)},
    {"samples_sent_total", "counter", "Samples acknowledged.", NULL, AT(sent)},
    {"samples_retried_total", "counter", "Samples whose request will be made again.", NULL,
     AT(retried)},
    {"samples_refused_total", "counter", "Samples refused for good and set aside.", NULL,
     AT(refused)},
    {"samples_dropped_total", "counter", "Samples not sent, by reason.", "relabel",
     AT(dropped_relabel)},
    {"samples_dropped_total", NULL, NULL, "age", AT(dropped_age)},
    {"samples_dropped_total", NULL, NULL, "unknown_series", AT(dropped_unknown)},
    {"samples_lost_total", "counter",
     "Samples that the limit of the backlog dropped before they were sent.", NULL,
     AT(lost_samples)},
    {"commits_lost_total", "counter", "Commits that were gone or damaged before they were sent.",
     NULL, AT(lost_commits)},
    {"requests_total", "counter", "Requests that ended, one way or the other.", NULL,
     AT(requests)},
    {"request_failures_total", "counter", "Requests that will be made again.", NULL,
     AT(request_failures)},
    {"requests_split_total", "counter", "Requests too large for the receiver, made again in halves.",
     NULL, AT(requests_split)},
    {"bytes_sent_total", "counter", "Bytes of requests that were taken.", NULL, AT(bytes_sent)},
    {"metadata_requests_total", "counter", "Metadata messages that were taken.", NULL,
     AT(metadata_sent)},
    {"shards", "gauge", "Requests that the window under way was divided into.", NULL,
     AT(shards)},
};

struct listing {
    struct sender_status statuses[REMOTE_TARGETS_MAX];
    size_t count;
};

static void take_status(void *context, const struct sender_status *status)
{
    struct listing *listing = context;
    listing->statuses[listing->count++] = *status;
}

static void put_counts(const struct listing *listing, struct buf *out)
{
    for (size_t row = 0; row < sizeof counts / sizeof *counts; row++) {
        if (counts[row].type != NULL)
            buf_printf(out,
                       "# HELP fengsui_collector_remote_out_%s %s\n"
                       "# TYPE fengsui_collector_remote_out_%s %s\n",
                       counts[row].name, counts[row].help, counts[row].name, counts[row].type);
        for (size_t i = 0; i < listing->count; i++) {
            const struct sender_status *status = &listing->statuses[i];
            uint64_t value;
            memcpy(&value, (const char *)status + counts[row].offset, sizeof value);
            buf_printf(out, "fengsui_collector_remote_out_%s{remote=\"%s\"", counts[row].name,
                       status->name);
            if (counts[row].reason != NULL)
                buf_printf(out, ",reason=\"%s\"", counts[row].reason);
            buf_printf(out, "} %llu\n", (unsigned long long)value);
        }
    }
}

enum instant { LAG, NEWEST, FAILING };

static void put_instants(const struct listing *listing, struct buf *out)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
        [LAG] = {"lag_seconds",
                 "Everything committed so long ago, and earlier, is acknowledged."},
        [NEWEST] = {"newest_sent_timestamp_seconds",
                    "Newest time of a sample that was sent; 0: none since the start."},
        [FAILING] = {"failing", "1 while the receiver takes nothing."},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        buf_printf(out,
                   "# HELP fengsui_collector_remote_out_%s %s\n"
                   "# TYPE fengsui_collector_remote_out_%s gauge\n",
                   rows[row].name, rows[row].help, rows[row].name);
        for (size_t i = 0; i < listing->count; i++) {
            const struct sender_status *status = &listing->statuses[i];
            const double values[] = {
                [LAG] = (double)status->lag_ms / MS_PER_SEC,
                [NEWEST] = (double)status->newest_sent_ms / MS_PER_SEC,
                [FAILING] = status->is_failing,
            };
            buf_printf(out, "fengsui_collector_remote_out_%s{remote=\"%s\"} %.15g\n",
                       rows[row].name, status->name, values[row]);
        }
    }
}

/* What all receivers share. */
static void put_spill(struct remote *remote, struct buf *out)
{
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } rows[] = {
        {"backlog_bytes", "gauge", "Bytes on disk that wait for receivers.",
         spill_bytes(&remote->spill)},
        {"backlog_files_total", "counter", "Files that the store's log was spilled into.",
         remote->spilled_files},
        {"backlog_failures_total", "counter", "Times that it could not be spilled.",
         remote->spill_failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_printf(out,
                   "# HELP fengsui_collector_remote_out_%s %s\n"
                   "# TYPE fengsui_collector_remote_out_%s %s\n"
                   "fengsui_collector_remote_out_%s %llu\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                   (unsigned long long)rows[i].value);
}

void remote_print_metrics(struct remote *remote, struct buf *out)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL) {
        out->failed = true;
        return;
    }
    remote_each(remote, take_status, listing);
    if (listing->count > 0) {
        put_counts(listing, out);
        put_instants(listing, out);
        put_spill(remote, out);
    }
    free(listing);
}
