/*
 * filesystem.c - how full file systems are.
 *
 * Mounts come from /proc/1/mounts, because the probe's own name space may be a sandbox that
 * sees others; where that cannot be read, from its own /proc/mounts.  Pseudo file systems and
 * mount points of the kernel and of containers are left out by node_exporter's expressions;
 * what is mounted twice in the same place counts once.
 *
 * statvfs() can hang for hours on a dead server, so gather() runs on a worker and asks through
 * stat_rounds.h.  A mount that fails or hangs has node_filesystem_device_error 1 and no sizes.
 *
 *     size  = f_blocks * f_frsize     free = f_bfree * f_frsize     avail = f_bavail * f_frsize
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/device_filter.h"
#include "probe/source/mounts.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/stat_rounds.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define MOUNTS_MAX 4096
#define EXCLUDED_POINTS                                                                        \
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
#define EXCLUDED_TYPES                                                                         \
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"    \
    "iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|" \
    "sysfs|tracefs)$"

enum column { SIZE, FREE, AVAIL, FILES, FILES_FREE, READONLY, DEVICE_ERROR, COLUMNS };

static const struct metric columns[COLUMNS] = {
    {"node_filesystem_size_bytes", METRIC_GAUGE, "Filesystem size in bytes.", NULL},
    {"node_filesystem_free_bytes", METRIC_GAUGE, "Filesystem free space in bytes.", NULL},
    {"node_filesystem_avail_bytes", METRIC_GAUGE,
     "Filesystem space available to non-root users in bytes.", NULL},
    {"node_filesystem_files", METRIC_GAUGE, "Filesystem total file nodes.", NULL},
    {"node_filesystem_files_free", METRIC_GAUGE, "Filesystem total free file nodes.", NULL},
    {"node_filesystem_readonly", METRIC_GAUGE, "Filesystem read-only status.", NULL},
    {"node_filesystem_device_error", METRIC_GAUGE,
     "Whether an error occurred while getting statistics for the given device.", NULL},
};

struct mount {
    bool is_excluded;
    bool is_readonly;
    bool is_registered;
    char *path; /* what statvfs() is asked: rootfs and mount point */
    enum stat_outcome outcome;
    struct statvfs result;
    series_handle handles[COLUMNS];
};

struct filesystem_options {
    const char *exclude_points;
    const char *exclude_types;
    int64_t timeout_ms;
    struct source_common_options common;
};

struct filesystem_state {
    /* fixed after configure() */
    struct pattern *exclude_points, *exclude_types;
    int timeout_ms;
    /* gather() and collect() in turn, never at once */
    struct readbuf text;
    struct tracked mounts; /* of struct mount; key: device NUL point NUL type */
    struct stat_rounds *rounds;
    struct stat_request *requests;
    size_t request_capacity;
};

static const struct config_option options_table[] = {
    {"exclude_mount_points", CONFIG_STRING, offsetof(struct filesystem_options, exclude_points),
     .fallback = EXCLUDED_POINTS, .help = "regular expression of mount points left out"},
    {"exclude_types", CONFIG_STRING, offsetof(struct filesystem_options, exclude_types),
     .fallback = EXCLUDED_TYPES, .help = "regular expression of file system types left out"},
    {"timeout", CONFIG_DURATION, offsetof(struct filesystem_options, timeout_ms),
     .fallback = "2s", .min = 10, .max = 60000,
     .help = "how long a mount may take to answer before it counts as hanging"},
    SOURCE_COMMON_OPTIONS(offsetof(struct filesystem_options, common)),
};

static int filesystem_configure(void *state, struct config *config,
                                const struct config_node *node, struct diagnosis *why)
{
    struct filesystem_state *fs = state;
    struct filesystem_options options = {EXCLUDED_POINTS, EXCLUDED_TYPES, 2000, {true, 0}};
    if (node != NULL) {
        int error = config_read(config, node, "sources.filesystem", options_table,
                                sizeof options_table / sizeof *options_table, &options, why);
        if (error != 0)
            return error;
    }
    fs->timeout_ms = (int)options.timeout_ms;
    int error = device_filter_compile(config, node, "exclude_mount_points",
                                      options.exclude_points, &fs->exclude_points, why);
    if (error == 0)
        error = device_filter_compile(config, node, "exclude_types", options.exclude_types,
                                      &fs->exclude_types, why);
    return error;
}

static int filesystem_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct filesystem_state *fs = state;
    struct span text;
    fs->mounts.value_bytes = sizeof(struct mount);
    fs->mounts.limit = MOUNTS_MAX;
    /* A recorded tree's sizes are not those of this host's disks. */
    if (!env->live)
        return ERR_NOTFOUND;
    if (procfile_read_path(env->procfs, "1/mounts", &fs->text, &text) != 0 &&
        procfile_read_path(env->procfs, "mounts", &fs->text, &text) != 0)
        return ERR_NOTFOUND;
    return stat_rounds_new(statvfs, &fs->rounds);
}

