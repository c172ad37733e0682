/*
 * kernel.c - what the kernel has of some things that run out: open files, entropy, connections
 * it tracks; and tasks it has found hanging.
 *
 *     $ cat /proc/sys/fs/file-nr
 *     1024    0    1631329            allocated, free (0 since 2.6), maximum
 *
 * One number each.  What is not there yet (connection tracking comes with a module, the count
 * of hung tasks with 6.13) is looked for at every tick.
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

static const struct row {
    const char *path;
    unsigned word; /* of the file's line, from 0 */
    struct metric metric;
} rows[] = {
    {"sys/fs/file-nr",
     0,
     {"node_filefd_allocated", METRIC_GAUGE, "File descriptor statistics: allocated.", NULL}},
    {"sys/fs/file-nr",
     2,
     {"node_filefd_maximum", METRIC_GAUGE, "File descriptor statistics: maximum.", NULL}},
    {"sys/kernel/random/entropy_avail",
     0,
     {"node_entropy_available_bits", METRIC_GAUGE, "Bits of available entropy.", NULL}},
    {"sys/kernel/random/poolsize",
     0,
     {"node_entropy_pool_size_bits", METRIC_GAUGE, "Bits of entropy pool.", NULL}},
    {"sys/kernel/hung_task_detect_count",
     0,
     {"node_kernel_hung_tasks_total", METRIC_COUNTER,
      "Total number of tasks that have been detected as hung since the system booted.", NULL}},
    {"sys/net/netfilter/nf_conntrack_count",
     0,
     {"node_nf_conntrack_entries", METRIC_GAUGE,
      "Number of currently allocated flow entries for connection tracking.", NULL}},
    {"sys/net/netfilter/nf_conntrack_max",
     0,
     {"node_nf_conntrack_entries_limit", METRIC_GAUGE,
      "Maximum size of connection tracking table.", NULL}},
};
#define ROWS (sizeof rows / sizeof *rows)

struct kernel_state {
    struct procfile files[ROWS];
    series_handle handles[ROWS];
    struct readbuf text;
};

static bool read_row(struct kernel_state *kernel, const struct source_env *env, size_t i,
                     double *ret_value)
{
    struct procfile *file = &kernel->files[i];
    struct span text;
    double value;
    if (!file->is_open && procfile_open(file, env->procfs, rows[i].path) != 0)
        return false;
    if (procfile_read(file, &kernel->text, &text) != 0) {
        procfile_close(file); /* a module that was unloaded */
        return false;
    }
    for (unsigned word = 0; word <= rows[i].word; word++)
        if (!scan_number(&text, &value))
            return false;
    *ret_value = value;
    return true;
}

static int kernel_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct kernel_state *kernel = state;
    double value;
    bool has_any = false;
    series_clear(kernel->handles, ROWS);
    for (size_t i = 0; i < ROWS; i++)
        has_any |= read_row(kernel, env, i, &value);
    return has_any ? 0 : ERR_NOTFOUND;
}

static int kernel_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct kernel_state *kernel = state;
    bool has_any = false;
    for (size_t i = 0; i < ROWS; i++) {
        double value;
        if (!read_row(kernel, env, i, &value)) {
            series_end(out, &kernel->handles[i], 1);
            kernel->handles[i] = SERIES_NONE;
            continue;
        }
        if (kernel->handles[i] == SERIES_NONE)
            kernel->handles[i] = series_plain(out, &rows[i].metric);
        emit(out, kernel->handles[i], value);
        has_any = true;
    }
    return has_any ? 0 : ERR_MALFORMED;
}

static void kernel_stop(void *state)
{
    struct kernel_state *kernel = state;
    for (size_t i = 0; i < ROWS; i++)
        procfile_close(&kernel->files[i]);
    readbuf_done(&kernel->text);
}

const struct source source_kernel = {
    .name = "kernel",
    .summary = "open files, entropy, tracked connections, hung tasks",
    .needs = "/proc/sys",
    .state_bytes = sizeof(struct kernel_state),
    .start = kernel_start,
    .collect = kernel_collect,
    .stop = kernel_stop,
};
