/*
 * descriptors.c - see descriptors.h.
 */
#include "collector/descriptors.h"

#include <sys/resource.h>

/* Clients, probes and history files all need descriptors; a shell's usual 1024 are soon gone. */
#define WANTED 65536

void descriptors_raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= WANTED)
        return;
    files.rlim_cur = files.rlim_max < WANTED ? files.rlim_max : WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}
