/*
 * fuzz_prefilter.c - any expression, any line: what matches is let through.
 *
 * The first line is the expression; the others are lines of a log.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/log/prefilter.h"
#include "probe/source/pattern.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pattern *pattern;
    struct prefilter *filter;
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    if (newline == NULL)
        return 0;
    char *expression = strndup((const char *)data, (size_t)(newline - data));
    must(expression != NULL);
    if (pattern_new(expression, &pattern, NULL) == 0) {
        must(prefilter_new(&filter) == 0 && prefilter_add(filter, 5, expression) == 0);
        for (const uint8_t *at = newline + 1, *end; at < data + size; at = end + 1) {
            end = memchr(at, '\n', (size_t)(data + size - at));
            end = end == NULL ? data + size : end;
            struct bytes line = {at, (size_t)(end - at)};
            must(!pattern_matches(pattern, line) ||
                 (prefilter_look(filter, line) >> 5 & 1) != 0);
        }
        prefilter_free(filter);
        pattern_free(pattern);
    }
    free(expression);
    return 0;
}
