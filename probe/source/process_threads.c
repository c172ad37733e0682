/*
 * process_threads.c - threads by name (process_threads.h).
 *
 *     /proc/PID/task/TID/stat     as a process's, of the thread alone
 *     /proc/PID/task/TID/status   context switches
 *     /proc/PID/task/TID/io
 */
#include "probe/source/process_threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/process_name.h"
#include "probe/source/process_parse.h"
#include "probe/source/series.h"
#include "proto/base/error.h"

#define PREFIX            "namedprocess_namegroup_thread_"
#define SLOW_LOOKS        4
#define THREAD_NAME_BYTES 64

enum thread_series {
    THREAD_COUNT,
    THREAD_USER,
    THREAD_SYSTEM,
    THREAD_READ,
    THREAD_WRITE,
    THREAD_MAJOR,
    THREAD_MINOR,
    THREAD_VOLUNTARY,
    THREAD_NONVOLUNTARY,
    THREAD_SERIES
};

struct thread_name {
    uint64_t totals[THREAD_SERIES]; /* CPU in ticks; the count is this look's */
    bool has_switches, has_io;
    series_handle handles[THREAD_SERIES];
};

struct thread {
    uint32_t pid, tid;
    uint64_t start_ticks; /* with the two: identity */
    uint32_t user, system, minor, major, voluntary, nonvoluntary;
    uint64_t read_bytes, write_bytes;
    bool has_stat, has_switches, has_io, is_newborn;
};

static const struct {
    struct metric metric;
    const char *label, *value;
} series[THREAD_SERIES] = {
    {{PREFIX "count", METRIC_GAUGE, "Number of threads in this group with same threadname",
      NULL},
     NULL,
     NULL},
    {{PREFIX "cpu_seconds_total", METRIC_COUNTER, "Cpu user/system usage in seconds", NULL},
     "mode",
     "user"},
    {{PREFIX "cpu_seconds_total", METRIC_COUNTER, "Cpu user/system usage in seconds", NULL},
     "mode",
     "system"},
    {{PREFIX "io_bytes_total", METRIC_COUNTER, "number of bytes read/written by these threads",
      NULL},
     "iomode",
     "read"},
    {{PREFIX "io_bytes_total", METRIC_COUNTER, "number of bytes read/written by these threads",
      NULL},
     "iomode",
     "write"},
    {{PREFIX "major_page_faults_total", METRIC_COUNTER, "Major page faults for these threads",
      NULL},
     NULL,
     NULL},
    {{PREFIX "minor_page_faults_total", METRIC_COUNTER, "Minor page faults for these threads",
      NULL},
     NULL,
     NULL},
    {{PREFIX "context_switches_total", METRIC_COUNTER, "Context switches for these threads",
      NULL},
     "ctxswitchtype",
     "voluntary"},
    {{PREFIX "context_switches_total", METRIC_COUNTER, "Context switches for these threads",
      NULL},
     "ctxswitchtype",
     "nonvoluntary"},
};

void process_threads_start(struct process_threads *threads)
{
    threads->names.value_bytes = sizeof(struct thread_name);
    threads->names.limit = THREAD_GROUPS_MAX;
}

/* ---- listing --------------------------------------------------------------------------- */

