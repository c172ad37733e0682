/*
 * child.h - journalctl as a child process: started, read, ended.
 *
 * It never outlives the probe: the kernel ends it with its parent, however that dies.  Its
 * output is a pipe that is read without waiting; while nobody reads, it waits.  What it
 * complains of is taken along with it, so that it does not wait for that for ever.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JOURNAL_COMPLAINT_BYTES 256

struct journal_child {
    pid_t pid; /* 0: none runs */
    int output, errors;
    char complaint[JOURNAL_COMPLAINT_BYTES]; /* its last line so far */
};

/* Starts `arguments` (arguments[0] is the program's path), with nothing of the probe's open.
 * ERR_IO, ERR_NOMEM.  A program that cannot be run ends with 127. */
int journal_child_start(struct journal_child *child, const char *const *arguments);

/* What it has said; *ret_size 0: nothing now.  ERR_NOTFOUND: it said all it had to say. */
int journal_child_read(struct journal_child *child, uint8_t *to, size_t room, size_t *ret_size);

/* Ends it if it runs; what it complained of last goes to `complaint`. */
void journal_child_end(struct journal_child *child, char complaint[JOURNAL_COMPLAINT_BYTES]);
