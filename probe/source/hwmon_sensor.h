/*
 * hwmon_sensor.h - what a file of a hardware monitor means (kernel:
 * Documentation/hwmon/sysfs-interface).
 *
 *     temp1_crit_alarm          <type><number>_<property>
 *     pwm2                      without a property: the value itself
 *     update_interval           of the whole chip: without a number, too
 *
 * Names, help texts and scales are node_exporter's.
 */
#pragma once

#include "probe/source/source.h"

#define HWMON_TEXT_BYTES 128

struct hwmon_file {
    const char *type; /* one of the known ones, static */
    unsigned number;
    const char *property; /* in the file's name; "" without */
};

/* False: no sensor's file. */
bool hwmon_file_parse(const char *name, struct hwmon_file *ret_file);

/* How a file's number is sent. */
struct hwmon_series {
    char name[HWMON_TEXT_BYTES], help[HWMON_TEXT_BYTES + 128];
    enum metric_type type;
    double multiply, divide; /* one of them is 1 */
};

/* `has_plain`: the sensor has a file without property beside its "input".  False: the file is
 * no number of its own (a label, a name too long). */
bool hwmon_file_series(const struct hwmon_file *file, bool has_plain,
                       struct hwmon_series *ret_series);

/* Text as a part of a name: small letters, everything unfit a "_", none at the ends.  Returns
 * its size; `out` gets a NUL. */
size_t hwmon_clean(struct bytes text, char *out, size_t capacity);
