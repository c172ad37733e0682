/* table.c - see table.h. */
#include "collector/ctl/table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/must.h"

struct range {
    uint32_t first, last;
};

/* Unicode 15, East_Asian_Width W and F, joined where what lies between is unassigned. */
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe},
    {0x2614, 0x2615},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6},   {0x16fe0, 0x18cff}, {0x1b000, 0x1b2ff}, {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};
static const struct range narrowless[] = {
    {0x300, 0x36f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

static bool is_in(uint32_t rune, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rune >= ranges[i].first && rune <= ranges[i].last)
            return true;
    }
    return false;
}

/* The next character; a byte that is no UTF-8 counts as one. */
static uint32_t next_rune(const unsigned char **at)
{
    unsigned char c = *(*at)++;
    size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
    uint32_t rune = more == 0 ? c : c & (0x3fu >> more);
    for (; more > 0 && (**at & 0xc0) == 0x80; more--)
        rune = rune << 6 | (*(*at)++ & 0x3f);
    return rune;
}

size_t text_width(const char *text)
{
    size_t width = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        uint32_t rune = next_rune(&at);
        if (is_in(rune, wide, sizeof wide / sizeof *wide))
            width += 2;
        else if (!is_in(rune, narrowless, sizeof narrowless / sizeof *narrowless))
            width += 1;
    }
    return width;
}

char *text_visible(const char *text)
{
    size_t size = strlen(text);
    char *visible = malloc(3 * size + 1);
    if (visible == NULL)
        return NULL;
    size_t n = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        const unsigned char *start = at;
        uint32_t rune = next_rune(&at);
        if (rune == '\t') {
            visible[n++] = ' ';
        } else if (rune < 0x20 || (rune >= 0x7f && rune < 0xa0)) {
            memcpy(visible + n, "\xc2\xb7", 2);
            n += 2;
        } else {
            memcpy(visible + n, start, (size_t)(at - start));
            n += (size_t)(at - start);
        }
    }
    visible[n] = '\0';
    return visible;
}

void table_init(struct table *table, size_t columns)
{
    must(columns > 0 && columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.columns = columns};
}

void table_row(struct table *table, const char *const *cells)
{
    size_t count = table->rows * table->columns;
    if (count + table->columns > table->capacity) {
        size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        char **grown = realloc(table->cells, capacity * sizeof *grown);
        if (grown == NULL)
            return;
        table->cells = grown;
        table->capacity = capacity;
    }
    for (size_t i = 0; i < table->columns; i++)
        table->cells[count + i] = text_visible(cells[i] != NULL ? cells[i] : "");
    table->rows++;
}

static const char *cell(const struct table *table, size_t row, size_t column)
{
    const char *text = table->cells[row * table->columns + column];
    return text != NULL ? text : "";
}

void table_print(struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            size_t width = text_width(cell(table, row, i));
            if (width > widths[i])
                widths[i] = width;
        }
    }
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t i = 0; i < table->columns; i++) {
            const char *text = cell(table, row, i);
            bool is_last = i + 1 == table->columns;
            int padding = is_last ? 0 : (int)(widths[i] - text_width(text)) + 2;
            printf("%s%*s", text, padding, "");
        }
        printf("\n");
    }
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    table_init(table, table->columns);
}