static void mount_visit(struct filesystem_state *fs, const struct source_env *env,
                        const struct mount_line *line)
{
    char key[3 * MOUNT_TEXT_BYTES_MAX];
    char path[2 * MOUNT_TEXT_BYTES_MAX];
    bool is_new;
    size_t size = 0;

    memcpy(key, line->device, line->device_size + 1);
    size = line->device_size + 1;
    memcpy(key + size, line->point, line->point_size + 1);
    size += line->point_size + 1;
    memcpy(key + size, line->type, line->type_size + 1);
    size += line->type_size + 1;
    struct mount *mount =
        tracked_touch(&fs->mounts, (struct bytes){(const uint8_t *)key, size}, &is_new);
    if (mount == NULL)
        return;
    mount->is_readonly = line->is_readonly;
    if (!is_new)
        return;
    series_clear(mount->handles, COLUMNS);
    const char *root = strcmp(env->rootfs, "/") == 0 ? "" : env->rootfs;
    int length = snprintf(path, sizeof path, "%s%s", root, line->point);
    mount->is_excluded = pattern_matches(fs->exclude_points, bytes_of(line->point)) ||
                         pattern_matches(fs->exclude_types, bytes_of(line->type)) ||
                         length < 0 || (size_t)length >= sizeof path;
    if (!mount->is_excluded)
        mount->path = strdup(path);
}

/* What was unmounted keeps its entry, marked, for collect() to end its series. */
static int filesystem_gather(void *state, const struct source_env *env)
{
    struct filesystem_state *fs = state;
    struct span text, line;
    struct mount_line parsed;
    int error = procfile_read_path(env->procfs, "1/mounts", &fs->text, &text);
    if (error != 0)
        error = procfile_read_path(env->procfs, "mounts", &fs->text, &text);
    if (error != 0)
        return error;

    tracked_begin(&fs->mounts);
    while (scan_line(&text, &line))
        if (mount_parse(line, &parsed))
            mount_visit(fs, env, &parsed);

    if (fs->request_capacity < fs->mounts.count) {
        size_t capacity = fs->mounts.count + 8;
        struct stat_request *grown = realloc(fs->requests, capacity * sizeof(*grown));
        if (grown == NULL)
            return ERR_NOMEM;
        fs->requests = grown;
        fs->request_capacity = capacity;
    }
    size_t asked = 0;
    for (size_t i = 0; i < fs->mounts.count; i++) {
        struct mount *mount = tracked_at(&fs->mounts, i);
        if (tracked_is_met(&fs->mounts, mount) && mount->path != NULL)
            fs->requests[asked++].path = mount->path;
    }
    error = stat_rounds_run(fs->rounds, fs->requests, asked, fs->timeout_ms);
    for (size_t i = 0, next = 0; i < fs->mounts.count; i++) {
        struct mount *mount = tracked_at(&fs->mounts, i);
        if (!tracked_is_met(&fs->mounts, mount) || mount->path == NULL)
            continue;
        mount->outcome = fs->requests[next].outcome;
        mount->result = fs->requests[next++].result;
    }
    return error;
}

static void mount_register(struct mount *mount, struct emitter *out)
{
    const char *device = (const char *)tracked_key(mount).data;
    const char *point = device + strlen(device) + 1;
    const char *type = point + strlen(point) + 1;
    const struct label labels[] = {
        {bytes_of("device"), bytes_of(device)},
        {bytes_of("fstype"), bytes_of(type)},
        {bytes_of("mountpoint"), bytes_of(point)},
    };
    for (size_t i = 0; i < COLUMNS; i++)
        mount->handles[i] = emitter_series(out, &columns[i], labels, 3);
    mount->is_registered = true;
}

static void mount_gone(void *value, void *context)
{
    struct mount *mount = value;
    if (mount->is_registered && context != NULL)
        series_end(context, mount->handles, COLUMNS);
    free(mount->path);
}

static int filesystem_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct filesystem_state *fs = state;
    for (size_t i = 0; i < fs->mounts.count; i++) {
        struct mount *mount = tracked_at(&fs->mounts, i);
        if (!tracked_is_met(&fs->mounts, mount) || mount->path == NULL)
            continue;
        if (!mount->is_registered)
            mount_register(mount, out);
        emit(out, mount->handles[DEVICE_ERROR], mount->outcome != STAT_DONE);
        if (mount->outcome != STAT_DONE)
            continue;
        const struct statvfs *result = &mount->result;
        double block = (double)result->f_frsize;
        emit(out, mount->handles[SIZE], (double)result->f_blocks * block);
        emit(out, mount->handles[FREE], (double)result->f_bfree * block);
        emit(out, mount->handles[AVAIL], (double)result->f_bavail * block);
        emit(out, mount->handles[FILES], (double)result->f_files);
        emit(out, mount->handles[FILES_FREE], (double)result->f_ffree);
        emit(out, mount->handles[READONLY], mount->is_readonly);
    }
    tracked_sweep(&fs->mounts, mount_gone, out);
    return 0;
}

static void filesystem_stop(void *state)
{
    struct filesystem_state *fs = state;
    stat_rounds_free(fs->rounds);
    tracked_done(&fs->mounts, mount_gone, NULL);
    free(fs->requests);
    readbuf_done(&fs->text);
    pattern_free(fs->exclude_points);
    pattern_free(fs->exclude_types);
}

static const char *const policy_options[] = {"exclude_mount_points", "exclude_types", NULL};

const struct source source_filesystem = {
    .name = "filesystem",
    .summary = "size, free space and inodes of mounted file systems",
    .state_bytes = sizeof(struct filesystem_state),
    .blocking = true,
    .configure = filesystem_configure,
    .start = filesystem_start,
    .gather = filesystem_gather,
    .collect = filesystem_collect,
    .stop = filesystem_stop,
    .policy_options = policy_options,
};
