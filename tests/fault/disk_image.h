/*
 * disk_image.h - a folder as it can look after the power has gone, out of a journal of calls.
 *
 * The journal is io_world.h's.  What is certain at a moment: bytes of a file that were written
 * before a sync of it that had returned; names that a folder had before a sync of it.  The rest
 * may or may not have reached the disk:
 *     a write       whole, not at all, or some of its sectors of 512 bytes
 *     names         as file systems with a journal do it, up to some call in their order
 * A file that is there under its name and was never synced may thus be empty, or have holes.
 *
 * That is harsher than ext4 or XFS, where the sync of a new file takes its name along.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct journal;

enum image_fate {
    IMAGE_KILL, /* the process died, the system did not: all that was called was done */
    IMAGE_LOSE, /* nothing that was not synced is there */
    IMAGE_LATE, /* of the writes to a file that were not synced the last alone; all names */
    IMAGE_MIX,  /* by chance */
};

struct journal *journal_load(const char *path);
void journal_free(struct journal *journal);
/* Calls and notes; and the note of one, 0 if it is none. */
size_t journal_length(const struct journal *journal);
uint32_t journal_note(const struct journal *journal, size_t n);
const char *journal_name(const struct journal *journal, size_t n); /* of the call, for messages */
/* Makes the folder (its parent is there, it is not) as it is after the first `n` of them. */
void journal_play(const struct journal *journal, size_t n, enum image_fate fate, unsigned seed,
                  const char *folder);
