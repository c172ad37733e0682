/* csv.c - see csv.h. */
#include "collector/ctl/csv.h"

#include <iconv.h>
#include <string.h>

#include "proto/base/error.h"
#include "proto/base/utf8.h"

#define TEXT_BYTES_MAX ((size_t)8 << 20)

struct parse {
    const char *at, *end;
    char *out; /* where the next field goes; never overtakes `at` */
    unsigned line;
    const char *fields[CSV_FIELDS_MAX];
    size_t count;
};

/* A NUL-terminated copy in UTF-8. */
static int decode(struct bytes text, struct arena *arena, char **ret_text, size_t *ret_size)
{
    const bool is_utf8 = utf8_is_valid(text);
    const size_t room = text.size * (is_utf8 ? 1 : 3);
    char *copy = arena_alloc(arena, room + 1, 1), *in = (char *)(uintptr_t)text.data,
         *out = copy;
    size_t in_left = text.size, out_left = room;

    if (copy == NULL)
        return ERR_NOMEM;
    if (is_utf8) {
        if (text.size > 0)
            memcpy(copy, text.data, text.size);
        *ret_text = copy;
        *ret_size = text.size;
        return 0;
    }
    iconv_t converter = iconv_open("UTF-8", "GB18030");
    if (converter == (iconv_t)-1)
        return ERR_MALFORMED;
    size_t result = iconv(converter, &in, &in_left, &out, &out_left);
    (void)iconv_close(converter);
    if (result == (size_t)-1 || in_left > 0)
        return ERR_MALFORMED;
    *ret_text = copy;
    *ret_size = (size_t)(out - copy);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int put_field(struct parse *parse, char *begin)
{
    while (parse->out > begin && is_blank(parse->out[-1]))
        parse->out--;
    if (parse->count == CSV_FIELDS_MAX)
        return ERR_LIMIT;
    parse->fields[parse->count++] = begin;
    return 0;
}

/* After the opening quote; moves past the closing one. */
static int read_quoted(struct parse *parse)
{
    for (; parse->at < parse->end; parse->at++) {
        if (*parse->at == '"') {
            parse->at++;
            if (parse->at == parse->end || *parse->at != '"')
                return 0;
        }
        parse->line += *parse->at == '\n';
        *parse->out++ = *parse->at;
    }
    return ERR_MALFORMED;
}

/* Moves past the field and what ends it; the NUL goes where a separator has been read. */
static int read_field(struct parse *parse, bool *ret_row_ends)
{
    char *begin = parse->out;
    int error = 0;
    while (parse->at < parse->end && is_blank(*parse->at))
        parse->at++;
    if (parse->at < parse->end && *parse->at == '"') {
        parse->at++;
        error = read_quoted(parse);
        while (parse->at < parse->end && is_blank(*parse->at))
            parse->at++;
        if (parse->at < parse->end && *parse->at != ',' && *parse->at != '\n')
            error = ERR_MALFORMED;
    } else {
        while (parse->at < parse->end && *parse->at != ',' && *parse->at != '\n')
            *parse->out++ = *parse->at++;
    }
    if (error == 0)
        error = put_field(parse, begin);
    *ret_row_ends = parse->at == parse->end || *parse->at == '\n';
    parse->at += parse->at < parse->end;
    *parse->out++ = '\0';
    return error;
}

static int keep_row(struct parse *parse, unsigned line, struct arena *arena, struct csv *csv)
{
    struct csv_row *row = &csv->rows[csv->count];
    bool is_empty = true;
    for (size_t i = 0; i < parse->count; i++)
        is_empty = is_empty && parse->fields[i][0] == '\0';
    if (is_empty)
        return 0;
    if (csv->count == CSV_ROWS_MAX)
        return ERR_LIMIT;
    row->line = line;
    row->count = parse->count;
    row->fields = arena_alloc(arena, parse->count, sizeof *row->fields);
    if (row->fields == NULL)
        return ERR_NOMEM;
    memcpy(row->fields, parse->fields, parse->count * sizeof *row->fields);
    csv->count++;
    return 0;
}

int csv_read(struct bytes text, struct arena *arena, struct csv *ret_csv, struct diagnosis *why)
{
    struct parse parse = {.line = 1};
    struct csv csv = {0};
    char *copy = NULL;
    size_t size = 0;

    if (text.size > TEXT_BYTES_MAX)
        return diagnose(why, ERR_LIMIT, "the table is larger than 8 MiB");
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
        return diagnose(why, ERR_MALFORMED, "the table holds a NUL: it is no text");
    int error = decode(text, arena, &copy, &size);
    csv.rows = arena_alloc(arena, CSV_ROWS_MAX + 1, sizeof *csv.rows);
    if (error == 0 && csv.rows == NULL)
        error = ERR_NOMEM;
    if (error != 0)
        return diagnose(why, error, "%s",
                        error == ERR_MALFORMED ? "the table is neither UTF-8 nor GB18030"
                                               : error_text(error));
    /* Fields are cut out in place: unquoting shortens, and each NUL stands for a separator; the
     * last one is there already. */
    parse.at = parse.out = copy;
    parse.end = copy + size;
    if (size >= 3 && memcmp(copy, "\xef\xbb\xbf", 3) == 0)
        parse.at += 3;
    while (error == 0 && parse.at < parse.end) {
        const unsigned line = parse.line;
        bool ends = false;
        parse.count = 0;
        while (error == 0 && !ends)
            error = read_field(&parse, &ends);
        if (error == 0)
            error = keep_row(&parse, line, arena, &csv);
        parse.line++;
    }
    if (error != 0)
        return diagnose(why, error, "line %u: %s", parse.line,
                        error == ERR_MALFORMED ? "a quoted field does not end"
                        : error == ERR_LIMIT   ? "too many rows or fields"
                                               : error_text(error));
    *ret_csv = csv;
    return 0;
}
