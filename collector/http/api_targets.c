/*
 * api_targets.c - probes as Prometheus's targets: /api/v1/targets, targets/metadata,
 * targets/relabel_steps, scrape_pools, scrape_pools/config, alertmanagers.
 *
 * A probe pushes, so its "last scrape" is the newest tick stored, its pool is its job, and it
 * is "down" when it has fallen silent.  Keys that wait for approval or were revoked are the
 * dropped targets.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "collector/http/api_parts.h"
#include "collector/ingest/ingest.h"
#include "collector/notify/view.h"
#include "proto/base/config_print.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define SILENT_INTERVALS 3    /* ingest/silence.c: after which a probe is silent, */
#define SILENT_LEAST_MS  3000 /* and how long at least */

/* One probe, copied out of the table's lock. */
struct target {
    char *job, *instance, *address, *note;
    const struct labels *labels; /* job and instance among them */
    int64_t interval_ms, last_tick_ms;
    double round_trip_seconds;
    bool approved, absent;
};

struct targets {
    struct arena arena;
    struct target *items;
    size_t count, capacity;
    int error;
};

static char *copy_text(struct targets *targets, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(&targets->arena, size, 1);
    if (copy == NULL)
        targets->error = ERR_NOMEM;
    else
        memcpy(copy, text, size);
    return copy;
}

static void add_target(void *context, const struct probe_view *probe)
{
    struct targets *targets = context;
    struct labels_builder builder;
    if (targets->error != 0)
        return;
    if (targets->count == targets->capacity) {
        size_t capacity = targets->capacity * 2 + 16;
        struct target *grown = realloc(targets->items, capacity * sizeof *grown);
        if (grown == NULL) {
            targets->error = ERR_NOMEM;
            return;
        }
        targets->items = grown;
        targets->capacity = capacity;
    }
    struct target *target = &targets->items[targets->count];
    *target = (struct target){.interval_ms = probe->interval_ms,
                              .last_tick_ms = probe->last_tick_ms,
                              .round_trip_seconds = probe->round_trip_seconds,
                              .approved = probe->approved,
                              .absent = probe->absent};
    target->job = copy_text(targets, probe->job);
    target->instance = copy_text(targets, probe->instance);
    target->address = copy_text(targets, probe->address);
    target->note = copy_text(targets, probe->note);
    labels_builder_init(&builder);
    for (size_t i = 0; i < probe->label_count; i++)
        labels_builder_set(&builder, probe->labels[i].name, probe->labels[i].value);
    labels_builder_set(&builder, bytes_of("job"), bytes_of(probe->job));
    labels_builder_set(&builder, bytes_of("instance"), bytes_of(probe->instance));
    if (targets->error == 0)
        targets->error = labels_builder_build(&builder, &targets->arena, &target->labels);
    labels_builder_done(&builder);
    targets->count += targets->error == 0;
}

static int order(const void *left, const void *right)
{
    const struct target *a = left;
    const struct target *b = right;
    int by_job = strcmp(a->job, b->job);
    return by_job != 0 ? by_job : strcmp(a->instance, b->instance);
}

static bool targets_open(const struct http_request *request, struct http_response *response,
                         struct targets *targets)
{
    const struct app *app = app_of(request);
    *targets = (struct targets){.count = 0};
    arena_init(&targets->arena, NAMES_ARENA_BYTES);
    targets->arena.total = api_memory(request);
    ingest_each_probe(app->ingest, add_target, targets);
    if (targets->error != 0) {
        reply_code(response, targets->error, NULL);
        return false;
    }
    if (targets->count > 1)
        qsort(targets->items, targets->count, sizeof *targets->items, order);
    return true;
}

static void targets_close(struct targets *targets)
{
    free(targets->items);
    arena_reset(&targets->arena);
}

static void pair(struct json_writer *json, const char *key, const char *value)
{
    json_write_key(json, key);
    json_write_text(json, value);
}

static int64_t silence_of(const struct target *target)
{
    int64_t ms = target->interval_ms * SILENT_INTERVALS;
    return ms < SILENT_LEAST_MS ? SILENT_LEAST_MS : ms;
}

