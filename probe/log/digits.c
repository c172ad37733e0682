/*
 * digits.c - see digits.h.
 *
 * Every eleventh byte is looked at.  One that is no part of a run says that the next run begins
 * behind it, so its eleventh byte is eleven further on; one that is, is followed to both ends.
 */
#include "probe/log/digits.h"

#define GROUP_FIRST_LEAST  3
#define GROUP_SECOND_LEAST 4

enum { OTHER, MARK, DIGIT };

static const uint8_t kinds[256] = {
    [' '] = MARK,  ['-'] = MARK,  ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT,
    ['4'] = DIGIT, ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
};

_Static_assert(GROUP_FIRST_LEAST + 1 + GROUP_SECOND_LEAST + 1 + 3 >= DIGITS_LEAST,
               "there is a third group, of three or more: the same step finds them");

static bool holds_number(const uint8_t *text, size_t first, size_t end)
{
    size_t group = 0, before = 0; /* digits of this group, and of that right before its mark */
    for (size_t at = first; at < end; at++) {
        if (kinds[text[at]] != DIGIT) {
            before = group;
            group = 0;
            continue;
        }
        group++;
        if (group == DIGITS_LEAST ||
            (group == GROUP_SECOND_LEAST && before >= GROUP_FIRST_LEAST))
            return true;
    }
    return false;
}

bool digits_find(const uint8_t *text, size_t size, size_t from, size_t *ret_first,
                 size_t *ret_end)
{
    for (size_t at = from + DIGITS_LEAST - 1; at < size; at += DIGITS_LEAST) {
        if (kinds[text[at]] == OTHER)
            continue;
        size_t first = at, end = at + 1;
        while (first > from && kinds[text[first - 1]] != OTHER)
            first--;
        while (end < size && kinds[text[end]] != OTHER)
            end++;
        if (end - first >= DIGITS_LEAST && holds_number(text, first, end)) {
            *ret_first = first;
            *ret_end = end;
            return true;
        }
        at = end; /* is of no run */
    }
    return false;
}
