/*
 * process_groups.c - sums and series of process groups (process_groups.h).
 *
 * A value that is read in turns is emitted once it is known of every member that lets us read
 * it: a sum over some members would be a wrong number, not an approximate one.
 */
#include "probe/source/process_groups.h"

#include <string.h>
#include <unistd.h>

#include "probe/source/series.h"

#define PREFIX      "namedprocess_namegroup_"
#define BYTES_A_KB  1024.0
#define US_A_SECOND 1e6

#define REPLACED_WITHIN_MS 120000

#define METRIC(name, type, help)                                                               \
    {                                                                                          \
        PREFIX name, type, help, NULL                                                          \
    }
#define CPU    METRIC("cpu_seconds_total", METRIC_COUNTER, "Cpu user usage in seconds")
#define MEMORY METRIC("memory_bytes", METRIC_GAUGE, "number of bytes of memory in use")
#define STATES                                                                                 \
    METRIC("states", METRIC_GAUGE,                                                             \
           "Number of processes in states Running, Sleeping, Waiting, Zombie, or Other")
#define CHILD_CPU                                                                              \
    {                                                                                          \
        "process_group_children_cpu_seconds_total", METRIC_COUNTER,                            \
            "CPU of children that ended unseen between two looks, by the group of who waited " \
            "for them.",                                                                       \
            NULL                                                                               \
    }
#define UNSEEN_CPU                                                                             \
    {                                                                                          \
        "process_group_unseen_cpu_seconds_total", METRIC_COUNTER,                              \
            "CPU that processes had used when they ended and no look had seen.", NULL          \
    }
#define UNSEEN_IO                                                                              \
    {                                                                                          \
        "process_group_unseen_io_bytes_total", METRIC_COUNTER,                                 \
            "Bytes that processes had read from and written to storage when they ended, and "  \
            "no look had seen.",                                                               \
            NULL                                                                               \
    }
#define EXITS                                                                                  \
    {                                                                                          \
        "process_group_exits_total", METRIC_COUNTER,                                           \
            "Processes of this group that ended: with status 0, with another, by a signal.",   \
            NULL                                                                               \
    }
#define SWITCHES METRIC("context_switches_total", METRIC_COUNTER, "Context switches")

/* In the order of enum group_series.  `label`, if any, is the one besides groupname. */
static const struct {
    struct metric metric;
    const char *label, *value;
} series[GROUP_SERIES] = {
    {METRIC("num_procs", METRIC_GAUGE, "number of processes in this group"), NULL, NULL},
    {METRIC("num_threads", METRIC_GAUGE, "Number of threads"), NULL, NULL},
    {CPU, "mode", "user"},
    {CPU, "mode", "system"},
    {MEMORY, "memtype", "resident"},
    {MEMORY, "memtype", "virtual"},
    {MEMORY, "memtype", "swapped"},
    {MEMORY, "memtype", "proportionalResident"},
    {MEMORY, "memtype", "proportionalSwapped"},
    {METRIC("read_bytes_total", METRIC_COUNTER, "number of bytes read by this group"), NULL,
     NULL},
    {METRIC("write_bytes_total", METRIC_COUNTER, "number of bytes written by this group"), NULL,
     NULL},
    {METRIC("open_filedesc", METRIC_GAUGE, "number of open file descriptors for this group"),
     NULL, NULL},
    {METRIC("worst_fd_ratio", METRIC_GAUGE,
            "the worst (closest to 1) ratio between open fds and max fds among all procs in "
            "this group"),
     NULL, NULL},
    {METRIC("oldest_start_time_seconds", METRIC_GAUGE,
            "start time in seconds since 1970/01/01 of oldest process in group"),
     NULL, NULL},
    {STATES, "state", "Running"},
    {STATES, "state", "Sleeping"},
    {STATES, "state", "Waiting"},
    {STATES, "state", "Zombie"},
    {STATES, "state", "Other"},
    {SWITCHES, "ctxswitchtype", "voluntary"},
    {SWITCHES, "ctxswitchtype", "nonvoluntary"},
    {METRIC("major_page_faults_total", METRIC_COUNTER, "Major page faults"), NULL, NULL},
    {METRIC("minor_page_faults_total", METRIC_COUNTER, "Minor page faults"), NULL, NULL},
    {{"fengsui_probe_process_group_expected", METRIC_GAUGE,
      "Always 1, for each group whose name is fixed: it should have processes.", NULL},
     NULL,
     NULL},
    {CHILD_CPU, "mode", "user"},
    {CHILD_CPU, "mode", "system"},
    {{"process_group_restarts_total", METRIC_COUNTER,
      "Processes of this group that ended and were replaced within two minutes.", NULL},
     NULL,
     NULL},
    {UNSEEN_CPU, "mode", "user"},
    {UNSEEN_CPU, "mode", "system"},
    {UNSEEN_IO, "iomode", "read"},
    {UNSEEN_IO, "iomode", "write"},
    {{"process_group_deleted_files", METRIC_GAUGE,
      "Files that processes of this group have open although they are deleted.", NULL},
     NULL,
     NULL},
    {{"process_group_deleted_files_bytes", METRIC_GAUGE,
      "Bytes that those take on their disks.", NULL},
     NULL,
     NULL},
    {{"process_group_last_exit_code", METRIC_GAUGE,
      "What the last process of this group that ended returned.", NULL},
     NULL,
     NULL},
    {{"process_group_last_exit_signal", METRIC_GAUGE,
      "The signal that ended the last process of this group that ended; 0: none.", NULL},
     NULL,
     NULL},
    {EXITS, "reason", "ok"},
    {EXITS, "reason", "error"},
    {EXITS, "reason", "signal"},
};

