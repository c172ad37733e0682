/*
 * api_openapi.c - /api/v1/openapi.yaml: what the port serves, for people and generators.
 *
 * Paths and methods come from the route table, so they cannot differ from what is served; what
 * an operation is for and what it takes is said in the table here.
 *
 * Source: OpenAPI 3.1.0 (spec.openapis.org/oas/v3.1.0).
 */
#include <string.h>

#include "collector/http/api.h"
#include "collector/http/api_parts.h"
#include "collector/http/users.h"

#define BOTH   (HTTP_GET | HTTP_POST)
#define CHANGE (HTTP_POST | HTTP_PUT)
#define JSON   "application/json"
#define TEXT   "text/plain"
#define SPAN   "match[] start end limit timeout"
#define ALERTS "active silenced inhibited filter* receiver"

struct operation {
    unsigned methods;
    const char *path; /* of the route */
    const char *summary;
    /* NULL, or by blanks: "name", "name!" if it must be there, "name*" or "name[]" if it may
     * repeat. */
    const char *parameters;
    const char *body; /* its type; NULL: none, or the parameters as a form */
    const char *rest; /* what stands for the star of the path */
};

static const struct operation operations[] = {
    {HTTP_GET, "/", .summary = "The duty console"},
    {HTTP_GET, "/console/*", .summary = "A file of the console", .rest = "{file}"},
    {HTTP_GET, "/-/healthy", .summary = "Does the process live?"},
    {HTTP_GET, "/-/ready", .summary = "Can it take and answer?"},
    {CHANGE, "/-/reload", .summary = "Read the configuration again"},
    {HTTP_GET, "/-/reload", .summary = "Refused: reloading takes POST or PUT"},
    {CHANGE, "/-/quit", .summary = "Refused: the service manager ends the collector"},
    {HTTP_GET, "/-/quit", .summary = "Refused: as POST"},
    {HTTP_GET, "/metrics", .summary = "The collector's own metrics as text"},
    {HTTP_GET, "/federate", .summary = "The newest sample of each series as text",
     .parameters = "match[] timeout"},
    {BOTH, "/api/v1/query", .summary = "An expression at one time",
     .parameters = "query! time timeout limit lookback_delta stats explain"},
    {BOTH, "/api/v1/query_range", .summary = "An expression at even steps",
     .parameters = "query! start! end! step! timeout limit lookback_delta stats explain"},
    {BOTH, "/api/v1/query_exemplars", .summary = "Exemplars: none are kept",
     .parameters = "query! start end"},
    {BOTH, "/api/v1/format_query", .summary = "An expression, laid out",
     .parameters = "query!"},
    {BOTH, "/api/v1/parse_query", .summary = "An expression as a tree", .parameters = "query!"},
    {BOTH, "/api/v1/labels", .summary = "Names of labels", .parameters = SPAN},
    {HTTP_GET, "/api/v1/label/*", .summary = "Values of a label", .parameters = SPAN,
     .rest = "{name}/values"},
    {BOTH, "/api/v1/series", .summary = "Label sets of series",
     .parameters = "match[]! start end limit timeout"},
    {HTTP_DELETE, "/api/v1/series", .summary = "Refused, as in Prometheus"},
    {HTTP_GET, "/api/v1/targets", .summary = "Probes as targets",
     .parameters = "state scrapePool"},
    {HTTP_GET, "/api/v1/targets/metadata", .summary = "Metadata by target",
     .parameters = "match_target metric limit timeout"},
    {HTTP_GET, "/api/v1/targets/relabel_steps", .summary = "Relabelling steps: there are none",
     .parameters = "scrapePool! labels!"},
    {HTTP_GET, "/api/v1/scrape_pools", .summary = "Jobs of probes"},
    {HTTP_GET, "/api/v1/scrape_pools/config", .summary = "A job's configuration",
     .parameters = "scrapePool!"},
    {HTTP_GET, "/api/v1/alertmanagers",
     .summary = "Who is told of our alerts: this collector, other Alertmanagers"},
    {HTTP_GET, "/api/v1/metadata", .summary = "Types and helps of metrics",
     .parameters = "metric limit limit_per_metric timeout"},
    {HTTP_GET, "/api/v1/rules", .summary = "Rules and their alerts",
     .parameters = "type rule_name[] rule_group[] file[] match[] exclude_alerts group_limit "
                   "group_next_token"},
    {HTTP_GET, "/api/v1/alerts", .summary = "Alerts that are pending or fire"},
    {HTTP_GET, "/api/v1/status/buildinfo", .summary = "The version"},
    {HTTP_GET, "/api/v1/status/runtimeinfo", .summary = "State of the process"},
    {HTTP_GET, "/api/v1/status/config", .summary = "The configuration in force"},
    {HTTP_GET, "/api/v1/status/flags", .summary = "Settings in Prometheus's words"},
    {HTTP_GET, "/api/v1/status/tsdb", .summary = "Cardinality by metric, label and pair",
     .parameters = "limit timeout"},
    {HTTP_GET, "/api/v1/status/tsdb/blocks", .summary = "Files of history"},
    {HTTP_GET, "/api/v1/status/self_metrics", .summary = "The collector's own metrics as JSON",
     .parameters = "metric_name_pattern"},
    {HTTP_GET, "/api/v1/status/walreplay",
     .summary = "Replay at the start: done when this answers"},
    {HTTP_GET, "/api/v1/features", .summary = "What the server can do"},
    {HTTP_GET, "/api/v1/openapi.yaml", .summary = "This description"},
    {HTTP_GET, "/api/v1/notifications", .summary = "Notices of the server: none"},
    {HTTP_GET, "/api/v1/notifications/live", .summary = "Notices as a stream: none"},
    {CHANGE, "/api/v1/admin/tsdb/delete_series",
     .summary = "Delete samples by matchers and time", .parameters = "match[]! start end"},
    {CHANGE, "/api/v1/admin/tsdb/clean_tombstones",
     .summary = "Rewrite history without what was deleted, and wait for it"},
    {CHANGE, "/api/v1/admin/tsdb/snapshot", .summary = "Refused: switched off"},
    {BOTH, "/api/v1/search/metric_names", .summary = "Refused: switched off, as by default"},
    {BOTH, "/api/v1/search/label_names", .summary = "Refused: switched off, as by default"},
    {BOTH, "/api/v1/search/label_values", .summary = "Refused: switched off, as by default"},
    {HTTP_POST, "/api/v1/otlp/v1/metrics", .summary = "Refused: metrics of OpenTelemetry"},
    {HTTP_POST, "/api/v1/write", .summary = "Remote write 1.0 and 2.0 in",
     .body = "application/x-protobuf"},
    {HTTP_POST, "/api/v1/read", .summary = "Remote read: stored samples to another Prometheus",
     .parameters = "timeout", .body = "application/x-protobuf"},
    {BOTH, "/api/v1/export/prometheus", .summary = "Stored samples as text",
     .parameters = "match[]! start end timeout"},
    {HTTP_POST, "/api/v1/import/prometheus", .summary = "Samples in, as text",
     .parameters = "timestamp extra_label*", .body = TEXT},
    {HTTP_GET, "/api/v2/status", .summary = "Alertmanager's status"},
    {HTTP_GET, "/api/v2/receivers", .summary = "Receivers"},
    {HTTP_GET, "/api/v2/alerts", .summary = "Alerts", .parameters = ALERTS},
    {HTTP_GET, "/api/v2/alerts/groups", .summary = "Alerts by group",
     .parameters = ALERTS " muted"},
    {HTTP_POST, "/api/v2/alerts", .summary = "Post alerts", .body = JSON},
    {HTTP_GET, "/api/v2/silences", .summary = "Silences", .parameters = "filter*"},
    {HTTP_POST, "/api/v2/silences", .summary = "Make or change a silence", .body = JSON},
    {HTTP_GET, "/api/v2/silence/*", .summary = "A silence", .rest = "{silenceID}"},
    {HTTP_DELETE, "/api/v2/silence/*", .summary = "End a silence", .rest = "{silenceID}"},
    {HTTP_GET, "/api/fengsui/v1/status", .summary = "Counts for the console; how long series are kept, by rule"},
    {HTTP_GET, "/api/fengsui/v1/probes", .summary = "Probes"},
    {HTTP_GET, "/api/fengsui/v1/session", .summary = "Who asks"},
    {HTTP_GET, "/api/fengsui/v1/alerts",
     .summary = "Alerts, with silences and acknowledgements"},
    {HTTP_GET, "/api/fengsui/v1/alerts/past",
     .summary = "Alerts that began and ended while the collector was down"},
    {HTTP_POST, "/api/fengsui/v1/alerts/acknowledge", .summary = "Acknowledge an alert",
     .body = JSON},
    {HTTP_POST, "/api/fengsui/v1/alerts/unacknowledge", .summary = "Take that back",
     .body = JSON},
    {HTTP_GET, "/api/fengsui/v1/jobs", .summary = "Jobs and how they are"},
    {BOTH, "/api/fengsui/v1/jobs/*/start", .summary = "A job says that it begins",
     .parameters = "rid", .rest = "{name}/start"},
    {BOTH, "/api/fengsui/v1/jobs/*/ok", .summary = "A job says that it has ended well",
     .parameters = "rid exit size duration", .rest = "{name}/ok"},
    {BOTH, "/api/fengsui/v1/jobs/*/fail", .summary = "A job says that it has failed",
     .parameters = "rid exit size duration", .rest = "{name}/fail"},
    {HTTP_POST, "/api/fengsui/v1/jobs/*/pause", .summary = "Pause a job, for a while or until resumed",
     .parameters = "for", .rest = "{name}/pause"},
    {HTTP_POST, "/api/fengsui/v1/jobs/*/resume", .summary = "Resume a job",
     .rest = "{name}/resume"},
    {HTTP_GET, "/api/fengsui/v1/jobs/*", .summary = "A job and its last runs",
     .rest = "{name}"},
    {HTTP_GET, "/api/fengsui/v1/incidents", .summary = "Troubles that people are told of",
     .parameters = "state limit"},
    {HTTP_GET, "/api/fengsui/v1/incidents/*",
     .summary = "One, with its time line and whom it tells next", .rest = "{number}"},
    {HTTP_POST, "/api/fengsui/v1/incidents/acknowledge",
     .summary = "Acknowledge all that fires of it", .body = JSON},
    {HTTP_POST, "/api/fengsui/v1/incidents/unacknowledge", .summary = "Take that back",
     .body = JSON},
    {HTTP_GET, "/api/fengsui/v1/duty/simulate",
     .summary = "Who would be told of an alert, and when", .parameters = "alert! label at"},
    {BOTH, "/acknowledge", .summary = "A signed link: the page, and acknowledging by it",
     .parameters = "incident! person! token!"},
    {HTTP_GET, "/api/fengsui/v1/alerts/*", .summary = "Why an alert was told, or was not",
     .rest = "{fingerprint}/explain"},
    {HTTP_GET, "/api/fengsui/v1/receivers",
     .summary = "Receivers, their integrations, what is owed to them"},
    {HTTP_GET, "/api/fengsui/v1/logs", .summary = "Lines of log files",
     .parameters = "instance path contains severity start end limit direction timeout"},
    {HTTP_GET, "/api/fengsui/v1/processes", .summary = "A host's processes at a time",
     .parameters = "instance! time"},
    {HTTP_GET, "/api/fengsui/v1/policy", .summary = "Policy, or what a host gets of it",
     .parameters = "instance job time"},
    {HTTP_GET, "/api/fengsui/v1/duty/now", .summary = "Who is on duty", .parameters = "at"},
    {HTTP_GET, "/api/fengsui/v1/duty/shifts", .summary = "Shifts, gaps included, and days",
     .parameters = "roster from to"},
    {HTTP_GET, "/api/fengsui/v1/duty/persons", .summary = "Persons of duty.yml"},
    {HTTP_GET, "/api/fengsui/v1/duty/coverage", .summary = "What rosters leave open",
     .parameters = "days"},
    {HTTP_GET, "/api/fengsui/v1/duty/swaps", .summary = "Swaps"},
    {HTTP_POST, "/api/fengsui/v1/duty/swap", .summary = "Somebody stands in", .body = JSON},
    {HTTP_DELETE, "/api/fengsui/v1/duty/swap/*", .summary = "Take a swap back",
     .rest = "{number}"},
    {HTTP_GET, "/api/fengsui/v1/keys", .summary = "Keys of probes"},
    {HTTP_POST, "/api/fengsui/v1/keys/approve", .summary = "Let a probe in", .body = JSON},
    {HTTP_POST, "/api/fengsui/v1/keys/revoke", .summary = "Shut a probe out", .body = JSON},
    {HTTP_POST, "/api/fengsui/v1/keys/token", .summary = "Make an enrolment token",
     .body = JSON},
    {HTTP_POST, "/api/fengsui/v1/channels/test", .summary = "Send a receiver a test message",
     .body = JSON},
    {HTTP_GET, "/api/fengsui/v1/channels/test", .summary = "What came of a test message",
     .parameters = "number!"},
    {HTTP_GET, "/api/fengsui/v1/notifications",
     .summary = "Messages of the last days, and what became of each",
     .parameters = "receiver state limit"},
    {HTTP_POST, "/api/fengsui/v1/store/settle",
     .summary = "Write what is in memory to history; days=true: a day that goes on, too, becomes "
                "one file",
     .parameters = "days"},
    {HTTP_GET, "/api/fengsui/v1/store/delete",
     .summary = "Deletes that are not carried out everywhere yet"},
    {BOTH, "/api/fengsui/v1/store/delete/preview",
     .summary = "What a delete would cover, about", .parameters = "match[]! start end"},
    {HTTP_GET, "/api/fengsui/v1/store/stat",
     .summary = "What the data's room goes into, by environment and table"},
    {HTTP_POST, "/api/fengsui/v1/store/backup", .summary = "Begin a backup into a folder",
     .body = JSON},
    {HTTP_GET, "/api/fengsui/v1/store/backup", .summary = "How far the backup is"},
    {HTTP_DELETE, "/api/fengsui/v1/store/backup", .summary = "Break it off"},
    {HTTP_POST, "/api/fengsui/v1/store/verify", .summary = "Begin to verify all data"},
    {HTTP_GET, "/api/fengsui/v1/store/verify",
     .summary = "How far that is, and what is damaged"},
    {HTTP_DELETE, "/api/fengsui/v1/store/verify", .summary = "Break it off"},
};

