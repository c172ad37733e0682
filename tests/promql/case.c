/*
 * case.c - see case.h.
 */
#include "tests/promql/case.h"

#include <ctype.h>
#include <string.h>

#include "proto/base/must.h"

char *script_after(char *text, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(text, word, size) != 0 ||
        (text[size] != '\0' && !isspace((unsigned char)text[size])))
        return NULL;
    text += size;
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

bool script_take_duration(char **text, int64_t *ret_ms)
{
    char word[64];
    size_t size = strcspn(*text, " \t");
    if (size >= sizeof word)
        return false;
    memcpy(word, *text, size);
    word[size] = '\0';
    *text += size;
    while (isspace((unsigned char)**text))
        (*text)++;
    return notation_duration(word, ret_ms);
}

/* "expect ..." of a case. */
static bool expect_line(struct expectation *expected, char *text)
{
    char *rest;
    struct {
        const char *word;
        bool *flag;
    } flags[] = {
        {"fail", &expected->fail},       {"warn", &expected->warn},
        {"info", &expected->info},       {"no_warn", &expected->no_warn},
        {"no_info", &expected->no_info}, {"ordered", &expected->ordered},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        rest = script_after(text, flags[i].word);
        if (rest == NULL)
            continue;
        *flags[i].flag = true;
        if (strncmp(rest, "msg:", 4) == 0)
            expected->message = rest + 4 + strspn(rest + 4, " \t");
        return true;
    }
    rest = script_after(text, "string");
    if (rest != NULL && strlen(rest) >= 2) {
        expected->is_string = true;
        expected->string = rest + 1;
        rest[strlen(rest) - 1] = '\0';
        return true;
    }
    rest = script_after(text, "range vector from");
    int64_t end_ms;
    expected->range_vector = rest != NULL;
    return rest != NULL && script_take_duration(&rest, &expected->range_start_ms) &&
           (rest = script_after(rest, "to")) != NULL && script_take_duration(&rest, &end_ms) &&
           (rest = script_after(rest, "step")) != NULL &&
           script_take_duration(&rest, &expected->range_step_ms);
}

bool case_line(struct case_of *test, char *text)
{
    struct expectation *expected = &test->expected;
    char *rest = script_after(text, "expect");
    if (rest != NULL)
        return expect_line(expected, rest);
    if (notation_number(text, &expected->scalar)) {
        expected->is_scalar = true;
        return true;
    }
    must(expected->count < EXPECTED_MAX);
    if (!notation_series(text, &expected->lines[expected->count]))
        return false;
    expected->foreign = expected->foreign || expected->lines[expected->count].foreign;
    expected->count++;
    return true;
}

bool case_begin(struct case_of *test, char *text, size_t line)
{
    *test = (struct case_of){.line = line};
    test->expected.fail = strncmp(text, "eval_fail", 9) == 0;
    test->expected.warn = strncmp(text, "eval_warn", 9) == 0;
    test->expected.info = strncmp(text, "eval_info", 9) == 0;
    test->expected.ordered = strncmp(text, "eval_ordered", 12) == 0;
    text += strcspn(text, " \t");
    text += strspn(text, " \t");
    char *rest = script_after(text, "instant");
    if (rest != NULL) {
        char *at = script_after(rest, "at");
        if (at != NULL && !script_take_duration(&at, &test->start_ms))
            return false;
        test->end_ms = test->start_ms;
        test->query = at != NULL ? at : rest;
        return true;
    }
    test->range = true;
    rest = script_after(text, "range from");
    if (rest == NULL || !script_take_duration(&rest, &test->start_ms) ||
        (rest = script_after(rest, "to")) == NULL ||
        !script_take_duration(&rest, &test->end_ms) ||
        (rest = script_after(rest, "step")) == NULL ||
        !script_take_duration(&rest, &test->step_ms))
        return false;
    test->query = rest;
    return true;
}
