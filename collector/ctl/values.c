/* values.c - see values.h. */
#include "collector/ctl/values.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char *next_text(struct values *values)
{
    char *text = values->ring[values->next++ % 16];
    text[0] = '\0';
    return text;
}

const char *value_text(struct values *values, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char *text = next_text(values);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(text, VALUE_TEXT_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, VALUE_TEXT_BYTES, "%.4g", json_real_value(value));
    else if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    return text;
}

int64_t value_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void append(char *text, const char *format, const char *name, const char *value)
{
    size_t size = strlen(text);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text + size, VALUE_TEXT_BYTES - size, format, name, value);
#pragma GCC diagnostic pop
}

const char *value_labels(struct values *values, const json_t *object)
{
    char *text = next_text(values);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        append(text, text[0] == '\0' ? "%s=%s" : " %s=%s", name, json_string_value(value));
    }
    return text;
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*; other names are legal, but must be quoted. */
static bool is_plain_name(const char *name)
{
    return !(*name >= '0' && *name <= '9') &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") ==
               strlen(name);
}

const char *value_metric(struct values *values, const json_t *metric)
{
    char *text = next_text(values);
    const char *metric_name = json_string_value(json_object_get(metric, "__name__"));
    const char *name;
    json_t *value;
    const char *separator = "{";
    if (metric_name != NULL && !is_plain_name(metric_name)) {
        append(text, "{\"%s\"%s", metric_name, "");
        separator = ", ";
    } else if (metric_name != NULL) {
        append(text, "%s%s", metric_name, "");
    }
    json_object_foreach((json_t *)(uintptr_t)metric, name, value)
    {
        if (strcmp(name, "__name__") == 0)
            continue;
        append(text, "%s%s", separator, "");
        append(text, is_plain_name(name) ? "%s=\"%s\"" : "\"%s\"=\"%s\"", name,
               json_string_value(value));
        separator = ", ";
    }
    if (*separator == ',')
        append(text, "%s%s", "}", "");
    return text[0] == '\0' ? "{}" : text;
}

const char *value_time(struct values *values, int64_t ts_ms)
{
    char *text = next_text(values);
    if (ts_ms == 0)
        return "-";
    time_t seconds = (time_t)(ts_ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    strftime(text, VALUE_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

const char *value_instant(struct values *values, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct tm tm = {0};
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        return text == NULL ? "-" : text;
    return value_time(values, (int64_t)timegm(&tm) * 1000);
}

const char *value_bytes(struct values *values, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    char *text = next_text(values);
    snprintf(text, VALUE_TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}
