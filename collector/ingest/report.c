/*
 * report.c - what other threads may see of the ingest tables: JSON for the API, own metrics.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "collector/ingest/state.h"
#include "proto/base/error.h"
#include "proto/wire/record.h"

static json_t *text_json(struct bytes text)
{
    json_t *value = text.size == 0 ? json_string("") /* no text has no address either */
                                   : json_stringn((const char *)text.data, text.size);
    return value != NULL ? value : json_string("\xEF\xBF\xBD"); /* not UTF-8 */
}

static int print(json_t *json, struct buf *out)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL)
        return ERR_NOMEM;
    buf_put_text(out, text);
    free(text);
    return buf_ok(out) ? 0 : ERR_NOMEM;
}

static const char *standing_of(const struct key_entry *entry)
{
    static const char *const names[] = {"pending", "approved", "revoked"};
    return names[entry->standing];
}

static const char *state_of(const struct key_entry *entry)
{
    if (entry->standing != KEY_APPROVED)
        return standing_of(entry);
    if (entry->absent)
        return "silent";
    return entry->session != NULL ? "up" : "waiting";
}

static json_t *streams_json(const struct session *session)
{
    json_t *array = json_array();
    const struct stream *stream = session == NULL ? NULL : session->streams;
    for (; stream != NULL; stream = stream->next) {
        char epoch[17];
        json_t *ranges = json_array();
        (void)snprintf(epoch, sizeof epoch, "%016" PRIx64, stream->epoch);
        for (size_t i = 0; i < stream->stored.count; i++)
            (void)json_array_append_new(
                ranges, json_pack("[I, I]", (json_int_t)stream->stored.ranges[i].first,
                                  (json_int_t)stream->stored.ranges[i].last));
        (void)json_array_append_new(
            array, json_pack("{s:s, s:I, s:o, s:I, s:b}", "epoch", epoch, "lowWater",
                             (json_int_t)stream->stored.low_water, "ranges", ranges,
                             "definitions", (json_int_t)stream->definitions_committed,
                             "renewed", stream->renew));
    }
    return array;
}

static void add_entry(void *context, struct key_entry *entry)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < entry->label_count; i++)
        (void)json_object_setn_new(labels, (const char *)entry->labels[i].name.data,
                                   entry->labels[i].name.size,
                                   text_json(entry->labels[i].value));
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
        "key", entry->text, "standing", standing_of(entry), "state", state_of(entry), "job",
        entry->job == NULL ? "" : entry->job, "instance",
        entry->instance == NULL ? "" : entry->instance, "labels", labels, "connected",
        entry->session != NULL, "address", entry->address, "software", entry->software, "note",
        entry->note, "intervalMs", (json_int_t)entry->interval_ms, "lastTickMs",
        (json_int_t)entry->last_tick_ms, "firstSeenMs", (json_int_t)entry->first_seen_ms,
        "clockOffsetSeconds", entry->clock_offset_seconds, "roundTripSeconds",
        entry->round_trip_seconds, "series", (json_int_t)entry->series_count, "conflicts",
        (json_int_t)entry->conflicts, "gaps", (json_int_t)entry->gaps, "gapBatches",
        (json_int_t)entry->gap_numbers, "refusedMessages", (json_int_t)entry->refused_batches,
        "duplicateConnections", (json_int_t)entry->duplicate_connections, "policyVersion",
        (json_int_t)entry->policy_version, "policyInForce", (json_int_t)entry->policy_in_force,
        "streams", streams_json(entry->session));
    if (row != NULL)
        (void)json_array_append_new(context, row);
}

struct filter {
    json_t *array;
    bool approved_only;
};

static void add_filtered(void *context, struct key_entry *entry)
{
    struct filter *filter = context;
    if (!filter->approved_only || entry->standing == KEY_APPROVED)
        add_entry(filter->array, entry);
}

static int print_entries(struct ingest *ingest, bool approved_only, struct buf *out)
{
    struct filter filter = {json_array(), approved_only};
    uv_mutex_lock(&ingest->lock);
    keys_each(&ingest->keys, add_filtered, &filter);
    uv_mutex_unlock(&ingest->lock);
    return print(filter.array, out);
}

int ingest_print_probes_json(struct ingest *ingest, struct buf *out)
{
    return print_entries(ingest, true, out);
}

int ingest_print_keys_json(struct ingest *ingest, struct buf *out)
{
    return print_entries(ingest, false, out);
}

struct view_walk {
    void (*each)(void *context, const struct probe_view *probe);
    void *context;
};

