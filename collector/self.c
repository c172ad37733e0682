/*
 * self.c - one text, two readers: whoever scrapes /metrics, and our own store.
 *
 * The store's copy is made from the very text that /metrics serves, so the two can never
 * differ. The parser below reads only what this file, ingest and http print: "name{a="b"} 1"
 * lines.
 */
#include "collector/self.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "collector/ingest/ingest.h"
#include "collector/jobs/jobs.h"
#include "collector/remote/remote.h"
#include "collector/store/care.h"
#include "collector/watchdog/watchdog.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

#define LABELS_MAX 16
#define ARENA_MAX  ((size_t)16 << 20)

/* -- printing -------------------------------------------------------------------------------
 */

static void put(struct buf *out, const char *name, const char *type, const char *help,
                double value)
{
    char number[NUMBER_TEXT_BYTES];
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, type, name,
               promql_number_text(value, number));
}

struct own_metric {
    const char *name, *type, *help; /* name without its prefix */
    double value;
};

static void put_rows(struct buf *out, const char *prefix, const struct own_metric *rows,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "%s%s", prefix, rows[i].name);
        put(out, name, rows[i].type, rows[i].help, rows[i].value);
    }
}

static void put_store(struct app *app, struct buf *out)
{
    struct store_stats s;
    store_get_stats(app->store, &s);
    const struct own_metric rows[] = {
        {"series_active", "gauge", "Series in the head.", (double)s.series_active},
        {"series_created_total", "counter", "Series made.", (double)s.series_created},
        {"samples_stored_total", "counter", "Samples committed.", (double)s.samples_stored},
        {"samples_duplicate_total", "counter", "Identical samples that vanished.",
         (double)s.samples_duplicate},
        {"samples_late_total", "counter", "Samples older than their series' newest.",
         (double)s.samples_late},
        {"log_lines_stored_total", "counter", "Log lines committed.",
         (double)s.log_lines_stored},
        {"commits_total", "counter", "Transactions committed.", (double)s.commits},
        {"commit_failures_total", "counter", "Transactions that failed.",
         (double)s.commit_failures},
        {"commit_seconds_total", "counter", "Time spent in commits.", s.commit_seconds_sum},
        {"wal_bytes", "gauge", "Bytes of WAL since the last checkpoint.", (double)s.wal_bytes},
        {"wal_records", "gauge", "WAL records since the last checkpoint.",
         (double)s.wal_records},
        {"write_queue", "gauge", "Writes that wait for a commit.", (double)s.queue_depth},
        {"checkpoints_total", "counter", "Checkpoints of the head.", (double)s.checkpoints},
        {"flushes_total", "counter", "Spans written to history.", (double)s.flushes},
        {"spans", "gauge", "History spans on disk.", (double)s.spans},
        {"deletes_total", "counter", "Deletes of samples.", (double)s.deletes},
        {"deletes_pending", "gauge", "Deletes not carried out everywhere yet.",
         (double)s.deletes_pending},
        {"quarantined_total", "counter", "Damaged values set aside.", (double)s.quarantined},
        {"head_chunks", "gauge", "Sealed chunks in memory.", (double)s.head_chunks},
        {"head_bytes", "gauge", "Bytes of samples in memory.", (double)s.head_bytes},
        {"disk_bytes", "gauge", "Bytes on disk.", (double)s.disk_bytes},
        {"used_ratio", "gauge", "Used of the disk or of the quota, whichever is more.",
         (double)s.used_percent / 100},
        {"rollups_made_total", "counter", "Roll-up files written, those made anew included.",
         (double)s.rollups_made},
        {"rollup_5m_files", "gauge", "Roll-ups of 5 minutes on disk.",
         (double)s.rollup_files[0]},
        {"rollup_5m_bytes", "gauge", "Their bytes.", (double)s.rollup_bytes[0]},
        {"rollup_1h_files", "gauge", "Roll-ups of an hour on disk.",
         (double)s.rollup_files[1]},
        {"rollup_1h_bytes", "gauge", "Their bytes.", (double)s.rollup_bytes[1]},
        {"rollup_samples_left_out_total", "counter",
         "Samples that came after the bucket they belong to had been rolled up, and expired without.",
         (double)s.rollup_left_out},
        {"rollups_lost_total", "counter",
         "Days that expired without a roll-up, for want of room.", (double)s.rollup_days_lost},
        {"full", "gauge", "1 while writes are refused for want of space.", s.full},
    };
    put_rows(out, "fengsui_collector_store_", rows, sizeof rows / sizeof rows[0]);
}

