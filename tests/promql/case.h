/*
 * case.h - the cases of a script: what is asked, and what is expected.
 */
#pragma once

#include "collector/ruletest/notation.h"

#define EXPECTED_MAX 400

struct expectation {
    bool fail, warn, info, no_warn, no_info, ordered;
    bool is_scalar, is_string;
    double scalar;
    char *message; /* of the failure or note, exactly; NULL: any */
    char *string;
    struct series_line lines[EXPECTED_MAX];
    size_t count;
    bool foreign; /* expects native histograms */
    bool range_vector;
    int64_t range_start_ms, range_step_ms;
};

struct case_of {
    size_t line;
    bool range;
    int64_t start_ms, end_ms, step_ms;
    const char *query;
    struct expectation expected;
};

/* What follows the word at the front of the text, past space; NULL if it is another word. */
char *script_after(char *text, const char *word);
/* Takes the next word off the front as a duration. */
bool script_take_duration(char **text, int64_t *ret_ms);
/* "eval instant at 5m QUERY", "eval range from 0 to 5m step 1m QUERY". */
bool case_begin(struct case_of *test, char *text, size_t line);
/* A line below it: "expect ...", a number, or a series. */
bool case_line(struct case_of *test, char *text);