static const struct operation *operation_of(const struct http_route *route, unsigned method)
{
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if ((operations[i].methods & method) != 0 &&
            strcmp(operations[i].path, route->path) == 0)
            return &operations[i];
    return NULL;
}

const char *api_route_parameters(const struct http_route *route)
{
    const struct operation *operation = NULL;
    for (unsigned method = HTTP_GET; method <= HTTP_DELETE && operation == NULL; method <<= 1)
        if ((route->methods & method) != 0)
            operation = operation_of(route, method);
    return operation != NULL && operation->parameters != NULL ? operation->parameters : "";
}

static void put_parameter(struct buf *out, struct bytes name)
{
    char mark = name.size > 0 ? (char)name.data[name.size - 1] : '\0';
    bool is_needed = mark == '!';
    name.size -= mark == '!' || mark == '*';
    bool is_list = mark == '*' || (name.size > 0 && name.data[name.size - 1] == ']');
    buf_put_text(out, "        - {name: \"");
    buf_put(out, name.data, name.size);
    buf_printf(out, "\", in: query, required: %s, schema: %s}\n", is_needed ? "true" : "false",
               is_list ? "{type: array, items: {type: string}}" : "{type: string}");
}

static void put_parameters(struct buf *out, const struct operation *operation)
{
    const char *at = operation->parameters != NULL ? operation->parameters : "";
    if (*at == '\0' && operation->rest == NULL)
        return;
    buf_put_text(out, "      parameters:\n");
    if (operation->rest != NULL)
        buf_printf(
            out,
            "        - {name: \"%.*s\", in: path, required: true, schema: {type: string}}\n",
            (int)strcspn(operation->rest, "}") - 1, operation->rest + 1);
    while (*at != '\0') {
        size_t size = strcspn(at, " ");
        put_parameter(out, (struct bytes){(const uint8_t *)at, size});
        at += size + (at[size] == ' ');
    }
}