void process_groups_start(struct process_groups *groups, double boot_seconds)
{
    groups->set.value_bytes = sizeof(struct process_group);
    groups->set.limit = GROUPS_MAX;
    groups->boot_seconds = boot_seconds;
    groups->page_bytes = (double)sysconf(_SC_PAGESIZE);
}

struct process_group *process_groups_get(struct process_groups *groups, struct bytes name,
                                         bool is_fixed)
{
    bool is_new;
    struct process_group *group = tracked_touch(&groups->set, name, &is_new);
    if (group == NULL) {
        groups->set.limit = GROUPS_MAX + 1;
        group = tracked_touch(&groups->set, bytes_of(GROUP_OVERFLOW), &is_new);
        groups->set.limit = GROUPS_MAX;
    }
    if (group == NULL)
        return NULL;
    if (is_new)
        series_clear(group->handles, GROUP_SERIES);
    group->is_fixed = group->is_fixed || is_fixed;
    return group;
}

struct process_group *process_groups_find(struct process_groups *groups, struct bytes name)
{
    return tracked_find(&groups->set, name);
}

static void clear_sums(struct process_group *group)
{
    group->procs = 0;
    group->pending_light = group->pending_files = group->pending_pss = 0;
    group->swap_known = group->files_known = group->pss_known = 0;
    memset(group->states, 0, sizeof group->states);
    group->threads = group->resident_pages = group->virtual_bytes = 0;
    group->swap_kb = group->pss_kb = group->swap_pss_kb = group->files = 0;
    group->deleted_files = group->deleted_bytes = 0;
    group->oldest_start_ticks = UINT64_MAX;
    group->worst_fd_ratio = 0;
}

static int state_index(char state)
{
    switch (state) {
    case 'R':
        return GROUP_RUNNING - GROUP_RUNNING;
    case 'S':
        return GROUP_SLEEPING - GROUP_RUNNING;
    case 'D':
        return GROUP_WAITING - GROUP_RUNNING;
    case 'Z':
        return GROUP_ZOMBIE - GROUP_RUNNING;
    default:
        return GROUP_OTHER - GROUP_RUNNING;
    }
}

