/*
 * hwmon_sensor.c - what a file of a hardware monitor means (hwmon_sensor.h).
 */
#include "probe/source/hwmon_sensor.h"

#include <stdio.h>
#include <string.h>

#include "probe/source/scan.h"

#define PREFIX       "node_hwmon_"
#define NUMBERS_MOST 100000u

static const char *const types[] = {
    "vrm",  "beep_enable", "update_interval", "in",     "cpu",      "fan",       "pwm",
    "temp", "curr",        "power",           "energy", "humidity", "intrusion", "freq",
};

bool hwmon_file_parse(const char *name, struct hwmon_file *ret_file)
{
    size_t type_size = strcspn(name, "0123456789");
    struct hwmon_file file = {.property = ""};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == type_size && memcmp(types[i], name, type_size) == 0)
            file.type = types[i];
    if (file.type == NULL)
        return false;
    const char *at = name + type_size;
    for (; *at >= '0' && *at <= '9'; at++) {
        file.number = file.number * 10 + (unsigned)(*at - '0');
        if (file.number > NUMBERS_MOST)
            return false;
    }
    if (*at == '_' && at[1] != '\0')
        file.property = at + 1;
    else if (*at != '\0')
        return false;
    *ret_file = file;
    return true;
}

size_t hwmon_clean(struct bytes text, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size && size + 1 < capacity; i++) {
        char c = (char)text.data[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool is_fit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_';
        if (!is_fit)
            c = '_';
        if (c == '_' && size == 0)
            continue;
        out[size++] = c;
    }
    while (size > 0 && out[size - 1] == '_')
        size--;
    out[size] = '\0';
    return size;
}

/* What a kind of file is called, in the order of asking; the first row that fits counts. */
static const struct meaning {
    const char *type, *property; /* NULL: any */
    const char *suffix;
    const char *help; /* %s: the property; %2$s: the type */
    double multiply, divide;
    enum metric_type metric_type;
} meanings[] = {
    {NULL, "fault", "", "Hardware sensor fault status (%2$s)", 1, 1, METRIC_GAUGE},
    {NULL, "alarm", "", "Hardware sensor alarm status (%2$s)", 1, 1, METRIC_GAUGE},
    {NULL, "beep", "_enabled", "Hardware monitor sensor has beeping enabled", 1, 1,
     METRIC_GAUGE},
    {"in", NULL, "_volts", "Hardware monitor for voltage (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"cpu", NULL, "_volts", "Hardware monitor for voltage (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"temp", "type", "", "Hardware monitor %2$s element %1$s", 1, 1, METRIC_GAUGE},
    {"temp", NULL, "_celsius", "Hardware monitor for temperature (%1$s)", 0.001, 1,
     METRIC_GAUGE},
    {"curr", NULL, "_amps", "Hardware monitor for current (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"energy", NULL, "_joule_total", "Hardware monitor for joules used so far (%1$s)", 1,
     1000000.0, METRIC_COUNTER},
    {"power", "accuracy", "", "Hardware monitor power meter accuracy, as a ratio", 1, 1000000.0,
     METRIC_GAUGE},
    {"power", "average_interval", "_seconds",
     "Hardware monitor power usage update interval (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"power", "average_interval_min", "_seconds",
     "Hardware monitor power usage update interval (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"power", "average_interval_max", "_seconds",
     "Hardware monitor power usage update interval (%1$s)", 0.001, 1, METRIC_GAUGE},
    {"power", NULL, "_watt", "Hardware monitor for power usage in watts (%1$s)", 1, 1000000.0,
     METRIC_GAUGE},
    {"humidity", NULL, "",
     "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a "
     "percentage) (%1$s)",
     1, 1000000.0, METRIC_GAUGE},
    {"fan", "input", "_rpm", "Hardware monitor for fan revolutions per minute (%1$s)", 1, 1,
     METRIC_GAUGE},
    {"fan", "min", "_rpm", "Hardware monitor for fan revolutions per minute (%1$s)", 1, 1,
     METRIC_GAUGE},
    {"fan", "max", "_rpm", "Hardware monitor for fan revolutions per minute (%1$s)", 1, 1,
     METRIC_GAUGE},
    {"fan", "target", "_rpm", "Hardware monitor for fan revolutions per minute (%1$s)", 1, 1,
     METRIC_GAUGE},
    {"freq", "input", "_freq_mhz", "Hardware monitor for GPU frequency in MHz", 1, 1000000.0,
     METRIC_GAUGE},
    {NULL, NULL, "", "Hardware monitor %2$s element %1$s", 1, 1, METRIC_GAUGE},
};

/* The chip's own, of which there is one each and no property. */
static const struct {
    const char *type, *name, *help;
    double multiply;
} chip_wide[] = {
    {"beep_enable", "beep_enabled", "Hardware beep enabled", 1},
    {"vrm", "voltage_regulator_version", "Hardware voltage regulator", 1},
    {"update_interval", "update_interval_seconds", "Hardware monitor update interval", 0.001},
};

static bool is_meant(const struct meaning *meaning, const struct hwmon_file *file)
{
    return (meaning->type == NULL || strcmp(meaning->type, file->type) == 0) &&
           (meaning->property == NULL || strcmp(meaning->property, file->property) == 0);
}

/* The help text, with the two words put in. */
static void put_help(const struct meaning *meaning, const struct hwmon_file *file, char *out,
                     size_t capacity)
{
    size_t size = 0;
    const char *at = meaning->help;
    while (*at != '\0' && size + 1 < capacity) {
        if (at[0] != '%') {
            out[size++] = *at++;
            continue;
        }
        const char *word = at[1] == '1' ? file->property : file->type;
        int put = snprintf(out + size, capacity - size, "%s", word);
        size += (size_t)put < capacity - size ? (size_t)put : capacity - size - 1;
        at += strlen("%1$s");
    }
    out[size] = '\0';
}

bool hwmon_file_series(const struct hwmon_file *file, bool has_plain,
                       struct hwmon_series *ret_series)
{
    char property[HWMON_TEXT_BYTES / 2];
    if (strcmp(file->property, "label") == 0)
        return false;
    for (size_t i = 0; i < sizeof chip_wide / sizeof *chip_wide; i++) {
        if (strcmp(file->type, chip_wide[i].type) != 0)
            continue;
        *ret_series = (struct hwmon_series){
            .multiply = chip_wide[i].multiply, .divide = 1, .type = METRIC_GAUGE};
        snprintf(ret_series->name, sizeof ret_series->name, PREFIX "%s", chip_wide[i].name);
        snprintf(ret_series->help, sizeof ret_series->help, "%s", chip_wide[i].help);
        return file->property[0] == '\0';
    }
    if (strlen(file->property) >= sizeof property)
        return false;
    /* The input is the value itself, unless there is a file that is still more so. */
    bool is_value =
        file->property[0] == '\0' || (strcmp(file->property, "input") == 0 && !has_plain);
    (void)hwmon_clean(bytes_of(file->property), property, sizeof property);
    const struct meaning *meaning = meanings;
    while (!is_meant(meaning, file))
        meaning++;
    *ret_series = (struct hwmon_series){
        .multiply = meaning->multiply,
        .divide = meaning->divide,
        .type = meaning->metric_type,
    };
    snprintf(ret_series->name, sizeof ret_series->name, PREFIX "%s%s%s%s", file->type,
             is_value ? "" : "_", is_value ? "" : property, meaning->suffix);
    put_help(meaning, file, ret_series->help, sizeof ret_series->help);
    return true;
}