static int add_tid(void *context, int folder, const char *name)
{
    struct process_threads *threads = context;
    (void)folder;
    struct span text = span_text(name);
    uint64_t tid;
    if (!scan_u64(&text, &tid) || tid > INT32_MAX)
        return 0;
    if (threads->tid_count == threads->tid_capacity) {
        size_t capacity = threads->tid_capacity > 0 ? threads->tid_capacity * 2 : 256;
        uint32_t *grown = realloc(threads->tids, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        threads->tids = grown;
        threads->tid_capacity = capacity;
    }
    threads->tids[threads->tid_count++] = (uint32_t)tid;
    return 0;
}

static int compare_tids(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Threads of one process, ascending. */
static int list_threads(struct process_threads *threads, struct process_scan *scan,
                        uint32_t pid)
{
    threads->tid_count = 0;
    int error = process_list(scan, pid, "task", THREADS_MAX, add_tid, threads);
    if (threads->tid_count > 1)
        qsort(threads->tids, threads->tid_count, sizeof *threads->tids, compare_tids);
    return error == ERR_NOMEM ? error : 0; /* else it is gone */
}

/* ---- reading one ----------------------------------------------------------------------- */

static void step64(uint64_t *held, uint64_t now, bool counts, uint64_t *total)
{
    if (counts && now > *held)
        *total += now - *held;
    *held = now;
}

static void read_slow(struct process_scan *scan, struct thread *thread,
                      struct thread_name *name)
{
    char path[40];
    struct span text;
    struct process_status status;
    uint64_t read_bytes, write_bytes;
    (void)snprintf(path, sizeof path, "task/%u/status", thread->tid);
    if (process_read(scan, thread->pid, path, &text) == 0) {
        process_status_parse(text, &status);
        if (status.has_switches) {
            if (!thread->has_switches && !thread->is_newborn) {
                thread->voluntary = (uint32_t)status.voluntary;
                thread->nonvoluntary = (uint32_t)status.nonvoluntary;
            }
            thread->has_switches = name->has_switches = true;
            process_step(&thread->voluntary, status.voluntary, &name->totals[THREAD_VOLUNTARY]);
            process_step(&thread->nonvoluntary, status.nonvoluntary,
                         &name->totals[THREAD_NONVOLUNTARY]);
        }
    }
    (void)snprintf(path, sizeof path, "task/%u/io", thread->tid);
    if (process_read(scan, thread->pid, path, &text) == 0 &&
        process_io_parse(text, &read_bytes, &write_bytes)) {
        bool counts = thread->has_io || thread->is_newborn;
        step64(&thread->read_bytes, read_bytes, counts, &name->totals[THREAD_READ]);
        step64(&thread->write_bytes, write_bytes, counts, &name->totals[THREAD_WRITE]);
        thread->has_io = name->has_io = true;
    }
}

/* The totals of a group's threads of that name, or NULL: there are too many. */
static struct thread_name *name_of(struct process_threads *threads, struct bytes group,
                                   struct span comm)
{
    uint8_t key[GROUP_NAME_BYTES_MAX + 1 + THREAD_NAME_BYTES];
    bool is_new;
    size_t size = group.size < GROUP_NAME_BYTES_MAX ? group.size : GROUP_NAME_BYTES_MAX;
    memcpy(key, group.data, size);
    key[size++] = 0;
    size += text_clean(span_bytes(comm), (char *)key + size, THREAD_NAME_BYTES);
    struct thread_name *name =
        tracked_touch(&threads->names, (struct bytes){key, size}, &is_new);
    if (name != NULL && is_new)
        series_clear(name->handles, THREAD_SERIES);
    return name;
}

static void take_stat(struct thread *thread, const struct process_stat *stat,
                      struct thread_name *name)
{
    if (!thread->has_stat && !thread->is_newborn) {
        thread->user = (uint32_t)stat->user_ticks;
        thread->system = (uint32_t)stat->system_ticks;
        thread->minor = (uint32_t)stat->minor_faults;
        thread->major = (uint32_t)stat->major_faults;
    }
    thread->has_stat = true;
    process_step(&thread->user, stat->user_ticks, &name->totals[THREAD_USER]);
    process_step(&thread->system, stat->system_ticks, &name->totals[THREAD_SYSTEM]);
    process_step(&thread->minor, stat->minor_faults, &name->totals[THREAD_MINOR]);
    process_step(&thread->major, stat->major_faults, &name->totals[THREAD_MAJOR]);
    name->totals[THREAD_COUNT]++;
}

/* False: it is gone, or not told. */
static bool look_at(struct process_threads *threads, struct process_scan *scan,
                    struct bytes group, struct thread *thread)
{
    char path[40];
    struct span text;
    struct process_stat stat;
    (void)snprintf(path, sizeof path, "task/%u/stat", thread->tid);
    if (process_read(scan, thread->pid, path, &text) != 0 || !process_stat_parse(text, &stat))
        return false;
    if (!thread->has_stat || thread->start_ticks != stat.start_ticks) {
        *thread = (struct thread){.pid = thread->pid,
                                  .tid = thread->tid,
                                  .start_ticks = stat.start_ticks,
                                  .is_newborn = threads->has_run &&
                                                stat.start_ticks > scan->first_scan_ticks};
    }
    struct thread_name *name = name_of(threads, group, stat.comm);
    if (name == NULL)
        return false;
    bool is_slow_due = !thread->has_stat || thread->tid % SLOW_LOOKS == threads->looks;
    uint32_t used = thread->user + thread->system;
    take_stat(thread, &stat, name);
    if (is_slow_due || thread->user + thread->system != used)
        read_slow(scan, thread, name);
    return true;
}

/* ---- all ------------------------------------------------------------------------------- */

static int add_row(struct process_threads *threads, const struct thread *thread)
{
    if (threads->spare_count == threads->spare_capacity) {
        size_t capacity = threads->spare_capacity > 0 ? threads->spare_capacity * 2 : 256;
        struct thread *grown = realloc(threads->spare, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NOMEM;
        threads->spare = grown;
        threads->spare_capacity = capacity;
    }
    threads->spare[threads->spare_count++] = *thread;
    return 0;
}

/* Both lists ascend: *old never goes back. */
static int look_at_process(struct process_threads *threads, struct process_scan *scan,
                           const struct process *process, size_t *old)
{
    struct bytes group = tracked_key(process->group);
    int error = list_threads(threads, scan, process->pid);
    for (size_t i = 0; error == 0 && i < threads->tid_count; i++) {
        uint32_t tid = threads->tids[i];
        while (*old < threads->count &&
               (threads->rows[*old].pid < process->pid ||
                (threads->rows[*old].pid == process->pid && threads->rows[*old].tid < tid)))
            ++*old;
        bool is_known = *old < threads->count && threads->rows[*old].pid == process->pid &&
                        threads->rows[*old].tid == tid;
        struct thread thread = {.pid = process->pid, .tid = tid};
        if (is_known)
            thread = threads->rows[*old];
        if (threads->spare_count < THREADS_MAX && look_at(threads, scan, group, &thread))
            error = add_row(threads, &thread);
    }
    return error;
}

static void swap_rows(struct process_threads *threads)
{
    struct thread *rows = threads->rows;
    size_t capacity = threads->capacity;
    threads->rows = threads->spare;
    threads->count = threads->spare_count;
    threads->capacity = threads->spare_capacity;
    threads->spare = rows;
    threads->spare_capacity = capacity;
    threads->spare_count = 0;
}

static void put(struct thread_name *name, enum thread_series which, double value,
                struct emitter *out)
{
    if (name->handles[which] == SERIES_NONE) {
        struct bytes key = tracked_key(name);
        const uint8_t *end = memchr(key.data, 0, key.size);
        size_t size = (size_t)(end - key.data);
        struct label labels[3];
        size_t count = 0;
        bool is_before = series[which].label != NULL && strcmp(series[which].label, "g") < 0;
        if (is_before)
            labels[count++] =
                (struct label){bytes_of(series[which].label), bytes_of(series[which].value)};
        labels[count++] = (struct label){bytes_of("groupname"), {key.data, size}};
        if (series[which].label != NULL && !is_before)
            labels[count++] =
                (struct label){bytes_of(series[which].label), bytes_of(series[which].value)};
        labels[count++] =
            (struct label){bytes_of("threadname"), {end + 1, key.size - size - 1}};
        name->handles[which] = emitter_series(out, &series[which].metric, labels, count);
    }
    emit(out, name->handles[which], value);
}

static void tell(struct thread_name *name, struct emitter *out)
{
    for (unsigned i = 0; i < THREAD_SERIES; i++) {
        bool is_cpu = i == THREAD_USER || i == THREAD_SYSTEM;
        bool is_io = i == THREAD_READ || i == THREAD_WRITE;
        bool is_switches = i == THREAD_VOLUNTARY || i == THREAD_NONVOLUNTARY;
        if ((is_io && !name->has_io) || (is_switches && !name->has_switches))
            continue;
        put(name, i, (double)name->totals[i] / (is_cpu ? PROCESS_USER_HZ : 1), out);
    }
    name->totals[THREAD_COUNT] = 0;
}

static void name_gone(void *value, void *context)
{
    struct thread_name *name = value;
    series_end(context, name->handles, THREAD_SERIES);
}

int process_threads_emit(struct process_threads *threads, struct process_scan *scan,
                         struct emitter *out)
{
    size_t old = 0;
    int error = 0;
    if (!threads->is_on)
        return 0;
    threads->looks = (threads->looks + 1) % SLOW_LOOKS;
    tracked_begin(&threads->names);
    for (size_t i = 0; error == 0 && i < scan->count; i++) {
        const struct process *process = &scan->rows[i];
        if (process->group != NULL && process->threads > 1)
            error = look_at_process(threads, scan, process, &old);
    }
    swap_rows(threads);
    threads->has_run = true;
    tracked_sweep(&threads->names, name_gone, out);
    for (size_t i = 0; i < threads->names.count; i++)
        tell(tracked_at(&threads->names, i), out);
    return error;
}

void process_threads_done(struct process_threads *threads)
{
    tracked_done(&threads->names, NULL, NULL);
    free(threads->rows);
    free(threads->spare);
    free(threads->tids);
    *threads = (struct process_threads){0};
}
