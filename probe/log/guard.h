/*
 * guard.h - is the server behind this folder there?  Asked before a log file on it is touched.
 *
 * A read from a mount whose server is gone does not come back, and the probe's loop would stop
 * with it.  So files on mounts that depend on another host (NFS, CIFS, FUSE and their like) are
 * read only right after the mount has answered statfs(), which such file systems pass on to the
 * server: on a thread of the mount's own, waited for at most GUARD_PATIENCE_MS.  A mount that
 * does not answer is left alone, without waiting, until it has; its files are read on then, no
 * line is lost by it.  What is on local file systems costs nothing.
 *
 * What is left is the moment between the answer and the reads of the same tick, a few
 * milliseconds in each: a server that dies just then still holds the probe up.
 *
 * Thread: the loop's, and one a mount that log files lie on, which only calls `ask`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GUARD_PATIENCE_MS 100
#define GUARD_MOUNTS_MAX  ((size_t)64) /* that depend on others; further ones are trusted */

struct guard;
struct guard_mount;

/* Comes back when the file system mounted at `point` has answered.  Any thread. */
typedef void guard_ask(const char *point);

/* `ask`: NULL but in tests.  Reads PROCFS/mounts; copied.  ERR_NOMEM. */
int guard_new(const char *procfs, guard_ask *ask, struct guard **ret_guard);
/* A thread whose mount hangs is left to it, and frees what it holds when it comes back. */
void guard_free(struct guard *guard); /* NULL is allowed */

/* Reads the mount table again.  What guard_find() gave stays valid until guard_free(). */
void guard_look(struct guard *guard);

/* The mount that must answer before `path` is touched; NULL: none.  Symbolic links on the way
 * are followed, without touching a mount that may hang.  `path` may end in a pattern. */
struct guard_mount *guard_find(struct guard *guard, const char *path);

/* From here on mounts are asked anew: once a tick is enough. */
void guard_begin(struct guard *guard);

/* May its files be touched in this tick?  NULL: yes. */
bool guard_answers(struct guard_mount *mount);

/* How many mounts do not answer, and the folder of one of them (or NULL). */
size_t guard_hanging(const struct guard *guard, const char **ret_point);
