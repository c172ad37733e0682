/*
 * fuzz_rule_test.c - series and points as people write them in rule tests.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ruletest/notation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct series_line line;
    int64_t ms;
    double value;

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (notation_series(text, &line))
        series_line_free(&line);
    (void)notation_duration(text, &ms);
    (void)notation_number(text, &value);
    free(text);
    return 0;
}
