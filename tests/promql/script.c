/*
 * script.c - reading the words of a test script.
 */
#include "tests/promql/script.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "proto/base/must.h"
#include "proto/base/units.h"

bool script_number(const char *text, double *ret_value)
{
    char *end;
    if (*text == '\0' || isspace((unsigned char)*text))
        return false;
    *ret_value = strtod(text, &end);
    return *end == '\0';
}

bool script_duration(const char *text, int64_t *ret_ms)
{
    double seconds;
    bool minus = *text == '-';
    if (script_number(text, &seconds)) {
        *ret_ms = llround(seconds * 1000.0);
        return true;
    }
    if (duration_parse(text + minus, ret_ms) != 0)
        return false;
    *ret_ms = minus ? -*ret_ms : *ret_ms;
    return true;
}

static void add_points(struct series_line *line, double first, double step, size_t count,
                       bool present)
{
    for (size_t i = 0; i < count && line->count < SCRIPT_POINTS_MAX; i++) {
        line->points[line->count++] = (struct point){present, first};
        first += step;
    }
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
        if (!script_number(word, &first))
            return false;
        add_points(line, first, 0, 1, true);
        return true;
    }
    *times = '\0';
    first = strtod(word, &end);
    if (end == word)
        return false;
    if (*end != '\0') {
        bool sign = *end == '+' || *end == '-';
        if (!sign || !script_number(end, &step))
            return false;
    }
    add_points(line, first, step, count, true);
    return true;
}

static bool expand_word(struct series_line *line, char *word)
{
    if (strcmp(word, "_") == 0) {
        add_points(line, 0, 0, 1, false);
    } else if (strncmp(word, "_x", 2) == 0) {
        add_points(line, 0, 0, strtoul(word + 2, NULL, 10), false);
    } else if (strcmp(word, "stale") == 0) {
        add_points(line, stale(), 0, 1, true);
    } else if (strncmp(word, "stalex", 6) == 0) {
        size_t count = strtoul(word + 6, NULL, 10) + 1;
        for (size_t i = 0; i < count; i++)
            add_points(line, stale(), 0, 1, true);
    } else {
        return expand_number(line, word);
    }
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

/* Labels are read as a selector's matchers; "{}" is no selector, but no labels. */
static bool read_labels(const char *text, const struct labels **ret_labels)
{
    struct matcher **matchers = NULL;
    size_t count = 0;
    struct promql_error error;
    struct label pairs[64];

    if (strcmp(text, "{}") != 0 &&
        (promql_parse_selector(text, &matchers, &count, &error) != 0 || count > 64)) {
        promql_matchers_free(matchers, count);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct label){matchers[i]->name, matchers[i]->value};
    int code = labels_build(pairs, count, NULL, ret_labels);
    promql_matchers_free(matchers, count);
    return code == 0;
}

bool script_series(const char *line, struct series_line *ret_line)
{
    const char *at = end_of_labels(line);
    char *copy = strndup(line, (size_t)(at - line));
    bool good;

    *ret_line = (struct series_line){0};
    ret_line->points = calloc(SCRIPT_POINTS_MAX, sizeof *ret_line->points);
    must(copy != NULL && ret_line->points != NULL);
    good = read_labels(copy, &ret_line->labels);
    free(copy);
    char *points = strdup(at);
    must(points != NULL);
    ret_line->foreign = strstr(points, "{{") != NULL || strchr(points, '@') != NULL;
    char *rest = NULL;
    for (char *word = strtok_r(points, " \t", &rest);
         good && !ret_line->foreign && word != NULL; word = strtok_r(NULL, " \t", &rest))
        good = expand_word(ret_line, word);
    free(points);
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
