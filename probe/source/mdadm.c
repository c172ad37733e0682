/*
 * mdadm.c - software RAID: which disks an array has lost, and how far it is with replacing
 * them.
 *
 *     $ cat /proc/mdstat
 *     md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
 *           195310144 blocks [2/1] [U_]
 *           [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min ...
 *
 * (F) failed, (S) spare; [wanted/working].  An array without redundancy has no such brackets,
 * all its disks are wanted.  What waits for its turn ("resync=DELAYED") is at 0.  The second
 * half is /sys/block/md6/md/{raid_disks,degraded}.
 *
 * The kernel locks an array to show it, and one that hangs keeps its lock: on a worker.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/procfile.h"
#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define NAME_MOST 64

static const struct metric md_state = {"node_md_state", METRIC_GAUGE,
                                       "Indicates the state of md-device.", NULL};
static const struct metric md_disks = {"node_md_disks", METRIC_GAUGE,
                                       "Number of active/failed/spare disks of device.", NULL};
static const struct metric md_required = {"node_md_disks_required", METRIC_GAUGE,
                                          "Total number of disks of device.", NULL};
static const struct metric md_blocks = {"node_md_blocks", METRIC_GAUGE,
                                        "Total number of blocks on device.", NULL};
static const struct metric md_synced = {"node_md_blocks_synced", METRIC_GAUGE,
                                        "Number of blocks synced on device.", NULL};
static const struct metric md_raid_disks = {"node_md_raid_disks", METRIC_GAUGE,
                                            "Number of raid disks on device.", NULL};
static const struct metric md_degraded = {"node_md_degraded", METRIC_GAUGE,
                                          "Number of degraded disks on device.", NULL};

enum state { ACTIVE, INACTIVE, RECOVERING, RESYNC, CHECK, OTHER, STATES = OTHER };
static const char *const states[STATES] = {"active", "inactive", "recovering", "resync",
                                           "check"};

struct array {
    struct span name;
    enum state state;
    bool has_redundancy;
    double failed, spare, listed; /* disks in the first line */
    double active, required;
    bool has_blocks;
    double blocks, synced;
};

struct mdadm_state {
    struct sysfs_source folder; /* /sys/block; first: sysfs_source_collect() takes the state */
    struct procfile file;
    struct readbuf text;
};

static int mdadm_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct mdadm_state *mdadm = state;
    (void)sysfs_source_open(&mdadm->folder, env, "block");
    return procfile_open(&mdadm->file, env->procfs, "mdstat");
}

static bool contains(struct span line, const char *text)
{
    return memmem(line.at, span_size(line), text, strlen(text)) != NULL;
}

static double count_of(struct span line, const char *text)
{
    double count = 0;
    size_t size = strlen(text);
    for (const char *at; (at = memmem(line.at, span_size(line), text, size)) != NULL;
         line.at = at + size)
        count++;
    return count;
}

/* "md6 : active raid1 sdb2[2](F) ..."; false: another line. */
static bool read_head(struct span line, struct array *ret_array)
{
    struct span whole = line, name, word;
    struct array array = {0};
    if (line.at == line.end || *line.at == ' ' || !scan_word(&line, &name) ||
        !scan_word(&line, &word) || !span_is(word, ":") || !scan_word(&line, &word) ||
        span_size(name) > NAME_MOST || !scan_text(&(struct span){name.at, name.end}, "md"))
        return false;
    array.name = name;
    array.state = span_is(word, "active")     ? ACTIVE
                  : span_is(word, "inactive") ? INACTIVE
                                              : OTHER;
    array.has_redundancy = !contains(whole, " raid0 ") && !contains(whole, " linear ");
    array.failed = count_of(whole, "(F)");
    array.spare = count_of(whole, "(S)");
    array.listed = count_of(whole, "[");
    *ret_array = array;
    return true;
}

/* "195310144 blocks super 1.2 [2/1] [U_]" */
static bool read_size(struct array *array, struct span line)
{
    struct span word;
    uint64_t blocks, required, working;
    if (!scan_u64(&line, &blocks) || !scan_word(&line, &word) || !span_is(word, "blocks"))
        return false;
    array->has_blocks = true;
    array->blocks = array->synced = (double)blocks;
    if (!array->has_redundancy) {
        array->active = array->required = array->listed;
        return true;
    }
    while (array->state != INACTIVE && scan_word(&line, &word)) {
        if (!scan_text(&word, "[") || !scan_u64(&word, &required) || !scan_text(&word, "/") ||
            !scan_u64(&word, &working) || !span_is(word, "]"))
            continue;
        array->required = (double)required;
        array->active = (double)working;
    }
    return true;
}

