/*
 * pattern.c - bounded regular expressions (pattern.h).
 */
#include "probe/source/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "proto/base/error.h"

/* Backtracking steps and heap a match may use: a process chooses its own command line, and must
 * not be able to stall the probe with it. */
#define PATTERN_MATCH_LIMIT    100000
#define PATTERN_HEAP_LIMIT_KIB 256

struct pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

int pattern_new(const char *expression, struct pattern **ret_pattern, struct diagnosis *why)
{
    int number;
    PCRE2_SIZE offset;
    struct pattern *pattern = calloc(1, sizeof(*pattern));
    if (pattern == NULL)
        return ERR_NOMEM;
    pattern->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
                                  PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL, &number, &offset, NULL);
    if (pattern->code == NULL) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(number, text, sizeof text);
        pattern_free(pattern);
        return diagnose(why, ERR_INVALID, "bad regular expression at character %zu: %s",
                        (size_t)offset + 1, (const char *)text);
    }
    pattern->match = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pattern->limits = pcre2_match_context_create(NULL);
    if (pattern->match == NULL || pattern->limits == NULL) {
        pattern_free(pattern);
        return ERR_NOMEM;
    }
    pcre2_set_match_limit(pattern->limits, PATTERN_MATCH_LIMIT);
    pcre2_set_heap_limit(pattern->limits, PATTERN_HEAP_LIMIT_KIB);
    *ret_pattern = pattern;
    return 0;
}

bool pattern_matches(struct pattern *pattern, struct bytes text)
{
    if (pattern == NULL)
        return false;
    PCRE2_SPTR subject = text.size > 0 ? (PCRE2_SPTR)text.data : (PCRE2_SPTR) "";
    return pcre2_match(pattern->code, subject, text.size, 0, 0, pattern->match,
                       pattern->limits) >= 0;
}

struct bytes pattern_capture(const struct pattern *pattern, struct bytes text, const char *name)
{
    int group = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name);
    if (group < 0 || (uint32_t)group >= pcre2_get_ovector_count(pattern->match))
        return (struct bytes){0};
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(pattern->match);
    PCRE2_SIZE first = offsets[2 * group], last = offsets[2 * group + 1];
    if (first == PCRE2_UNSET || last > text.size || first > last)
        return (struct bytes){0};
    return (struct bytes){text.data + first, last - first};
}

int pattern_search(struct pattern *pattern, struct bytes text, size_t from, const char *group,
                   struct pattern_span *ret_whole, struct pattern_span *ret_group)
{
    PCRE2_SPTR subject = text.size > 0 ? (PCRE2_SPTR)text.data : (PCRE2_SPTR) "";
    int count = pcre2_match(pattern->code, subject, text.size, from, 0, pattern->match,
                            pattern->limits);
    if (count == PCRE2_ERROR_NOMATCH)
        return ERR_NOTFOUND;
    if (count < 0)
        return ERR_LIMIT;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(pattern->match);
    int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)group);
    /* \K in a lookahead can set the start behind the end. */
    if (offsets[0] > offsets[1])
        return ERR_NOTFOUND;
    *ret_whole = (struct pattern_span){offsets[0], offsets[1]};
    *ret_group = *ret_whole;
    if (number >= 0) {
        PCRE2_SIZE first = offsets[2 * number], end = offsets[2 * number + 1];
        bool has_part = number < count && first != PCRE2_UNSET && first <= end;
        *ret_group = has_part ? (struct pattern_span){first, end} : (struct pattern_span){0, 0};
    }
    return 0;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_context_free(pattern->limits);
    pcre2_match_data_free(pattern->match);
    pcre2_code_free(pattern->code);
    free(pattern);
}
