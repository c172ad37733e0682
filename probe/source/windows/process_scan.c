/*
 * process_scan.c - the table of live processes (process_scan.h), by one call that tells all of them:
 * SystemProcessInformation.
 *
 * A process is called by its image without ".exe", as the performance counters do; the idle process
 * (0) is none.  Identity is the time of creation, counted from the boot as it was told at the start:
 * what the system tells of its boot moves when the clock is set.  Steps of counters go to the group
 * that the process is in.  Handles are told as open files, of the 2^24 that a process may have.
 */
#include "probe/source/process_scan.h"

#include <stdlib.h>
#include <string.h>

#include "probe/source/windows/ntapi.h"
#include "proto/base/error.h"

#define PAGE_BYTES      4096u
#define HANDLES_MOST    (1u << 24)
#define TICKS_A_HZ      100000 /* of 100 ns: PROCESS_USER_HZ is 100 */
#define SYSTEM_PROCESS  4
#define COMMAND_UNITS   4096
#define COMMAND_CLASS   60 /* ProcessCommandLineInformation, NT 6.3 */

typedef LONG WINAPI query_process(HANDLE process, int kind, void *to, ULONG size, ULONG *ret_size);

int process_scan_open(struct process_scan *scan, const char *procfs)
{
    struct nt_time_of_day times = {0};
    (void)procfs;
    (void)ntapi_query(NT_TIME_OF_DAY, &times, sizeof times, NULL);
    scan->boot = times.boot_time;
    scan->is_open = true;
    return 0;
}

void process_step(uint32_t *held, uint64_t now, uint64_t *total)
{
    uint32_t step = (uint32_t)now - *held;
    if (step > INT32_MAX)
        return;
    *held = (uint32_t)now;
    if (total != NULL)
        *total += step;
}

