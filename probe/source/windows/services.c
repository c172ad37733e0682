/*
 * services.c - what the service manager runs: windows_service_*, by EnumServicesStatusExW() in one
 * call, and QueryServiceConfigW() of a service when it is new and every CONFIG_MS.
 *
 * The manager answers over RPC and may be busy: asked on a worker (gather).
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "probe/source/device_filter.h"
#include "probe/source/procfile.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "probe/source/windows/told.h"
#include "proto/base/error.h"

#define SERVICES_MAX   ((size_t)4096)
#define CONFIG_MS      300000
#define CONFIG_BYTES   8192 /* QueryServiceConfigW() never wants more */
#define LIST_BYTES     ((size_t)256 << 10)
#define DEFAULT_INTERVAL_MS 15000

static const struct metric
    info = TOLD_GAUGE("windows_service_info", "Always 1; what the service is, as labels"),
    process = TOLD_GAUGE("windows_service_process", "Always 1; the process of a running service"),
    state_metric = TOLD_GAUGE("windows_service_state", "1 for the state that the service is in"),
    mode_metric = TOLD_GAUGE("windows_service_start_mode", "1 for how the service is started"),
    status_metric = TOLD_GAUGE("windows_service_status",
                               "1 for how the service fares (windows_exporter before 0.30)");

/* In the order of SERVICE_STOPPED (1) and so on, as windows_exporter calls them. */
static const char *const states[] = {"stopped",          "start pending", "stop pending", "running",
                                     "continue pending", "pause pending", "paused",       "unknown"};
/* In the order of SERVICE_BOOT_START (0) and so on. */
static const char *const modes[] = {"boot", "system", "auto", "manual", "disabled"};
static const char *const statuses[] = {"ok",       "error",    "degraded", "unknown",
                                       "pred fail", "starting", "stopping", "service",
                                       "stressed", "nonrecover", "no contact", "lost comm"};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct service {
    int64_t looked_ms; /* when its configuration was read */
    DWORD start_mode;  /* COUNT(modes): not known */
    char run_as[96], path[320];
};

struct services_state {
    struct told told;
    struct readbuf list, config;
    struct tracked known; /* of struct service, by name */
    struct pattern *exclude;
};

static int services_configure(void *state, struct config *config, const struct config_node *node,
                              struct diagnosis *why)
{
    struct services_state *services = state;
    return device_filter_read(config, node, "sources.services", NULL, &services->exclude, why);
}

static int services_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct services_state *services = state;
    (void)out;
    services->known.value_bytes = sizeof(struct service);
    services->known.limit = SERVICES_MAX;
    return env->live ? readbuf_reserve(&services->config, CONFIG_BYTES) : ERR_NOTFOUND;
}

static void read_config(struct services_state *services, SC_HANDLE manager, const wchar_t *name,
                        struct service *service)
{
    QUERY_SERVICE_CONFIGW *config = (void *)services->config.data;
    DWORD needed = 0;
    service->start_mode = COUNT(modes);
    SC_HANDLE handle = OpenServiceW(manager, name, SERVICE_QUERY_CONFIG);
    if (handle == NULL)
        return; /* it has gone, or is not ours to see */
    if (QueryServiceConfigW(handle, config, CONFIG_BYTES, &needed)) {
        service->start_mode =
            config->dwStartType < COUNT(modes) ? config->dwStartType : COUNT(modes);
        if (config->lpServiceStartName != NULL)
            (void)windows_narrow(config->lpServiceStartName, wcslen(config->lpServiceStartName),
                                 service->run_as, sizeof service->run_as);
        if (config->lpBinaryPathName != NULL)
            (void)windows_narrow(config->lpBinaryPathName, wcslen(config->lpBinaryPathName),
                                 service->path, sizeof service->path);
    } else {
        told_failed(&services->told, "QueryServiceConfig", GetLastError());
    }
    (void)CloseServiceHandle(handle);
}

static void put_choice(struct told *told, const struct metric *metric, struct bytes name,
                       const char *label, const char *const *choices, size_t count, size_t chosen)
{
    for (size_t i = 0; i < count; i++)
        told_two(told, metric, i == chosen ? 1 : 0, "name", name, label, bytes_of(choices[i]));
}

static size_t status_of(DWORD state)
{
    return state == SERVICE_START_PENDING || state == SERVICE_CONTINUE_PENDING ? 5
           : state == SERVICE_STOP_PENDING                                     ? 6
                                                                               : 0;
}

