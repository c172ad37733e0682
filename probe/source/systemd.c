/*
 * systemd.c - is this service up?  The state of systemd's units, under node_exporter's names.
 *
 *     node_systemd_unit_state{name="sshd.service",state="active",type="notify"} 1
 *     node_systemd_unit_state{name="sshd.service",state="failed",type="notify"} 0
 *
 *     sources:
 *       systemd: {unit_include: '.+', unit_exclude: '.+\.(automount|device|mount|scope|slice)',
 *                 restarts: true}
 *
 * The surprise: a bus that does not answer ends the series.  A state that was true a minute ago
 * must not stand for now.
 */
#include "probe/source/systemd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/device_filter.h"
#include "probe/source/series.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define EXCLUDED  ".+\\.(automount|device|mount|scope|slice)"
#define UNITS_MAX 8192

/* Names, types and help are node_exporter's, where a count of refused connections is a gauge.
 */
#define OF_SERVICE ".service", "org.freedesktop.systemd1.Service"
#define OF_SOCKET  ".socket", "org.freedesktop.systemd1.Socket"

const struct unit_property_row systemd_properties[UNIT_PROPERTIES] = {
    [UNIT_RESTARTS] = {OF_SERVICE,
                       "NRestarts",
                       false,
                       {"node_systemd_service_restart_total", METRIC_COUNTER,
                        "Service unit count of Restart triggers", NULL}},
    [UNIT_TASKS_CURRENT] = {OF_SERVICE,
                            "TasksCurrent",
                            false,
                            {"node_systemd_unit_tasks_current", METRIC_GAUGE,
                             "Current number of tasks per Systemd unit", NULL}},
    [UNIT_TASKS_MAX] = {OF_SERVICE,
                        "TasksMax",
                        false,
                        {"node_systemd_unit_tasks_max", METRIC_GAUGE,
                         "Maximum number of tasks per Systemd unit", NULL}},
    [UNIT_START_TIME] = {NULL,
                         "org.freedesktop.systemd1.Unit",
                         "ActiveEnterTimestamp",
                         true,
                         {"node_systemd_unit_start_time_seconds", METRIC_GAUGE,
                          "Start time of the unit since unix epoch in seconds.", NULL}},
    [UNIT_SOCKET_ACCEPTED] = {OF_SOCKET,
                              "NAccepted",
                              false,
                              {"node_systemd_socket_accepted_connections_total", METRIC_COUNTER,
                               "Total number of accepted socket connections", NULL}},
    [UNIT_SOCKET_CONNECTIONS] = {OF_SOCKET,
                                 "NConnections",
                                 false,
                                 {"node_systemd_socket_current_connections", METRIC_GAUGE,
                                  "Current number of socket connections", NULL}},
    [UNIT_SOCKET_REFUSED] = {OF_SOCKET,
                             "NRefused",
                             false,
                             {"node_systemd_socket_refused_connections_total", METRIC_GAUGE,
                              "Total number of refused socket connections", NULL}},
    [UNIT_TIMER_TRIGGER] = {".timer",
                            "org.freedesktop.systemd1.Timer",
                            "LastTriggerUSec",
                            true,
                            {"node_systemd_timer_last_trigger_seconds", METRIC_GAUGE,
                             "Seconds since epoch of last trigger.", NULL}},
};

static const struct metric state_metric = {"node_systemd_unit_state", METRIC_GAUGE,
                                           "Systemd unit", NULL};
static const struct metric summary_metric = {"node_systemd_units", METRIC_GAUGE,
                                             "Summary of systemd unit states", NULL};
static const struct metric running_metric = {
    "node_systemd_system_running", METRIC_GAUGE,
    "Whether the system is operational (see 'systemctl is-system-running')", NULL};
static const struct metric version_metric = {"node_systemd_version", METRIC_GAUGE,
                                             "Detected systemd version", NULL};
static const struct metric virtualization_metric = {"node_systemd_virtualization_info",
                                                    METRIC_GAUGE,
                                                    "Detected virtualization technology", NULL};

struct systemd_options {
    const char *include, *exclude, *socket;
    int64_t timeout_ms;
    bool restarts, tasks, start_time;
    struct source_common_options common;
};

