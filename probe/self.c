#include "probe/self.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/host.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

/* Everything a row can be read from, gathered once a tick. */
struct view {
    struct spool_counts spool;
    struct emitter_counts emitter;
    struct transport_counts transport;
    double cpu_seconds;
    double resident_bytes;
    double start_seconds;
    double oldest_seconds;
    uint64_t waiting;
    uint64_t ticks_lost;
    uint64_t policy_version;
    uint64_t policy_refusals;
    bool is_held;
};

enum field_kind { FIELD_U64, FIELD_DOUBLE, FIELD_BOOL };

struct row {
    struct metric metric;
    enum field_kind kind;
    size_t offset;
};

#define COUNTER(name, kind, field, help)                                                       \
    {                                                                                          \
        {"fengsui_probe_" name, METRIC_COUNTER, help, NULL}, kind,                             \
            offsetof(struct view, field)                                                       \
    }
#define GAUGE(name, kind, field, help)                                                         \
    {                                                                                          \
        {"fengsui_probe_" name, METRIC_GAUGE, help, NULL}, kind, offsetof(struct view, field)  \
    }

static const struct row rows[] = {
    GAUGE("start_time_seconds", FIELD_DOUBLE, start_seconds,
          "Unix time at which the probe was started."),
    COUNTER("cpu_seconds_total", FIELD_DOUBLE, cpu_seconds,
            "CPU time the probe has used, user and system."),
    GAUGE("resident_memory_bytes", FIELD_DOUBLE, resident_bytes,
          "Memory of the probe that is resident, shared pages included."),
    GAUGE("clock_held", FIELD_BOOL, is_held,
          "1 while the wall clock is behind the last tick, after a step back."),
    COUNTER("ticks_lost_total", FIELD_U64, ticks_lost,
            "Ticks whose samples the spool could not take."),
    GAUGE("policy_version", FIELD_U64, policy_version,
          "Version of the collector's policy in force, the Unix time in ms at which it was "
          "decided; 0: none."),
    GAUGE("policy_refused_parts", FIELD_U64, policy_refusals,
          "Parts of the policy that this host does not allow or cannot do."),
    GAUGE("series", FIELD_U64, emitter.series, "Series defined in this epoch."),
    COUNTER("samples_total", FIELD_U64, emitter.samples, "Samples emitted by sources."),
    COUNTER("records_refused_total", FIELD_U64, emitter.records_refused,
            "Records that did not fit a batch."),
    GAUGE("spool_bytes", FIELD_U64, spool.bytes, "Bytes of the spool on disk."),
    GAUGE("spool_segments", FIELD_U64, spool.segments, "Segment files of the spool."),
    GAUGE("spool_waiting_batches", FIELD_U64, waiting,
          "Batches that the collector has not acknowledged yet."),
    GAUGE("spool_oldest_seconds", FIELD_DOUBLE, oldest_seconds,
          "Age of the oldest batch that the collector has not acknowledged; 0: none waits."),
    COUNTER("spool_batches_total", FIELD_U64, spool.batches_appended,
            "Batches put into the spool."),
    COUNTER(
        "spool_batches_dropped_total", FIELD_U64, spool.batches_dropped,
        "Batches dropped unsent, oldest first, because the spool was full or they too old."),
    COUNTER("spool_batches_corrupt_total", FIELD_U64, spool.batches_corrupt,
            "Batches that could not be read back."),
    COUNTER("spool_write_failures_total", FIELD_U64, spool.write_failures,
            "Writes to the spool that failed."),
    GAUGE("connected", FIELD_BOOL, transport.is_connected,
          "1 while the collector answers on this connection."),
    GAUGE("approved", FIELD_BOOL, transport.is_approved,
          "1 while the collector accepts batches of this key."),
    COUNTER("connections_total", FIELD_U64, transport.connections,
            "Connections made to the collector."),
    COUNTER("messages_sent_total", FIELD_U64, transport.messages_sent,
            "Messages sent to the collector."),
    COUNTER("sent_bytes_total", FIELD_U64, transport.bytes_sent,
            "Bytes of messages sent to the collector, before encryption."),
    COUNTER("batches_sent_total", FIELD_U64, transport.batches_sent,
            "Batches sent, those sent again included."),
    COUNTER("batches_acknowledged_total", FIELD_U64, transport.batches_acknowledged,
            "Batches sent and acknowledged on the same connection."),
    COUNTER("gaps_sent_total", FIELD_U64, transport.gaps_sent, "Gaps told to the collector."),
    COUNTER("keys_needed_total", FIELD_U64, transport.keys_needed,
            "Batches the collector asked for again, whole."),
    COUNTER("refusals_total", FIELD_U64, transport.refusals, "Refusals by the collector."),
    COUNTER("malformed_messages_total", FIELD_U64, transport.malformed,
            "Messages from the collector that did not parse."),
    GAUGE("window_bytes", FIELD_U64, transport.window_bytes,
          "Bytes in flight the collector allows."),
    GAUGE("in_flight_bytes", FIELD_U64, transport.in_flight_bytes,
          "Bytes sent and not yet acknowledged."),
    GAUGE("clock_offset_seconds", FIELD_DOUBLE, transport.clock_offset_seconds,
          "The collector's clock minus the probe's."),
    GAUGE("round_trip_seconds", FIELD_DOUBLE, transport.round_trip_seconds,
          "Time a message takes to the collector and back."),
};