static void put_service(struct told *told, const ENUM_SERVICE_STATUS_PROCESSW *row,
                        struct bytes name, const struct service *service)
{
    char title[TOLD_TEXT_BYTES], pid[16];
    const SERVICE_STATUS_PROCESS *now = &row->ServiceStatusProcess;
    (void)snprintf(pid, sizeof pid, "%lu", now->dwProcessId);
    const struct label labels[] = {{bytes_of("display_name"), told_text(row->lpDisplayName, title)},
                                   {bytes_of("name"), name},
                                   {bytes_of("path_name"), bytes_of(service->path)},
                                   {bytes_of("process_id"), bytes_of(pid)},
                                   {bytes_of("run_as"), bytes_of(service->run_as)}};
    readings_add(&told->list, &info, 1, labels, COUNT(labels));
    if (now->dwProcessId != 0)
        told_two(told, &process, 1, "name", name, "process_id", bytes_of(pid));
    put_choice(told, &state_metric, name, "state", states, COUNT(states),
               now->dwCurrentState - SERVICE_STOPPED);
    if (service->start_mode < COUNT(modes))
        put_choice(told, &mode_metric, name, "start_mode", modes, COUNT(modes),
                   service->start_mode);
    put_choice(told, &status_metric, name, "status", statuses, COUNT(statuses),
               status_of(now->dwCurrentState));
}

/* All services of this host's own processes; drivers are none. */
static bool list(struct services_state *services, SC_HANDLE manager, DWORD *ret_count)
{
    DWORD needed = 0, resume = 0;
    if (readbuf_reserve(&services->list, LIST_BYTES) != 0)
        return false;
    for (int attempt = 0; attempt < 3; attempt++) {
        resume = 0;
        if (EnumServicesStatusExW(manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_STATE_ALL,
                                  (BYTE *)services->list.data, (DWORD)services->list.capacity,
                                  &needed, ret_count, &resume, NULL))
            return true;
        if (GetLastError() != ERROR_MORE_DATA ||
            readbuf_reserve(&services->list, services->list.capacity + needed) != 0)
            break;
    }
    told_failed(&services->told, "EnumServicesStatusEx", GetLastError());
    return false;
}

static int services_gather(void *state, const struct source_env *env)
{
    struct services_state *services = state;
    DWORD count = 0;
    told_begin(&services->told);
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ENUMERATE_SERVICE);
    if (manager == NULL) {
        told_failed(&services->told, "OpenSCManager", GetLastError());
        return 0;
    }
    tracked_begin(&services->known);
    if (list(services, manager, &count)) {
        const ENUM_SERVICE_STATUS_PROCESSW *rows = (const void *)services->list.data;
        for (DWORD i = 0; i < count; i++) {
            char room[TOLD_TEXT_BYTES];
            bool is_new;
            struct bytes name = told_text(rows[i].lpServiceName, room);
            if (pattern_matches(services->exclude, name))
                continue;
            struct service *service = tracked_touch(&services->known, name, &is_new);
            if (service == NULL)
                continue;
            if (is_new || env->now_ms - service->looked_ms >= CONFIG_MS) {
                service->looked_ms = env->now_ms;
                read_config(services, manager, rows[i].lpServiceName, service);
            }
            put_service(&services->told, &rows[i], name, service);
        }
    }
    tracked_sweep(&services->known, NULL, NULL);
    (void)CloseServiceHandle(manager);
    return 0;
}

static int services_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    return told_emit(&((struct services_state *)state)->told, out);
}

static const char *services_complaint(const void *state)
{
    return told_complaint(&((const struct services_state *)state)->told);
}

static void services_stop(void *state)
{
    struct services_state *services = state;
    told_done(&services->told);
    readbuf_done(&services->list);
    readbuf_done(&services->config);
    tracked_done(&services->known, NULL, NULL);
    pattern_free(services->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_services = {
    .name = "services",
    .summary = "state, start mode and process of every service",
    .state_bytes = sizeof(struct services_state),
    .interval_ms = DEFAULT_INTERVAL_MS,
    .blocking = true,
    .configure = services_configure,
    .start = services_start,
    .gather = services_gather,
    .collect = services_collect,
    .complaint = services_complaint,
    .stop = services_stop,
    .policy_options = policy_options,
};
