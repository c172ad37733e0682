/*
 * process_rest.c - processes that have not run since (process_rest.h).
 *
 * The surprise is the order: schedstat is read before stat, so that whoever runs between the
 * two is found to have run at the next look.
 */
#include "probe/source/process_rest.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proto/base/clock.h"

/* Idle looks before a process rests: at first, and at most. */
#define REST_AFTER      3
#define REST_AFTER_MOST 192
/* Who rested for less than so many looks is not let rest as soon again. */
#define REST_WORTH 8

/* Hash of the file's text, never 0; 0: it is gone, or its kernel counts nothing. */
static uint32_t read_hash(struct readbuf *buf, int fd)
{
    struct span text;
    uint64_t on_cpu;
    if (procfile_read_piece(fd, buf, &text) != 0)
        return 0;
    uint32_t hash = process_hash(text);
    if (!scan_u64(&text, &on_cpu) || on_cpu == 0)
        return 0;
    return hash != 0 ? hash : 1;
}

static int open_schedstat(const struct process_scan *scan, const char *pid)
{
    char path[32];
    (void)snprintf(path, sizeof path, "%s/schedstat", pid);
    return openat(scan->proc_fd, path, O_RDONLY | O_CLOEXEC);
}

bool process_rest_is_possible(const struct process_scan *scan)
{
    struct readbuf buf = {0};
    int fd = open_schedstat(scan, "self");
    if (fd < 0)
        return false;
    bool is_possible = read_hash(&buf, fd) != 0;
    readbuf_done(&buf);
    close(fd);
    return is_possible;
}

static void wake(struct process_scan *scan, struct process *process)
{
    unsigned after = REST_AFTER;
    if (process->rest_looks < REST_WORTH)
        after = process->rest_after * 2u;
    process->rest_after = (uint8_t)(after < REST_AFTER_MOST ? after : REST_AFTER_MOST);
    process->idle_looks = 0;
    process->is_resting = false;
    close(process->kept_fd);
    process->kept_fd = -1;
    scan->fds_kept--;
}

bool process_rest_holds(struct process_scan *scan, struct process *process, double seconds)
{
    if (!process->is_resting)
        return false;
    uint32_t hash = read_hash(&scan->text, process->kept_fd);
    if (hash != process->rest_hash || process->has_exec) {
        wake(scan, process);
        return false;
    }
    if (process->rest_looks < UINT8_MAX)
        process->rest_looks++;
    process->rest_ms += (uint32_t)(seconds * MS_PER_SEC);
    process->cpu_rate = 0;
    if (process->rest_ms < REST_MOST_MS)
        return true;
    process->rest_ms = 0;
    return false; /* it is read, and rests on */
}

void process_rest_begin(struct process_scan *scan, struct process *process)
{
    char pid[16];
    if (process->rest_after == 0)
        process->rest_after = REST_AFTER;
    if (!scan->can_rest || process->is_resting || process->threads != 1 ||
        process->kept_fd < 0 || process->idle_looks < process->rest_after)
        return;
    (void)snprintf(pid, sizeof pid, "%u", process->pid);
    int fd = open_schedstat(scan, pid);
    if (fd < 0)
        return;
    uint32_t hash = read_hash(&scan->text, fd);
    if (hash == 0) {
        close(fd);
        return;
    }
    close(process->kept_fd);
    process->kept_fd = fd;
    process->rest_hash = hash;
    process->rest_looks = 0;
    /* Not all are read again at the same look. */
    process->rest_ms = process->pid * UINT32_C(7919) % REST_MOST_MS;
    process->is_resting = true;
    process->are_files_stale = true; /* it may have run after they were read */
}

void process_rest_note(struct process *process, bool has_used_cpu)
{
    if (has_used_cpu)
        process->idle_looks = 0;
    else if (process->idle_looks < UINT8_MAX)
        process->idle_looks++;
}
