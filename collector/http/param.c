/* param.c - see param.h. */
#include "collector/http/param.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

/* What Go prints for the least and greatest instants of the API. */
#define TIME_LEAST    "-292273086-05-16T16:47:06Z"
#define TIME_GREATEST "292277025-08-18T07:12:54.999999999Z"

/* Seconds past which milliseconds do not fit 64 bits. */
#define SECONDS_MAX 9.2e15

static bool parse_number(const char *text, double *ret_value)
{
    if (strspn(text, "0123456789+-.eE") != strlen(text) || *text == '\0')
        return false;
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    if (*end != '\0' || (errno == ERANGE && fabs(value) > 1))
        return false;
    *ret_value = value;
    return true;
}

static bool digits(const char **text, int count, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += count;
    *ret_value = value;
    return true;
}

static bool skip(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

static bool parse_fraction(const char **text, int *ret_ms)
{
    double fraction = 0;
    double scale = 0.1;
    int count = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++, count++, scale /= 10)
        fraction += (**text - '0') * scale;
    *ret_ms = (int)(fraction * MS_PER_SEC + 1e-6);
    return count > 0;
}

static bool parse_zone(const char **text, int *ret_minutes)
{
    if (skip(text, 'Z'))
        return true;
    int sign = **text == '-' ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    if (!skip(text, '+') && !skip(text, '-'))
        return false;
    if (!digits(text, 2, &hours) || !skip(text, ':') || !digits(text, 2, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return hours < 24 && minutes < 60;
}

bool param_rfc3339(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int fraction_ms = 0;
    int zone_minutes = 0;
    if (!digits(&text, 4, &tm.tm_year) || !skip(&text, '-') || !digits(&text, 2, &tm.tm_mon) ||
        !skip(&text, '-') || !digits(&text, 2, &tm.tm_mday) || !skip(&text, 'T') ||
        !digits(&text, 2, &tm.tm_hour) || !skip(&text, ':') || !digits(&text, 2, &tm.tm_min) ||
        !skip(&text, ':') || !digits(&text, 2, &tm.tm_sec))
        return false;
    if (skip(&text, '.') && !parse_fraction(&text, &fraction_ms))
        return false;
    if (!parse_zone(&text, &zone_minutes) || *text != '\0')
        return false;
    int month = tm.tm_mon - 1;
    int day = tm.tm_mday;
    if (month < 0 || month > 11 || day < 1 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 59)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon = month;
    time_t seconds = timegm(&tm);
    if (tm.tm_mon != month || tm.tm_mday != day)
        return false; /* timegm moved 30 February to March */
    *ret_ms = ((int64_t)seconds - (int64_t)zone_minutes * 60) * MS_PER_SEC + fraction_ms;
    return true;
}

int param_time(const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    double seconds = 0;
    int64_t ms = 0;
    if (parse_number(text, &seconds)) {
        if (fabs(seconds) <= SECONDS_MAX) {
            /* Go's way: only the fraction is rounded, so 1.0005 is 1.000 */
            double whole = 0;
            double fraction = modf(seconds, &whole);
            *ret_ms = (int64_t)whole * MS_PER_SEC + llround(fraction * MS_PER_SEC);
            return 0;
        }
    } else if (strcmp(text, TIME_LEAST) == 0) {
        *ret_ms = INT64_MIN;
        return 0;
    } else if (strcmp(text, TIME_GREATEST) == 0) {
        *ret_ms = INT64_MAX;
        return 0;
    } else if (param_rfc3339(text, &ms)) {
        *ret_ms = ms;
        return 0;
    }
    return diagnose(why, ERR_INVALID, "cannot parse \"%s\" to a valid timestamp", text);
}

int param_duration(const char *text, int64_t *ret_ms, struct diagnosis *why)
{
    double seconds = 0;
    int64_t ms = 0;
    if (parse_number(text, &seconds)) {
        /* Prometheus counts nanoseconds in 64 bits. */
        if (fabs(seconds) > (double)INT64_MAX / 1e9)
            return diagnose(why, ERR_INVALID,
                            "cannot parse \"%s\" to a valid duration. It overflows int64", text);
        *ret_ms = (int64_t)(seconds * 1e9) / (int64_t)NS_PER_MS; /* whole nanoseconds, then cut off */
        return 0;
    }
    if (duration_parse(text, &ms) == 0) {
        *ret_ms = ms;
        return 0;
    }
    return diagnose(why, ERR_INVALID, "cannot parse \"%s\" to a valid duration", text);
}

int param_limit(const char *text, size_t *ret_limit, struct diagnosis *why)
{
    if (text == NULL || *text == '\0') {
        *ret_limit = 0;
        return 0;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    const char *number = *text == '-' || *text == '+' ? text + 1 : text;
    if (*number < '0' || *number > '9' || *end != '\0' || errno != 0)
        return diagnose(why, ERR_INVALID, "strconv.Atoi: parsing \"%s\": %s", text,
                        errno == ERANGE ? "value out of range" : "invalid syntax");
    if (value < 0)
        return diagnose(why, ERR_INVALID, "limit must be non-negative");
    *ret_limit = (size_t)value;
    return 0;
}

bool param_is_true(const char *text)
{
    return text != NULL &&
           (strcmp(text, "1") == 0 || strcmp(text, "t") == 0 || strcmp(text, "true") == 0);
}
