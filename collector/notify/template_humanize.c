/*
 * template_humanize.c - numbers as people read them.
 *
 * Prints exactly what Prometheus prints: "%.4g" and the prefixes of SI (humanize), of IEC
 * (humanize1024), or d h m s (humanizeDuration).
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "collector/notify/template_tree.h"
#include "proto/base/error.h"

typedef struct template_machine machine_type;

/* printf into the arena; the text is the function's value. */
static int put(machine_type *machine, struct value *ret_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int put(machine_type *machine, struct value *ret_value, const char *format, ...)
{
    char text[512];
    char *copy;
    int size;
    va_list arguments;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return ERR_INVALID;
    copy = arena_alloc(machine->arena, sizeof text, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    *ret_value = value_of_text(strcpy(copy, text));
    return 0;
}

static int number_of(machine_type *machine, const struct value *value, double *ret_number)
{
    struct bytes text;
    if (template_value_to_number(value, ret_number))
        return 0;
    if (template_value_to_text(machine, value, &text) != 0)
        return ERR_NOMEM;
    return diagnose(machine->why, ERR_INVALID, "can't convert \"%.*s\" to a number",
                    (int)(text.size < 80 ? text.size : 80), (const char *)text.data);
}

/* Go's %.4g: as C's, but for what is no number. */
static const char *four_digits(double number, char text[32])
{
    if (isnan(number))
        return strcpy(text, "NaN");
    if (isinf(number))
        return strcpy(text, number > 0 ? "+Inf" : "-Inf");
    (void)snprintf(text, 32, "%.4g", number);
    return text;
}

static bool is_ordinary(double number)
{
    return isfinite(number) && number != 0;
}

/* Multiplies a number below 1 up, taking m u n p ... as it goes. */
static const char *scale_up(double *number)
{
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";
    for (size_t i = 0; i < 8 && fabs(*number) < 1; i++) {
        prefix = prefixes[i];
        *number *= 1000;
    }
    return prefix;
}

static const char *scale_down(double *number, double step, const char *const prefixes[8])
{
    const char *prefix = "";
    for (size_t i = 0; i < 8 && fabs(*number) >= step; i++) {
        prefix = prefixes[i];
        *number /= step;
    }
    return prefix;
}

int template_humanize(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    static const char *const prefixes[8] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    const char *prefix = "";
    char text[32];
    double number;
    int error = number_of(machine, &arguments[0], &number);
    (void)count;
    if (error != 0)
        return error;
    if (is_ordinary(number))
        prefix = fabs(number) >= 1 ? scale_down(&number, 1000, prefixes) : scale_up(&number);
    return put(machine, ret_value, "%s%s", four_digits(number, text), prefix);
}

int template_humanize_1024(machine_type *machine, const struct value *arguments, size_t count,
                         struct value *ret_value)
{
    static const char *const prefixes[8] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
    const char *prefix = "";
    char text[32];
    double number;
    int error = number_of(machine, &arguments[0], &number);
    (void)count;
    if (error != 0)
        return error;
    if (is_ordinary(number) && fabs(number) > 1)
        prefix = scale_down(&number, 1024, prefixes);
    return put(machine, ret_value, "%s%s", four_digits(number, text), prefix);
}

static int humanize_long(machine_type *machine, double seconds, struct value *ret_value)
{
    const char *sign = seconds < 0 ? "-" : "";
    char text[32];
    int64_t whole, s, m, h, d;

    seconds = fabs(seconds);
    whole = seconds < 9e18 ? (int64_t)seconds : INT64_MAX;
    s = whole % 60;
    m = whole / 60 % 60;
    h = whole / 3600 % 24;
    d = whole / 86400;
    if (d != 0)
        return put(machine, ret_value, "%s%" PRId64 "d %" PRId64 "h %" PRId64 "m %" PRId64 "s",
                   sign, d, h, m, s);
    if (h != 0)
        return put(machine, ret_value, "%s%" PRId64 "h %" PRId64 "m %" PRId64 "s", sign, h, m,
                   s);
    if (m != 0)
        return put(machine, ret_value, "%s%" PRId64 "m %" PRId64 "s", sign, m, s);
    return put(machine, ret_value, "%s%ss", sign, four_digits(seconds, text));
}

int template_humanize_duration(machine_type *machine, const struct value *arguments, size_t count,
                             struct value *ret_value)
{
    char text[32];
    const char *prefix;
    double number;
    int error = number_of(machine, &arguments[0], &number);
    (void)count;
    if (error != 0)
        return error;
    if (!isfinite(number))
        return put(machine, ret_value, "%s", four_digits(number, text));
    if (number == 0)
        return put(machine, ret_value, "0s");
    if (fabs(number) >= 1)
        return humanize_long(machine, number, ret_value);
    prefix = scale_up(&number);
    return put(machine, ret_value, "%s%ss", four_digits(number, text), prefix);
}

int template_humanize_percentage(machine_type *machine, const struct value *arguments,
                               size_t count, struct value *ret_value)
{
    char text[32];
    double number;
    int error = number_of(machine, &arguments[0], &number);
    (void)count;
    if (error != 0)
        return error;
    return put(machine, ret_value, "%s%%", four_digits(number * 100, text));
}

/* "2015-06-23 13:19:44.128 +0000 UTC", as Go prints a time. */
int template_humanize_timestamp(machine_type *machine, const struct value *arguments,
                              size_t count, struct value *ret_value)
{
    char text[64], fraction[16] = "";
    double number;
    int64_t ms;
    time_t when;
    struct tm utc;
    int error = number_of(machine, &arguments[0], &number);
    (void)count;
    if (error != 0)
        return error;
    if (!isfinite(number))
        return put(machine, ret_value, "%s", four_digits(number, text));
    if (fabs(number) > 9223372036.0)
        return diagnose(machine->why, ERR_INVALID, "%g is no time", number);
    ms = (int64_t)floor(number * 1000);
    when = (time_t)floor((double)ms / 1000);
    ms -= (int64_t)when * 1000;
    if (gmtime_r(&when, &utc) == NULL)
        return diagnose(machine->why, ERR_INVALID, "%g is no time", number);
    if (ms != 0) {
        (void)snprintf(fraction, sizeof fraction, ".%03d", (int)ms);
        for (size_t end = strlen(fraction); end > 0 && fraction[end - 1] == '0';)
            fraction[--end] = '\0';
    }
    (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
    return put(machine, ret_value, "%s%s +0000 UTC", text, fraction);
}