static uint32_t hash_of(struct span text)
{
    uint32_t hash = 2166136261u;
    for (const char *at = text.at; at < text.end; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash;
}

static uint32_t pid_of(const struct nt_process *row)
{
    return (uint32_t)(uintptr_t)row->id;
}

/* The i-th process's row and its size, or NULL past the last.  *at begins at 0. */
static const struct nt_process *row_next(const struct process_scan *scan, size_t size, size_t *at)
{
    if (*at == SIZE_MAX || *at + sizeof(struct nt_process) > size)
        return NULL;
    const struct nt_process *row = (const void *)(scan->snapshot.data + *at);
    *at = row->next == 0 ? SIZE_MAX : *at + row->next;
    return row;
}

static int compare_rows(const void *left, const void *right)
{
    const struct process *a = left, *b = right;
    return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* The image's name without ".exe", in `room`. */
static struct span name_of(const struct nt_process *row, char room[512])
{
    size_t size = row->id == (void *)SYSTEM_PROCESS && row->name.size == 0 ? 0
                  : windows_narrow(row->name.text, row->name.size / sizeof(wchar_t), room, 512);
    if (size == 0)
        size = (size_t)snprintf(room, 512, "System");
    if (size > 4 && strcasecmp(room + size - 4, ".exe") == 0)
        size -= 4;
    return (struct span){room, room + size};
}

/* Running if one of its threads does or could. */
static char state_of(const struct nt_process *row, size_t room)
{
    size_t most = (room - sizeof *row) / sizeof row->thread[0];
    for (size_t i = 0; i < row->threads && i < most; i++)
        if (row->thread[i].state == NT_THREAD_RUNNING || row->thread[i].state == NT_THREAD_READY)
            return 'R';
    return 'S';
}

static void update_io(struct process *process, const struct nt_process *row, double seconds)
{
    uint64_t read = (uint64_t)row->read_bytes, written = (uint64_t)row->write_bytes;
    bool has_before = (process->known & KNOWN_IO) != 0 || process->is_newborn;
    uint64_t read_step = has_before && read > process->read_bytes ? read - process->read_bytes : 0;
    uint64_t write_step =
        has_before && written > process->write_bytes ? written - process->write_bytes : 0;
    process->read_bytes = read;
    process->write_bytes = written;
    process->read_rate = seconds > 0 ? (float)((double)read_step / seconds) : 0;
    process->write_rate = seconds > 0 ? (float)((double)write_step / seconds) : 0;
    if (process->group != NULL) {
        process->group->read_bytes += read_step;
        process->group->write_bytes += write_step;
        process->group->ever_known |= KNOWN_IO;
    }
}

static uint32_t clamp32(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void update(struct process *process, const struct process_stat *stat,
                   const struct nt_process *row, double seconds)
{
    struct process_group *group = process->group;
    uint64_t user = 0, system = 0, minor = 0, major = 0;
    if (!process->has_stat && !process->is_newborn) {
        process->user_ticks = (uint32_t)stat->user_ticks;
        process->system_ticks = (uint32_t)stat->system_ticks;
        process->minor_faults = (uint32_t)stat->minor_faults;
        process->major_faults = (uint32_t)stat->major_faults;
    }
    process->has_stat = true;
    process_step(&process->user_ticks, stat->user_ticks, &user);
    process_step(&process->system_ticks, stat->system_ticks, &system);
    process_step(&process->minor_faults, stat->minor_faults, &minor);
    process_step(&process->major_faults, stat->major_faults, &major);
    if (group != NULL) {
        group->user_ticks += user;
        group->system_ticks += system;
        group->minor_faults += minor;
        group->major_faults += major;
    }
    process->cpu_rate =
        seconds > 0 ? (float)((double)(user + system) / PROCESS_USER_HZ / seconds) : 0;
    update_io(process, row, seconds);
    process->state = stat->state;
    process->virtual_bytes = stat->virtual_bytes;
    process->resident_pages = clamp32(stat->resident_pages);
    process->threads = clamp32(stat->threads);
    process->files = row->handles;
    process->files_limit = HANDLES_MOST;
    process->known = KNOWN_IO | KNOWN_FILES | TRIED_LIGHT | TRIED_FILES | TRIED_PSS;
}

static struct process_stat stat_of(const struct nt_process *row, struct span name, char state,
                                   int64_t boot)
{
    uint64_t faults = row->page_faults, hard = row->hard_faults;
    return (struct process_stat){
        .pid = pid_of(row),
        .comm = name,
        .state = state,
        .minor_faults = faults > hard ? faults - hard : 0,
        .major_faults = hard,
        .user_ticks = (uint64_t)row->user / TICKS_A_HZ,
        .system_ticks = (uint64_t)row->kernel / TICKS_A_HZ,
        .threads = row->threads,
        .start_ticks = row->created > boot ? (uint64_t)(row->created - boot) / TICKS_A_HZ : 0,
        .virtual_bytes = row->virtual_bytes,
        .resident_pages = row->working_set / PAGE_BYTES,
    };
}

static const struct process *find(const struct process_scan *scan, uint32_t pid)
{
    const struct process wanted = {.pid = pid};
    return scan->count == 0 ? NULL
                            : bsearch(&wanted, scan->rows, scan->count, sizeof wanted, compare_rows);
}

static int reserve_rows(struct process_scan *scan, size_t count)
{
    if (scan->spare_capacity >= count)
        return 0;
    struct process *rows = realloc(scan->spare, (count + count / 4) * sizeof *rows);
    if (rows == NULL)
        return ERR_NOMEM;
    scan->spare = rows;
    scan->spare_capacity = count + count / 4;
    return 0;
}

/* One process of the system's list into the new table. */
static void take(struct process_scan *scan, struct process *process, const struct nt_process *row,
                 size_t room, double seconds, process_classify_function *classify, void *context)
{
    char text[512];
    struct process_stat stat = stat_of(row, name_of(row, text), state_of(row, room), scan->boot);
    const struct process *before = find(scan, stat.pid);
    bool is_new = before == NULL || before->start_ticks != stat.start_ticks;
    if (is_new)
        *process = (struct process){.pid = stat.pid,
                                    .kept_fd = -1,
                                    .user = stat.pid, /* process_users.c */
                                    .start_ticks = stat.start_ticks,
                                    .comm_hash = hash_of(stat.comm),
                                    .is_kernel = stat.pid == SYSTEM_PROCESS,
                                    .is_newborn = scan->has_run &&
                                                  stat.start_ticks > scan->first_scan_ticks};
    else
        *process = *before;
    if (!scan->has_run && stat.start_ticks > scan->first_scan_ticks)
        scan->first_scan_ticks = stat.start_ticks;
    if (is_new)
        classify(context, process, &stat);
    update(process, &stat, row, seconds);
}

int process_scan_run(struct process_scan *scan, double seconds,
                     process_classify_function *classify, void *context)
{
    size_t size = 0, at = 0, here = 0, listed = 0, count = 0;
    int error = ntapi_table(NT_PROCESSES, &scan->snapshot, &size);
    if (error != 0)
        return error;
    while (row_next(scan, size, &at) != NULL)
        listed++;
    error = reserve_rows(scan, listed < PROCESSES_MAX ? listed + 1 : PROCESSES_MAX);
    if (error != 0)
        return error;
    scan->snapshot_bytes = size;
    at = 0;
    for (const struct nt_process *row; (row = row_next(scan, size, &at)) != NULL; here = at) {
        if (pid_of(row) == 0)
            continue;
        if (count == PROCESSES_MAX) {
            scan->beyond_limit++;
            continue;
        }
        size_t room = (row->next == 0 ? size : here + row->next) - here;
        take(scan, &scan->spare[count++], row, room, seconds, classify, context);
    }
    qsort(scan->spare, count, sizeof *scan->spare, compare_rows);
    struct process *rows = scan->rows;
    size_t capacity = scan->capacity;
    scan->rows = scan->spare;
    scan->capacity = scan->spare_capacity;
    scan->count = count;
    scan->spare = rows;
    scan->spare_capacity = capacity;
    scan->has_run = true;
    return 0;
}

static int give(struct process_scan *scan, const wchar_t *text, size_t units, struct span *ret_text)
{
    int error = readbuf_reserve(&scan->text, units * 3 + 1);
    if (error != 0)
        return error;
    size_t size = windows_narrow(text, units, scan->text.data, scan->text.capacity);
    *ret_text = (struct span){scan->text.data, scan->text.data + size};
    return 0;
}

/* The command line as it was given; the image's path where the system does not tell it. */
static int read_command(struct process_scan *scan, uint32_t pid, struct span *ret_text)
{
    uint64_t room[COMMAND_UNITS / 4 + 4];
    wchar_t path[COMMAND_UNITS];
    const struct nt_text *text = (const void *)room;
    ULONG told = 0;
    DWORD units = COMMAND_UNITS;
    query_process *query = (query_process *)(void (*)(void))GetProcAddress(
        GetModuleHandleW(L"ntdll.dll"), "NtQueryInformationProcess");
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    if (process == NULL)
        return ERR_REFUSED;
    int error = ERR_NOTFOUND;
    if (query != NULL && query(process, COMMAND_CLASS, room, sizeof room, &told) >= 0)
        error = give(scan, text->text, text->size / sizeof(wchar_t), ret_text);
    else if (QueryFullProcessImageNameW(process, 0, path, &units))
        error = give(scan, path, units, ret_text);
    (void)CloseHandle(process);
    return error;
}

static int read_name(struct process_scan *scan, uint32_t pid, struct span *ret_text)
{
    size_t at = 0;
    char name[512];
    for (const struct nt_process *row; (row = row_next(scan, scan->snapshot_bytes, &at)) != NULL;)
        if (pid_of(row) == pid) {
            struct span found = name_of(row, name);
            int error = readbuf_reserve(&scan->text, sizeof name);
            if (error != 0)
                return error;
            memcpy(scan->text.data, found.at, span_size(found));
            *ret_text = (struct span){scan->text.data, scan->text.data + span_size(found)};
            return 0;
        }
    return ERR_NOTFOUND;
}

int process_read(struct process_scan *scan, uint32_t pid, const char *file, struct span *ret_text)
{
    if (strcmp(file, "comm") == 0)
        return read_name(scan, pid, ret_text);
    return strcmp(file, "cmdline") == 0 ? read_command(scan, pid, ret_text) : ERR_NOTFOUND;
}

void process_scan_close(struct process_scan *scan)
{
    free(scan->rows);
    free(scan->spare);
    readbuf_done(&scan->text);
    readbuf_done(&scan->snapshot);
    *scan = (struct process_scan){0};
}
