/*
 * process_deleted.c - files that are deleted and open (process_deleted.h).
 *
 * The surprise: a file may really be called "x (deleted)"; then it counts, too.  Nobody calls
 * one so.
 */
#include "probe/source/process_deleted.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIST_BYTES  ((size_t)4096)
#define NAME_AT     19 /* linux_dirent64 */
#define BLOCK_BYTES 512u

static const char suffix[] = " (deleted)";
static const char *const memory[] = {"/memfd:", "/dev/", "/SYSV", "/[", "/anon_hugepage"};

bool process_deleted_link(struct span target)
{
    size_t size = strlen(suffix);
    if (span_size(target) <= size || target.at[0] != '/' ||
        memcmp(target.end - size, suffix, size) != 0)
        return false;
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (scan_text(&(struct span){target.at, target.end}, memory[i]))
            return false;
    return true;
}

static uint64_t bytes_of_file(int folder, const char *name)
{
#if defined(SYS_statx) && defined(AT_STATX_DONT_SYNC)
    struct statx about;
    if (syscall(SYS_statx, folder, name, AT_STATX_DONT_SYNC, STATX_BLOCKS, &about) == 0)
        return about.stx_blocks * BLOCK_BYTES;
#else
    (void)folder;
    (void)name;
#endif
    return 0;
}

void process_deleted_read(struct process_scan *scan, struct process *process)
{
    char path[32], target[4096];
    uint32_t links = 0, files = 0;
    uint64_t bytes = 0;
    long got;
    (void)snprintf(path, sizeof path, "%u/fd", process->pid);
    int folder = openat(scan->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || readbuf_reserve(&scan->text, LIST_BYTES) != 0) {
        if (folder >= 0)
            close(folder);
        return;
    }
    while (links < DELETED_LINKS_MOST &&
           (got = syscall(SYS_getdents64, folder, scan->text.data, LIST_BYTES)) > 0)
        for (long at = 0; at < got; links++) {
            uint16_t size;
            const char *name = scan->text.data + at + NAME_AT;
            memcpy(&size, scan->text.data + at + 16, sizeof size);
            at += size;
            ssize_t end = name[0] != '.' ? readlinkat(folder, name, target, sizeof target) : 0;
            if (end <= 0 || !process_deleted_link((struct span){target, target + end}))
                continue;
            files++;
            bytes += bytes_of_file(folder, name);
        }
    close(folder);
    process->deleted_files = files;
    process->deleted_bytes = bytes;
}
