/*
 * syslog.c - see syslog.h.
 */
#include "probe/syslog/syslog.h"

#include <stdio.h>
#include <string.h>

#include "probe/log/redact_key.h"
#include "probe/log/told.h"
#include "probe/syslog/batch.h"
#include "probe/syslog/listener.h"
#include "proto/base/config.h"
#include "proto/base/error.h"

#define INTERVAL_MS 200
#define TELL_MS     5000
#define ROUNDS_MAX  32 /* batches in one look */

enum plain_series {
    RECEIVED_UDP,
    RECEIVED_TCP,
    DROPPED_SOCKET,
    DROPPED_REFUSED,
    DROPPED_CONNECTION,
    SENDERS,
    CONNECTIONS,
    PLAIN_COUNT
};

static const struct metric received = {"syslog_received_messages_total", METRIC_COUNTER,
                                       "Syslog messages received, by transport.", NULL};
static const struct metric dropped = {
    "syslog_dropped_messages_total", METRIC_COUNTER,
    "Syslog messages and connections that were not taken, by reason.", NULL};
static const struct metric senders_metric = {"syslog_senders", METRIC_GAUGE,
                                             "Addresses that have sent syslog messages.", NULL};
static const struct metric connections_metric = {
    "syslog_connections", METRIC_GAUGE, "Open TCP connections of syslog senders.", NULL};
static const struct metric listener_up = {
    "syslog_listener_up", METRIC_GAUGE,
    "1 where syslog is listened for, 0 where the address cannot be opened.", NULL};

struct options {
    struct config_strings listen, allow;
    struct log_line_options lines;
    struct source_common_options common;
};

static const struct config_option rows[] = {
    {.key = "listen",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct options, listen),
     .help = "addresses: udp://0.0.0.0:5514, tcp://[::]:5514"},
    {.key = "allow",
     .type = CONFIG_STRINGS,
     .offset = offsetof(struct options, allow),
     .help = "networks and addresses that may send; everybody by default"},
    LOG_LINE_OPTIONS(offsetof(struct options, lines)),
    SOURCE_COMMON_OPTIONS(offsetof(struct options, common)),
};

struct syslog_state {
    struct log_settings settings;
    struct syslog_listeners listeners;
    struct syslog_senders senders;
    struct syslog_batch *batch;
    struct redact_key key;
    bool has_key;
    bool has_more;
    int64_t told_ms;
    int64_t now_ms; /* of the look under way */
    struct told plain[PLAIN_COUNT];
    struct told up[SYSLOG_LISTENERS_MAX];
};

void syslog_source_set_key(void *state, const struct redact_key *key)
{
    struct syslog_state *log = state;
    log->key = *key;
    log->has_key = true;
}

static int read_addresses(struct syslog_listeners *listeners, const struct options *options,
                          struct config *config, const struct config_node *node,
                          struct diagnosis *why)
{
    struct diagnosis reason = {0};
    if (options->listen.count == 0 || options->listen.count > SYSLOG_LISTENERS_MAX)
        return config_complain(config, node, why,
                               "syslog: listen must name 1 to %zu addresses, such as "
                               "udp://0.0.0.0:5514",
                               SYSLOG_LISTENERS_MAX);
    if (options->allow.count > SYSLOG_NETWORKS_MAX)
        return config_complain(config, node, why, "syslog: allow has more than %zu networks",
                               SYSLOG_NETWORKS_MAX);
    for (size_t i = 0; i < options->listen.count; i++) {
        struct syslog_listener *listener = &listeners->items[i];
        if (syslog_endpoint_read(options->listen.items[i], &listener->endpoint, &reason) != 0)
            return config_complain(config, config_child(node, "listen"), why,
                                   "syslog: listen: %s", reason.text);
        (void)snprintf(listener->name, sizeof listener->name, "%s", options->listen.items[i]);
        listener->fd = -1;
        listeners->count++;
    }
    for (size_t i = 0; i < options->allow.count; i++) {
        if (syslog_network_read(options->allow.items[i], &listeners->allow[i], &reason) != 0)
            return config_complain(config, config_child(node, "allow"), why,
                                   "syslog: allow: %s", reason.text);
        listeners->allow_count++;
    }
    return 0;
}

static int syslog_configure(void *state, struct config *config, const struct config_node *node,
                            struct diagnosis *why)
{
    struct syslog_state *log = state;
    struct options options = {0};
    int error =
        config_read(config, node, "syslog", rows, sizeof rows / sizeof *rows, &options, why);
    if (error == 0 && node != NULL)
        error = read_addresses(&log->listeners, &options, config, node, why);
    if (error == 0)
        error = log_settings_take(&log->settings, config, node, &options.lines, why);
    return error;
}

