/* exchange.c - see exchange.h for the states. */
#include "collector/http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "collector/http/route.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value != NULL ? value : "";
}

static bool wants_gzip(const char *accept)
{
    const char *gzip = strstr(accept, "gzip");
    return gzip != NULL && strncmp(gzip, "gzip;q=0", 8) != 0;
}

static void finish(struct http_pending *pending)
{
    char *exchange = (char *)pending - offsetof(struct exchange, pending);
    exchange_done((struct exchange *)(void *)exchange);
}

static struct exchange *exchange_new(struct http_server *server,
                                     struct MHD_Connection *connection)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->server = server;
    exchange->connection = connection;
    exchange->pending.finish = finish;
    exchange->response.status = MHD_HTTP_OK;
    arena_init(&exchange->arena, PARAMETER_BYTES_MAX);
    form_init(&exchange->form, &exchange->arena);
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    pace_end(exchange);
    stream_end(exchange);
    buf_done(&exchange->query);
    buf_done(&exchange->body);
    buf_done(&exchange->inflated);
    arena_reset(&exchange->arena);
    answer_memory_close(exchange);
    users_unref(exchange->users);
    free(exchange);
}

void *exchange_target(void *server, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = exchange_new(server, connection);
    char *mark = target != NULL ? strchr(target, '?') : NULL;
    if (exchange == NULL || mark == NULL)
        return exchange;
    buf_put_text(&exchange->query, mark + 1);
    mark[1] = '\0';
    return exchange;
}

static void read_header(struct exchange *exchange, const char *path)
{
    struct MHD_Connection *connection = exchange->connection;
    const struct http_server *server = exchange->server;
    exchange->authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION);
    exchange->origin = header(connection, MHD_HTTP_HEADER_ORIGIN);
    exchange->accepts_gzip = wants_gzip(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    exchange->request = (struct http_request){
        .path = path,
        .rest = "",
        .content_type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE),
        .content_encoding = header(connection, MHD_HTTP_HEADER_CONTENT_ENCODING),
        .if_none_match = header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH),
        .accept = header(connection, MHD_HTTP_HEADER_ACCEPT),
        .user = "",
        .role = ROLE_ADMIN,
        .context = server->context,
        .server = server,
    };
}

void exchange_completed(void *server, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code)
{
    (void)server;
    (void)connection;
    (void)code;
    struct exchange *exchange = *context;
    *context = NULL;
    if (exchange == NULL)
        return;
    must(exchange->state != EXCHANGE_VERIFYING && exchange->state != EXCHANGE_WORKING &&
         exchange->state != EXCHANGE_STREAMING);
    exchange_free(exchange);
}

/* ---- suspending ------------------------------------------------------------------------ */

int exchange_hand_over(struct exchange *exchange, struct pool *pool,
                       void (*run)(struct pool_job *job), enum exchange_state state)
{
    struct http_server *server = exchange->server;
    enum exchange_state before = exchange->state;
    exchange->job.run = run;
    exchange->state = state; /* before the pool may look */
    if (pool_submit(pool, &exchange->job) != 0) {
        exchange->state = before;
        return ERR_LIMIT;
    }
    exchange->previous = NULL;
    exchange->next = server->suspended;
    if (server->suspended != NULL)
        server->suspended->previous = exchange;
    server->suspended = exchange;
    server->suspended_count++;
    MHD_suspend_connection(exchange->connection);
    hangup_watch(exchange);
    return 0;
}

/* Grafana shows what a 503 of the API says, if it is in the envelope. */
static bool has_envelope(const char *path)
{
    return strncmp(path, "/api/v1/", 8) == 0 || strncmp(path, "/api/fengsui/", 13) == 0;
}

