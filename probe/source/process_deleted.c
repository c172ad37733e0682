/*
 * process_deleted.c - files that are deleted and open (process_deleted.h).
 *
 * The surprise: a file may really be called "x (deleted)"; then it counts, too.  Nobody calls
 * one so.
 */
#include "probe/source/process_deleted.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

struct deleted {
    uint32_t files;
    uint64_t bytes;
};

static int add_link(void *context, int folder, const char *name)
{
    struct deleted *deleted = context;
    char target[4096];
    ssize_t end = readlinkat(folder, name, target, sizeof target);
    if (end > 0 && process_deleted_link((struct span){target, target + end})) {
        deleted->files++;
        deleted->bytes += bytes_of_file(folder, name);
    }
    return 0;
}

void process_deleted_read(struct process_scan *scan, struct process *process)
{
    struct deleted deleted = {0};
    if (process_list(scan, process->pid, "fd", DELETED_LINKS_MOST, add_link, &deleted) != 0)
        return;
    process->deleted_files = deleted.files;
    process->deleted_bytes = deleted.bytes;
}