/* An IPv4 peer of a socket that speaks both is "::ffff:10.1.2.3". */
static const char *address_of(const struct target *target)
{
    static const char mapped[] = "::ffff:";
    if (strncmp(target->address, mapped, sizeof mapped - 1) == 0)
        return target->address + sizeof mapped - 1;
    return *target->address != '\0' ? target->address : target->instance;
}

/* What the probe said of itself, before approval gave it labels. */
static void write_discovered(struct json_writer *json, const struct target *target)
{
    char text[DURATION_TEXT_BYTES];
    json_write_key(json, "discoveredLabels");
    json_write_object(json);
    pair(json, "__address__", address_of(target));
    pair(json, "__metrics_path__", "");
    pair(json, "__scheme__", "curve");
    pair(json, "__scrape_interval__", duration_format(target->interval_ms, text));
    pair(json, "__scrape_timeout__", duration_format(silence_of(target), text));
    pair(json, "instance", target->instance);
    pair(json, "job", target->job);
    json_write_end(json);
}

static void write_active(struct json_writer *json, const struct target *target)
{
    char text[DURATION_TEXT_BYTES];
    char url[160];
    char why[200] = "";
    const char *health = target->absent ? "down" : target->last_tick_ms == 0 ? "unknown" : "up";
    (void)snprintf(url, sizeof url, "tcp://%s", address_of(target));
    if (target->absent)
        (void)snprintf(why, sizeof why, "silent: nothing came for more than %s%s%s",
                       duration_format(silence_of(target), text),
                       *target->note != '\0' ? "; " : "", target->note);
    json_write_object(json);
    write_discovered(json, target);
    json_write_key(json, "labels");
    api_write_metric(json, target->labels);
    pair(json, "scrapePool", target->job);
    pair(json, "scrapeUrl", url);
    pair(json, "globalUrl", url);
    pair(json, "lastError", why);
    json_write_key(json, "lastScrape");
    if (target->last_tick_ms == 0)
        json_write_text(json, "0001-01-01T00:00:00Z"); /* Go's "never" */
    else
        json_write_instant(json, target->last_tick_ms);
    json_write_key(json, "lastScrapeDuration");
    json_write_number(json, target->round_trip_seconds);
    pair(json, "health", health);
    pair(json, "scrapeInterval", duration_format(target->interval_ms, text));
    pair(json, "scrapeTimeout", duration_format(silence_of(target), text));
    json_write_end(json);
}

static void write_dropped(struct json_writer *json, const struct target *target)
{
    json_write_object(json);
    write_discovered(json, target);
    pair(json, "scrapePool", target->job);
    json_write_end(json);
}

static bool is_in_pool(const struct target *target, const char *pool)
{
    return pool == NULL || *pool == '\0' || strcmp(target->job, pool) == 0;
}

/* Of every pool, whichever is asked for. */
static void write_dropped_counts(struct json_writer *json, const struct targets *targets)
{
    json_write_object(json);
    for (size_t i = 0, next; i < targets->count; i = next) {
        const char *job = targets->items[i].job;
        int64_t dropped = 0;
        for (next = i; next < targets->count && strcmp(targets->items[next].job, job) == 0;
             next++)
            dropped += !targets->items[next].approved;
        json_write_key(json, job);
        json_write_integer(json, dropped);
    }
    json_write_end(json);
}

void api_targets(struct http_request *request, struct http_response *response)
{
    const char *state = http_parameter(request, "state");
    const char *pool = http_parameter(request, "scrapePool");
    bool any = state == NULL || *state == '\0' || strcasecmp(state, "any") == 0;
    bool active = any || strcasecmp(state, "active") == 0;
    bool dropped = any || strcasecmp(state, "dropped") == 0;
    struct targets targets;
    if (targets_open(request, response, &targets)) {
        struct reply reply;
        reply_start(&reply, response);
        struct json_writer *json = &reply.json;
        json_write_object(json);
        json_write_key(json, "activeTargets");
        json_write_array(json);
        for (size_t i = 0; active && i < targets.count; i++)
            if (targets.items[i].approved && is_in_pool(&targets.items[i], pool))
                write_active(json, &targets.items[i]);
        json_write_end(json);
        json_write_key(json, "droppedTargets");
        json_write_array(json);
        for (size_t i = 0; dropped && i < targets.count; i++)
            if (!targets.items[i].approved && is_in_pool(&targets.items[i], pool))
                write_dropped(json, &targets.items[i]);
        json_write_end(json);
        json_write_key(json, "droppedTargetCounts");
        if (dropped)
            write_dropped_counts(json, &targets);
        else
            json_write_raw(json, bytes_of("null"));
        json_write_end(json);
        reply_finish(&reply, NULL, NULL);
    }
    targets_close(&targets);
}

