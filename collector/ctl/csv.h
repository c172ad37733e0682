/*
 * csv.h - rows of a table that came out of a spreadsheet.
 *
 * RFC 4180: fields by commas, in double quotes where they hold commas, quotes (doubled) or line
 * ends; a byte order mark is skipped.  Text is UTF-8, or GB18030 as Chinese spreadsheets write
 * it.  Blanks around a field are cut.
 *
 * One thread.
 */
#pragma once

#include <stddef.h>

#include "proto/base/arena.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define CSV_ROWS_MAX   ((size_t)5000)
#define CSV_FIELDS_MAX ((size_t)64)

struct csv_row {
    unsigned line;
    const char **fields;
    size_t count;
};

struct csv {
    struct csv_row *rows; /* without empty ones */
    size_t count;
};

/* All memory is the arena's.  ERR_MALFORMED (an open quote, neither encoding, a NUL),
 * ERR_LIMIT, ERR_NOMEM. */
int csv_read(struct bytes text, struct arena *arena, struct csv *ret_csv,
             struct diagnosis *why);