static void show_entry(void *context, struct key_entry *entry)
{
    const struct view_walk *walk = context;
    const struct probe_view view = {
        .job = entry->job == NULL ? "" : entry->job,
        .instance = entry->instance == NULL ? "" : entry->instance,
        .address = entry->address,
        .note = entry->note,
        .labels = entry->labels,
        .label_count = entry->label_count,
        .interval_ms = entry->interval_ms,
        .last_tick_ms = entry->last_tick_ms,
        .round_trip_seconds = entry->round_trip_seconds,
        .approved = entry->standing == KEY_APPROVED,
        .connected = entry->session != NULL,
        .absent = entry->absent,
    };
    walk->each(walk->context, &view);
}

void ingest_each_probe(struct ingest *ingest,
                       void (*each)(void *context, const struct probe_view *probe),
                       void *context)
{
    struct view_walk walk = {each, context};
    uv_mutex_lock(&ingest->lock);
    keys_each(&ingest->keys, show_entry, &walk);
    uv_mutex_unlock(&ingest->lock);
}

/* -- processes ------------------------------------------------------------------------------ */

/* "80 443" as numbers; what is none ends them. */
static json_t *ports_json(struct bytes text)
{
    json_t *ports = json_array();
    unsigned port = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] >= '0' && text.data[i] <= '9' && port <= UINT16_MAX) {
            port = port * 10 + (unsigned)(text.data[i] - '0');
            continue;
        }
        if (port > 0 && port <= UINT16_MAX)
            (void)json_array_append_new(ports, json_integer(port));
        if (i == text.size || text.data[i] != ' ')
            break;
        port = 0;
    }
    return ports;
}

static json_t *row_json(const struct process_row *row)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:f, s:I, s:f, s:f, s:I, s:o}", "pid",
                     (json_int_t)row->pid, "user", text_json(row->user), "name",
                     text_json(row->name), "commandLine", text_json(row->command_line), "group",
                     text_json(row->group), "cpu", row->cpu_seconds_per_second, "residentBytes",
                     (json_int_t)row->resident_bytes, "readBytesPerSecond",
                     row->read_bytes_per_second, "writeBytesPerSecond",
                     row->write_bytes_per_second, "startMs", (json_int_t)row->start_ms, "ports",
                     ports_json(row->ports));
}

int ingest_print_processes_json(struct ingest *ingest, const char *instance, int64_t at_ms,
                                struct buf *out)
{
    struct arena arena;
    struct log_hit *hits = NULL;
    size_t count = 0;
    struct process_table table;
    const struct log_query query = {
        .stream_id = XXH3_64bits(instance, strlen(instance)),
        .path_pattern = bytes_of("@process_table"),
        .from_ms = at_ms - INT64_C(600000), /* older than that says nothing of this second */
        .until_ms = at_ms,
        .limit = 1,
        .newest_first = true,
    };
    arena_init(&arena, ARENA_BYTES);
    int error = store_log_search(ingest->store, &query, &arena, &hits, &count, NULL);
    if (error == 0 && count == 0)
        error = ERR_NOTFOUND;
    if (error == 0)
        error = record_decode_processes(hits[0].line.text, &arena, &table);
    if (error == 0) {
        json_t *rows = json_array();
        for (size_t i = 0; i < table.count; i++)
            (void)json_array_append_new(rows, row_json(&table.rows[i]));
        error = print(json_pack("{s:s, s:I, s:I, s:o}", "instance", instance, "timeMs",
                                (json_int_t)hits[0].line.ts_ms, "processCount",
                                (json_int_t)table.process_count, "processes", rows),
                      out);
    }
    arena_reset(&arena);
    return error;
}

/* -- own metrics ---------------------------------------------------------------------------- */

static void put_counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
    buf_printf(out, "# HELP fengsui_collector_%s %s\n# TYPE fengsui_collector_%s counter\n", name,
               help, name);
    buf_printf(out, "fengsui_collector_%s %" PRIu64 "\n", name, value);
}

struct gauge_walk {
    struct buf *out;
    int row;
};

static void put_label_value(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            buf_put_char(out, '\\');
        if (*text == '\n')
            buf_put_text(out, "\\n");
        else
            buf_put_char(out, *text);
    }
}

static const struct {
    const char *name, *help, *type;
} entry_metrics[] = {
    {"probe_clock_offset_seconds", "Probe's clock minus the collector's.", "gauge"},
    {"probe_round_trip_seconds", "Round trip to the probe over the wire.", "gauge"},
    {"probe_last_tick_timestamp_seconds", "Newest tick stored of the probe.", "gauge"},
    {"probe_connected", "Whether the probe is connected now.", "gauge"},
    {"probe_stream_conflicts_total", "Times a probe reused numbers for other content.",
     "counter"},
    {"probe_stream_conflict_timestamp_seconds", "When that happened last, 0 never.", "gauge"},
    {"probe_gap_batches_total", "Batches the probe reported as lost.", "counter"},
    {"probe_policy_version", "Version of the policy that the probe should have, 0 none.", "gauge"},
    {"probe_policy_pending", "Whether the probe has not said that this version is in force.",
     "gauge"},
};
#define ENTRY_METRICS (sizeof entry_metrics / sizeof entry_metrics[0])

