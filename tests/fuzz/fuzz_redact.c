/*
 * fuzz_redact.c - any line: masked in place, valid UTF-8 where it was, the same again for the
 * same key; and without a pattern nothing but digits and an X behind them is touched.
 *
 * First byte: which numbers, and whether a pattern is tried too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/log/redact.h"
#include "proto/base/must.h"
#include "proto/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct redact_key key = {{1, 2, 3}};
    struct pattern *pattern = NULL;
    uint64_t counts[REDACT_KIND_COUNT] = {0}, again[REDACT_KIND_COUNT] = {0};
    if (size < 1)
        return 0;
    if ((data[0] & 8) != 0)
        must(pattern_new("name=(?<secret>.\\S*)|(a|aa)+$", &pattern, NULL) == 0);
    struct redaction redaction = {data[0] & REDACT_NUMBERS, &pattern, pattern != NULL};
    size_t text_size = size - 1;
    uint8_t *text = malloc(text_size + 1), *second = malloc(text_size + 1);
    must(text != NULL && second != NULL);
    memcpy(text, data + 1, text_size);
    memcpy(second, data + 1, text_size);
    redact(&redaction, &key, text, text_size, counts);
    redact(&redaction, &key, second, text_size, again);
    must(memcmp(text, second, text_size) == 0 && memcmp(counts, again, sizeof counts) == 0);
    must(!utf8_is_valid((struct bytes){data + 1, text_size}) ||
         utf8_is_valid((struct bytes){text, text_size}));
    for (size_t i = 0; pattern == NULL && i < text_size; i++)
        must(text[i] == data[i + 1] || (data[i + 1] >= '0' && data[i + 1] <= '9'));
    free(text);
    free(second);
    pattern_free(pattern);
    return 0;
}
