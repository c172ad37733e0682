#include "proto/base/diagnosis.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES_COMPARED 64

int diagnose(struct diagnosis *why, int error, const char *format, ...)
{
    if (why == NULL || why->text[0] != '\0')
        return error;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof why->text) {
        size_t end = sizeof why->text - 4;
        while (end > 0 && ((unsigned char)why->text[end] & 0xC0) == 0x80)
            end--;
        memcpy(why->text + end, "...", 4);
    }
    for (char *c = why->text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    return error;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein distance over at most NAME_BYTES_COMPARED bytes, one row at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_COMPARED + 1];
    size_t a_length = strnlen(a, NAME_BYTES_COMPARED);
    size_t b_length = strnlen(b, NAME_BYTES_COMPARED);

    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

const char *nearest_name(const char *wrong, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t allowed = strlen(wrong) / 3;
    if (allowed < 2)
        allowed = 2;
    size_t least = allowed + 1;

    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(wrong, names[i]);
        /* A name that shares nothing with a short word is no suggestion. */
        if (distance < least && distance < strlen(names[i])) {
            least = distance;
            best = names[i];
        }
    }
    return best;
}