static void put_operation(struct buf *out, const struct http_route *route, unsigned method)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {
        {HTTP_GET, "get"}, {HTTP_POST, "post"}, {HTTP_PUT, "put"}, {HTTP_DELETE, "delete"}};
    const struct operation *operation = operation_of(route, method);
    size_t i = 0;
    while (names[i].method != method)
        i++;
    buf_printf(out, "    %s:\n      operationId: \"%s", names[i].name, names[i].name);
    for (const char *at = route->path; *at != '\0'; at++)
        buf_put_char(out, *at == '*' || strchr("/-._", *at) != NULL ? '_' : *at);
    buf_put_text(out, "\"\n");
    if (route->least_role == ROLE_NONE)
        buf_put_text(out, "      security: [{}]\n");
    else
        buf_printf(out, "      description: \"Least role: %s%s.\"\n",
                   role_name(route->least_role), route->writers_too ? ", or writer" : "");
    if (operation != NULL) {
        buf_printf(out, "      summary: \"%s\"\n", operation->summary);
        put_parameters(out, operation);
        if (operation->body != NULL)
            buf_printf(out, "      requestBody: {required: true, content: {\"%s\": {}}}\n",
                       operation->body);
    }
    buf_put_text(out, "      responses:\n"
                      "        \"200\": {description: \"success\"}\n"
                      "        default: {description: \"refused or failed\"}\n");
}