static enum MHD_Result hand_over(struct exchange *exchange, struct pool *pool,
                                 void (*run)(struct pool_job *job), enum exchange_state state)
{
    static const char text[] = "too many requests are waiting";
    if (exchange_hand_over(exchange, pool, run, state) == 0)
        return MHD_YES;
    http_add_header(&exchange->response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (!has_envelope(exchange->request.path))
        return answer_text(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, text);
    reply_error(&exchange->response, API_UNAVAILABLE, "%s", text);
    return answer_send(exchange);
}

void exchange_done(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    const uint64_t once = 1;
    atomic_fetch_add_explicit(&server->returning, 1, memory_order_relaxed);
    struct exchange *first = atomic_load_explicit(&server->done, memory_order_relaxed);
    do
        exchange->next_done = first;
    while (!atomic_compare_exchange_weak_explicit(&server->done, &first, exchange,
                                                  memory_order_release, memory_order_relaxed));
    /* Whoever was first has woken the loop, or is about to. */
    if (first == NULL)
        must(write(server->wake_fd, &once, sizeof once) == sizeof once);
    /* From here on the server may be closed. */
    atomic_fetch_sub_explicit(&server->returning, 1, memory_order_release);
}

struct exchange *exchange_of_job(struct pool_job *job)
{
    return (struct exchange *)(void *)((char *)job - offsetof(struct exchange, job));
}

static void run_verify(struct pool_job *job)
{
    struct exchange *exchange = exchange_of_job(job);
    exchange->verdict =
        users_verify(exchange->users, exchange->authorization, &exchange->identity);
    exchange_done(exchange);
}

static void run_handler(struct pool_job *job)
{
    struct exchange *exchange = exchange_of_job(job);
    exchange->route->handler(&exchange->request, &exchange->response);
    answer_compress(exchange);
    answer_memory_settle(exchange);
    if (exchange->response.stream != NULL)
        stream_begin(exchange);
    exchange_done(exchange);
}

static void run_later(struct pool_job *job)
{
    struct exchange *exchange = exchange_of_job(job);
    exchange->route->later(&exchange->request, &exchange->response, &exchange->pending);
}

/* ---- who asks, and may they ------------------------------------------------------------ */

static enum MHD_Result refuse_login(struct exchange *exchange)
{
    char name[64];
    users_claimed_name(exchange->authorization, name, sizeof name);
    if (*exchange->authorization != '\0') {
        exchange->server->logins_failed++;
        log_warn("http", "login refused user=%s path=%s", name, exchange->request.path);
    }
    http_add_header(&exchange->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                    "Basic realm=\"fengsui\", charset=\"UTF-8\"");
    return answer_text(exchange, MHD_HTTP_UNAUTHORIZED, "Unauthorized");
}

/* A browser names the site whose page sent a request; forms of other sites must change nothing
 * with the visitor's rights. */
static bool is_from_elsewhere(const struct exchange *exchange)
{
    if (exchange->route->changes && exchange->request.method == HTTP_GET) {
        const char *site = header(exchange->connection, "Sec-Fetch-Site"); /* of any picture */
        return strncmp(site, "cross-", 6) == 0 || strncmp(site, "same-site", 9) == 0;
    }
    if (*exchange->origin == '\0' || exchange->route->least_role < ROLE_OPERATOR ||
        exchange->request.method == HTTP_GET)
        return false;
    const char *host = strstr(exchange->origin, "://");
    return host == NULL ||
           strcasecmp(host + 3, header(exchange->connection, MHD_HTTP_HEADER_HOST)) != 0;
}

static bool may_ask(const struct exchange *exchange)
{
    enum http_role role = exchange->request.role;
    return role_allows(role, exchange->route->least_role) ||
           (exchange->route->writers_too && role == ROLE_WRITER);
}

static enum MHD_Result admit(struct exchange *exchange)
{
    if (exchange->users != NULL && exchange->route->least_role != ROLE_NONE) {
        if (exchange->verdict != VERDICT_ALLOWED)
            return refuse_login(exchange);
        exchange->request.user = exchange->identity.name;
        exchange->request.role = exchange->identity.role;
    }
    if (!may_ask(exchange) || is_from_elsewhere(exchange)) {
        log_warn("http", "forbidden user=%s role=%s path=%s", exchange->request.user,
                 role_name(exchange->request.role), exchange->request.path);
        return answer_text(exchange, MHD_HTTP_FORBIDDEN, "Forbidden");
    }
    exchange->state = EXCHANGE_READING;
    return MHD_YES;
}

/* Not a user's token, but the very thing's that is asked for. */
static void admit_by_key(struct exchange *exchange)
{
    const char *token = users_bearer(exchange->authorization);
    if (exchange->route->admits == NULL || token == NULL ||
        !exchange->route->admits(&exchange->request, token))
        return;
    exchange->verdict = VERDICT_ALLOWED;
    exchange->identity = (struct identity){"(token)", ROLE_WRITER};
}

static enum MHD_Result authenticate(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (server->users == NULL || exchange->route->least_role == ROLE_NONE)
        return admit(exchange);
    exchange->users = users_ref(server->users);
    exchange->verdict =
        users_check(exchange->users, exchange->authorization, &exchange->identity);
    if (exchange->verdict == VERDICT_REFUSED)
        admit_by_key(exchange);
    if (exchange->verdict == VERDICT_UNSURE)
        return hand_over(exchange, server->logins, run_verify, EXCHANGE_VERIFYING);
    return admit(exchange);
}

static enum MHD_Result count_length(void *count, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    (void)value;
    *(int *)count += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 ||
                     strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    return MHD_YES;
}

/* Where a body ends must be said once: a proxy in front could believe the other one, and take
 * the rest for another client's request. */
static bool is_ambiguous(struct exchange *exchange)
{
    int count = 0;
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, count_length, &count);
    return count > 1;
}