void api_scrape_pools(struct http_request *request, struct http_response *response)
{
    struct targets targets;
    if (targets_open(request, response, &targets)) {
        struct reply reply;
        reply_start(&reply, response);
        json_write_object(&reply.json);
        json_write_key(&reply.json, "scrapePools");
        json_write_array(&reply.json);
        for (size_t i = 0; i < targets.count; i++)
            if (i == 0 || strcmp(targets.items[i - 1].job, targets.items[i].job) != 0)
                json_write_text(&reply.json, targets.items[i].job);
        json_write_end(&reply.json);
        json_write_end(&reply.json);
        reply_finish(&reply, NULL, NULL);
    }
    targets_close(&targets);
}

/* A parameter that must be there; NULL: the error is in the response. */
static const char *needed(const struct http_request *request, struct http_response *response,
                          const char *name)
{
    const char *text = http_parameter(request, name);
    if (text != NULL && *text != '\0')
        return text;
    reply_error(response, API_BAD_DATA, "no %s parameter provided", name);
    return NULL;
}

/* A job is the pool of its probes; false: the error is in the response. */
static bool is_pool(struct http_request *request, struct http_response *response,
                    const char *pool)
{
    struct targets targets;
    bool is_found = false;
    bool is_open = targets_open(request, response, &targets);
    for (size_t i = 0; is_open && !is_found && i < targets.count; i++)
        is_found = strcmp(targets.items[i].job, pool) == 0;
    targets_close(&targets);
    if (is_open && !is_found)
        reply_error(response, API_BAD_DATA,
                    "error retrieving scrape config: scrape pool \"%s\" not found", pool);
    return is_found;
}

/* A pool has nothing but its name: intervals and sources are each probe's, and it pushes. */
void api_scrape_pool_config(struct http_request *request, struct http_response *response)
{
    const char *pool = needed(request, response, "scrapePool");
    if (pool == NULL || !is_pool(request, response, pool))
        return;
    struct buf yaml = {0};
    const struct config_node name = {
        .kind = CONFIG_SCALAR, .key = "job_name", .text = pool, .quoted = true};
    buf_put_text(&yaml, "job_name: ");
    config_print(&name, &yaml);
    buf_put_char(&yaml, '\n');
    api_answer_yaml(response, &yaml);
}

static bool are_labels(const char *text)
{
    json_error_t where;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    bool are = json_is_object(root);
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        are = are && json_is_string(value);
    }
    json_decref(root);
    return are;
}

/* Labels are given by probe.yml and policy, not rewritten by steps on their way: of those there
 * are none. */
