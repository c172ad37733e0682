/*
 * process_exits.h - what processes had used when they ended, as the kernel accounts for it:
 * taskstats (Documentation/accounting/taskstats.rst, linux/taskstats.h).
 *
 * The kernel sends a record for each thread that ends.  They are read once a look; one that was
 * never seen by a look, or used more after the last one, is known by it alone.  When there were
 * more than the socket holds, that is counted.
 *
 * Needs CAP_NET_ADMIN, the host's own user and process namespaces, and a kernel with
 * CONFIG_TASKSTATS and CONFIG_TASK_XACCT.  Kernels before 5.19 do not tell which process a
 * thread was of: there, only the first threads of processes whose exit was heard count
 * (process_events.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/source/process_scan.h"
#include "proto/base/bytes.h"

#define EXITS_MAX       ((size_t)16384) /* of a look; the rest is counted as lost */
#define EXIT_NAME_BYTES 32

struct process_exit {
    uint32_t thread;
    uint32_t process; /* 0: the kernel does not tell */
    uint32_t parent, user;
    uint64_t user_us, system_us; /* CPU */
    uint64_t read_bytes, write_bytes;
    char name[EXIT_NAME_BYTES];
    uint8_t name_size;
};

/* Zeroed is closed. */
struct process_exits {
    int fd; /* valid if is_open */
    bool is_open;
    uint16_t family;
    struct process_exit *rows; /* of this look */
    size_t count, capacity;
    uint32_t *heard; /* processes whose exit was heard since the look before */
    size_t heard_count, heard_capacity;
    uint64_t lost; /* times that the socket was full, or there was no room */
};

/* Asks for records.  ERR_REFUSED: this user or namespace may not have them; ERR_NOTFOUND: this
 * kernel has none. */
int process_exits_open(struct process_exits *exits);

/* Reads what has come into rows. */
void process_exits_read(struct process_exits *exits);

/* An event of exit. */
void process_exits_hear(struct process_exits *exits, uint32_t process);

/* Books what no look has seen to groups: those of processes that were seen, else what `find`
 * says; after process_scan_run().  Forgets rows and what was heard. */
void process_exits_settle(struct process_exits *exits, const struct process_scan *scan,
                          struct process_group *(*find)(void *context,
                                                        const struct process_exit *exit),
                          void *context);

/* One message of the family.  False: no record. */
bool process_exit_parse(struct bytes message, uint16_t family, struct process_exit *ret_exit);

void process_exits_close(struct process_exits *exits);
