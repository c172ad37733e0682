/*
 * procfile.h - kernel files: opened once, read whole again and again.
 *
 * A file of /proc or /sys is made anew by the kernel at each read from offset 0, so a kept
 * descriptor and pread() save the path walk at every tick.  Text lands in a read buffer that
 * one source shares among all its files: what procfile_read() yields is valid until the next
 * read into the same buffer.  The buffer grows to the largest file seen and stays so.
 *
 * Regular files of a recorded tree behave the same.  Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/source/scan.h"

#define PROCFILE_BYTES_MAX ((size_t)4 << 20) /* the largest file read whole: ERR_LIMIT */

struct readbuf {
    char *data;
    size_t capacity;
};

/* Zeroed is closed. */
struct procfile {
    int fd;
    bool is_open;
};

/* Frees the memory; the buffer may be used again. */
void readbuf_done(struct readbuf *buf);

/* Makes room for at least `size` bytes.  ERR_NOMEM. */
int readbuf_reserve(struct readbuf *buf, size_t size);

/* Opens root/path.  ERR_NOTFOUND, ERR_REFUSED, ERR_LIMIT (path too long), ERR_IO. */
int procfile_open(struct procfile *file, const char *root, const char *path);

/* Reads the whole file.  ERR_NOTFOUND also when the thing described has gone since
 * (ESRCH, ENODEV); ERR_REFUSED, ERR_LIMIT, ERR_NOMEM, ERR_IO. */
int procfile_read(const struct procfile *file, struct readbuf *buf, struct span *ret_text);

/* Calls `each` for every line, with a buffer of a page whatever the file's size: for tables that
 * grow with the host (sockets, interrupts).  The kernel gives no more at once.  The buffer grows
 * for a line that does not fit, to PROCFILE_LINE_BYTES; a longer line is given cut, once.
 * Errors as procfile_read(); lines may have been given before one. */
#define PROCFILE_LINE_BYTES ((size_t)64 << 10)
int procfile_lines(const struct procfile *file, struct readbuf *buf,
                   void (*each)(void *context, struct span line), void *context);

/* NULL or closed is allowed. */
void procfile_close(struct procfile *file);

/* Opens, reads and closes root/path. */
int procfile_read_path(const char *root, const char *path, struct readbuf *buf,
                       struct span *ret_text);

/* The same by descriptor, for files that come in one piece (a short read is the end, which
 * saves the second call): everything below /proc/PID but maps, mounts and smaps. */
int procfile_read_piece(int fd, struct readbuf *buf, struct span *ret_text);

/* errno of a failed open or read as an error code. */
int procfile_error(int system_error);