static int syslog_start(void *state, const struct source_env *env, struct emitter *out)
{
    static const char *const reasons[] = {"socket_buffer", "sender_refused",
                                          "connection_limit"};
    struct syslog_state *log = state;
    struct told *plain = log->plain;
    if (log->listeners.count == 0)
        return ERR_NOTFOUND;
    if (!log->has_key)
        redact_key_make(&log->key);
    int error = syslog_batch_new(&log->key, &log->batch);
    if (error == 0)
        error = syslog_listeners_start(&log->listeners);
    if (error == 0)
        error = syslog_senders_start(&log->senders, &log->settings, env->now_ms, out);
    if (error != 0)
        return error;
    plain[RECEIVED_UDP] = told_never(series_one(out, &received, "transport", bytes_of("udp")));
    plain[RECEIVED_TCP] = told_never(series_one(out, &received, "transport", bytes_of("tcp")));
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        plain[DROPPED_SOCKET + i] =
            told_never(series_one(out, &dropped, "reason", bytes_of(reasons[i])));
    plain[SENDERS] = told_never(series_plain(out, &senders_metric));
    plain[CONNECTIONS] = told_never(series_plain(out, &connections_metric));
    for (size_t i = 0; i < log->listeners.count; i++)
        log->up[i] = told_never(
            series_one(out, &listener_up, "listen", bytes_of(log->listeners.items[i].name)));
    syslog_listeners_open(&log->listeners, env->now_ms);
    return 0;
}

static bool has_room(void *context)
{
    const struct syslog_state *log = context;
    return syslog_batch_has_room(log->batch);
}

/* Past the last sender with an origin of its own, the address is said in the line. */
static bool receive(void *context, const uint8_t address[16], struct bytes raw, bool is_cut)
{
    struct syslog_state *log = context;
    struct syslog_message message = syslog_message_read(raw);
    struct syslog_sender *sender = syslog_senders_find(&log->senders, address);
    if (sender != NULL)
        syslog_batch_add(log->batch, sender, address, &message, is_cut, log->now_ms);
    return true;
}

static void emit_plain(struct syslog_state *log, bool all, struct emitter *out)
{
    const struct syslog_counts *counts = &log->listeners.counts;
    const double values[PLAIN_COUNT] = {
        [RECEIVED_UDP] = (double)counts->received_udp,
        [RECEIVED_TCP] = (double)counts->received_tcp,
        [DROPPED_SOCKET] = (double)counts->dropped_socket,
        [DROPPED_REFUSED] = (double)counts->dropped_refused,
        [DROPPED_CONNECTION] = (double)counts->dropped_connection,
        [SENDERS] = (double)log->senders.count,
        [CONNECTIONS] = (double)log->listeners.connection_count,
    };
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        told_emit(&log->plain[i], values[i], all, out);
    for (size_t i = 0; i < log->listeners.count; i++)
        told_emit(&log->up[i], log->listeners.items[i].fd >= 0, all, out);
}

static int syslog_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct syslog_state *log = state;
    int64_t since_ms = env->now_ms - log->told_ms;
    bool tell_all = since_ms < 0 || since_ms >= TELL_MS;
    int error = syslog_batch_hand_over(log->batch, out);
    log->now_ms = env->now_ms;
    log->has_more = true;
    syslog_listeners_open(&log->listeners, env->now_ms);
    for (int i = 0; i < ROUNDS_MAX && error == 0 && log->has_more; i++) {
        log->has_more = syslog_listeners_read(&log->listeners, receive, has_room, log);
        error = syslog_batch_hand_over(log->batch, out);
    }
    log->has_more = log->has_more || error != 0;
    if (env->is_between)
        return 0;
    syslog_senders_emit(&log->senders, tell_all, out);
    emit_plain(log, tell_all, out);
    if (tell_all)
        log->told_ms = env->now_ms;
    return 0;
}

static bool syslog_has_more(const void *state)
{
    const struct syslog_state *log = state;
    return log->has_more;
}

static const char *syslog_complaint(const void *state)
{
    const struct syslog_state *log = state;
    return log->listeners.why.text[0] == '\0' ? NULL : log->listeners.why.text;
}

/* Can the addresses be listened at?  An address in use is most likely used by the probe that
 * runs, so that is told, too, and not as a fault of the configuration alone. */
static int syslog_check(void *state, const struct source_env *env, struct diagnosis *why)
{
    struct syslog_state *log = state;
    if (log->listeners.count == 0)
        return ERR_NOTFOUND;
    syslog_listeners_open(&log->listeners, env->now_ms);
    *why = log->listeners.why;
    syslog_listeners_stop(&log->listeners);
    return why->text[0] == '\0' ? 0 : ERR_IO;
}

static void syslog_stop(void *state)
{
    struct syslog_state *log = state;
    syslog_listeners_stop(&log->listeners);
    syslog_senders_done(&log->senders);
    syslog_batch_free(log->batch);
    log_settings_clear(&log->settings);
    *log = (struct syslog_state){0};
}

const struct source source_syslog = {
    .name = "syslog",
    .summary = "messages that other devices send, as log lines (RFC 3164, RFC 5424)",
    .needs = "an address to listen at (listen)",
    .state_bytes = sizeof(struct syslog_state),
    .interval_ms = INTERVAL_MS,
    .is_optional = true,
    .configure = syslog_configure,
    .start = syslog_start,
    .collect = syslog_collect,
    .has_more = syslog_has_more,
    .complaint = syslog_complaint,
    .check = syslog_check,
    .stop = syslog_stop,
};
