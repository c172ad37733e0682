/*
 * selinux.c - is SELinux on, does it only watch, and is that what was configured?
 *
 *     $ cat /sys/fs/selinux/enforce         1: enforcing, 0: permissive
 *     $ grep ^SELINUX= /etc/selinux/config  enforcing, permissive or disabled
 *
 * The two differ when somebody has called setenforce and forgotten it.  node_exporter's
 * numbers: 1 enforcing, 0 permissive, -1 disabled.
 */
#include <stdio.h>

#include "probe/source/procfile.h"
#include "probe/source/series.h"
#include "probe/source/sysfile.h"
#include "proto/base/error.h"

enum { ENABLED, CONFIGURED, CURRENT, SERIES };

static const struct metric metrics[SERIES] = {
    {"node_selinux_enabled", METRIC_GAUGE, "SELinux is enabled, 1 is true, 0 is false", NULL},
    {"node_selinux_config_mode", METRIC_GAUGE, "Configured SELinux enforcement mode", NULL},
    {"node_selinux_current_mode", METRIC_GAUGE, "Current SELinux enforcement mode", NULL},
};

struct selinux_state {
    struct sysfs_source folder; /* /sys/fs/selinux; closed: not enabled */
    struct readbuf text;
    series_handle handles[SERIES];
};

static int selinux_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct selinux_state *selinux = state;
    series_clear(selinux->handles, SERIES);
    int error = sysfs_source_open(&selinux->folder, env, "fs/selinux");
    if (error != 0 && !env->live)
        return error; /* a recorded tree does not tell */
    selinux->handles[ENABLED] = series_plain(out, &metrics[ENABLED]);
    return 0;
}

/* The configured mode; false: no file, or no such line. */
static bool read_config(struct selinux_state *selinux, const struct source_env *env,
                        double *ret_mode)
{
    struct span text, line;
    if (procfile_read_path(env->rootfs, "etc/selinux/config", &selinux->text, &text) != 0)
        return false;
    while (scan_line(&text, &line)) {
        line = span_trim(line);
        if (!scan_text(&line, "SELINUX="))
            continue;
        line = span_trim(line);
        *ret_mode = span_is(line, "enforcing") ? 1 : span_is(line, "permissive") ? 0 : -1;
        return true;
    }
    return false;
}

static void put(struct selinux_state *selinux, size_t which, double value, struct emitter *out)
{
    if (selinux->handles[which] == SERIES_NONE)
        selinux->handles[which] = series_plain(out, &metrics[which]);
    emit(out, selinux->handles[which], value);
}

static int selinux_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct selinux_state *selinux = state;
    double mode;
    bool is_enabled =
        selinux->folder.fd > 0 && sysfile_number(selinux->folder.fd, "enforce", &mode);
    put(selinux, ENABLED, is_enabled, out);
    if (!is_enabled)
        return 0;
    put(selinux, CURRENT, mode, out);
    if (read_config(selinux, env, &mode))
        put(selinux, CONFIGURED, mode, out);
    return 0;
}

static void selinux_stop(void *state)
{
    struct selinux_state *selinux = state;
    sysfs_source_stop(&selinux->folder);
    readbuf_done(&selinux->text);
}

const struct source source_selinux = {
    .name = "selinux",
    .summary = "whether SELinux is on, and enforces",
    .needs = "/sys/fs/selinux",
    .state_bytes = sizeof(struct selinux_state),
    .interval_ms = 15000,
    .start = selinux_start,
    .collect = selinux_collect,
    .stop = selinux_stop,
};
