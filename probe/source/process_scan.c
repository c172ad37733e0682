/*
 * process_scan.c - the table of live processes (process_scan.h).
 */
#include "probe/source/process_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/source/process_family.h"
#include "probe/source/process_rest.h"
#include "proto/base/error.h"

/* Descriptors left to everything else: logs, spool, sockets. */
#define FDS_RESERVED      ((rlim_t)256)
#define FDS_KEPT_MAX      ((rlim_t)16384)
#define DIRECTORY_BYTES   ((size_t)16 << 10)
#define LIST_BYTES        ((size_t)4096) /* of a folder of one process */
#define DIRENT_TYPE_BYTES 19 /* linux_dirent64: ino u64, off u64, reclen u16, type u8, name */

static int scan_root(const char *procfs)
{
    int fd;
    do
        fd = open(procfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int process_scan_open(struct process_scan *scan, const char *procfs)
{
    struct rlimit limit;
    int fd = scan_root(procfs);
    if (fd < 0)
        return procfile_error(errno);
    scan->proc_fd = fd;
    scan->is_open = true;
    scan->can_rest = process_rest_is_possible(scan);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FDS_RESERVED) {
        rlim_t share = (limit.rlim_cur - FDS_RESERVED) * 3 / 4;
        scan->fds_limit = (size_t)(share < FDS_KEPT_MAX ? share : FDS_KEPT_MAX);
    }
    return 0;
}

static int add_pid(struct process_scan *scan, uint32_t pid)
{
    if (scan->pid_count >= PROCESSES_MAX) {
        scan->beyond_limit++;
        return 0;
    }
    if (scan->pid_count == scan->pid_capacity) {
        size_t capacity = scan->pid_capacity > 0 ? scan->pid_capacity * 2 : 256;
        uint32_t *grown = realloc(scan->pids, capacity * sizeof(*grown));
        if (grown == NULL)
            return ERR_NOMEM;
        scan->pids = grown;
        scan->pid_capacity = capacity;
    }
    scan->pids[scan->pid_count++] = pid;
    return 0;
}

/* The pid a directory entry's name is, or 0. */
static uint32_t pid_of(const char *name)
{
    uint32_t pid = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (name[i] < '0' || name[i] > '9' || i >= 9)
            return 0;
        pid = pid * 10 + (uint32_t)(name[i] - '0');
    }
    return pid;
}

