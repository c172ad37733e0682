/*
 * process_dear.c - dear files of processes, in turns (process_dear.h).
 */
#include "probe/source/process_dear.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/source/process_deleted.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

/* Time for PSS in a tick; in the first, which knows nothing yet, more. */
#define PSS_NS       ((mono_ns)4 * NS_PER_MS)
#define PSS_FIRST_NS ((mono_ns)300 * NS_PER_MS)
/* A read that takes this long is let pass as many turns as it took of these. */
#define PSS_SLOW_NS ((mono_ns)1 * NS_PER_MS)
#define TURN_LEAST  8
/* Who rests is let pass four of five turns: its share changes with others only. */
#define PSS_RESTING_SKIP 4
/* Active processes read lightly in a tick: this many, or a quarter of all. */
#define ACTIVE_LEAST 64
/* New processes whose light files, and whose open files, are read in a tick. */
#define FRESH_MOST 2000
/* Limits are read at every so manieth turn of the files. */
#define LIMITS_EVERY 8

static int file_count_by_stat(struct process_scan *scan, uint32_t pid, uint32_t *ret_count)
{
    char path[32];
    struct stat about;
    snprintf(path, sizeof path, "%u/fd", pid);
    if (fstatat(scan->proc_fd, path, &about, 0) != 0)
        return procfile_error(errno);
    *ret_count = (uint32_t)about.st_size;
    return 0;
}

static int count_entry(void *context, int folder, const char *name)
{
    (void)folder, (void)name;
    ++*(uint32_t *)context;
    return 0;
}

/* Counts the entries of /proc/PID/fd without "." and "..". */
static int file_count_by_list(struct process_scan *scan, uint32_t pid, uint32_t *ret_count)
{
    *ret_count = 0;
    return process_list(scan, pid, "fd", SIZE_MAX, count_entry, ret_count);
}

void process_dear_start(struct process_dear *dear, struct process_scan *scan, bool wants_pss)
{
    uint32_t count;
    dear->wants_pss = wants_pss;
    dear->has_file_count =
        file_count_by_stat(scan, (uint32_t)getpid(), &count) == 0 && count > 0;
}

static void read_status(struct process_scan *scan, struct process *process)
{
    struct span text;
    struct process_status status;
    struct process_group *group = process->group;
    int error = process_read(scan, process->pid, "status", &text);
    if (error != 0) {
        process_read_failed(scan, error);
        return;
    }
    process_status_parse(text, &status);
    if (status.has_user)
        process->user = status.user;
    if (status.has_swap) {
        process->swap_kb = (uint32_t)status.swap_kb;
        process->known |= KNOWN_SWAP;
    }
    if (!status.has_switches)
        return;
    if ((process->known & KNOWN_SWITCHES) == 0 && !process->is_newborn) {
        process->voluntary = (uint32_t)status.voluntary;
        process->nonvoluntary = (uint32_t)status.nonvoluntary;
    }
    process->known |= KNOWN_SWITCHES;
    process_step(&process->voluntary, status.voluntary,
                 group != NULL ? &group->voluntary : NULL);
    process_step(&process->nonvoluntary, status.nonvoluntary,
                 group != NULL ? &group->nonvoluntary : NULL);
}

static void read_io(struct process_scan *scan, struct process *process)
{
    struct span text;
    uint64_t read_bytes, write_bytes;
    struct process_group *group = process->group;
    int error = process_read(scan, process->pid, "io", &text);
    if (error == 0 && !process_io_parse(text, &read_bytes, &write_bytes))
        error = ERR_MALFORMED;
    if (error != 0) {
        process_read_failed(scan, error);
        return;
    }
    bool has_before = (process->known & KNOWN_IO) != 0 || process->is_newborn;
    uint64_t read_step =
        has_before && read_bytes > process->read_bytes ? read_bytes - process->read_bytes : 0;
    uint64_t write_step = has_before && write_bytes > process->write_bytes
                              ? write_bytes - process->write_bytes
                              : 0;
    process->read_bytes = read_bytes;
    process->write_bytes = write_bytes;
    process->known |= KNOWN_IO;
    if (group != NULL) {
        group->read_bytes += read_step;
        group->write_bytes += write_step;
    }
    double seconds = (double)process->io_age_ms / MS_PER_SEC;
    process->read_rate = seconds > 0 ? (float)((double)read_step / seconds) : 0;
    process->write_rate = seconds > 0 ? (float)((double)write_step / seconds) : 0;
    process->io_age_ms = 0;
}