/* Seconds since 1970; 0 for what has not happened. */
static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

static void put_care(struct app *app, struct buf *out)
{
    struct care_stats s;
    store_care_stats(app->store, &s);
    const struct own_metric rows[] = {
        {"backups_total", "counter", "Backups made.", (double)s.backups},
        {"backup_failures_total", "counter", "Backups that failed or were broken off.",
         (double)s.backup_failures},
        {"backup_timestamp_seconds", "gauge", "Moment of the last backup; 0: there was none.",
         seconds(s.backup_ms)},
        {"verifications_total", "counter", "Verifications that came to their end.",
         (double)s.verifications},
        {"verify_timestamp_seconds", "gauge", "End of the last of them; 0: none since the start.",
         seconds(s.verified_ms)},
        {"verify_faults", "gauge", "Faults it found.", (double)s.verify_faults},
        {"restored_timestamp_seconds", "gauge",
         "Moment of the backup these data were restored from; 0: they were not.",
         seconds(s.restored_ms)},
    };
    put_rows(out, "fengsui_collector_store_", rows, sizeof rows / sizeof rows[0]);
}

static void put_alerts(struct app *app, struct buf *out)
{
    struct rules_stats r = {0};
    struct notify_stats n = {0};
    rules_get_stats(app->rules, &r);
    notify_get_stats(app->notify, &n);
    const struct own_metric rows[] = {
        {"rules", "gauge", "Rules loaded.", (double)r.rules},
        {"rule_evaluations_total", "counter", "Rule evaluations.", (double)r.evaluations},
        {"rule_evaluation_failures_total", "counter", "Rule evaluations that failed.",
         (double)r.evaluation_failures},
        {"rule_evaluation_seconds_total", "counter", "Time spent evaluating rules.",
         r.evaluation_seconds_sum},
        {"alerts_pending", "gauge", "Alerts whose condition has not held long enough.",
         (double)r.alerts_pending},
        {"alerts_firing", "gauge", "Alerts that fire.", (double)r.alerts_firing},
        {"alerts_stale", "gauge", "Of those that fire: without data.", (double)r.alerts_stale},
        {"alerts_flapping", "gauge", "Alerts that come and go.", (double)r.alerts_flapping},
        {"template_errors_total", "counter",
         "Texts of alerts and messages that failed to expand.",
         (double)(r.template_errors + n.template_errors)},
        {"notifications_sent_total", "counter", "Notifications a channel accepted.",
         (double)n.notifications_sent},
        {"notifications_delivered_total", "counter",
         "Notifications whose receipt says that they have arrived.",
         (double)n.notifications_delivered},
        {"notifications_failed_total", "counter", "Notifications given up.",
         (double)n.notifications_failed},
        {"notifications_retried_total", "counter", "Attempts that will be repeated.",
         (double)n.notifications_retried},
        {"outbox_depth", "gauge", "Notifications that wait to be sent.",
         (double)n.outbox_depth},
        {"forward_alerts_total", "counter", "Alerts other Alertmanagers took.",
         (double)n.forward_sent},
        {"forward_refused_total", "counter", "Alerts other Alertmanagers refused for good.",
         (double)n.forward_refused},
        {"forward_retried_total", "counter", "Transfers to other Alertmanagers made again.",
         (double)n.forward_retried},
        {"forward_owed", "gauge", "Ends of alerts that other Alertmanagers have yet to take.",
         (double)n.forward_owed},
        {"notification_channels_down", "gauge", "Integrations that take no message any more.",
         (double)n.channels_down},
        {"alert_groups", "gauge", "Alert groups.", (double)n.groups},
        {"alerts_posted", "gauge", "Firing alerts that others posted.",
         (double)n.alerts_posted},
        {"alerts_silenced", "gauge", "Firing alerts that a silence mutes.",
         (double)n.alerts_silenced},
        {"alerts_inhibited", "gauge", "Firing alerts that another firing alert inhibits.",
         (double)n.alerts_inhibited},
        {"alerts_acknowledged", "gauge", "Firing alerts somebody has acknowledged.",
         (double)n.alerts_acknowledged},
        {"silences_active", "gauge", "Silences in force.", (double)n.silences_active},
        {"silences_pending", "gauge", "Silences that begin later.", (double)n.silences_pending},
        {"incidents_open", "gauge", "Incidents that nobody has acknowledged.",
         (double)n.incidents_open},
        {"incidents_acknowledged", "gauge", "Incidents that somebody is on.",
         (double)n.incidents_acknowledged},
    };
    put_rows(out, "fengsui_collector_", rows, sizeof rows / sizeof rows[0]);
}