/* One entry for all rows of a path, written at the first of them. */
static void put_path(struct buf *out, const struct http_route *routes, size_t count, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(routes[i].path, routes[at].path) == 0)
            return;
    const char *path = routes[at].path;
    unsigned first = routes[at].methods & -routes[at].methods;
    const struct operation *operation = operation_of(&routes[at], first);
    bool has_rest = operation != NULL && operation->rest != NULL;
    buf_printf(out, "  \"%.*s%s\":\n", has_rest ? (int)strcspn(path, "*") : (int)strlen(path), path,
               has_rest ? operation->rest : "");
    for (size_t i = at; i < count; i++)
        for (unsigned method = HTTP_GET; method <= HTTP_DELETE; method <<= 1)
            if (strcmp(routes[i].path, path) == 0 && (routes[i].methods & method) != 0)
                put_operation(out, &routes[i], method);
}

void api_openapi(struct http_request *request, struct http_response *response)
{
    struct buf *out = &response->body;
    size_t count;
    const struct http_route *routes = api_routes(&count);
    (void)request;
    response->content_type = "application/yaml; charset=utf-8";
    buf_put_text(
        out,
        "openapi: \"3.1.0\"\n"
        "info:\n"
        "  title: \"Fengsui collector\"\n"
        "  version: \"" FENGSUI_VERSION "\"\n"
        "  description: \"/api/v1 is Prometheus's API, /api/v2 Alertmanager's. A POST that has "
        "no body of its own takes its parameters as a form, too. Errors of /api/v1 and "
        "/api/fengsui are JSON: status, errorType, error.\"\n"
        "security: [{basic: []}, {token: []}, {}]\n"
        "components:\n"
        "  securitySchemes:\n"
        "    basic: {type: http, scheme: basic}\n"
        "    token: {type: http, scheme: bearer}\n"
        "paths:\n");
    for (size_t i = 0; i < count; i++)
        put_path(out, routes, count, i);
}
