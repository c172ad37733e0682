/*
 * ask_nginx.c - nginx's stub_status page (ngx_http_stub_status_module), as
 * nginx-prometheus-exporter names it:
 *
 *     Active connections: 291
 *     server accepts handled requests
 *      16630948 16630948 31070465
 *     Reading: 6 Writing: 179 Waiting: 106
 *
 * Tengine adds a column "request_time" to the third line; it is passed over.
 */
#include "probe/source/ask.h"
#include "probe/source/ask_dialects.h"
#include "proto/base/error.h"

enum value { ACTIVE, ACCEPTED, HANDLED, REQUESTS, READING, WRITING, WAITING, VALUES };

static const struct ask_metric metrics[VALUES] = {
    {NULL, "nginx_connections_active", METRIC_GAUGE, "Active client connections"},
    {NULL, "nginx_connections_accepted", METRIC_COUNTER, "Accepted client connections"},
    {NULL, "nginx_connections_handled", METRIC_COUNTER, "Handled client connections"},
    {NULL, "nginx_http_requests_total", METRIC_COUNTER, "Total http requests"},
    {NULL, "nginx_connections_reading", METRIC_GAUGE,
     "Connections where NGINX is reading the request header"},
    {NULL, "nginx_connections_writing", METRIC_GAUGE,
     "Connections where NGINX is writing the response back to the client"},
    {NULL, "nginx_connections_waiting", METRIC_GAUGE, "Idle client connections"},
};

static bool scan_named(struct span *line, const char *name, uint64_t *ret_value)
{
    scan_blanks(line);
    return scan_text(line, name) && scan_u64(line, ret_value);
}

static int nginx_parse(struct bytes answer, size_t page, const struct ask_login *login,
                       struct ask_out *out, struct diagnosis *why)
{
    struct span text = span_from(answer), line;
    uint64_t values[VALUES];

    (void)page;
    (void)login;
    bool is_good =
        scan_line(&text, &line) && scan_named(&line, "Active connections:", &values[ACTIVE]) &&
        scan_line(&text, &line) && scan_text(&line, "server accepts handled requests") &&
        scan_line(&text, &line) && scan_u64(&line, &values[ACCEPTED]) &&
        scan_u64(&line, &values[HANDLED]) && scan_u64(&line, &values[REQUESTS]) &&
        scan_line(&text, &line) && scan_named(&line, "Reading:", &values[READING]) &&
        scan_named(&line, "Writing:", &values[WRITING]) &&
        scan_named(&line, "Waiting:", &values[WAITING]);
    if (!is_good)
        return diagnose(why, ERR_MALFORMED,
                        "the page is not that of stub_status: is it on at this address?");
    for (size_t i = 0; i < VALUES; i++)
        ask_put_plain(out, &metrics[i], (double)values[i]);
    return 0;
}

const struct ask_dialect ask_dialect_nginx = {
    .source = "nginx",
    .scheme = "http://",
    .port = "80",
    .path = "/stub_status",
    .up = {NULL, "nginx_up", METRIC_GAUGE, "Status of the last metric scrape"},
    .parse = nginx_parse,
};

ASK_SOURCE(nginx, "connections and requests of nginx, by stub_status");