/* Who calls itself something else is classified anew at the next look. */
static void check_command(struct process_scan *scan, struct process *process)
{
    struct span text;
    if (process->command_hash != 0 && process_read(scan, process->pid, "cmdline", &text) == 0 &&
        span_size(text) > 0 && process_hash(text) != process->command_hash)
        process->has_exec = true;
}

static void read_light(struct process_scan *scan, struct process *process)
{
    process->known |= TRIED_LIGHT;
    process->is_active = process->is_stale = false;
    read_status(scan, process);
    read_io(scan, process);
    check_command(scan, process);
    if (process->group != NULL)
        process->group->ever_known |= process->known;
}

static void read_pss(struct process_scan *scan, struct process *process)
{
    struct span text;
    uint64_t pss_kb, swap_pss_kb;
    process->known |= TRIED_PSS;
    if (process->pss_skip > 0) {
        process->pss_skip--;
        return;
    }
    mono_ns before = clock_mono(&clock_system);
    int error = process_read(scan, process->pid, "smaps_rollup", &text);
    if (error != 0)
        process_read_failed(scan, error);
    if (error != 0 || !process_smaps_parse(text, &pss_kb, &swap_pss_kb))
        return;
    mono_ns turns = (clock_mono(&clock_system) - before) / PSS_SLOW_NS;
    if (process->is_resting && turns < PSS_RESTING_SKIP)
        turns = PSS_RESTING_SKIP;
    process->pss_skip = turns < UINT8_MAX ? (uint8_t)turns : UINT8_MAX;
    process->pss_kb = (uint32_t)pss_kb;
    process->swap_pss_kb = (uint32_t)swap_pss_kb;
    process->known |= KNOWN_PSS;
}

static void read_files(struct process_dear *dear, struct process_scan *scan,
                       struct process *process)
{
    struct span text;
    uint32_t files, limit;
    bool has_limit = (process->known & KNOWN_FILES) != 0 &&
                     ++process->files_turns % LIMITS_EVERY != 0; /* they hardly change */
    process->known |= TRIED_FILES;
    process->are_files_stale = false;
    int error = dear->has_file_count ? file_count_by_stat(scan, process->pid, &files)
                                     : file_count_by_list(scan, process->pid, &files);
    if (error == 0) {
        process->files = files;
        if (has_limit)
            return;
        error = process_read(scan, process->pid, "limits", &text);
    }
    if (error == 0 && !process_limits_parse(text, &limit))
        error = ERR_MALFORMED;
    if (error != 0) {
        process_read_failed(scan, error);
        return;
    }
    process->files_limit = limit;
    process->known |= KNOWN_FILES;
}

/* Rows a tick visits so that all are visited in turn_ms: at least TURN_LEAST, at most an
 * eighth. */
static size_t turn_rows(size_t count, int64_t interval_ms, int64_t turn_ms)
{
    size_t rows = (size_t)((double)count * (double)interval_ms / (double)turn_ms) + 1;
    if (rows > count / 8)
        rows = count / 8;
    if (rows < TURN_LEAST)
        rows = TURN_LEAST;
    return rows < count ? rows : count;
}

/* Kernel threads have no files and no memory of their own; they count only in the top table. */
static bool is_worth(const struct process *process)
{
    return !process->is_kernel || process->group != NULL;
}