void api_relabel_steps(struct http_request *request, struct http_response *response)
{
    const char *pool = needed(request, response, "scrapePool");
    const char *labels = pool == NULL ? NULL : needed(request, response, "labels");
    if (labels == NULL)
        return;
    if (!are_labels(labels)) {
        reply_error(response, API_BAD_DATA,
                    "error parsing labels: not a JSON object of texts: {\"job\":\"node\"}");
        return;
    }
    if (!is_pool(request, response, pool))
        return;
    struct reply reply;
    reply_start(&reply, response);
    json_write_object(&reply.json);
    json_write_key(&reply.json, "steps");
    json_write_array(&reply.json);
    json_write_end(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

/* Who is told of our alerts: this collector itself, and the Alertmanagers of alerting.yml. */
void api_alertmanagers(struct http_request *request, struct http_response *response)
{
    const char *url = app_of(request)->external_url;
    struct notify *notify = app_of(request)->notify;
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    json_write_key(json, "activeAlertmanagers");
    json_write_array(json);
    if (url != NULL && *url != '\0') {
        char text[1024];
        size_t size = strlen(url);
        (void)snprintf(text, sizeof text, "%.*s/api/v2/alerts",
                       (int)(size - (url[size - 1] == '/')), url);
        json_write_object(json);
        pair(json, "url", text);
        json_write_end(json);
    }
    view_begin(notify);
    for (size_t i = 0; (url = view_alertmanager(notify, i)) != NULL; i++) {
        json_write_object(json);
        pair(json, "url", url);
        json_write_end(json);
    }
    view_end(notify);
    json_write_end(json);
    json_write_key(json, "droppedAlertmanagers");
    json_write_array(json);
    json_write_end(json);
    json_write_end(json);
    reply_finish(&reply, NULL, NULL);
}

/* ---- metadata of targets --------------------------------------------------------------- */

/* One metric, copied out of the table's lock: looking for its series takes too long to hold up
 * the commits that wait for that lock. */
struct known_metric {
    struct bytes name;
    struct metadata metadata;
};

struct target_metadata {
    struct arena arena; /* of what follows */
    struct known_metric *metrics;
    size_t metric_count, metric_capacity;
    const struct targets *targets;
    const struct selector *match; /* of the target's labels; or NULL */
    const char *metric;           /* or NULL */
    int64_t limit;                /* entries; negative: none */
    int64_t count;
    struct json_writer *json;
    struct querier *querier;
    const struct queryable_calls *calls;
    struct query_budget budget;
    struct arena_total *memory;
    int error;
    bool total_refused; /* that is what it was */
};

static const struct target *target_of(const struct targets *targets,
                                      const struct labels *labels)
{
    struct bytes job = labels_get_text(labels, "job");
    struct bytes instance = labels_get_text(labels, "instance");
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].approved && bytes_equal(bytes_of(targets->items[i].job), job) &&
            bytes_equal(bytes_of(targets->items[i].instance), instance))
            return &targets->items[i];
    return NULL;
}

static void write_entry(struct target_metadata *scan, const struct target *target,
                        struct bytes name, const struct metadata *metadata)
{
    struct json_writer *json = scan->json;
    json_write_object(json);
    json_write_key(json, "target");
    api_write_metric(json, target->labels);
    if (scan->metric == NULL) {
        json_write_key(json, "metric");
        json_write_string(json, name);
    }
    pair(json, "type", api_metric_type(metadata->type));
    json_write_key(json, "help");
    json_write_string(json, metadata->help);
    json_write_key(json, "unit");
    json_write_string(json, metadata->unit);
    json_write_end(json);
    scan->count++;
}

static struct bytes copy_bytes(struct arena *arena, struct bytes bytes)
{
    uint8_t *copy = arena_alloc(arena, bytes.size + 1, 1);
    if (copy == NULL)
        return (struct bytes){NULL, 0};
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return (struct bytes){copy, bytes.size};
}

static int take_metric(void *context, struct bytes name, const struct metadata *metadata)
{
    struct target_metadata *scan = context;
    if (scan->metric != NULL && !bytes_equal(name, bytes_of(scan->metric)))
        return 0;
    if (scan->metric_count == scan->metric_capacity) {
        size_t capacity = scan->metric_capacity * 2 + 64;
        struct known_metric *grown = arena_alloc(&scan->arena, capacity, sizeof *grown);
        if (grown == NULL)
            return ERR_LIMIT;
        if (scan->metric_count > 0)
            memcpy(grown, scan->metrics, scan->metric_count * sizeof *grown);
        scan->metrics = grown;
        scan->metric_capacity = capacity;
    }
    struct known_metric *metric = &scan->metrics[scan->metric_count++];
    *metric = (struct known_metric){copy_bytes(&scan->arena, name),
                                    {.type = metadata->type,
                                     .unit = copy_bytes(&scan->arena, metadata->unit),
                                     .help = copy_bytes(&scan->arena, metadata->help)}};
    return metric->name.data != NULL && metric->metadata.unit.data != NULL &&
                   metric->metadata.help.data != NULL
               ? 0
               : ERR_LIMIT;
}

