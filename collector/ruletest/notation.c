/*
 * notation.c - see notation.h.
 */
#include "collector/ruletest/notation.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/units.h"

bool notation_number(const char *text, double *ret_value)
{
    char *end;
    if (*text == '\0' || isspace((unsigned char)*text))
        return false;
    *ret_value = strtod(text, &end);
    return *end == '\0';
}

bool notation_duration(const char *text, int64_t *ret_ms)
{
    double seconds;
    bool minus = *text == '-';
    if (notation_number(text, &seconds)) {
        *ret_ms = llround(seconds * 1000.0);
        return true;
    }
    if (duration_parse(text + minus, ret_ms) != 0)
        return false;
    *ret_ms = minus ? -*ret_ms : *ret_ms;
    return true;
}

static bool make_room(struct series_line *line, size_t count)
{
    size_t wanted = line->count + count, capacity = line->capacity == 0 ? 64 : line->capacity;
    struct point *longer;

    if (count > NOTATION_POINTS_MAX || wanted > NOTATION_POINTS_MAX)
        return false;
    while (capacity < wanted)
        capacity *= 2;
    if (capacity == line->capacity)
        return true;
    longer = realloc(line->points, capacity * sizeof *longer);
    if (longer == NULL)
        return false;
    line->points = longer;
    line->capacity = capacity;
    return true;
}

static bool add_points(struct series_line *line, double first, double step, size_t count,
                       bool present)
{
    if (!make_room(line, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        line->points[line->count++] = (struct point){present, first};
        first += step;
    }
    return true;
}

static double stale(void)
{
    uint64_t bits = UINT64_C(0x7ff0000000000002);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* "5", "5x3", "5+2x3", "5-2x3": the number of bytes of the first number, by trying. */
static bool expand_number(struct series_line *line, char *word)
{
    double first;
    double step = 0;
    char *end;
    char *times = strrchr(word, 'x'); /* 0x5 is six zeros, not a hexadecimal number */
    size_t count = times != NULL ? strtoul(times + 1, &end, 10) + 1 : 0;
    if (times == NULL || !isdigit((unsigned char)times[1]) || *end != '\0') {
        if (!notation_number(word, &first))
            return false;
        return add_points(line, first, 0, 1, true);
    }
    *times = '\0';
    first = strtod(word, &end);
    if (end == word)
        return false;
    if (*end != '\0') {
        bool sign = *end == '+' || *end == '-';
        if (!sign || !notation_number(end, &step))
            return false;
    }
    return add_points(line, first, step, count, true);
}

/* What follows the x: a count and nothing else. */
static bool read_times(const char *text, size_t *ret_count)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    *ret_count = strtoul(text, &end, 10);
    return *end == '\0' && *ret_count < NOTATION_POINTS_MAX;
}

static bool expand_word(struct series_line *line, char *word)
{
    size_t count;
    if (strcmp(word, "_") == 0)
        return add_points(line, 0, 0, 1, false);
    if (strncmp(word, "_x", 2) == 0)
        return read_times(word + 2, &count) && add_points(line, 0, 0, count, false);
    if (strcmp(word, "stale") == 0)
        return add_points(line, stale(), 0, 1, true);
    if (strncmp(word, "stalex", 6) != 0)
        return expand_number(line, word);
    if (!read_times(word + 6, &count) || !make_room(line, count + 1))
        return false;
    for (size_t i = 0; i <= count; i++) /* adding 0 would make it another NaN */
        (void)add_points(line, stale(), 0, 1, true);
    return true;
}

/* The end of name{...}: past the closing brace, or where the name ends. */
static const char *end_of_labels(const char *at)
{
    char quote = '\0';
    while (*at != '\0' && *at != '{' && !isspace((unsigned char)*at))
        at++;
    if (*at != '{')
        return at;
    for (at++; *at != '\0'; at++) {
        if (quote != '\0') {
            if (*at == '\\' && quote != '`' && at[1] != '\0')
                at++;
            else if (*at == quote)
                quote = '\0';
        } else if (*at == '"' || *at == '\'' || *at == '`') {
            quote = *at;
        } else if (*at == '}') {
            return at + 1;
        }
    }
    return at;
}

/* Read as a selector's matchers; "{}" is no selector, but no labels. */
bool notation_labels(const char *text, const struct labels **ret_labels)
{
    struct matcher **matchers = NULL;
    size_t count = 0;
    struct promql_error error;
    struct label pairs[64];
    int code = 0;

    if (strcmp(text, "{}") != 0)
        code = promql_parse_selector(text, &matchers, &count, &error);
    if (code != 0)
        return false;
    for (size_t i = 0; i < count && count <= 64; i++) {
        pairs[i] = (struct label){matchers[i]->name, matchers[i]->value};
        if (matchers[i]->kind != MATCH_EQUAL)
            code = -1;
    }
    if (code == 0 && count <= 64)
        code = labels_build(pairs, count, NULL, ret_labels);
    promql_matchers_free(matchers, count);
    return code == 0 && count <= 64;
}

bool notation_points(const char *text, struct series_line *line)
{
    char *points = strdup(text), *rest = NULL;
    bool good = points != NULL;

    line->foreign = strstr(text, "{{") != NULL || strchr(text, '@') != NULL;
    for (char *word = good ? strtok_r(points, " \t\n", &rest) : NULL;
         good && !line->foreign && word != NULL; word = strtok_r(NULL, " \t\n", &rest))
        good = expand_word(line, word);
    free(points);
    return good;
}

bool notation_series(const char *line, struct series_line *ret_line)
{
    const char *at = end_of_labels(line);
    char *copy = strndup(line, (size_t)(at - line));
    bool good;

    *ret_line = (struct series_line){0};
    good = copy != NULL && notation_labels(copy, &ret_line->labels);
    free(copy);
    good = good && notation_points(at, ret_line);
    if (!good)
        series_line_free(ret_line);
    return good;
}

void series_line_free(struct series_line *line)
{
    labels_free(line->labels);
    free(line->points);
    *line = (struct series_line){0};
}
