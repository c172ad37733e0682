/*
 * ask_redis.c - INFO of redis and its kin (valkey, keydb), as redis_exporter names it.
 *
 *     AUTH [USER] PASSWORD          +OK
 *     INFO ALL                      $4312 ... # Section, field:value
 *     CONFIG GET maxclients         *2 $10 maxclients $5 10000
 *     SLOWLOG LEN                   :3
 *     QUIT
 *
 * All are sent at once.  CONFIG and SLOWLOG may be forbidden to this user; then what they say
 * is missing, and nothing else.  The protocol is RESP (redis.io/docs/reference/protocol-spec).
 */
#include <string.h>

#include "probe/source/ask.h"
#include "probe/source/ask_dialects.h"
#include "probe/source/ask_redis_table.h"
#include "proto/base/error.h"

#define REPLIES    3 /* INFO, CONFIG, SLOWLOG; QUIT's is not waited for */
#define ITEMS_MAX  ((uint64_t)1024)
#define BULK_BYTES ((uint64_t)64 << 20)

/* ---- RESP ------------------------------------------------------------------------------ */

/* A line with its CRLF, whole.  1; 0: not all there; ERR_MALFORMED: it cannot be one. */
static int take_line(struct span *text, struct span *ret_line)
{
    const char *end = memchr(text->at, '\n', span_size(*text));
    if (end == NULL)
        return span_size(*text) > 65536 ? ERR_MALFORMED : 0;
    if (end == text->at || end[-1] != '\r')
        return ERR_MALFORMED;
    *ret_line = (struct span){text->at, end - 1};
    text->at = end + 1;
    return 1;
}

/* The next value of a reply, not looking into arrays: its kind (+ - : $ *), and its text, or
 * the number of its items in *ret_items. */
static int take_value(struct span *text, char *ret_kind, struct span *ret_text,
                      uint64_t *ret_items)
{
    struct span rest = *text, line;
    uint64_t size = 0;
    int got = take_line(&rest, &line);
    if (got <= 0)
        return got;
    if (span_size(line) == 0)
        return ERR_MALFORMED;
    *ret_kind = *line.at++;
    *ret_items = 0;
    bool is_null = span_is(line, "-1");
    if (*ret_kind == '$' && !is_null) {
        if (!scan_u64(&line, &size) || span_size(line) != 0 || size > BULK_BYTES)
            return ERR_MALFORMED;
        if (span_size(rest) < size + 2)
            return 0;
        line = span_of(rest.at, (size_t)size);
        if (line.end[0] != '\r' || line.end[1] != '\n')
            return ERR_MALFORMED;
        rest.at = line.end + 2;
    } else if (*ret_kind == '*' && !is_null) {
        if (!scan_u64(&line, ret_items) || span_size(line) != 0 || *ret_items > ITEMS_MAX)
            return ERR_MALFORMED;
    } else if (strchr("+-:$*", *ret_kind) == NULL) {
        return ERR_MALFORMED;
    }
    *ret_text = line;
    *text = rest;
    return 1;
}

/* A whole reply, arrays with all they hold. */
static int skip_reply(struct span *text)
{
    struct span rest = *text, value;
    uint64_t open = 1, items, seen = 0;
    char kind;
    while (open > 0) {
        int got = take_value(&rest, &kind, &value, &items);
        if (got <= 0)
            return got;
        open += items - 1;
        if (++seen > ITEMS_MAX || open > ITEMS_MAX)
            return ERR_MALFORMED;
    }
    *text = rest;
    return 1;
}

static int redis_whole(struct bytes answer, bool has_login)
{
    struct span text = span_from(answer);
    for (size_t i = 0; i < REPLIES + (size_t)has_login; i++) {
        int got = skip_reply(&text);
        if (got <= 0)
            return got;
    }
    return 1;
}

static void put_word(struct buf *out, const char *word)
{
    buf_printf(out, "$%zu\r\n%s\r\n", strlen(word), word);
}

static void redis_request(struct buf *out, const struct ask_login *login)
{
    if (login->password != NULL) {
        buf_printf(out, "*%d\r\n", login->user == NULL ? 2 : 3);
        put_word(out, "AUTH");
        if (login->user != NULL)
            put_word(out, login->user);
        put_word(out, login->password);
    }
    buf_put_text(out, "*2\r\n$4\r\nINFO\r\n$3\r\nALL\r\n"
                      "*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$10\r\nmaxclients\r\n"
                      "*2\r\n$7\r\nSLOWLOG\r\n$3\r\nLEN\r\n"
                      "*1\r\n$4\r\nQUIT\r\n");
}

