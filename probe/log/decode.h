/*
 * decode.h - the bytes of a log line as UTF-8, whatever they were.
 *
 * What does not decode becomes U+FFFD and is reported; a line never fails.  No state; any
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

enum log_encoding {
    LOG_ENCODING_AUTO, /* a line that is not UTF-8 is read as GB18030 if it is all valid there
                        */
    LOG_ENCODING_UTF8,
    LOG_ENCODING_GB18030,
    LOG_ENCODING_UTF16, /* by the file's byte order mark; without one little-endian */
    LOG_ENCODING_UTF16LE,
    LOG_ENCODING_UTF16BE
};

/* "auto", "utf-8", "gb18030", "gbk", "cp936", "utf-16" ...; false: no such name. */
bool log_encoding_named(const char *name, enum log_encoding *ret_encoding);

/* The names above, for messages; ends with NULL. */
extern const char *const log_encoding_names[];

/* What a file is in, given its first bytes: settles UTF16, and AUTO for a file that begins with
 * a UTF-16 byte order mark. */
enum log_encoding log_encoding_of_file(enum log_encoding encoding, struct bytes first);

/* Where the first newline begins; data.size if there is none.  `data` starts at a character. */
size_t log_newline_find(enum log_encoding encoding, struct bytes data);

/* Bytes a newline takes: 1, or 2 in UTF-16. */
size_t log_newline_size(enum log_encoding encoding);

/* How many of the bytes are whole characters: less at the end where a long line was cut. */
size_t log_whole_characters(enum log_encoding encoding, struct bytes data);

struct decoded {
    size_t size;   /* bytes written, valid UTF-8 */
    bool replaced; /* something did not decode */
    bool cut;      /* the room was too small; cut at a character */
};

/* Decodes one line (without its newline) into `room` bytes at `to`.  A byte order mark, a run
 * of NULs at the start (the hole that a truncated file gets) and a carriage return at the end
 * are left out. */
struct decoded decode_line(enum log_encoding encoding, struct bytes raw, uint8_t *to,
                           size_t room);
