/*
 * process_totals.c - processes and threads in all, by state (process_totals.h).
 */
#include "probe/source/process_totals.h"

#include "probe/source/procfile.h"
#include "probe/source/series.h"

static const struct metric pids = {"node_processes_pids", METRIC_GAUGE, "Number of PIDs", NULL};
static const struct metric threads = {"node_processes_threads", METRIC_GAUGE,
                                      "Allocated threads in system", NULL};
static const struct metric most_pids = {"node_processes_max_processes", METRIC_GAUGE,
                                        "Number of max PIDs limit", NULL};
static const struct metric most_threads = {"node_processes_max_threads", METRIC_GAUGE,
                                           "Limit of threads in the system", NULL};
static const struct metric by_state = {"node_processes_state", METRIC_GAUGE,
                                       "Number of processes in each state.", NULL};

static const struct metric looks_failed = {
    "namedprocess_scrape_errors", METRIC_COUNTER,
    "general scrape errors: no proc metrics collected during a cycle", NULL};
static const struct metric reads_failed = {
    "namedprocess_scrape_procread_errors", METRIC_COUNTER,
    "incremented each time a proc's metrics collection fails", NULL};
static const struct metric reads_incomplete = {
    "namedprocess_scrape_partial_errors", METRIC_COUNTER,
    "incremented each time a tracked proc's metrics collection fails partially, e.g. "
    "unreadable I/O stats",
    NULL};
static const struct metric unreadable = {
    "namedprocess_io_unreadable", METRIC_GAUGE,
    "Processes of groups whose storage I/O may not be read; it is in no sum.", NULL};

void process_totals_start(struct process_totals *totals)
{
    totals->looks_failed = totals->reads_failed = SERIES_NONE;
    totals->reads_incomplete = totals->unreadable = SERIES_NONE;
    totals->pids = totals->threads = SERIES_NONE;
    totals->most_pids = totals->most_threads = SERIES_NONE;
}

static void put(series_handle *handle, const struct metric *metric, double value,
                struct emitter *out)
{
    if (*handle == SERIES_NONE)
        *handle = series_plain(out, metric);
    emit(out, *handle, value);
}

static void count_state(struct process_totals *totals, char letter)
{
    size_t i = 0;
    while (i < totals->state_count && totals->states[i].letter != letter)
        i++;
    if (i == PROCESS_STATES_MOST)
        return; /* kernels have ten */
    if (i == totals->state_count) {
        totals->states[i].letter = letter;
        totals->states[i].handle = SERIES_NONE;
        totals->states[i].count = 0;
        totals->state_count++;
    }
    totals->states[i].count++;
}

static void put_limit(struct process_totals *totals, const struct source_env *env,
                      const char *path, series_handle *handle, const struct metric *metric,
                      struct emitter *out)
{
    struct span text;
    uint64_t value;
    if (procfile_read_path(env->procfs, path, &totals->text, &text) == 0 &&
        scan_u64(&text, &value))
        put(handle, metric, (double)value, out);
}

static bool hides_io(const struct process *process)
{
    return process->group != NULL && !process->is_kernel && process->state != 'Z' &&
           (process->known & (TRIED_LIGHT | KNOWN_IO)) == TRIED_LIGHT;
}

static void put_errors(struct process_totals *totals, const struct process_scan *scan,
                       struct emitter *out)
{
    size_t hidden = 0;
    for (size_t i = 0; i < scan->count; i++)
        hidden += hides_io(&scan->rows[i]);
    put(&totals->looks_failed, &looks_failed, (double)scan->looks_failed, out);
    put(&totals->reads_failed, &reads_failed, (double)scan->reads_failed, out);
    put(&totals->reads_incomplete, &reads_incomplete, (double)scan->reads_incomplete, out);
    put(&totals->unreadable, &unreadable, (double)hidden, out);
}

void process_totals_emit(struct process_totals *totals, const struct process_scan *scan,
                         const struct source_env *env, struct emitter *out)
{
    uint64_t thread_count = 0;
    for (size_t i = 0; i < totals->state_count; i++)
        totals->states[i].count = 0;
    for (size_t i = 0; i < scan->count; i++) {
        thread_count += scan->rows[i].threads;
        count_state(totals, scan->rows[i].state);
    }
    put(&totals->pids, &pids, (double)scan->count, out);
    put(&totals->threads, &threads, (double)thread_count, out);
    put_limit(totals, env, "sys/kernel/pid_max", &totals->most_pids, &most_pids, out);
    put_limit(totals, env, "sys/kernel/threads-max", &totals->most_threads, &most_threads, out);
    put_errors(totals, scan, out);
    /* A state that was seen once is a true 0 when nobody is in it. */
    for (size_t i = 0; i < totals->state_count; i++) {
        struct bytes letter = {(const uint8_t *)&totals->states[i].letter, 1};
        if (totals->states[i].handle == SERIES_NONE)
            totals->states[i].handle = series_one(out, &by_state, "state", letter);
        emit(out, totals->states[i].handle, totals->states[i].count);
    }
}

void process_totals_done(struct process_totals *totals)
{
    readbuf_done(&totals->text);
}