static double resident_bytes(void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    int fields = fscanf(file, "%lu %lu", &total, &resident);
    (void)fclose(file);
    return fields == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

static void put_process(struct app *app, struct buf *out)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
                 (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    put(out, "process_cpu_seconds_total", "counter",
        "Total user and system CPU time spent in seconds.", cpu);
    put(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
        resident_bytes());
    put(out, "process_start_time_seconds", "gauge",
        "Start time of the process since unix epoch in seconds.",
        (double)app->started_ms / MS_PER_SEC);
    buf_printf(out,
               "# HELP fengsui_collector_build_info The version, as a label.\n"
               "# TYPE fengsui_collector_build_info gauge\n"
               "fengsui_collector_build_info{version=\"%s\"} 1\n",
               FENGSUI_VERSION);
}

void self_print_metrics(struct app *app, struct buf *out)
{
    put_process(app, out);
    put_store(app, out);
    put_care(app, out);
    put_alerts(app, out);
    duty_watch_print_metrics(app->duty_watch, out);
    ingest_print_metrics(app->ingest, out);
    jobs_print_metrics(app->jobs, out);
    watchdog_print_metrics(app->watchdog, out);
    remote_print_metrics(app->remote, out);
}

/* -- into the store -------------------------------------------------------------------------
 */

struct self {
    uv_timer_t timer;
    struct app *app;
    char *instance;
    bool writing; /* the last write has not landed: skip a turn */
    struct store_write write;
    struct store_sample *samples;
    size_t count, capacity;
    int64_t now_ms;
    uv_mutex_t lock; /* writing */
};

/* Reads `a="b",...}`; values are unescaped in place.  NULL if malformed. */
static char *read_labels(char *at, struct label *pairs, size_t *count)
{
    while (*at != '}') {
        char *equals = strchr(at, '=');
        if (equals == NULL || equals[1] != '"' || *count == LABELS_MAX)
            return NULL;
        pairs[*count].name = (struct bytes){(uint8_t *)at, (size_t)(equals - at)};
        char *from = equals + 2, *to = from;
        char *value = from;
        for (; *from != '"'; from++, to++) {
            if (*from == '\0')
                return NULL;
            if (*from == '\\' && from[1] != '\0')
                from++;
            *to = *from;
        }
        pairs[(*count)++].value = (struct bytes){(uint8_t *)value, (size_t)(to - value)};
        at = from + 1;
        if (*at == ',')
            at++;
    }
    return at + 1;
}

static void add_sample(struct self *self, const struct label *pairs, size_t count,
                       enum metric_type type, double value, struct arena *arena)
{
    const struct labels *labels;
    struct series *series;
    const struct metadata metadata = {.type = type};
    if (labels_build(pairs, count, arena, &labels) != 0 ||
        store_series_resolve(self->app->store, labels, &metadata, &series) != 0)
        return;
    if (self->count == self->capacity) {
        size_t capacity = self->capacity == 0 ? 256 : self->capacity * 2;
        struct store_sample *grown = realloc(self->samples, capacity * sizeof *grown);
        if (grown == NULL) {
            store_series_release(self->app->store, series);
            return;
        }
        self->samples = grown;
        self->capacity = capacity;
    }
    self->samples[self->count++] = (struct store_sample){series, self->now_ms, value};
}

static void read_line(struct self *self, char *line, enum metric_type type, struct arena *arena)
{
    struct label pairs[LABELS_MAX + 3];
    size_t count = 0;
    size_t name_size = strcspn(line, "{ ");
    char *at = line + name_size;
    pairs[count++] = (struct label){bytes_of(LABEL_NAME), {(uint8_t *)line, name_size}};
    pairs[count++] = (struct label){bytes_of("job"), bytes_of("fengsui-collector")};
    pairs[count++] = (struct label){bytes_of("instance"), bytes_of(self->instance)};
    if (*at == '{')
        at = read_labels(at + 1, pairs, &count);
    if (at != NULL && *at == ' ')
        add_sample(self, pairs, count, type, strtod(at + 1, NULL), arena);
}

static void release_samples(struct self *self)
{
    for (size_t i = 0; i < self->count; i++)
        store_series_release(self->app->store, self->samples[i].series);
    self->count = 0;
}

/* Writer thread. */
static void written(struct store_write *write, int error)
{
    struct self *self = write->context;
    if (error == 0 && self->app->rules != NULL)
        rules_touch_without_witness(self->app->rules, write->samples, write->sample_count);
    uv_mutex_lock(&self->lock);
    self->writing = false;
    uv_mutex_unlock(&self->lock);
}

static bool is_writing(struct self *self)
{
    uv_mutex_lock(&self->lock);
    bool writing = self->writing;
    uv_mutex_unlock(&self->lock);
    return writing;
}

static void on_timer(uv_timer_t *timer)
{
    struct self *self = timer->data;
    struct arena arena;
    struct buf text = {0};
    char *rest = NULL;
    enum metric_type type = METRIC_UNKNOWN;

    if (is_writing(self))
        return;
    release_samples(self);
    arena_init(&arena, ARENA_MAX);
    self->now_ms = clock_unix_ms(&clock_system);
    self_print_metrics(self->app, &text);
    if (self->app->print_http_metrics != NULL)
        self->app->print_http_metrics(self->app, &text);
    buf_put_u8(&text, 0);
    if (buf_ok(&text))
        for (char *line = strtok_r((char *)text.data, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            if (strncmp(line, "# TYPE ", 7) == 0)
                type = strstr(line, " counter") != NULL ? METRIC_COUNTER : METRIC_GAUGE;
            if (line[0] != '#')
                read_line(self, line, type, &arena);
        }
    buf_done(&text);
    arena_reset(&arena);
    self->write = (struct store_write){.samples = self->samples,
                                       .sample_count = self->count,
                                       .is_essential = true,
                                       .done = written,
                                       .context = self};
    self->writing = true;
    if (store_write_submit(self->app->store, &self->write) != 0)
        self->writing = false;
}

int self_start(uv_loop_t *loop, struct app *app, int64_t interval_ms, const char *instance,
               struct self **ret_self)
{
    struct self *self = calloc(1, sizeof *self);
    if (self == NULL)
        return ERR_NOMEM;
    self->app = app;
    self->instance = strdup(instance);
    if (self->instance == NULL || uv_mutex_init(&self->lock) != 0) {
        free(self->instance);
        free(self);
        return ERR_NOMEM;
    }
    (void)uv_timer_init(loop, &self->timer);
    self->timer.data = self;
    (void)uv_timer_start(&self->timer, on_timer, 1000, (uint64_t)interval_ms);
    *ret_self = self;
    return 0;
}

static void on_close(uv_handle_t *handle)
{
    struct self *self = handle->data;
    release_samples(self);
    uv_mutex_destroy(&self->lock);
    free(self->samples);
    free(self->instance);
    free(self);
}

void self_stop(struct self *self)
{
    if (self == NULL)
        return;
    if (is_writing(self)) { /* an empty write behind ours: when it is done, ours is */
        struct store_write barrier = {0};
        (void)store_write_wait(self->app->store, &barrier);
    }
    uv_close((uv_handle_t *)&self->timer, on_close);
}
