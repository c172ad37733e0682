/*
 * gb18030.c - see gb18030.h.
 *
 *   one byte    00..7F                                 ASCII
 *   two bytes   81..FE then 40..7E or 80..FE           by table, but for three zones for
 * private use, which run on without a gap: AA..AF A1..FE  U+E000..   F8..FE A1..FE  U+E234..
 * A1..A7 40..A0  U+E4C6.. four bytes  81..FE 30..39 81..FE 30..39            a number: below
 * 39420 by runs, from 189000 on U+10000 and up
 */
#include "probe/log/gb18030.h"

#include <stdbool.h>

#include "probe/log/gb18030_table.h"

#define RUNS_END         39420u
#define BEYOND_BEGIN     189000u
#define BEYOND_COUNT     0x100000u
#define PRIVATE_FIRST    0xe000u
#define PRIVATE_SECOND   0xe234u
#define PRIVATE_THIRD    0xe4c6u
#define RIGHT_FIRST_BYTE 0xa1u

static const struct {
    uint16_t pair;
    uint32_t point;
} beyond[] = {
    {0xfe51, 0x20087}, {0xfe52, 0x20089}, {0xfe53, 0x200cc},
    {0xfe6c, 0x215d7}, {0xfe76, 0x2298f}, {0xfe91, 0x241fe},
};

static bool is_between(uint32_t value, uint32_t first, uint32_t last)
{
    return value >= first && value <= last;
}

static uint32_t pair_right(uint32_t lead, uint32_t trail)
{
    uint32_t column = trail - RIGHT_FIRST_BYTE;
    if (is_between(lead, 0xaa, 0xaf))
        return PRIVATE_FIRST + (lead - 0xaa) * GB18030_RIGHT_COLUMNS + column;
    if (lead >= 0xf8)
        return PRIVATE_SECOND + (lead - 0xf8) * GB18030_RIGHT_COLUMNS + column;
    uint32_t row = lead < 0xaa ? lead - 0x81 : lead - 0xb0 + (0xaa - 0x81);
    return gb18030_right[row][column];
}

static uint32_t pair_left(uint32_t lead, uint32_t trail)
{
    uint32_t column = trail - (trail < 0x80 ? 0x40 : 0x41);
    if (is_between(lead, 0xa1, 0xa7))
        return PRIVATE_THIRD + (lead - 0xa1) * GB18030_LEFT_COLUMNS + column;
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        if (beyond[i].pair == (lead << 8 | trail))
            return beyond[i].point;
    uint32_t row = lead < 0xa1 ? lead - 0x81 : lead - 0xa8 + (0xa1 - 0x81);
    return gb18030_left[row][column];
}

/* The last run that begins at or before `index`. */
static uint32_t point_of_index(uint32_t index)
{
    size_t low = 0;
    size_t high = GB18030_RUNS;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (gb18030_runs[middle].index <= index)
            low = middle;
        else
            high = middle;
    }
    return gb18030_runs[low].point + (index - gb18030_runs[low].index);
}

static size_t four_bytes(const uint8_t *data, uint32_t *ret_point)
{
    if (!is_between(data[2], 0x81, 0xfe) || !is_between(data[3], 0x30, 0x39))
        return 0;
    uint32_t index = (((uint32_t)data[0] - 0x81) * 10 + data[1] - 0x30) * 1260 +
                     ((uint32_t)data[2] - 0x81) * 10 + data[3] - 0x30;
    if (index < RUNS_END)
        *ret_point = point_of_index(index);
    else if (index >= BEYOND_BEGIN && index < BEYOND_BEGIN + BEYOND_COUNT)
        *ret_point = 0x10000 + (index - BEYOND_BEGIN);
    else
        return 0;
    return 4;
}

size_t gb18030_step(const uint8_t *data, size_t left, uint32_t *ret_point)
{
    if (left == 0)
        return 0;
    if (data[0] < 0x80) {
        *ret_point = data[0];
        return 1;
    }
    if (left < 2 || !is_between(data[0], 0x81, 0xfe))
        return 0;
    if (is_between(data[1], 0x30, 0x39))
        return left < 4 ? 0 : four_bytes(data, ret_point);
    if (!is_between(data[1], 0x40, 0xfe) || data[1] == 0x7f)
        return 0;
    *ret_point = data[1] >= RIGHT_FIRST_BYTE ? pair_right(data[0], data[1])
                                             : pair_left(data[0], data[1]);
    return 2;
}
