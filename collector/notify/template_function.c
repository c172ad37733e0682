/*
 * template_function.c - the functions of templates, one row each.
 *
 * The humanize family prints exactly what Prometheus prints: "%.4g" and the prefixes of SI
 * (humanize), of IEC (humanize1024), or d h m s (humanizeDuration).
 */
#include <ctype.h>
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

static int humanize(machine_type *machine, const struct value *arguments, size_t count,
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

static int humanize_1024(machine_type *machine, const struct value *arguments, size_t count,
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

static int humanize_duration(machine_type *machine, const struct value *arguments, size_t count,
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

static int humanize_percentage(machine_type *machine, const struct value *arguments,
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
static int humanize_timestamp(machine_type *machine, const struct value *arguments,
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

/* ---- text -------------------------------------------------------------------------------- */

enum casing { CASE_UPPER, CASE_LOWER, CASE_TITLE };

/* ASCII letters only; others (Chinese has no case) stay. */
static int change_case(machine_type *machine, const struct value *argument, enum casing casing,
                       struct value *ret_value)
{
    struct bytes text = {0};
    uint8_t *copy;
    bool starts_word = true;
    int error = template_value_to_text(machine, argument, &text);

    if (error != 0)
        return error;
    copy = arena_alloc(machine->arena, text.size + 1, 1);
    if (copy == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (casing == CASE_UPPER || (casing == CASE_TITLE && starts_word))
            c = (uint8_t)(c < 0x80 ? toupper(c) : c);
        else if (casing == CASE_LOWER)
            c = (uint8_t)(c < 0x80 ? tolower(c) : c);
        starts_word = !(isalnum(c) || c == '_' || c == '\'' || c >= 0x80);
        copy[i] = c;
    }
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, text.size}};
    return 0;
}

static int to_upper(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_UPPER, ret_value);
}

static int to_lower(machine_type *machine, const struct value *arguments, size_t count,
                    struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_LOWER, ret_value);
}

static int title(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    (void)count;
    return change_case(machine, &arguments[0], CASE_TITLE, ret_value);
}

/* "host:9100" -> "host", "[::1]:80" -> "::1"; what has no port stays. */
static int strip_port(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    struct bytes text = {0};
    const uint8_t *colon = NULL;
    size_t colons = 0;
    int error = template_value_to_text(machine, &arguments[0], &text);
    (void)count;
    if (error != 0)
        return error;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == ':') {
            colon = text.data + i;
            colons++;
        }
    if (colon != NULL && text.data[0] == '[' && colon[-1] == ']')
        text = (struct bytes){text.data + 1, (size_t)(colon - text.data) - 2};
    else if (colons == 1 && text.data[0] != '[')
        text.size = (size_t)(colon - text.data);
    *ret_value = (struct value){.kind = VALUE_STRING, .as.text = text};
    return 0;
}

static int print_values(machine_type *machine, const struct value *arguments, size_t count,
                        bool is_line, struct value *ret_value)
{
    struct buf joined;
    struct value whole = {.kind = VALUE_STRING};
    uint8_t *copy;

    buf_init(&joined, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < count; i++) {
        bool both_text = i > 0 && (arguments[i - 1].kind == VALUE_STRING ||
                                   arguments[i].kind == VALUE_STRING);
        if (i > 0 && (is_line || !both_text))
            buf_put_char(&joined, ' ');
        template_value_print(&arguments[i], &joined);
    }
    if (is_line)
        buf_put_char(&joined, '\n');
    copy = buf_ok(&joined) ? arena_alloc(machine->arena, joined.size + 1, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, buf_text(&joined), joined.size);
        whole.as.text = (struct bytes){copy, joined.size};
        *ret_value = whole;
    }
    buf_done(&joined);
    return copy == NULL ? ERR_NOMEM : 0;
}

static int print(machine_type *machine, const struct value *arguments, size_t count,
                 struct value *ret_value)
{
    return print_values(machine, arguments, count, false, ret_value);
}

static int print_line(machine_type *machine, const struct value *arguments, size_t count,
                      struct value *ret_value)
{
    return print_values(machine, arguments, count, true, ret_value);
}

/* join LIST SEPARATOR (Alertmanager's order: separator first). */
static int join(machine_type *machine, const struct value *arguments, size_t count,
                struct value *ret_value)
{
    struct buf joined;
    uint8_t *copy;
    struct bytes separator = {0};
    int error = template_value_to_text(machine, &arguments[0], &separator);
    (void)count;
    if (error != 0 || arguments[1].kind != VALUE_LIST)
        return diagnose(machine->why, ERR_INVALID, "join: the second argument is no list");
    buf_init(&joined, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < arguments[1].as.list.count; i++) {
        if (i > 0)
            buf_put(&joined, separator.data, separator.size);
        template_value_print(&arguments[1].as.list.items[i], &joined);
    }
    copy = buf_ok(&joined) ? arena_alloc(machine->arena, joined.size + 1, 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, buf_text(&joined), joined.size);
        *ret_value = (struct value){.kind = VALUE_STRING, .as.text = {copy, joined.size}};
    }
    buf_done(&joined);
    return copy == NULL ? ERR_NOMEM : 0;
}

static const struct template_function functions[] = {
    {"humanize", 1, 1, humanize, "1234567 -> 1.235M"},
    {"humanize1024", 1, 1, humanize_1024, "1048576 -> 1Mi"},
    {"humanizeDuration", 1, 1, humanize_duration, "3725 -> 1h 2m 5s"},
    {"humanizePercentage", 1, 1, humanize_percentage, "0.1234 -> 12.34%"},
    {"humanizeTimestamp", 1, 1, humanize_timestamp, "Unix seconds -> date and time, UTC"},
    {"printf", 1, 32, template_printf, "Go's fmt.Sprintf"},
    {"print", 0, 32, print, "Go's fmt.Sprint"},
    {"println", 0, 32, print_line, "Go's fmt.Sprintln"},
    {"title", 1, 1, title, "capital first letters"},
    {"toUpper", 1, 1, to_upper, "capital letters"},
    {"toLower", 1, 1, to_lower, "small letters"},
    {"stripPort", 1, 1, strip_port, "host:port -> host"},
    {"reReplaceAll", 3, 3, template_replace, "pattern, replacement, text"},
    {"match", 2, 2, template_match, "does the pattern match somewhere in the text"},
    {"join", 2, 2, join, "separator, list"},
    {"and", 1, 32, template_last, "the first false argument, or the last"},
    {"or", 1, 32, template_last, "the first true argument, or the last"},
    {"not", 1, 1, template_not, "the opposite"},
    {"eq", 2, 32, template_equal, "equal to any of the others"},
    {"ne", 2, 2, template_not_equal, "not equal"},
    {"lt", 2, 2, template_less, "less"},
    {"le", 2, 2, template_at_most, "less or equal"},
    {"gt", 2, 2, template_greater, "greater"},
    {"ge", 2, 2, template_at_least, "greater or equal"},
    {"len", 1, 1, template_length, "bytes of a text, items of a list"},
    {"index", 1, 32, template_index, "item of a list by number, of a map by key"},
};

#define FUNCTION_COUNT (sizeof functions / sizeof functions[0])

const struct template_function *template_function_find(struct bytes name)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (bytes_equal(bytes_of(functions[i].name), name))
            return &functions[i];
    return NULL;
}

const char *template_function_near(const char *name)
{
    const char *names[FUNCTION_COUNT];
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        names[i] = functions[i].name;
    return nearest_name(name, names, FUNCTION_COUNT);
}