#define ROWS (sizeof rows / sizeof rows[0])
_Static_assert(ROWS <= SELF_SERIES_MAX, "every row has a handle");

static const struct metric build_metric = {"fengsui_probe_build_info", METRIC_GAUGE,
                                           "Always 1; the version is a label.", NULL};

/* One of each for every source. */
static const struct metric source_metrics[] = {
    {"node_scrape_collector_duration_seconds", METRIC_GAUGE,
     "node_exporter: Duration of a collector scrape.", NULL},
    {"node_scrape_collector_success", METRIC_GAUGE,
     "node_exporter: Whether a collector succeeded.", NULL},
    {"fengsui_probe_source_failures_total", METRIC_COUNTER, "Ticks in which a source failed.",
     NULL},
    {"fengsui_probe_source_late_total", METRIC_COUNTER,
     "Ticks in which a source came late and was stamped with its real time.", NULL},
    {"fengsui_probe_source_ticks_skipped_total", METRIC_COUNTER,
     "Ticks a source missed: it was still busy, or nobody woke up.", NULL},
    {"fengsui_probe_source_interval_seconds", METRIC_GAUGE,
     "Time between two ticks of a source that runs, as it is in force.", NULL},
    {"fengsui_probe_source_last_success_timestamp_seconds", METRIC_GAUGE,
     "Tick at which a source last succeeded, or when it was started.", NULL},
    {"fengsui_probe_source_cpu_seconds_total", METRIC_COUNTER,
     "Processor time that a source has taken.", NULL},
};

#define SOURCE_METRICS (sizeof source_metrics / sizeof source_metrics[0])

struct self_sources {
    series_handle handles[SOURCE_METRICS];
    bool was_told;
};

static const struct metric series_refused = {"fengsui_probe_series_refused_total",
                                             METRIC_COUNTER,
                                             "Series that could not be registered.", NULL};

static const struct metric policy_refused = {
    "fengsui_probe_policy_refused", METRIC_GAUGE,
    "1 for each part of the policy that does not hold on this host, with the reason.", NULL};

static int self_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct self_state *self = state;
    const struct label version = {bytes_of("version"), bytes_of(FENGSUI_VERSION)};

    (void)env;
    self->source_count = scheduler_count(self->scheduler);
    self->sources = calloc(self->source_count + 1, sizeof *self->sources);
    if (self->sources == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < ROWS; i++)
        self->handles[i] = emitter_series(out, &rows[i].metric, NULL, 0);
    self->build = emitter_series(out, &build_metric, &version, 1);
    return 0;
}

static double read_field(const struct view *view, const struct row *row)
{
    const char *field = (const char *)view + row->offset;
    double number;
    uint64_t integer;
    bool flag;
    switch (row->kind) {
    case FIELD_DOUBLE:
        memcpy(&number, field, sizeof number);
        return number;
    case FIELD_BOOL:
        memcpy(&flag, field, sizeof flag);
        return flag ? 1 : 0;
    case FIELD_U64:
        break;
    }
    memcpy(&integer, field, sizeof integer);
    return (double)integer;
}

/* When it begins to be told: only one that is on has a name of its own. */
static void register_source(struct self_sources *source, const char *name, struct emitter *out)
{
    for (size_t k = 0; k < SOURCE_METRICS; k++) {
        bool is_node = strncmp(source_metrics[k].name, "node_", 5) == 0;
        struct label label = {bytes_of(is_node ? "collector" : "source"), bytes_of(name)};
        source->handles[k] = emitter_series(out, &source_metrics[k], &label, 1);
    }
}