static const struct config_option options_table[] = {
    {"unit_include", CONFIG_STRING, offsetof(struct systemd_options, include),
     .help = "regular expression of units, matched whole (default: all)"},
    {"unit_exclude", CONFIG_STRING, offsetof(struct systemd_options, exclude),
     .fallback = EXCLUDED, .help = "regular expression of units left out, matched whole"},
    {"restarts", CONFIG_BOOL, offsetof(struct systemd_options, restarts), .fallback = "false",
     .help = "node_systemd_service_restart_total"},
    {"tasks", CONFIG_BOOL, offsetof(struct systemd_options, tasks), .fallback = "false",
     .help = "node_systemd_unit_tasks_current and _max"},
    {"start_time", CONFIG_BOOL, offsetof(struct systemd_options, start_time),
     .fallback = "false", .help = "node_systemd_unit_start_time_seconds"},
    {"socket", CONFIG_FILE, offsetof(struct systemd_options, socket),
     .help = "of the message bus, or systemd's own .../private (default: as systemd has it)"},
    {"timeout", CONFIG_DURATION, offsetof(struct systemd_options, timeout_ms), .fallback = "3s",
     .min = 10, .max = 60000, .help = "of all questions of a tick together"},
    SOURCE_COMMON_OPTIONS(offsetof(struct systemd_options, common)),
};

static int systemd_configure(void *state, struct config *config, const struct config_node *node,
                             struct diagnosis *why)
{
    struct systemd_state *systemd = state;
    struct systemd_options options = {.exclude = EXCLUDED, .timeout_ms = 3000};
    int error = 0;

    if (node != NULL)
        error = config_read(config, node, "sources.systemd", options_table,
                            sizeof options_table / sizeof *options_table, &options, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "unit_include", options.include,
                                            &systemd->include, why);
    if (error == 0)
        error = device_filter_compile_whole(config, node, "unit_exclude", options.exclude,
                                            &systemd->exclude, why);
    if (error != 0)
        return error;
    systemd->timeout_ms = options.timeout_ms;
    for (unsigned i = 0; i < UNIT_PROPERTIES; i++)
        systemd->is_wanted[i] = true;
    systemd->is_wanted[UNIT_RESTARTS] = options.restarts;
    systemd->is_wanted[UNIT_TASKS_CURRENT] = options.tasks;
    systemd->is_wanted[UNIT_TASKS_MAX] = options.tasks;
    systemd->is_wanted[UNIT_START_TIME] = options.start_time;
    if (options.socket != NULL && (systemd->socket = strdup(options.socket)) == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    systemd->units.value_bytes = sizeof(struct unit);
    systemd->units.limit = UNITS_MAX;
    return 0;
}

/* The folder that is there if and only if systemd was booted (sd_booted(3)). */
static bool is_booted(const struct systemd_state *systemd, const struct source_env *env)
{
    char path[256];
    const char *root = strcmp(env->rootfs, "/") == 0 ? "" : env->rootfs;
    (void)snprintf(path, sizeof path, "%s/run/systemd/system", root);
    return systemd->socket != NULL || access(path, F_OK) == 0;
}

static int systemd_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct systemd_state *systemd = state;

    if (!is_booted(systemd, env))
        return ERR_NOTFOUND;
    series_clear(systemd->summary, UNIT_STATES);
    for (unsigned i = 0; i < UNIT_STATES_ALWAYS; i++)
        systemd->summary[i] =
            series_one(out, &summary_metric, "state", bytes_of(unit_state_names[i]));
    systemd->running = series_plain(out, &running_metric);
    systemd->version_handle = systemd->virtualization_handle = SERIES_NONE;
    return 0;
}

static int systemd_gather(void *state, const struct source_env *env)
{
    struct systemd_state *systemd = state;
    systemd->why = (struct diagnosis){0};
    systemd->failure = systemd_read(systemd, env, &systemd->why);
    return 0; /* collect() has series to end */
}

static void end_states(struct unit *unit, struct emitter *out)
{
    series_end(out, unit->states, UNIT_STATES_ALWAYS);
    series_clear(unit->states, UNIT_STATES_ALWAYS);
}

static void unit_gone(void *value, void *context)
{
    struct unit *unit = value;
    if (context == NULL)
        return;
    end_states(unit, context);
    series_end(context, unit->handles, UNIT_PROPERTIES);
}

static void end_all(struct systemd_state *systemd, struct emitter *out)
{
    for (size_t i = 0; i < systemd->units.count; i++)
        unit_gone(tracked_at(&systemd->units, i), out);
    series_end(out, systemd->summary, UNIT_STATES);
    series_end(out, &systemd->running, 1);
    series_end(out, &systemd->version_handle, 1);
    series_end(out, &systemd->virtualization_handle, 1);
}