static int compare_pids(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static int list_pids(struct process_scan *scan)
{
    int error = readbuf_reserve(&scan->text, DIRECTORY_BYTES);
    if (error != 0)
        return error;
    if (lseek(scan->proc_fd, 0, SEEK_SET) < 0)
        return ERR_IO;
    scan->pid_count = 0;
    bool is_sorted = true;
    for (;;) {
        long got = syscall(SYS_getdents64, scan->proc_fd, scan->text.data, DIRECTORY_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            break;
        for (long at = 0; at < got && error == 0;) {
            uint16_t size;
            memcpy(&size, scan->text.data + at + 16, sizeof size);
            uint32_t pid = pid_of(scan->text.data + at + DIRENT_TYPE_BYTES);
            size_t count = scan->pid_count;
            is_sorted = is_sorted && (pid == 0 || count == 0 || scan->pids[count - 1] < pid);
            if (pid != 0)
                error = add_pid(scan, pid);
            at += size;
        }
        if (error != 0)
            return error;
    }
    /* procfs lists them ascending; a recorded tree need not. */
    if (!is_sorted)
        qsort(scan->pids, scan->pid_count, sizeof *scan->pids, compare_pids);
    return 0;
}

static int open_below(const struct process_scan *scan, uint32_t pid, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "%u/%s", pid, file);
    int fd;
    do
        fd = openat(scan->proc_fd, path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int process_read(struct process_scan *scan, uint32_t pid, const char *file,
                 struct span *ret_text)
{
    int fd = open_below(scan, pid, file);
    if (fd < 0)
        return procfile_error(errno);
    int error = procfile_read_piece(fd, &scan->text, ret_text);
    close(fd);
    return error;
}

int process_list(struct process_scan *scan, uint32_t pid, const char *folder, size_t most,
                 int (*each)(void *context, int folder, const char *name), void *context)
{
    size_t listed = 0;
    long got = 0;
    int error = readbuf_reserve(&scan->text, LIST_BYTES);
    if (error != 0)
        return error;
    int fd = open_below(scan, pid, folder);
    if (fd < 0)
        return procfile_error(errno);
    while (error == 0 && listed < most &&
           (got = syscall(SYS_getdents64, fd, scan->text.data, LIST_BYTES)) > 0)
        for (long at = 0; at < got && error == 0; listed++) {
            uint16_t size;
            const char *name = scan->text.data + at + DIRENT_TYPE_BYTES;
            memcpy(&size, scan->text.data + at + 16, sizeof size);
            if (name[0] != '.')
                error = each(context, fd, name);
            at += size;
        }
    if (got < 0)
        error = procfile_error(errno);
    close(fd);
    return error;
}

void process_read_failed(struct process_scan *scan, int error)
{
    scan->reads_incomplete += error != ERR_NOTFOUND;
}

static void keep_fd(struct process_scan *scan, struct process *process, int fd)
{
    if (process->kept_fd < 0 && scan->fds_kept < scan->fds_limit) {
        process->kept_fd = fd;
        scan->fds_kept++;
    } else {
        close(fd);
    }
}

static void drop_fd(struct process_scan *scan, struct process *process)
{
    if (process->kept_fd >= 0) {
        close(process->kept_fd);
        process->kept_fd = -1;
        scan->fds_kept--;
    }
}

static int read_open_stat(struct process_scan *scan, int fd, struct process_stat *ret_stat)
{
    struct span text;
    int error = procfile_read_piece(fd, &scan->text, &text);
    if (error == 0 && !process_stat_parse(text, ret_stat))
        error = ERR_MALFORMED;
    return error;
}

/* Reads and parses stat, opening it if need be. */
static int read_stat(struct process_scan *scan, struct process *process,
                     struct process_stat *ret_stat)
{
    if (process->kept_fd >= 0 && !process->is_resting)
        return read_open_stat(scan, process->kept_fd, ret_stat);
    int fd = open_below(scan, process->pid, "stat");
    if (fd < 0)
        return procfile_error(errno);
    int error = read_open_stat(scan, fd, ret_stat);
    if (error != 0)
        close(fd);
    else
        keep_fd(scan, process, fd);
    return error;
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

uint32_t process_hash(struct span text)
{
    uint32_t hash = 2166136261u;
    for (const char *at = text.at; at < text.end; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash;
}

static uint32_t clamp32(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* Takes over what stat says; counters step into the group. */
static void update(struct process *process, const struct process_stat *stat, double seconds)
{
    struct process_group *group = process->group;
    uint64_t user = 0, system = 0, minor = 0, major = 0;
    uint64_t child_user = 0, child_system = 0;
    if (!process->has_stat && !process->is_newborn) {
        process->child_user = (uint32_t)stat->child_user_ticks;
        process->child_system = (uint32_t)stat->child_system_ticks;
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
    process_step(&process->child_user, stat->child_user_ticks, &child_user);
    process_step(&process->child_system, stat->child_system_ticks, &child_system);
    process->reaped_user = (uint32_t)child_user;
    process->reaped_system = (uint32_t)child_system;
    process->parent = stat->parent;
    if (group != NULL) {
        group->user_ticks += user;
        group->system_ticks += system;
        group->minor_faults += minor;
        group->major_faults += major;
    }
    if (user + system > 0)
        process->is_active = true;
    process->is_stale = true;
    process->are_files_stale = process->are_files_stale || !process->is_resting;
    process_rest_note(process, user + system > 0);
    process->cpu_rate =
        seconds > 0 ? (float)((double)(user + system) / PROCESS_USER_HZ / seconds) : 0;
    process->state = stat->state;
    process->virtual_bytes = stat->virtual_bytes;
    process->resident_pages = clamp32(stat->resident_pages);
    process->threads = clamp32(stat->threads);
}

static void enter(struct process_scan *scan, struct process *process,
                  const struct process_stat *stat)
{
    char path[16];
    struct stat about;
    process->start_ticks = stat->start_ticks;
    process->is_kernel = (stat->flags & PROCESS_FLAG_KTHREAD) != 0;
    process->is_newborn = scan->has_run && stat->start_ticks > scan->first_scan_ticks;
    process->is_fresh = process->is_newborn;
    if (!scan->has_run && stat->start_ticks > scan->first_scan_ticks)
        scan->first_scan_ticks = stat->start_ticks;
    /* The folder belongs to the effective user. */
    snprintf(path, sizeof path, "%u", process->pid);
    if (fstatat(scan->proc_fd, path, &about, 0) == 0)
        process->user = about.st_uid;
}

/* Brings one row up to date.  False: the process is gone. */
static bool refresh(struct process_scan *scan, struct process *process, bool is_new,
                    double seconds, process_classify_function *classify, void *context)
{
    struct process_stat stat;
    if (!is_new && process_rest_holds(scan, process, seconds))
        return true;
    if (!is_new)
        process_rest_begin(scan, process);
    int error = read_stat(scan, process, &stat);
    if (error != 0) {
        scan->reads_failed += error != ERR_NOTFOUND;
        if (!is_new)
            process_family_gone(scan, process);
        drop_fd(scan, process);
        return false;
    }
    if (!is_new && stat.start_ticks != process->start_ticks) {
        /* The pid was used again; what we held belongs to the one before. */
        uint32_t pid = process->pid;
        process_family_gone(scan, process);
        if (process->is_resting)
            drop_fd(scan, process); /* not this one's */
        int fd = process->kept_fd;
        *process = (struct process){.pid = pid, .kept_fd = fd};
        is_new = true;
    }
    if (is_new)
        enter(scan, process, &stat);
    uint32_t hash = process_hash(stat.comm);
    bool has_forked_only = (stat.flags & PROCESS_FLAG_NO_EXEC) != 0;
    if (process->has_forked_only && !has_forked_only)
        process->has_exec = true; /* whoever calls a wrapper by the same name */
    process->has_forked_only = has_forked_only;
    if (is_new || hash != process->comm_hash || process->has_exec) {
        process->has_exec = false;
        process->comm_hash = hash;
        classify(context, process, &stat);
    }
    update(process, &stat, seconds);
    return true;
}

static int reserve_rows(struct process_scan *scan)
{
    if (scan->spare_capacity >= scan->pid_count)
        return 0;
    size_t capacity = scan->pid_count + scan->pid_count / 4 + 64;
    struct process *rows = realloc(scan->spare, capacity * sizeof(*rows));
    if (rows == NULL)
        return ERR_NOMEM;
    scan->spare = rows;
    scan->spare_capacity = capacity;
    return 0;
}

/* A row of the last look whose process is no more. */
static void leave(struct process_scan *scan, struct process *process)
{
    process_family_gone(scan, process);
    drop_fd(scan, process);
}

int process_scan_run(struct process_scan *scan, double seconds,
                     process_classify_function *classify, void *context)
{
    int error = list_pids(scan);
    if (error == 0)
        error = reserve_rows(scan);
    if (error != 0) {
        scan->looks_failed++;
        return error;
    }

    size_t old = 0, count = 0;
    for (size_t i = 0; i < scan->pid_count; i++) {
        uint32_t pid = scan->pids[i];
        if (i > 0 && scan->pids[i - 1] == pid)
            continue; /* a directory that changes while it is read may repeat itself */
        while (old < scan->count && scan->rows[old].pid < pid)
            leave(scan, &scan->rows[old++]);
        bool is_new = old >= scan->count || scan->rows[old].pid != pid;
        struct process *row = &scan->spare[count];
        if (is_new)
            *row = (struct process){.pid = pid, .kept_fd = -1};
        else
            *row = scan->rows[old++];
        if (refresh(scan, row, is_new, seconds, classify, context))
            count++;
    }
    while (old < scan->count)
        leave(scan, &scan->rows[old++]);
    process_family_settle(scan, scan->spare, count);

    struct process *rows = scan->rows;
    size_t capacity = scan->capacity;
    scan->rows = scan->spare;
    scan->count_before = scan->count;
    scan->capacity = scan->spare_capacity;
    scan->count = count;
    scan->spare = rows;
    scan->spare_capacity = capacity;
    scan->has_run = true;
    return 0;
}

void process_scan_close(struct process_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        drop_fd(scan, &scan->rows[i]);
    free(scan->rows);
    free(scan->spare);
    free(scan->pids);
    free(scan->gone);
    readbuf_done(&scan->text);
    if (scan->is_open)
        close(scan->proc_fd);
    *scan = (struct process_scan){0};
}