/* "[=>....]  recovery =  8.5% (16775552/195310144) ..." */
static void read_progress(struct array *array, struct span line)
{
    uint64_t done;
    if (contains(line, "recovery"))
        array->state = RECOVERING;
    else if (contains(line, "resync"))
        array->state = RESYNC;
    else if (contains(line, "check"))
        array->state = CHECK;
    else if (contains(line, "reshape"))
        array->state = OTHER;
    else
        return; /* a bitmap */
    const char *bracket = memchr(line.at, '(', span_size(line));
    if (contains(line, "PENDING") || contains(line, "DELAYED"))
        array->synced = 0;
    else if (bracket != NULL && scan_u64(&(struct span){bracket + 1, line.end}, &done))
        array->synced = (double)done;
}

static void add_array(struct readings *list, const struct array *array)
{
    struct bytes name = span_bytes(array->name);
    if (!array->has_blocks)
        return; /* the file was cut */
    for (size_t i = 0; i < STATES; i++)
        readings_add_two(list, &md_state, array->state == (enum state)i, "device", name,
                         "state", bytes_of(states[i]));
    readings_add_two(list, &md_disks, array->active, "device", name, "state",
                     bytes_of("active"));
    readings_add_two(list, &md_disks, array->failed, "device", name, "state",
                     bytes_of("failed"));
    readings_add_two(list, &md_disks, array->spare, "device", name, "state", bytes_of("spare"));
    readings_add_one(list, &md_required, array->required, "device", name);
    readings_add_one(list, &md_blocks, array->blocks, "device", name);
    readings_add_one(list, &md_synced, array->synced, "device", name);
}

static void read_mdstat(struct readings *list, struct span text)
{
    struct span line;
    struct array array = {0};
    while (scan_line(&text, &line)) {
        struct array next;
        if (read_head(line, &next)) {
            add_array(list, &array);
            array = next;
        } else if (span_size(array.name) == 0 || span_size(line) == 0 || *line.at != ' ') {
            continue;
        } else if (array.has_blocks || !read_size(&array, line)) {
            read_progress(&array, line);
        }
    }
    add_array(list, &array);
}

static void visit_block(void *context, int fd, const char *name)
{
    struct mdadm_state *mdadm = context;
    char path[NAME_MOST + 32];
    double raid_disks, degraded;
    if (strncmp(name, "md", 2) != 0 || strlen(name) > NAME_MOST)
        return;
    snprintf(path, sizeof path, "%s/md/raid_disks", name);
    if (!sysfile_number(fd, path, &raid_disks))
        return;
    readings_add_one(&mdadm->folder.list, &md_raid_disks, raid_disks, "device", bytes_of(name));
    /* Without redundancy nothing can be degraded, and there is no such file. */
    snprintf(path, sizeof path, "%s/md/degraded", name);
    if (!sysfile_number(fd, path, &degraded))
        degraded = 0;
    readings_add_one(&mdadm->folder.list, &md_degraded, degraded, "device", bytes_of(name));
}

static int mdadm_gather(void *state, const struct source_env *env)
{
    (void)env;
    struct mdadm_state *mdadm = state;
    struct span text;
    int error = procfile_read(&mdadm->file, &mdadm->text, &text);
    if (error != 0)
        return error;
    readings_begin(&mdadm->folder.list);
    read_mdstat(&mdadm->folder.list, text);
    if (mdadm->folder.fd > 0)
        (void)directory_walk(mdadm->folder.fd, visit_block, mdadm);
    return 0;
}

static void mdadm_stop(void *state)
{
    struct mdadm_state *mdadm = state;
    sysfs_source_stop(&mdadm->folder);
    procfile_close(&mdadm->file);
    readbuf_done(&mdadm->text);
}

const struct source source_mdadm = {
    .name = "mdadm",
    .summary = "software RAID: failed and spare disks, rebuilding",
    .needs = "/proc/mdstat: the kernel's software RAID",
    .state_bytes = sizeof(struct mdadm_state),
    .interval_ms = 15000,
    .blocking = true,
    .start = mdadm_start,
    .gather = mdadm_gather,
    .collect = sysfs_source_collect,
    .stop = mdadm_stop,
};