static void add(struct process_group *group, const struct process *process)
{
    group->procs++;
    group->threads += process->threads;
    group->resident_pages += process->resident_pages;
    group->virtual_bytes += process->virtual_bytes;
    group->states[state_index(process->state)]++;
    if (process->start_ticks < group->oldest_start_ticks)
        group->oldest_start_ticks = process->start_ticks;
    group->deleted_files += process->deleted_files;
    group->deleted_bytes += process->deleted_bytes;
    group->pending_light += (process->known & TRIED_LIGHT) == 0;
    group->pending_files += (process->known & TRIED_FILES) == 0;
    group->pending_pss += (process->known & TRIED_PSS) == 0;
    if ((process->known & KNOWN_SWAP) != 0) {
        group->swap_known++;
        group->swap_kb += process->swap_kb;
    }
    if ((process->known & KNOWN_PSS) != 0) {
        group->pss_known++;
        group->pss_kb += process->pss_kb;
        group->swap_pss_kb += process->swap_pss_kb;
    }
    if ((process->known & KNOWN_FILES) != 0) {
        group->files_known++;
        group->files += process->files;
        double ratio = process->files_limit > 0
                           ? (double)process->files / (double)process->files_limit
                           : 0;
        if (ratio > group->worst_fd_ratio)
            group->worst_fd_ratio = ratio;
    }
}

static void put(struct process_group *group, enum group_series which, double value,
                struct emitter *out)
{
    if (group->handles[which] == SERIES_NONE) {
        struct bytes name = tracked_key(group);
        group->handles[which] =
            series[which].label == NULL
                ? series_one(out, &series[which].metric, "groupname", name)
                /* The emitter sorts: "groupname" comes before or after the other. */
                : series_two(out, &series[which].metric, "groupname", name, series[which].label,
                             bytes_of(series[which].value));
    }
    emit(out, group->handles[which], value);
}

static void emit_counters(struct process_group *group, bool has_events, struct emitter *out)
{
    put(group, GROUP_CPU_USER, (double)group->user_ticks / PROCESS_USER_HZ, out);
    put(group, GROUP_CPU_SYSTEM, (double)group->system_ticks / PROCESS_USER_HZ, out);
    put(group, GROUP_MAJOR, (double)group->major_faults, out);
    put(group, GROUP_MINOR, (double)group->minor_faults, out);
    put(group, GROUP_CHILD_USER, (double)group->child_user_ticks / PROCESS_USER_HZ, out);
    put(group, GROUP_CHILD_SYSTEM, (double)group->child_system_ticks / PROCESS_USER_HZ, out);
    put(group, GROUP_RESTARTS, (double)group->restarts, out);
    for (unsigned i = 0; has_events && i <= GROUP_EXIT_SIGNAL - GROUP_EXIT_OK; i++)
        put(group, GROUP_EXIT_OK + i, (double)group->exits[i], out);
    if (group->has_exited) {
        put(group, GROUP_LAST_CODE, group->last_status >> 8 & 0xff, out);
        put(group, GROUP_LAST_SIGNAL, group->last_status & 0x7f, out);
    }
    if ((group->ever_known & KNOWN_SWITCHES) != 0) {
        put(group, GROUP_VOLUNTARY, (double)group->voluntary, out);
        put(group, GROUP_NONVOLUNTARY, (double)group->nonvoluntary, out);
    }
    if ((group->ever_known & KNOWN_IO) != 0) {
        put(group, GROUP_READ, (double)group->read_bytes, out);
        put(group, GROUP_WRITE, (double)group->write_bytes, out);
    }
}

/* Only of groups that ever had any, with a zero first: a counter is told from its start. */
static void emit_unseen(struct process_group *group, struct emitter *out)
{
    uint64_t any = group->unseen_us[0] + group->unseen_us[1] + group->unseen_bytes[0] +
                   group->unseen_bytes[1];
    if (any == 0)
        return;
    for (unsigned i = 0; i < 2; i++) {
        double seconds = (double)group->unseen_us[i] / US_A_SECOND;
        put(group, GROUP_UNSEEN_USER + i, group->is_unseen_told ? seconds : 0, out);
        put(group, GROUP_UNSEEN_READ + i,
            group->is_unseen_told ? (double)group->unseen_bytes[i] : 0, out);
    }
    group->is_unseen_told = true;
}