static void register_states(struct unit *unit, struct bytes name, struct emitter *out)
{
    struct label labels[] = {
        {bytes_of("name"), name},
        {bytes_of("state"), {0}},
        {bytes_of("type"), bytes_of(unit->type)},
    };
    for (unsigned i = 0; i < UNIT_STATES_ALWAYS; i++) {
        labels[1].value = bytes_of(unit_state_names[i]);
        unit->states[i] =
            emitter_series(out, &state_metric, labels, unit->type[0] == '\0' ? 2 : 3);
    }
}

static void emit_unit(struct unit *unit, struct emitter *out)
{
    struct bytes name = tracked_key(unit);

    if (unit->has_type_changed)
        end_states(unit, out);
    unit->has_type_changed = false;
    if (unit->states[0] == SERIES_NONE && unit->is_type_known)
        register_states(unit, name, out);
    for (unsigned i = 0; i < UNIT_STATES_ALWAYS; i++)
        emit(out, unit->states[i], i == unit->state);
    for (unsigned i = 0; i < UNIT_PROPERTIES; i++) {
        if ((unit->was_asked >> i & 1) == 0)
            continue; /* there was no time for it */
        if ((unit->has_values >> i & 1) == 0) {
            series_end(out, &unit->handles[i], 1);
            series_clear(&unit->handles[i], 1);
            continue;
        }
        if (unit->handles[i] == SERIES_NONE)
            unit->handles[i] = series_one(out, &systemd_properties[i].metric, "name", name);
        emit(out, unit->handles[i], unit->values[i]);
    }
}

static void emit_summary(struct systemd_state *systemd, struct emitter *out)
{
    for (unsigned i = 0; i < UNIT_STATES; i++) {
        series_handle *handle = &systemd->summary[i];
        if (i >= UNIT_STATES_ALWAYS && systemd->counts[i] == 0) {
            series_end(out, handle, 1);
            series_clear(handle, 1);
            continue;
        }
        if (*handle == SERIES_NONE)
            *handle = series_one(out, &summary_metric, "state", bytes_of(unit_state_names[i]));
        emit(out, *handle, (double)systemd->counts[i]);
    }
}

/* An update of systemd changes the label. */
static void emit_version(struct systemd_state *systemd, struct emitter *out)
{
    if (strcmp(systemd->version_text, systemd->version_registered) != 0 ||
        systemd->version_handle == SERIES_NONE) {
        series_end(out, &systemd->version_handle, 1);
        memcpy(systemd->version_registered, systemd->version_text, SYSTEMD_TEXT_BYTES);
        systemd->version_handle =
            series_one(out, &version_metric, "version", bytes_of(systemd->version_text));
        systemd->virtualization_handle =
            series_one(out, &virtualization_metric, "virtualization_type",
                       bytes_of(systemd->virtualization));
    }
    emit(out, systemd->version_handle, systemd->version);
    emit(out, systemd->virtualization_handle, 1);
}

static int systemd_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct systemd_state *systemd = state;

    (void)env;
    if (systemd->failure != 0 && !systemd->was_failing)
        log_warn("systemd", "units cannot be read: %s", systemd->why.text);
    systemd->was_failing = systemd->failure != 0;
    if (!systemd->has_list) {
        if (!systemd->has_ended)
            end_all(systemd, out);
        systemd->has_ended = true;
        return systemd->failure;
    }
    systemd->has_ended = false;
    for (size_t i = 0; i < systemd->units.count; i++) {
        struct unit *unit = tracked_at(&systemd->units, i);
        if (tracked_is_met(&systemd->units, unit))
            emit_unit(unit, out);
    }
    tracked_sweep(&systemd->units, unit_gone, out);
    emit_summary(systemd, out);
    if (systemd->has_system_state)
        emit(out, systemd->running, systemd->is_running);
    emit_version(systemd, out);
    return systemd->failure;
}

static int systemd_check(void *state, const struct source_env *env, struct diagnosis *why)
{
    struct systemd_state *systemd = state;
    if (!is_booted(systemd, env))
        return diagnose(why, ERR_NOTFOUND, "this host was not booted with systemd");
    return systemd_read(systemd, env, why);
}

static void systemd_stop(void *state)
{
    struct systemd_state *systemd = state;
    dbus_close(&systemd->bus);
    tracked_done(&systemd->units, unit_gone, NULL);
    pattern_free(systemd->include);
    pattern_free(systemd->exclude);
    free(systemd->socket);
}

const struct source source_systemd = {
    .name = "systemd",
    .summary = "state of systemd's units: is this service up",
    .state_bytes = sizeof(struct systemd_state),
    .interval_ms = 15000,
    .blocking = true,
    .configure = systemd_configure,
    .start = systemd_start,
    .gather = systemd_gather,
    .collect = systemd_collect,
    .check = systemd_check,
    .stop = systemd_stop,
};
