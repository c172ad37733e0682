/*
 * io_world.h - the disk as a test sees it: every call that changes it passes by here.
 *
 * A program that links io_world.c has these calls replaced, those of LMDB in it included:
 *     open pwrite write writev fsync fdatasync ftruncate fallocate rename link unlink mkdir rmdir
 * of regular files and folders below one folder (the rest passes through).  What may happen then:
 *
 *   io_world_fast()      nothing is really synced: for tests whose subject is not the disk
 *   io_world_die_at()    the process ends at the n-th call, or in the middle of it
 *   io_world_record()    each call is written down, to be played again (disk_image.h)
 *   io_world_fail()      writes fail with ENOSPC, syncs take their time
 *
 * As a shared library it does the same for programs that are started with LD_PRELOAD:
 * IO_WORLD_FOLDER is what it watches, IO_WORLD_SYNC_MS how long each sync takes while there is a
 * file IO_WORLD_SLOW_WHEN.
 *
 * mmap is no way around: LMDB is not used with MDB_WRITEMAP; its lock file, which is mapped, is
 * made anew by whoever opens first.
 *
 * The state is the process's; forked children inherit it.  Any thread: calls are put in an order
 * by a lock, which is held while a call is made, as one disk would.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum io_kind {
    IO_CREATE = 1, /* a file, by open */
    IO_WRITE,
    IO_WRITE_THROUGH, /* to a descriptor opened O_DSYNC: durable when it returns */
    IO_RESIZE,
    IO_PUNCH,
    IO_SYNC, /* of a file or a folder */
    IO_RENAME,
    IO_LINK,
    IO_UNLINK,
    IO_MKDIR,
    IO_RMDIR,
    IO_NOTE, /* the test's own word */
};

/* One call in the journal; then `path_bytes` and `other_bytes` of paths below the folder, then
 * `size` bytes that were written. */
struct io_record {
    uint32_t kind;
    uint32_t path_bytes, other_bytes;
    uint32_t note;
    uint64_t file; /* inode: a file under any name */
    uint64_t offset, size;
};

void io_world_watch(const char *folder); /* absolute; from now on */
void io_world_fast(void);
/* 0: never.  `in_the_middle`: a write is cut in half first. */
void io_world_die_at(uint64_t call, bool in_the_middle);
#define IO_WORLD_DEAD 99 /* the exit status then */
/* The journal is a file outside of the folder, made anew. */
void io_world_record(const char *journal);
void io_world_note(uint32_t note);
/* Calls so far that changed or synced something. */
uint64_t io_world_calls(void);
/* Writes that would grow the folder's files past `bytes_left` more fail with ENOSPC; UINT64_MAX:
 * none.  Each sync takes `sync_ms` at least. */
void io_world_room(uint64_t bytes_left);
void io_world_slow(unsigned sync_ms);
