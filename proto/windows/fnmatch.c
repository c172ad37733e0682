/*
 * fnmatch.c - POSIX patterns: * ? [a-z] [!a-z] and a backslash before what is meant as itself.
 *
 * A star is tried again only from the last one met: time is pattern times text, never more.
 */
#include <ctype.h>
#include <fnmatch.h>

static int fold(char c)
{
    return tolower((unsigned char)c);
}

/* One character of the set behind '[': *at goes behind its ']'.  -1: no set, '[' means itself. */
static int in_set(const char **at, char c)
{
    const char *set = *at + 1;
    bool is_negated = *set == '!' || *set == '^', is_in = false;
    if (is_negated)
        set++;
    for (const char *first = set; *set != ']' || set == first; set++) {
        if (*set == '\\' && set[1] != '\0')
            set++;
        if (*set == '\0')
            return -1;
        char low = *set, high = low;
        if (set[1] == '-' && set[2] != ']' && set[2] != '\0') {
            high = set[2];
            set += 2;
        }
        is_in = is_in || (fold(low) <= fold(c) && fold(c) <= fold(high));
    }
    *at = set + 1;
    return is_in != is_negated;
}

/* Does one step of the pattern take `c`?  *at goes behind it. */
static bool takes(const char **at, char c, int flags)
{
    if (**at == '\0' || ((flags & FNM_PATHNAME) != 0 && c == '/' && **at != '/'))
        return false;
    if (**at == '?') {
        (*at)++;
        return true;
    }
    int verdict = **at == '[' ? in_set(at, c) : -1;
    if (verdict >= 0)
        return verdict == 1;
    if (**at == '\\' && (*at)[1] != '\0')
        (*at)++;
    return fold(*(*at)++) == fold(c);
}

/* A dot that must be written out: the first of a name. */
static bool is_leading_dot(const char *text, const char *start, int flags)
{
    return (flags & FNM_PERIOD) != 0 && *text == '.' &&
           (text == start || ((flags & FNM_PATHNAME) != 0 && text[-1] == '/'));
}

int fnmatch(const char *pattern, const char *text, int flags)
{
    const char *start = text, *star = NULL, *resume = NULL;
    for (;;) {
        if (*pattern == '*' && !is_leading_dot(text, start, flags)) {
            star = ++pattern;
            resume = text;
            continue;
        }
        if (*text == '\0') {
            return *pattern == '\0' ? 0 : FNM_NOMATCH;
        }
        bool is_hidden = is_leading_dot(text, start, flags) && *pattern != '.';
        if (!is_hidden && takes(&pattern, *text, flags)) {
            text++;
            continue;
        }
        /* The last star takes one more, but no slash. */
        if (star == NULL || *resume == '\0' || ((flags & FNM_PATHNAME) != 0 && *resume == '/'))
            return FNM_NOMATCH;
        text = ++resume;
        pattern = star;
    }
}
