/*
 * input.h - a file's bytes, or standard input's, unpacked if they are gzip or zstd.
 *
 * What they are is told by their first bytes, not by the name; several packed pieces one after
 * the other are one text.  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/diagnosis.h"

struct input;

/* `path` "-" is standard input; it must outlive the input. */
int input_open(const char *path, struct input **ret_input, struct diagnosis *why);
void input_close(struct input *input); /* NULL is allowed */

/* Up to `size` bytes; 0 at the end.  ERR_IO, ERR_MALFORMED (damaged, or cut off) with `why`. */
int input_read(struct input *input, uint8_t *to, size_t size, size_t *ret_size,
               struct diagnosis *why);

/* Bytes taken from the file so far, and its size (0: not known); before unpacking. */
uint64_t input_taken(const struct input *input);
uint64_t input_size(const struct input *input);

/* Does the text, as far as one can tell without unpacking it, end in "# EOF"? */
bool input_ends_in_eof(const struct input *input);