/* Load balancers and Grafana know the header. */
static enum MHD_Result refuse_while_stopping(struct exchange *exchange)
{
    struct http_response *response = &exchange->response;
    http_add_header(response, "X-Prometheus-Stopping", "true");
    http_add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    response->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    response->content_type = "text/plain; charset=utf-8";
    buf_put_text(&response->body, "Service Unavailable"); /* without newline, as Prometheus */
    return answer_send(exchange);
}

/* The first call for a request: its header has been read. */
static enum MHD_Result begin(struct exchange *exchange, const char *method)
{
    const struct http_server *server = exchange->server;
    bool is_known;
    if (!parting_has_room(exchange))
        return parting_refuse(exchange, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                              "URL and headers are too large");
    if (is_ambiguous(exchange))
        return answer_text(exchange, MHD_HTTP_BAD_REQUEST, "more than one length of body");
    if (server->closing && strcmp(exchange->request.path, "/-/healthy") != 0)
        return refuse_while_stopping(exchange);
    if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
        strncmp(exchange->request.path, "/api/", 5) == 0) {
        exchange->response.status = MHD_HTTP_NO_CONTENT;
        http_add_header(&exchange->response, MHD_HTTP_HEADER_ALLOW, "GET, POST, OPTIONS");
        return answer_send(exchange);
    }
    struct http_request *request = &exchange->request;
    request->method = route_method(method, request->path);
    exchange->route = route_find(server->routes, server->route_count, request->method,
                                 request->path, &request->rest, &is_known);
    if (exchange->route == NULL && !is_known)
        return answer_text(exchange, MHD_HTTP_NOT_FOUND, "404 page not found");
    if (exchange->route == NULL) {
        http_add_header(&exchange->response, MHD_HTTP_HEADER_ALLOW,
                        route_allowed(server->routes, server->route_count, request->path));
        if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0)
            return answer_send(exchange); /* outside the API a 200, as Prometheus's router has it */
        return answer_text(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed");
    }
    exchange->body_limit =
        exchange->route->body_limit != 0 ? exchange->route->body_limit : BODY_BYTES_DEFAULT;
    const char *length = header(exchange->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (strtoull(length, NULL, 10) > exchange->body_limit)
        return answer_text(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
    return authenticate(exchange);
}

/* ---- reading and running --------------------------------------------------------------- */

static enum MHD_Result read_body(struct exchange *exchange, const char *data, size_t *size)
{
    if (exchange->body.size + *size > exchange->body_limit)
        exchange->is_too_large = true;
    if (!exchange->is_too_large)
        buf_put(&exchange->body, data, *size);
    *size = 0;
    /* A chunked body past its limit is not read to its end. */
    return exchange->is_too_large ? parting_refuse(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
                                                   "the body is too large")
                                  : MHD_YES;
}

static bool is_form(const struct http_request *request)
{
    const char *type = "application/x-www-form-urlencoded";
    return request->method != HTTP_GET &&
           strncasecmp(request->content_type, type, strlen(type)) == 0;
}

/* Body first: as Go's FormValue, what the form says wins over the URL. */
static int gather_parameters(struct exchange *exchange)
{
    struct http_request *request = &exchange->request;
    request->body = buf_bytes(&exchange->body);
    int error = buf_ok(&exchange->body) && buf_ok(&exchange->query) ? 0 : ERR_NOMEM;
    if (error == 0 && strcasecmp(request->content_encoding, "gzip") == 0) {
        error = answer_inflate(request->body, exchange->body_limit, &exchange->inflated);
        request->body = buf_bytes(&exchange->inflated);
    }
    if (error == 0 && is_form(request) && !exchange->route->raw_body)
        error = form_add_encoded(&exchange->form, request->body);
    if (error == 0)
        error = form_add_encoded(&exchange->form, buf_bytes(&exchange->query));
    request->parameters = exchange->form.items;
    request->parameter_count = exchange->form.count;
    request->asked_mono_ns = clock_mono(&clock_system);
    return error;
}

/* While no query runs: those behind it would wait for it.  False: it has to be handed over. */
static bool is_answered_at_once(struct exchange *exchange)
{
    struct http_request *request = &exchange->request;
    if (!exchange->route->at_once || exchange->server->suspended_count > 0)
        return false;
    request->at_once = true;
    exchange->route->handler(request, &exchange->response);
    request->at_once = false;
    const bool is_answered = !exchange->response.put_off;
    exchange->response.put_off = false;
    if (is_answered)
        answer_memory_settle(exchange);
    return is_answered;
}

static enum MHD_Result run(struct exchange *exchange)
{
    const struct http_server *server = exchange->server;
    const struct http_route *route = exchange->route;
    struct pool *pool = route->later != NULL ? server->writes
                        : route->slow        ? server->queries
                        : route->brief       ? server->state
                                             : NULL;
    if (pool != NULL && server->closing)
        return refuse_while_stopping(exchange); /* its body was still coming */
    answer_memory_open(exchange);
    int error = gather_parameters(exchange);
    if (error == ERR_LIMIT && exchange->arena.total_refused) {
        answer_refuse(exchange, API_UNAVAILABLE,
                      "there is no memory left for the parameters; try again");
        return answer_send(exchange);
    }
    if (error == ERR_LIMIT)
        return answer_text(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
    if (error == ERR_NOMEM)
        return answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    if (error != 0)
        return answer_text(exchange, MHD_HTTP_BAD_REQUEST, "body or parameters cannot be read");
    if (is_answered_at_once(exchange))
        return answer_send(exchange);
    if (pool != NULL)
        return hand_over(exchange, pool, route->later != NULL ? run_later : run_handler,
                         EXCHANGE_WORKING);
    route->handler(&exchange->request, &exchange->response);
    answer_memory_settle(exchange);
    return answer_send(exchange);
}

enum MHD_Result exchange_access(void *context, struct MHD_Connection *connection,
                                const char *url, const char *method, const char *version,
                                const char *upload, size_t *upload_size, void **exchange_slot)
{
    (void)version;
    (void)context;
    (void)connection;
    struct exchange *exchange = *exchange_slot;
    if (exchange == NULL)
        return MHD_NO; /* there was no memory for it */
    switch (exchange->state) {
    case EXCHANGE_NEW:
        read_header(exchange, url);
        return begin(exchange, method);
    case EXCHANGE_VERIFIED:
        return admit(exchange);
    case EXCHANGE_READING:
        if (*upload_size > 0)
            return read_body(exchange, upload, upload_size);
        return run(exchange);
    case EXCHANGE_FINISHED:
        return answer_send(exchange);
    case EXCHANGE_ANSWERED:
        *upload_size = 0;
        return MHD_YES;
    case EXCHANGE_VERIFYING:
    case EXCHANGE_WORKING:
    case EXCHANGE_STREAMING:
        break; /* suspended: libmicrohttpd does not call */
    }
    must(exchange->state == EXCHANGE_READING);
    return MHD_NO;
}
