/*
 * host.h - what the probe as a process asks of, and tells, the operating system.
 *
 * Two implementations: host.c (Linux), windows/host.c.  The loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"

#define HOST_BOOT_ID_BYTES 16

/* Calls `run` with the arguments as UTF-8, in the surroundings that this system starts programs
 * in (on Windows: as a service, if it was asked for); its result is the process's exit code. */
int host_main(int argc, char **argv, int (*run)(int argc, char **argv));

/* Once, before the loop is there: how memory is kept, which signals are none of ours. */
void host_prepare(void);

/* Some seconds after the start: gives back what only the start needed. */
void host_settle(void);

/* What is the same until the host boots again, and never again. */
int host_boot_id(uint8_t ret_id[HOST_BOOT_ID_BYTES], struct diagnosis *why);

struct host_usage {
    double cpu_seconds;    /* of this process, user and system */
    double resident_bytes; /* NAN: not known */
};
/* False: not known at all. */
bool host_usage(struct host_usage *ret_usage);

/* The name that this host goes by; false: it has none.  NUL-terminated, cut if need be. */
bool host_name(char *ret_name, size_t room);

/* For --check: prints what this process may not see, and why.  ERR_* with `why`. */
int host_report_rights(struct diagnosis *why);

/* Flags of this system alone, for --help; "" without one. */
const char *host_help(void);
