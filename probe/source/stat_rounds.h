/*
 * stat_rounds.h - statvfs() over many mounts, none of which can hang the caller.
 *
 * statvfs() on a dead NFS server sleeps in the kernel until the server comes back, and nothing
 * can wake it.  So the calls are made by a helper thread:
 *
 *     caller                     helper
 *     stat_round_run() --------> statvfs(/)  statvfs(/data)  statvfs(/nfs) ... sleeps
 *       waits, at most timeout_ms for each call
 *       gives the helper up, marks /nfs hanging, starts another helper for what is left
 *     returns
 *
 * Until the kernel lets go of that helper its mount is not asked again.  At most
 * STAT_HELPERS_MAX helpers may hang; while they all do, nothing more is asked.
 *
 * Not thread-safe: one caller at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>

#define STAT_HELPERS_MAX 8

enum stat_outcome {
    STAT_DONE,    /* `result` is valid */
    STAT_FAILED,  /* the system refused */
    STAT_HANGING, /* it has not answered yet, in this round or an earlier one */
};

struct stat_request {
    const char *path; /* the caller's, for the length of the call */
    enum stat_outcome outcome;
    struct statvfs result;
};

struct stat_rounds;

/* `call` is statvfs() or a test's; it must be callable from any thread.  ERR_NOMEM. */
int stat_rounds_new(int (*call)(const char *path, struct statvfs *result),
                    struct stat_rounds **ret_rounds);

/* Fills outcome and result of every request; waits at most timeout_ms for any one of them.
 * ERR_NOMEM, ERR_IO (no thread could be made): outcomes not set are STAT_FAILED. */
int stat_rounds_run(struct stat_rounds *rounds, struct stat_request *requests, size_t count,
                    int timeout_ms);

/* Helpers that hang are left behind: they hold nothing of the caller's.  NULL is allowed. */
void stat_rounds_free(struct stat_rounds *rounds);
