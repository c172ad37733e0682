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

void process_totals_start(struct process_totals *totals)
{
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
