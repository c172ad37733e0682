/*
 * value_lists.h - which values a label has in a history file, kept for the next question.
 *
 * Boards ask for all instances again and again, and file after file holds the same ones.  What a
 * file holds never changes and its generation is never used again, so a list that was read (each row
 * against its seal) is never wrong; and lists that are the same, byte by byte, are here once: by the
 * pointer whoever asks sees that a file adds nothing to what it has.
 *
 *     (generation, label) --> list <-- (generation, label)
 *
 * A list is the texts in the file's order, each behind its size (buf_put_sized).  The names of all
 * labels are the list of the label "".
 *
 * Bounded: the least recently used goes, and what a file's end makes useless.  Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

struct value_lists;
struct value_list;

int value_lists_new(size_t limit_bytes, struct value_lists **ret_lists);
/* Nobody holds a list any more.  NULL is allowed. */
void value_lists_free(struct value_lists *lists);

/* The list, held until it is released; NULL: it is not there. */
struct value_list *value_lists_find(struct value_lists *lists, uint64_t generation,
                                    struct bytes label);
/* Takes in a copy, and hands out the one that is kept of all that are equal, held until it is
 * released.  NULL: it is too large, or there is no memory. */
struct value_list *value_lists_put(struct value_lists *lists, uint64_t generation,
                                   struct bytes label, struct bytes texts);
/* Fixed while it is held. */
struct bytes value_list_texts(const struct value_list *list);
void value_lists_release(struct value_lists *lists, struct value_list *list); /* NULL allowed */
/* The file is gone, or not to be believed any more. */
void value_lists_forget(struct value_lists *lists, uint64_t generation);
/* Lists, how many (file, label) they are of, and their bytes. */
void value_lists_sum(struct value_lists *lists, size_t *ret_lists, size_t *ret_entries,
                     size_t *ret_bytes);
