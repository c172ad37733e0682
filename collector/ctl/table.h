/*
 * table.h - columns that line up in a terminal, also where a character takes two cells.
 *
 * Width follows Unicode's East Asian Width (W and F are two cells) and counts combining marks as
 * none; texts are UTF-8, and control characters are shown as dots so that a host's log line
 * cannot drive the reader's terminal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS_MAX 12

struct table {
    char **cells; /* row by row */
    size_t columns, rows, capacity;
};

/* The first row is the head. */
void table_init(struct table *table, size_t columns);
/* `columns` texts, copied. */
void table_row(struct table *table, const char *const *cells);
/* Prints and frees. */
void table_print(struct table *table);

/* Terminal cells of a text. */
size_t text_width(const char *text);
/* The text with control characters made visible; the caller frees. */
char *text_visible(const char *text);