static void run_light(struct process_dear *dear, struct process_scan *scan, int64_t interval_ms)
{
    size_t active = scan->count / 4 > ACTIVE_LEAST ? scan->count / 4 : ACTIVE_LEAST;
    size_t turn = turn_rows(scan->count, interval_ms, LIGHT_TURN_MS);
    size_t fresh = FRESH_MOST;
    size_t first = dear->light_next;
    size_t resume =
        first + turn; /* after the regular turn, and after the last active one read */
    for (size_t i = 0; i < scan->count; i++) {
        struct process *process = &scan->rows[(first + i) % scan->count];
        if (!is_worth(process))
            continue;
        bool is_new = (process->known & TRIED_LIGHT) == 0;
        if (!is_new && !process->is_stale && !process->is_active) {
            process->read_rate = process->write_rate = 0;
        } else if (i < turn || (is_new && fresh > 0)) {
            read_light(scan, process);
            fresh -= is_new && fresh > 0;
        } else if (process->is_active && active > 0) {
            read_light(scan, process);
            if (--active == 0)
                resume = first + i + 1;
        } else if (!process->is_active) {
            /* It has not run since: it cannot have read or written. */
            process->read_rate = process->write_rate = 0;
        }
    }
    dear->light_next = scan->count > 0 ? resume % scan->count : 0;
}

static void run_files(struct process_dear *dear, struct process_scan *scan, int64_t interval_ms)
{
    size_t turn = turn_rows(scan->count, interval_ms, HEAVY_TURN_MS);
    size_t fresh = FRESH_MOST;
    for (size_t i = 0; i < scan->count; i++) {
        struct process *process = &scan->rows[(dear->files_next + i) % scan->count];
        bool is_new = (process->known & TRIED_FILES) == 0;
        if (!is_worth(process) || (i >= turn && (!is_new || fresh == 0)) ||
            (!is_new && !process->are_files_stale))
            continue;
        read_files(dear, scan, process);
        fresh -= is_new && fresh > 0;
    }
    dear->files_next = scan->count > 0 ? (dear->files_next + turn) % scan->count : 0;
}

/* Of those that rest, too: it is others who delete. */
static void run_deleted(struct process_dear *dear, struct process_scan *scan,
                        int64_t interval_ms)
{
    size_t turn = turn_rows(scan->count, interval_ms, DELETED_TURN_MS);
    for (size_t i = 0; i < turn; i++) {
        struct process *process = &scan->rows[(dear->deleted_next + i) % scan->count];
        if (process->group != NULL && !process->is_kernel)
            process_deleted_read(scan, process);
    }
    dear->deleted_next = scan->count > 0 ? (dear->deleted_next + turn) % scan->count : 0;
}

static void run_pss(struct process_dear *dear, struct process_scan *scan, int64_t interval_ms)
{
    mono_ns end = clock_mono(&clock_system) + (dear->has_run ? PSS_NS : PSS_FIRST_NS);
    size_t turn = turn_rows(scan->count, interval_ms, HEAVY_TURN_MS);
    size_t visited = 0;
    for (size_t i = 0; i < scan->count; i++) {
        struct process *process = &scan->rows[(dear->pss_next + i) % scan->count];
        if (i < turn)
            visited++;
        bool is_due = i < turn || (process->known & TRIED_PSS) == 0;
        if (!is_due || !is_worth(process))
            continue;
        read_pss(scan, process);
        if (clock_mono(&clock_system) > end)
            break;
    }
    dear->pss_next = scan->count > 0 ? (dear->pss_next + visited) % scan->count : 0;
}

void process_dear_run(struct process_dear *dear, struct process_scan *scan, int64_t interval_ms,
                      int64_t elapsed_ms)
{
    for (size_t i = 0; i < scan->count; i++)
        if (!scan->rows[i].is_resting) /* what it does it will have done since it woke */
            scan->rows[i].io_age_ms += (uint32_t)elapsed_ms;
    run_light(dear, scan, interval_ms);
    run_files(dear, scan, interval_ms);
    run_deleted(dear, scan, interval_ms);
    if (dear->wants_pss)
        run_pss(dear, scan, interval_ms);
    dear->has_run = true;
}
