/*
 * gb18030_table.h - the tables of gb18030.c.
 */
#pragma once

#include <stdint.h>
#include <uchar.h>

#define GB18030_LEFT_ROWS     119 /* lead bytes 81..A0, A8..FE */
#define GB18030_LEFT_COLUMNS  96
#define GB18030_RIGHT_ROWS    113 /* lead bytes 81..A9, B0..F7 */
#define GB18030_RIGHT_COLUMNS 94
#define GB18030_RUNS          208

struct gb18030_run {
    uint16_t index; /* of the four-byte sequence, counted from 81308130 */
    uint16_t point;
};

extern const char16_t gb18030_left[GB18030_LEFT_ROWS][GB18030_LEFT_COLUMNS + 1];
extern const char16_t gb18030_right[GB18030_RIGHT_ROWS][GB18030_RIGHT_COLUMNS + 1];
extern const struct gb18030_run gb18030_runs[GB18030_RUNS];