/* ---- INFO ------------------------------------------------------------------------------ */

/* What is told of the whole server, gathered on the way through. */
struct server {
    struct span role, version, build, mode, os, policy, port, run_id, process, replid;
    struct span master_host, master_port, read_only;
};

static void take_server(struct server *server, struct span field, struct span value)
{
    const struct {
        const char *field;
        struct span *at;
    } rows[] = {
        {"role", &server->role},
        {"redis_version", &server->version},
        {"redis_build_id", &server->build},
        {"redis_mode", &server->mode},
        {"os", &server->os},
        {"maxmemory_policy", &server->policy},
        {"tcp_port", &server->port},
        {"run_id", &server->run_id},
        {"process_id", &server->process},
        {"master_replid", &server->replid},
        {"master_host", &server->master_host},
        {"master_port", &server->master_port},
        {"slave_read_only", &server->read_only},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (span_is(field, rows[i].field)) {
            *rows[i].at = value;
            return;
        }
}

static struct label label_of(const char *name, struct span value)
{
    static const struct span nothing = {"", ""};
    return (struct label){bytes_of(name), span_bytes(value.at == NULL ? nothing : value)};
}

/* The value of `name` in "a=1,b=2"; false: not there. */
static bool list_value(struct span list, const char *name, struct span *ret_value)
{
    while (list.at < list.end) {
        const char *comma = memchr(list.at, ',', span_size(list));
        struct span item = {list.at, comma != NULL ? comma : list.end};
        list.at = comma != NULL ? comma + 1 : list.end;
        if (scan_text(&item, name) && scan_text(&item, "=")) {
            *ret_value = item;
            return true;
        }
    }
    return false;
}

static void put_listed(struct ask_out *out, const struct ask_metric *metric,
                       const struct label *labels, size_t count, struct span list, double scale)
{
    struct span text;
    double value;
    if (list_value(list, metric->field, &text) && ask_number(text, &value))
        ask_put(out, metric, labels, count, value * scale);
}

static void take_database(struct span name, struct span list, struct ask_out *out)
{
    const struct label label = label_of("db", name);
    put_listed(out, &redis_db_keys, &label, 1, list, 1);
    put_listed(out, &redis_db_expiring, &label, 1, list, 1);
    put_listed(out, &redis_db_ttl, &label, 1, list, 1e-3);
}

static void take_command(struct span name, struct span list, struct ask_out *out)
{
    const struct label label = label_of("cmd", name);
    put_listed(out, &redis_command_calls, &label, 1, list, 1);
    put_listed(out, &redis_command_seconds, &label, 1, list, 1e-6);
    put_listed(out, &redis_command_rejected, &label, 1, list, 1);
    put_listed(out, &redis_command_failed, &label, 1, list, 1);
}

static void take_replica(struct span list, struct ask_out *out)
{
    struct span ip = {"", ""}, port = ip, state = ip;
    (void)list_value(list, "ip", &ip);
    (void)list_value(list, "port", &port);
    (void)list_value(list, "state", &state);
    const struct label labels[] = {label_of("slave_ip", ip), label_of("slave_port", port),
                                   label_of("slave_state", state)};
    put_listed(out, &redis_replica_offset, labels, 3, list, 1);
    put_listed(out, &redis_replica_lag, labels, 3, list, 1);
}

/* What a replica says of its master. */
static bool take_master(const struct server *server, struct span field, struct span value,
                        struct ask_out *out)
{
    const struct label labels[] = {label_of("master_host", server->master_host),
                                   label_of("master_port", server->master_port)};
    double number;
    if (span_is(field, "master_link_status")) {
        ask_put(out, &redis_master_link, labels, 2, span_is(value, "up"));
        return true;
    }
    for (size_t i = 0; i < REDIS_MASTER_ROWS; i++)
        if (span_is(field, redis_master[i].field) && ask_number(value, &number)) {
            ask_put(out, &redis_master[i], labels, 2, number);
            return true;
        }
    return false;
}

/* Numbers, and the few words that mean one. */
static bool value_of(struct span text, double *ret_value)
{
    if (span_is(text, "ok") || span_is(text, "err") || span_is(text, "fail")) {
        *ret_value = span_is(text, "ok");
        return true;
    }
    return ask_number(text, ret_value);
}

static bool is_numbered(struct span field, const char *prefix)
{
    uint64_t number;
    return scan_text(&field, prefix) && scan_u64(&field, &number) && span_size(field) == 0;
}

static void take_field(struct server *server, struct span field, struct span value,
                       struct ask_out *out)
{
    struct span rest = field;
    double number;

    take_server(server, field, value);
    if (scan_text(&rest, "cmdstat_"))
        take_command(rest, value, out);
    else if (scan_text(&rest, "errorstat_")) {
        const struct label label = label_of("err", rest);
        put_listed(out, &redis_errors, &label, 1, value, 1);
    } else if (is_numbered(field, "db"))
        take_database(field, value, out);
    else if (is_numbered(field, "slave"))
        take_replica(value, out);
    else if (!take_master(server, field, value, out) && value_of(value, &number)) {
        const struct ask_metric *metric =
            ask_metric_find(redis_metrics, REDIS_METRIC_ROWS, field);
        if (metric != NULL)
            ask_put_plain(out, metric, number);
        if (span_is(field, "uptime_in_seconds"))
            ask_put_plain(out, &redis_start_time, (double)(out->now_ms / 1000) - number);
    }
}

static void put_server(const struct server *server, struct ask_out *out)
{
    const struct label labels[] = {label_of("master_replid", server->replid),
                                   label_of("maxmemory_policy", server->policy),
                                   label_of("os", server->os),
                                   label_of("process_id", server->process),
                                   label_of("redis_build_id", server->build),
                                   label_of("redis_mode", server->mode),
                                   label_of("redis_version", server->version),
                                   label_of("role", server->role)};
    ask_put(out, &redis_instance, labels, sizeof labels / sizeof *labels, 1);
    if (server->role.at == NULL || !span_is(server->role, "slave"))
        return;
    const struct label master[] = {label_of("master_host", server->master_host),
                                   label_of("master_port", server->master_port),
                                   label_of("read_only", server->read_only)};
    ask_put(out, &redis_replica, master, 3, 1);
}

static void take_info(struct span text, struct ask_out *out)
{
    struct server server = {0};
    struct span line;
    while (scan_line(&text, &line)) {
        line = span_trim(line);
        const char *colon = memchr(line.at, ':', span_size(line));
        if (colon == NULL || *line.at == '#')
            continue;
        take_field(&server, (struct span){line.at, colon}, (struct span){colon + 1, line.end},
                   out);
    }
    put_server(&server, out);
}

static int redis_parse(struct bytes answer, size_t page, const struct ask_login *login,
                       struct ask_out *out, struct diagnosis *why)
{
    struct span text = span_from(answer), value;
    uint64_t items;
    double number;
    char kind;

    (void)page;
    if (login->password != NULL && take_value(&text, &kind, &value, &items) > 0 && kind == '-')
        return diagnose(why, ERR_REFUSED, "AUTH: the server says: %.*s", (int)span_size(value),
                        value.at);
    if (take_value(&text, &kind, &value, &items) <= 0)
        return diagnose(why, ERR_MALFORMED, "the answer was cut off, or is not redis's");
    if (kind != '$')
        return diagnose(why, ERR_REFUSED, "INFO: the server says: %.*s", (int)span_size(value),
                        value.at);
    take_info(value, out);
    /* CONFIG GET: an array of name and value, or an error. */
    struct span rest = text;
    if (take_value(&rest, &kind, &value, &items) > 0 && kind == '*' && items == 2 &&
        take_value(&rest, &kind, &value, &items) > 0 &&
        take_value(&rest, &kind, &value, &items) > 0 && ask_number(value, &number))
        ask_put_plain(out, &redis_maxclients, number);
    if (skip_reply(&text) > 0 && take_value(&text, &kind, &value, &items) > 0 && kind == ':' &&
        ask_number(value, &number))
        ask_put_plain(out, &redis_slowlog, number);
    return 0;
}

const struct ask_dialect ask_dialect_redis = {
    .source = "redis",
    .scheme = "redis://",
    .port = "6379",
    .path = "",
    .is_raw = true,
    .up = {NULL, "redis_up", METRIC_GAUGE, "Information about the Redis instance"},
    .request = redis_request,
    .whole = redis_whole,
    .parse = redis_parse,
};

ASK_SOURCE(redis, "what redis says of itself, by INFO");