/* The targets that have series of the metric; false when no more is to be looked for. */
static bool scan_metric(struct target_metadata *scan, struct bytes name,
                        const struct metadata *metadata)
{
    struct select_hints hints = {
        .from_ms = TIME_FIRST_MS, .until_ms = TIME_LAST_MS, .no_samples = true};
    struct series_samples *series = NULL;
    struct matcher *matcher = NULL;
    struct diagnosis why = {0};
    const struct target *last = NULL;
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, NAMES_ARENA_BYTES);
    arena.total = scan->memory;
    scan->error = matcher_new(MATCH_EQUAL, bytes_of(LABEL_NAME), name, &matcher, &why);
    if (scan->error == 0)
        scan->error = scan->calls->select(scan->querier, &matcher, 1, &hints, &scan->budget,
                                          &arena, &series, &count, &why);
    bool *seen =
        scan->error == 0 ? arena_alloc(&arena, scan->targets->count + 1, sizeof *seen) : NULL;
    for (size_t i = 0; seen != NULL && i < count; i++) {
        const struct target *target = target_of(scan->targets, series[i].labels);
        if (target == NULL || target == last || seen[target - scan->targets->items])
            continue;
        last = target;
        seen[target - scan->targets->items] = true;
        if (scan->match != NULL &&
            !matchers_match(scan->match->matchers, scan->match->count, target->labels))
            continue;
        if (scan->limit >= 0 && scan->count >= scan->limit)
            break;
        write_entry(scan, target, name, metadata);
    }
    matcher_free(matcher);
    scan->total_refused |= arena.total_refused;
    arena_reset(&arena);
    if (scan->error == 0 && !buf_ok(scan->json->out))
        return false; /* whoever sends it tells */
    return scan->error == 0 && (scan->limit < 0 || scan->count < scan->limit);
}

static void answer_metadata(struct http_request *request, struct http_response *response,
                            struct target_metadata *scan)
{
    struct store *store = app_of(request)->store;
    struct queryable *queryable = store_queryable(store);
    int64_t now_ms = clock_unix_ms(&clock_system);
    struct diagnosis why = {0};
    struct reply reply;
    scan->calls = queryable->calls;
    scan->budget.samples_left = UINT64_MAX;
    scan->budget.cancelled = &request->cancelled;
    int error = scan->calls->open(queryable, now_ms - app_of(request)->promql.lookback_ms,
                                  now_ms, &scan->querier, &why);
    if (error != 0) {
        reply_code(response, error, &why);
        return;
    }
    reply_start(&reply, response);
    scan->json = &reply.json;
    json_write_array(&reply.json);
    scan->error = scan->limit == 0 ? 0 : store_metadata_scan(store, take_metric, scan);
    for (size_t i = 0; scan->error == 0 && i < scan->metric_count; i++)
        if (!scan_metric(scan, scan->metrics[i].name, &scan->metrics[i].metadata))
            break;
    scan->calls->close(scan->querier);
    if (scan->error != 0) {
        scan->arena.total_refused |= scan->total_refused;
        api_store_error(response, scan->error, &scan->arena, NULL);
        return;
    }
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

void api_target_metadata(struct http_request *request, struct http_response *response)
{
    struct target_metadata scan = {.metric = http_parameter(request, "metric")};
    struct targets targets;
    struct selector match = {NULL, 0};
    const char *text = http_parameter(request, "match_target");
    struct promql_error error = {0};
    if (!api_number(request, response, "limit", &scan.limit) ||
        !api_deadline(request, response, &scan.budget.deadline_mono_ns) ||
        !api_is_in_time(response, scan.budget.deadline_mono_ns))
        return;
    if (scan.metric != NULL && *scan.metric == '\0')
        scan.metric = NULL;
    if (text != NULL && *text != '\0') {
        int code = promql_parse_selector(text, &match.matchers, &match.count, &error);
        if (code != 0) {
            error.failure = PROMQL_BAD_DATA;
            api_query_error(response, "match_target", &error);
            return;
        }
        scan.match = &match;
    }
    if (targets_open(request, response, &targets)) {
        scan.targets = &targets;
        scan.memory = api_memory(request);
        arena_init(&scan.arena, NAMES_ARENA_BYTES);
        scan.arena.total = scan.memory;
        answer_metadata(request, response, &scan);
        arena_reset(&scan.arena);
    }
    targets_close(&targets);
    promql_matchers_free(match.matchers, match.count);
}