static void emit_sources(struct self_state *self, struct emitter *out)
{
    for (size_t i = 0; i < self->source_count; i++) {
        struct source_report report = scheduler_report(self->scheduler, i);
        const double values[SOURCE_METRICS] = {report.duration_seconds,
                                               report.has_succeeded ? 1 : 0,
                                               (double)report.failures,
                                               (double)report.late,
                                               (double)report.skipped,
                                               (double)report.in_force_ms / 1e3,
                                               (double)report.succeeded_ms / 1e3,
                                               report.cpu_seconds};
        struct self_sources *source = &self->sources[i];
        /* Else this host has no such thing, or it was switched off. */
        bool is_told = report.is_running || (report.is_on && report.failures > 0);
        if (is_told && !source->was_told)
            register_source(source, report.name, out);
        for (size_t k = 0; k < SOURCE_METRICS && is_told; k++)
            emit(out, source->handles[k], values[k]);
        for (size_t k = 0; k < SOURCE_METRICS && source->was_told && !is_told; k++)
            emitter_end(out, source->handles[k]);
        source->was_told = is_told;
    }
}

/* What the last policy could not have ends; what this one cannot have is told every tick. */
static void emit_policy_refused(struct self_state *self, struct emitter *out)
{
    const struct policy *policy = self->policy == NULL ? NULL : *self->policy;
    if (policy == NULL)
        return;
    if (policy->version != self->told_version ||
        policy->refusal_changes != self->told_changes) {
        for (size_t i = 0; i < self->told_count; i++)
            emitter_end(out, self->refused[i]);
        self->told_count = policy_refusals_kept(policy);
        for (size_t i = 0; i < self->told_count; i++) {
            const struct label labels[] = {
                {bytes_of("part"), bytes_of(policy->refusals[i].part)},
                {bytes_of("reason"), bytes_of(policy->refusals[i].reason)}};
            self->refused[i] = emitter_series(out, &policy_refused, labels, 2);
        }
        self->told_version = policy->version;
        self->told_changes = policy->refusal_changes;
    }
    for (size_t i = 0; i < self->told_count; i++)
        emit(out, self->refused[i], 1); /* revives one that is refused again */
}

static void emit_refused(const struct self_state *self, struct emitter *out)
{
    const struct emitter_counts *counts = emitter_counts(self->emitter);
    const struct {
        const char *reason;
        uint64_t count;
    } reasons[] = {{"limit", counts->refused_limit}, {"memory", counts->refused_nomem}};
    for (size_t i = 0; i < 2; i++) {
        struct label label = {bytes_of("reason"), bytes_of(reasons[i].reason)};
        if (reasons[i].count > 0) /* looked up by name: it is not there on a healthy host */
            emit(out, emitter_series(out, &series_refused, &label, 1),
                 (double)reasons[i].count);
    }
}

static int self_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct self_state *self = state;
    struct view view = {.start_seconds = (double)self->started_ms / 1e3,
                        .emitter = *emitter_counts(self->emitter),
                        .resident_bytes = (double)NAN,
                        .is_held = self->ticks->is_held};
    struct host_usage usage;
    int64_t oldest_ms = 0;

    if (self->spool != NULL) {
        view.spool = *spool_counts(self->spool);
        view.waiting = spool_waiting(self->spool, &oldest_ms);
    }
    if (oldest_ms > 0 && oldest_ms < env->now_ms)
        view.oldest_seconds = (double)(env->now_ms - oldest_ms) / 1e3;
    if (self->ticks_lost != NULL)
        view.ticks_lost = *self->ticks_lost;
    if (self->policy != NULL && *self->policy != NULL) {
        view.policy_version = (*self->policy)->version;
        view.policy_refusals = (*self->policy)->refusal_count;
    }
    if (self->transport != NULL && *self->transport != NULL)
        view.transport = *transport_counts(*self->transport);
    else
        view.transport.clock_offset_seconds = view.transport.round_trip_seconds = (double)NAN;
    if (host_usage(&usage)) {
        view.cpu_seconds = usage.cpu_seconds;
        view.resident_bytes = usage.resident_bytes;
    }
    for (size_t i = 0; i < ROWS; i++) {
        double value = read_field(&view, &rows[i]);
        if (!isnan(value))
            emit(out, self->handles[i], value);
    }
    emit(out, self->build, 1);
    emit_sources(self, out);
    emit_refused(self, out);
    emit_policy_refused(self, out);
    return 0;
}

static void self_stop(void *state)
{
    struct self_state *self = state;
    free(self->sources);
    self->sources = NULL;
}

const struct source source_self = {
    .name = "self",
    .summary = "the probe itself: spool, connection, sources, CPU and memory",
    .state_bytes = sizeof(struct self_state),
    .start = self_start,
    .collect = self_collect,
    .stop = self_stop,
};
