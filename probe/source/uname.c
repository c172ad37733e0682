/*
 * uname.c - which kernel this is, and what the host calls itself.
 *
 * Only on the live host: a recorded /proc tells the kernel's version but not the machine type.
 * The host name can change while we run; then the old series ends and a new one begins.
 */
#include <string.h>
#include <sys/utsname.h>

#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

static const struct metric uname_info = {
    "node_uname_info", METRIC_GAUGE,
    "Labeled system information as provided by the uname system call.", NULL};

struct uname_state {
    struct utsname names;
    series_handle handle;
};

static int uname_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct uname_state *us = state;
    us->handle = SERIES_NONE;
    return env->live ? 0 : ERR_NOTFOUND;
}

static int uname_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct uname_state *us = state;
    struct utsname now;
    memset(&now, 0, sizeof now);
    if (uname(&now) != 0)
        return ERR_IO;
    if (us->handle == SERIES_NONE || memcmp(&now, &us->names, sizeof now) != 0) {
        if (us->handle != SERIES_NONE)
            emitter_end(out, us->handle);
        us->names = now;
        const struct label labels[] = {
            {bytes_of("domainname"), bytes_of(now.domainname)},
            {bytes_of("machine"), bytes_of(now.machine)},
            {bytes_of("nodename"), bytes_of(now.nodename)},
            {bytes_of("release"), bytes_of(now.release)},
            {bytes_of("sysname"), bytes_of(now.sysname)},
            {bytes_of("version"), bytes_of(now.version)},
        };
        us->handle = emitter_series(out, &uname_info, labels, sizeof labels / sizeof *labels);
    }
    emit(out, us->handle, 1);
    return 0;
}

const struct source source_uname = {
    .name = "uname",
    .summary = "kernel and host name",
    .state_bytes = sizeof(struct uname_state),
    .start = uname_start,
    .collect = uname_collect,
};
