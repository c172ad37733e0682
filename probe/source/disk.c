/*
 * disk.c - what block devices have done.
 *
 *     $ cat /proc/diskstats
 *        8  0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960
 * ... major, minor, name, then: 1 reads  2 merged  3 sectors  4 ms  5 writes  6 merged  7
 * sectors  8 ms 9 in flight  10 ms busy  11 ms weighted 12 discards  13 merged  14 sectors  15
 * ms   (4.18)    16 flushes  17 ms   (5.5)
 *
 * A sector is 512 bytes here whatever the device says.  Partitions of the usual kinds, RAM
 * disks and loops are left out by default, as node_exporter does: their parents already count.
 *
 * What a device is (model, serial number) comes from udev's data base and is read when it
 * appears: disk_info.h.
 */
#include "probe/source/device_filter.h"
#include "probe/source/disk_info.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define DISKS_MAX      8192
#define EXCLUDED       "^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$"
#define COLUMNS        17
#define COLUMNS_LEAST  11 /* fewer: a partition on a kernel before 2.6.25 */
#define BYTES_A_SECTOR 512.0
#define SECONDS_A_MS   0.001

static const struct column {
    struct metric metric;
    double scale;
} columns[COLUMNS] = {
    {{"node_disk_reads_completed_total", METRIC_COUNTER,
      "The total number of reads completed successfully.", NULL},
     1},
    {{"node_disk_reads_merged_total", METRIC_COUNTER, "The total number of reads merged.",
      NULL},
     1},
    {{"node_disk_read_bytes_total", METRIC_COUNTER,
      "The total number of bytes read successfully.", NULL},
     BYTES_A_SECTOR},
    {{"node_disk_read_time_seconds_total", METRIC_COUNTER,
      "The total number of seconds spent by all reads.", NULL},
     SECONDS_A_MS},
    {{"node_disk_writes_completed_total", METRIC_COUNTER,
      "The total number of writes completed successfully.", NULL},
     1},
    {{"node_disk_writes_merged_total", METRIC_COUNTER, "The number of writes merged.", NULL},
     1},
    {{"node_disk_written_bytes_total", METRIC_COUNTER,
      "The total number of bytes written successfully.", NULL},
     BYTES_A_SECTOR},
    {{"node_disk_write_time_seconds_total", METRIC_COUNTER,
      "This is the total number of seconds spent by all writes.", NULL},
     SECONDS_A_MS},
    {{"node_disk_io_now", METRIC_GAUGE, "The number of I/Os currently in progress.", NULL}, 1},
    {{"node_disk_io_time_seconds_total", METRIC_COUNTER, "Total seconds spent doing I/Os.",
      NULL},
     SECONDS_A_MS},
    {{"node_disk_io_time_weighted_seconds_total", METRIC_COUNTER,
      "The weighted # of seconds spent doing I/Os.", NULL},
     SECONDS_A_MS},
    {{"node_disk_discards_completed_total", METRIC_COUNTER,
      "The total number of discards completed successfully.", NULL},
     1},
    {{"node_disk_discards_merged_total", METRIC_COUNTER, "The total number of discards merged.",
      NULL},
     1},
    {{"node_disk_discarded_sectors_total", METRIC_COUNTER,
      "The total number of sectors discarded successfully.", NULL},
     1},
    {{"node_disk_discard_time_seconds_total", METRIC_COUNTER,
      "This is the total number of seconds spent by all discards.", NULL},
     SECONDS_A_MS},
    {{"node_disk_flush_requests_total", METRIC_COUNTER,
      "The total number of flush requests completed successfully", NULL},
     1},
    {{"node_disk_flush_requests_time_seconds_total", METRIC_COUNTER,
      "This is the total number of seconds spent by all flush requests.", NULL},
     SECONDS_A_MS},
};

struct disk {
    bool is_excluded;
    series_handle handles[COLUMNS];
    struct disk_info info;
};

struct disk_line {
    uint64_t major, minor;
    struct bytes name;
    size_t columns;
    uint64_t values[COLUMNS];
};

struct disk_state {
    struct procfile file;
    struct readbuf text, info_text;
    struct tracked disks; /* of struct disk, by name */
    struct pattern *exclude;
};

static int disk_configure(void *state, struct config *config, const struct config_node *node,
                          struct diagnosis *why)
{
    struct disk_state *disks = state;
    return device_filter_read(config, node, "sources.disk", EXCLUDED, &disks->exclude, why);
}

static int disk_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct disk_state *disks = state;
    disks->disks.value_bytes = sizeof(struct disk);
    disks->disks.limit = DISKS_MAX;
    return procfile_open(&disks->file, env->procfs, "diskstats");
}

static bool disk_parse(struct span text, struct disk_line *ret_line)
{
    struct span name;
    if (!scan_u64(&text, &ret_line->major) || !scan_u64(&text, &ret_line->minor) ||
        !scan_word(&text, &name))
        return false;
    ret_line->name = span_bytes(name);
    ret_line->columns = 0;
    while (ret_line->columns < COLUMNS && scan_u64(&text, &ret_line->values[ret_line->columns]))
        ret_line->columns++;
    return ret_line->columns >= COLUMNS_LEAST;
}

static void disk_register(struct disk_state *disks, struct disk *disk,
                          const struct disk_line *line, const struct source_env *env,
                          struct emitter *out)
{
    series_clear(disk->handles, COLUMNS);
    disk_info_clear(&disk->info);
    disk->is_excluded = pattern_matches(disks->exclude, line->name);
    if (disk->is_excluded)
        return;
    for (size_t i = 0; i < line->columns; i++)
        disk->handles[i] = series_one(out, &columns[i].metric, "device", line->name);
    disk_info_register(&disk->info, env, line->name, line->major, line->minor,
                       &disks->info_text, out);
}

static void disk_gone(void *value, void *context)
{
    struct disk *disk = value;
    series_end(context, disk->handles, COLUMNS);
    disk_info_end(&disk->info, context);
}

static int disk_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct disk_state *disks = state;
    struct span text, line;
    struct disk_line parsed;
    bool is_new;
    int error = procfile_read(&disks->file, &disks->text, &text);
    if (error != 0)
        return error;

    tracked_begin(&disks->disks);
    while (scan_line(&text, &line)) {
        if (!disk_parse(line, &parsed))
            continue;
        struct disk *disk = tracked_touch(&disks->disks, parsed.name, &is_new);
        if (disk == NULL)
            continue;
        if (is_new)
            disk_register(disks, disk, &parsed, env, out);
        if (disk->is_excluded)
            continue;
        for (size_t i = 0; i < parsed.columns; i++)
            emit(out, disk->handles[i], (double)parsed.values[i] * columns[i].scale);
        disk_info_emit(&disk->info, out);
    }
    tracked_sweep(&disks->disks, disk_gone, out);
    return 0;
}

static void disk_stop(void *state)
{
    struct disk_state *disks = state;
    procfile_close(&disks->file);
    readbuf_done(&disks->text);
    readbuf_done(&disks->info_text);
    tracked_done(&disks->disks, NULL, NULL);
    pattern_free(disks->exclude);
}

static const char *const policy_options[] = {"exclude", NULL};

const struct source source_disk = {
    .name = "disk",
    .summary = "reads, writes, discards, flushes and busy time of block devices",
    .state_bytes = sizeof(struct disk_state),
    .configure = disk_configure,
    .start = disk_start,
    .collect = disk_collect,
    .stop = disk_stop,
    .policy_options = policy_options,
};