static void emit_deleted(struct process_group *group, struct emitter *out)
{
    group->had_deleted = group->had_deleted || group->deleted_files > 0;
    if (!group->had_deleted)
        return;
    put(group, GROUP_DELETED, (double)group->deleted_files, out);
    put(group, GROUP_DELETED_BYTES, (double)group->deleted_bytes, out);
}

static void emit_gauges(const struct process_groups *groups, struct process_group *group,
                        struct emitter *out)
{
    put(group, GROUP_PROCS, group->procs, out);
    if (group->is_fixed) /* what others come and go without anything being wrong */
        put(group, GROUP_EXPECTED, 1, out);
    put(group, GROUP_THREADS, (double)group->threads, out);
    put(group, GROUP_RESIDENT, (double)group->resident_pages * groups->page_bytes, out);
    put(group, GROUP_VIRTUAL, (double)group->virtual_bytes, out);
    for (unsigned i = 0; i < GROUP_STATES; i++)
        put(group, GROUP_RUNNING + i, group->states[i], out);
    if (group->procs > 0)
        put(group, GROUP_OLDEST,
            groups->boot_seconds +
                (double)(group->oldest_start_ticks / (uint64_t)PROCESS_USER_HZ),
            out); /* whole seconds, as process-exporter has them */
    if (group->pending_light == 0 && group->swap_known > 0)
        put(group, GROUP_SWAPPED, (double)group->swap_kb * BYTES_A_KB, out);
    if (group->pending_pss == 0 && group->pss_known > 0) {
        put(group, GROUP_PSS, (double)group->pss_kb * BYTES_A_KB, out);
        put(group, GROUP_SWAP_PSS, (double)group->swap_pss_kb * BYTES_A_KB, out);
    }
    if (group->pending_files == 0 && group->files_known > 0) {
        put(group, GROUP_FILES, (double)group->files, out);
        put(group, GROUP_FD_RATIO, group->worst_fd_ratio, out);
    }
}

static void group_gone(void *value, void *context)
{
    struct process_group *group = value;
    series_end(context, group->handles, GROUP_SERIES);
}

/* One that comes much later is no replacement. */
static void forget_unreplaced(struct process_group *group, int64_t now_ms)
{
    if (group->unreplaced > group->unreplaced_before)
        group->unreplaced_ms = now_ms;
    else if (now_ms - group->unreplaced_ms >= REPLACED_WITHIN_MS)
        group->unreplaced = 0;
    group->unreplaced_before = group->unreplaced;
}

void process_groups_emit(struct process_groups *groups, const struct process_scan *scan,
                         int64_t now_ms, struct emitter *out)
{
    for (size_t i = 0; i < groups->set.count; i++)
        clear_sums(tracked_at(&groups->set, i));
    for (size_t i = 0; i < scan->count; i++)
        if (scan->rows[i].group != NULL)
            add(scan->rows[i].group, &scan->rows[i]);

    /* Lingering is over for those that are not touched again before the sweep. */
    tracked_begin(&groups->set);
    for (size_t i = 0; i < groups->set.count; i++) {
        struct process_group *group = tracked_at(&groups->set, i);
        if (group->procs > 0 || group->is_fixed)
            group->empty_since_ms = 0;
        else if (group->empty_since_ms == 0)
            group->empty_since_ms = now_ms;
        if (group->empty_since_ms != 0 && now_ms - group->empty_since_ms >= GROUP_LINGER_MS)
            continue;
        tracked_meet(&groups->set, group);
        emit_gauges(groups, group, out);
        forget_unreplaced(group, now_ms);
        emit_counters(group, groups->has_events, out);
        emit_unseen(group, out);
        emit_deleted(group, out);
    }
    tracked_sweep(&groups->set, group_gone, out);
}

void process_groups_done(struct process_groups *groups)
{
    tracked_done(&groups->set, NULL, NULL);
}
