/*
 * vmstat.c - what the kernel's memory management has done: paging, swapping, faults, OOM kills.
 *
 *     $ cat /proc/vmstat
 *     pgpgin 7344136          -> node_vmstat_pgpgin
 *     oom_kill 0              -> node_vmstat_oom_kill (4.13 and newer)
 *
 * Some 180 lines, of which node_exporter's expression lets seven through.  A kernel that has no
 * such field (oom_kill before 4.13) has no such series.
 */
#include <stdio.h>

#include "probe/source/device_filter.h"
#include "probe/source/field_set.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define FIELDS         "^(oom_kill|pgpg|pswp|pg.*fault).*"
#define TEXT_BYTES_MAX 160

struct vmstat_state {
    struct procfile file;
    struct readbuf text;
    struct field_set fields;
    struct pattern *wanted;
};

static int vmstat_configure(void *state, struct config *config, const struct config_node *node,
                            struct diagnosis *why)
{
    struct vmstat_state *vmstat = state;
    return field_filter_read(config, node, "sources.vmstat", FIELDS, &vmstat->wanted, why);
}

static int vmstat_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct vmstat_state *vmstat = state;
    return procfile_open(&vmstat->file, env->procfs, "vmstat");
}

static series_handle vmstat_register(struct vmstat_state *vmstat, struct span name,
                                     struct emitter *out)
{
    char metric_name[TEXT_BYTES_MAX], help[TEXT_BYTES_MAX];
    int size = (int)span_size(name);
    if (!pattern_matches(vmstat->wanted, span_bytes(name)) || size > TEXT_BYTES_MAX / 2)
        return SERIES_NONE;
    snprintf(metric_name, sizeof metric_name, "node_vmstat_%.*s", size, name.at);
    snprintf(help, sizeof help, "/proc/vmstat information field %.*s.", size, name.at);
    const struct metric metric = {metric_name, METRIC_UNTYPED, help, NULL};
    return series_plain(out, &metric);
}

static int vmstat_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct vmstat_state *vmstat = state;
    struct span text, line, name;
    double value;
    enum field_state seen;
    bool has_any = false;
    int error = procfile_read(&vmstat->file, &vmstat->text, &text);
    if (error != 0)
        return error;

    field_set_begin(&vmstat->fields);
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &name) || !scan_number(&line, &value))
            continue;
        has_any = true;
        uint64_t hash = field_hash(FIELD_HASH, span_bytes(name));
        struct field *field = field_set_touch(&vmstat->fields, hash, &seen);
        if (field == NULL)
            continue;
        if (seen == FIELD_NEW)
            field->handle = vmstat_register(vmstat, name, out);
        emit(out, field->handle, value);
    }
    if (!has_any)
        return ERR_MALFORMED;
    field_set_sweep(&vmstat->fields, out);
    return 0;
}

static void vmstat_stop(void *state)
{
    struct vmstat_state *vmstat = state;
    procfile_close(&vmstat->file);
    readbuf_done(&vmstat->text);
    field_set_done(&vmstat->fields);
    pattern_free(vmstat->wanted);
}

const struct source source_vmstat = {
    .name = "vmstat",
    .summary = "paging, swapping, page faults and OOM kills",
    .needs = "/proc/vmstat",
    .state_bytes = sizeof(struct vmstat_state),
    .configure = vmstat_configure,
    .start = vmstat_start,
    .collect = vmstat_collect,
    .stop = vmstat_stop,
};