static double entry_value(const struct key_entry *entry, int row)
{
    switch (row) {
    case 0:
        return entry->clock_offset_seconds;
    case 1:
        return entry->round_trip_seconds;
    case 2:
        return (double)entry->last_tick_ms / MS_PER_SEC;
    case 3:
        return entry->session != NULL;
    case 4:
        return (double)entry->conflicts;
    case 5:
        return (double)entry->last_conflict_ms / MS_PER_SEC;
    case 6:
        return (double)entry->gap_numbers;
    case 7:
        return (double)entry->policy_version;
    default:
        return entry->policy_in_force != entry->policy_version;
    }
}

static void put_entry(void *context, struct key_entry *entry)
{
    struct gauge_walk *walk = context;
    if (entry->standing != KEY_APPROVED)
        return;
    buf_printf(walk->out, "fengsui_collector_%s{probe_job=\"", entry_metrics[walk->row].name);
    put_label_value(walk->out, entry->job);
    buf_put_text(walk->out, "\",probe_instance=\"");
    put_label_value(walk->out, entry->instance);
    buf_printf(walk->out, "\"} %.17g\n", entry_value(entry, walk->row));
}

static void put_counters(const struct ingest_counters *c, struct buf *out)
{
    put_counter(out, "ingest_messages_total", "Messages received from probes.", c->messages);
    put_counter(out, "ingest_malformed_total", "Messages that cost their sender the connection.",
                c->malformed);
    put_counter(out, "ingest_batches_total", "Batches taken.", c->batches);
    put_counter(out, "ingest_samples_total", "Samples stored from probes.", c->samples);
    put_counter(out, "ingest_log_lines_total", "Log lines taken from probes.", c->log_lines);
    put_counter(out, "ingest_duplicate_batches_total", "Batches that were stored already.",
                c->duplicates);
    put_counter(out, "ingest_conflicts_total", "Batches with a stored number, other content.",
                c->conflicts);
    put_counter(out, "ingest_gaps_total", "Gaps reported by probes.", c->gaps);
    put_counter(out, "ingest_gap_batches_total", "Batches lost at probes.", c->gap_numbers);
    put_counter(out, "ingest_need_key_total", "Batches asked for in full.", c->need_key);
    put_counter(out, "ingest_pending_messages_refused_total",
                "Messages refused because their key is not approved.", c->pending_refused);
    put_counter(out, "ingest_duplicate_connections_total",
                "Second connections refused for a key in use.", c->duplicate_connections);
    put_counter(out, "ingest_revoked_connections_total", "Handshakes refused: key revoked.",
                c->revoked_refused);
    put_counter(out, "ingest_tokens_refused_total", "Enrolment tokens refused.",
                c->token_refused);
    put_counter(out, "ingest_store_refused_total", "Writes the store did not take.",
                c->store_refused);
    put_counter(out, "ingest_samples_refused_total", "Samples of refused series.",
                c->samples_refused);
    buf_put_text(out, "# HELP fengsui_collector_ingest_series_refused_total Series refused, by "
                      "reason.\n# TYPE fengsui_collector_ingest_series_refused_total counter\n");
    buf_printf(out, "fengsui_collector_ingest_series_refused_total{reason=\"limit\"} %" PRIu64
                    "\n", c->series_refused_limit);
    buf_printf(out, "fengsui_collector_ingest_series_refused_total{reason=\"labels\"} %" PRIu64
                    "\n", c->series_refused_labels);
}

void ingest_print_metrics(struct ingest *ingest, struct buf *out)
{
    struct gauge_walk walk = {out, 0};
    uv_mutex_lock(&ingest->lock);
    put_counters(&ingest->counters, out);
    buf_printf(out, "# HELP fengsui_collector_ingest_pending_keys Keys that wait for approval.\n"
                    "# TYPE fengsui_collector_ingest_pending_keys gauge\n"
                    "fengsui_collector_ingest_pending_keys %zu\n", ingest->keys.pending_count);
    for (walk.row = 0; walk.row < (int)ENTRY_METRICS; walk.row++) {
        buf_printf(out, "# HELP fengsui_collector_%s %s\n# TYPE fengsui_collector_%s %s\n",
                   entry_metrics[walk.row].name, entry_metrics[walk.row].help,
                   entry_metrics[walk.row].name, entry_metrics[walk.row].type);
        keys_each(&ingest->keys, put_entry, &walk);
    }
    uv_mutex_unlock(&ingest->lock);
}
