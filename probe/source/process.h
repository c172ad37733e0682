/*
 * process.h - what is kept of a process, and of a group of them, from tick to tick.
 *
 * A probe may watch thousands of processes, so a process costs some hundred bytes and no
 * allocation of its own.  Counters are kept as their low 32 bits where less than 2^31 can pass
 * between two ticks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/emitter.h"

#define PROCESS_USER_HZ 100.0

/* What has been read of a process at least once. */
enum process_known {
    KNOWN_SWITCHES = 1,
    KNOWN_SWAP = 2,
    KNOWN_IO = 4,
    KNOWN_FILES = 8,
    KNOWN_PSS = 16,
    TRIED_LIGHT = 32, /* status and io were read, or refused */
    TRIED_FILES = 64, /* fd and limits were read, or refused */
    TRIED_PSS = 128,  /* smaps_rollup was read, or refused */
};

struct process_group;

struct process {
    uint32_t pid;
    uint32_t comm_hash;
    uint64_t start_ticks;        /* with the pid: identity */
    struct process_group *group; /* NULL: in none */
    int kept_fd;                 /* of its stat, or of its schedstat while it rests; or -1 */
    uint32_t user;               /* effective user id */
    uint32_t parent;
    char state;
    uint8_t known;    /* enum process_known */
    uint8_t pss_skip; /* turns to let pass: reading its page tables took long */
    bool is_kernel : 1;
    bool is_newborn : 1;   /* began after the first scan: its counters count from zero */
    bool is_active : 1;    /* has used CPU since its last light read */
    bool has_stat : 1;     /* counters below hold a first value */
    bool is_fresh : 1;     /* began since the last look */
    bool has_exec : 1;     /* runs another program: to be classified anew */
    bool is_owed_long : 1; /* what it is owed was owed at the last look, too */
    bool is_resting : 1;   /* has not run for some looks (process_rest.h) */
    bool is_stale : 1;     /* may have run since its last light read */
    bool are_files_stale : 1;
    bool has_forked_only : 1; /* runs what its parent ran: no exec yet */
    uint8_t idle_looks;       /* without use of CPU, up to 255 */
    uint8_t rest_after;       /* so many of them, and it may rest */
    uint8_t rest_looks;       /* since it rests, up to 255 */
    uint8_t files_turns;
    uint32_t rest_hash, rest_ms; /* of schedstat; since stat was read */
    uint32_t command_hash;       /* of the command line that it was classified by; 0: by none */

    uint32_t user_ticks, system_ticks, minor_faults, major_faults;
    uint32_t voluntary, nonvoluntary;
    /* Ticks of children it has waited for: in all, in this look, and of those that were seen
     * to be gone (process_family.h). */
    uint32_t child_user, child_system, reaped_user, reaped_system, owed_user, owed_system;
    uint64_t read_bytes, write_bytes;

    uint64_t virtual_bytes;
    uint32_t resident_pages, threads;
    uint32_t swap_kb, pss_kb, swap_pss_kb;
    uint32_t files, files_limit;
    uint32_t deleted_files; /* open ones (process_deleted.h) */
    uint64_t deleted_bytes;

    float cpu_rate;              /* seconds a second, over the last tick */
    float read_rate, write_rate; /* bytes a second, between the last two reads of io */
    uint32_t io_age_ms;          /* time since the last read of io */
};

enum group_series {
    GROUP_PROCS,
    GROUP_THREADS,
    GROUP_CPU_USER,
    GROUP_CPU_SYSTEM,
    GROUP_RESIDENT,
    GROUP_VIRTUAL,
    GROUP_SWAPPED,
    GROUP_PSS,
    GROUP_SWAP_PSS,
    GROUP_READ,
    GROUP_WRITE,
    GROUP_FILES,
    GROUP_FD_RATIO,
    GROUP_OLDEST,
    GROUP_RUNNING,
    GROUP_SLEEPING,
    GROUP_WAITING,
    GROUP_ZOMBIE,
    GROUP_OTHER,
    GROUP_VOLUNTARY,
    GROUP_NONVOLUNTARY,
    GROUP_MAJOR,
    GROUP_MINOR,
    GROUP_EXPECTED, /* only of a fixed name */
    GROUP_CHILD_USER,
    GROUP_CHILD_SYSTEM,
    GROUP_RESTARTS,
    GROUP_UNSEEN_USER, /* the next four with records of exits only */
    GROUP_UNSEEN_SYSTEM,
    GROUP_UNSEEN_READ,
    GROUP_UNSEEN_WRITE,
    GROUP_DELETED, /* of groups that had any */
    GROUP_DELETED_BYTES,
    GROUP_LAST_CODE, /* the last five with events only */
    GROUP_LAST_SIGNAL,
    GROUP_EXIT_OK,
    GROUP_EXIT_ERROR,
    GROUP_EXIT_SIGNAL,
    GROUP_SERIES
};
#define GROUP_STATES (GROUP_OTHER - GROUP_RUNNING + 1)

struct process_group {
    bool is_fixed;          /* named by a rule: watched without members too */
    int64_t empty_since_ms; /* 0: has members */
    series_handle handles[GROUP_SERIES];

    /* counters: what members did while they were members, gone ones included */
    uint64_t user_ticks, system_ticks, minor_faults, major_faults;
    uint64_t voluntary, nonvoluntary, read_bytes, write_bytes;
    uint8_t ever_known; /* enum process_known bits that any member had */
    uint64_t child_user_ticks, child_system_ticks; /* nobody's own (process_family.h) */
    uint64_t restarts;
    uint64_t unseen_us[2], unseen_bytes[2]; /* user, system; read, written (process_exits.h) */
    bool is_unseen_told;
    bool has_exited, had_deleted;
    uint32_t last_status; /* of the exit heard last, as wait(2) has it */
    uint64_t exits[GROUP_EXIT_SIGNAL - GROUP_EXIT_OK + 1];
    uint32_t unreplaced, unreplaced_before; /* members that went, and none came for them */
    int64_t unreplaced_ms;                  /* since when */

    /* sums of this tick */
    uint32_t procs, pending_light, pending_files, pending_pss;
    uint32_t swap_known, files_known, pss_known;
    uint32_t states[GROUP_STATES];
    uint64_t threads, resident_pages, virtual_bytes, swap_kb, pss_kb, swap_pss_kb, files;
    uint64_t deleted_files, deleted_bytes;
    uint64_t oldest_start_ticks;
    double worst_fd_ratio;
};
