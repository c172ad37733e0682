/*
 * host.c - Linux (host.h).
 */
#include "probe/host.h"

#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "proto/base/file.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
/* Blocks of this size go back to the system when freed: a probe's peaks are short. */
#define MMAP_BYTES (64 * 1024)

/* The program's code, named by the linker: from its first header to the end of its text. */
extern const char __executable_start[], etext[];

int host_main(int argc, char **argv, int (*run)(int argc, char **argv))
{
    return run(argc, argv);
}

void host_prepare(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, MMAP_BYTES);
    (void)mallopt(M_ARENA_MAX, 1);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Parsing, locales, the handshake.  These pages are the file's own, never written, and one that
 * is wanted after all comes back from the page cache. */
void host_settle(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)__executable_start + page - 1) & ~(page - 1);
    uintptr_t to = (uintptr_t)etext & ~(page - 1);

    (void)madvise((void *)from, to - from, MADV_DONTNEED);
    (void)malloc_trim(0);
}

/* The kernel's boot id, a UUID in text, as 16 bytes. */
int host_boot_id(uint8_t ret_id[HOST_BOOT_ID_BYTES], struct diagnosis *why)
{
    char *text;
    int error = file_read_whole(BOOT_ID_PATH, 256, &text, NULL, why);
    if (error != 0)
        return error;
    size_t digits = 0;
    memset(ret_id, 0, HOST_BOOT_ID_BYTES);
    for (const char *at = text; *at != '\0' && digits < 2 * HOST_BOOT_ID_BYTES; at++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = strchr(hex, *at);
        if (digit == NULL)
            continue;
        ret_id[digits / 2] =
            (uint8_t)(ret_id[digits / 2] | (digit - hex) << (digits % 2 == 0 ? 4 : 0));
        digits++;
    }
    free(text);
    if (digits != 2 * HOST_BOOT_ID_BYTES)
        return diagnose(why, ERR_MALFORMED, BOOT_ID_PATH ": is no boot id");
    return 0;
}

static double read_resident_bytes(void)
{
    unsigned long size, resident;
    double bytes = (double)NAN;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return bytes;
    if (fscanf(file, "%lu %lu", &size, &resident) == 2)
        bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
    (void)fclose(file);
    return bytes;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

bool host_usage(struct host_usage *ret_usage)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return false;
    *ret_usage = (struct host_usage){seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
                                     read_resident_bytes()};
    return true;
}

bool host_name(char *ret_name, size_t room)
{
    ret_name[room - 1] = '\0';
    return gethostname(ret_name, room - 1) == 0;
}

/* The probe runs as a user of its own.  Three capabilities widen what it sees; each is
 * optional, and what is lost without it is said here rather than guessed from missing series.
 */
static const struct capability {
    unsigned bit; /* linux/capability.h */
    const char *name;
    const char *lost;
} capabilities[] = {
    {2, "CAP_DAC_READ_SEARCH", "log files that only their owner may read are not tailed"},
    {19, "CAP_SYS_PTRACE",
     "I/O, open files, listening ports' owners and proportional memory of other users' "
     "processes are missing"},
    {12, "CAP_NET_ADMIN",
     "exec and exit of processes are found by looking, and what short-lived ones used by what "
     "their parents inherit"},
};

/* The effective capabilities: CapEff in /proc/self/status, a hexadecimal mask. */
static int read_capabilities(unsigned long long *ret_mask, struct diagnosis *why)
{
    char *text;
    int error = file_read_whole("/proc/self/status", 65536, &text, NULL, why);
    if (error != 0)
        return error;
    const char *line = strstr(text, "CapEff:");
    *ret_mask = line == NULL ? 0 : strtoull(line + strlen("CapEff:"), NULL, 16);
    free(text);
    return 0;
}

int host_report_rights(struct diagnosis *why)
{
    unsigned long long mask = 0;
    int error = read_capabilities(&mask, why);
    for (size_t i = 0; error == 0 && i < sizeof capabilities / sizeof capabilities[0]; i++) {
        const struct capability *capability = &capabilities[i];
        if ((mask >> capability->bit & 1) != 0)
            (void)printf("%s: there\n", capability->name);
        else
            (void)printf("%s: missing: %s\n", capability->name, capability->lost);
    }
    return error;
}

const char *host_help(void)
{
    return "";
}
