/*
 * hwmon.c - what the host's sensors say: temperatures, fans, voltages, currents, power.
 *
 *     $ ls /sys/class/hwmon/hwmon0            (hwmon_sensor.h tells what a file means)
 *     device  name  temp1_input  temp1_label  temp1_crit  temp1_crit_alarm ...
 *
 * hwmon0 is a number that may change at every boot, so a chip is named by its device, as
 * node_exporter does: the last two parts of device's real path ("platform_coretemp_0"); without
 * a device by its `name`, else by its folder.  Two chips of one device have the chip's name in
 * theirs, too.  Old drivers keep their files in the device's folder: both are read.
 *
 * A sensor may hang behind a slow or broken bus: gather() is on a worker.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/device_filter.h"
#include "probe/source/hwmon_sensor.h"
#include "probe/source/sysfile.h"
#include "proto/base/error.h"

#define INTERVAL_MS    15000
#define CHIPS_MOST     256
#define CHIP_BYTES_MAX 128

static const struct metric chip_names = {"node_hwmon_chip_names", METRIC_GAUGE,
                                         "Annotation metric for human-readable chip names",
                                         NULL};
static const struct metric sensor_label = {"node_hwmon_sensor_label", METRIC_GAUGE,
                                           "Label for given chip and sensor", NULL};

struct hwmon_state {
    struct sysfs_source folder; /* first: what sysfs_source_collect() takes the state for */
    struct pattern *exclude;
    uint64_t names[CHIPS_MOST]; /* hashes, of this look */
    size_t name_count;
    char name[CHIP_BYTES_MAX]; /* of the chip that is being read */
};

static int hwmon_configure(void *state, struct config *config, const struct config_node *node,
                           struct diagnosis *why)
{
    struct hwmon_state *hwmon = state;
    return device_filter_read(config, node, "sources.hwmon", NULL, &hwmon->exclude, why);
}

static int hwmon_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct hwmon_state *hwmon = state;
    return sysfs_source_open(&hwmon->folder, env, "class/hwmon");
}

/* "platform_coretemp_0" of ".../devices/platform/coretemp.0"; empty if there is no device. */
static void device_name(int fd, const char *chip, char name[CHIP_BYTES_MAX])
{
    char path[PATH_MAX], real[PATH_MAX], kind[CHIP_BYTES_MAX / 2], device[CHIP_BYTES_MAX / 2];
    name[0] = '\0';
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s/device", fd, chip);
    if (realpath(path, real) == NULL)
        return;
    char *last = strrchr(real, '/');
    if (last == NULL)
        return;
    *last = '\0';
    const char *before = strrchr(real, '/');
    (void)hwmon_clean(bytes_of(last + 1), device, sizeof device);
    (void)hwmon_clean(bytes_of(before != NULL ? before + 1 : ""), kind, sizeof kind);
    snprintf(name, CHIP_BYTES_MAX, "%s%s%s", kind, kind[0] != '\0' && device[0] ? "_" : "",
             device);
}

/* What the chip calls itself; empty if it does not. */
static void own_name(int fd, const char *chip, char name[CHIP_BYTES_MAX / 2])
{
    char path[NAME_MAX + sizeof "/name"], room[SYSFILE_BYTES];
    struct span text;
    name[0] = '\0';
    snprintf(path, sizeof path, "%s/name", chip);
    if (sysfile_text(fd, path, room, &text))
        (void)hwmon_clean(span_bytes(text), name, CHIP_BYTES_MAX / 2);
}

static void chip_name(int fd, const char *chip, char name[CHIP_BYTES_MAX])
{
    char own[CHIP_BYTES_MAX / 2];
    device_name(fd, chip, name);
    if (name[0] != '\0')
        return;
    own_name(fd, chip, own);
    if (own[0] != '\0')
        snprintf(name, CHIP_BYTES_MAX, "%s", own);
    else
        (void)hwmon_clean(bytes_of(chip), name, CHIP_BYTES_MAX);
}

static void note_name(void *context, int fd, const char *chip)
{
    struct hwmon_state *hwmon = context;
    char name[CHIP_BYTES_MAX];
    chip_name(fd, chip, name);
    if (hwmon->name_count < CHIPS_MOST)
        hwmon->names[hwmon->name_count++] = field_hash(FIELD_HASH, bytes_of(name));
}

static bool is_shared(const struct hwmon_state *hwmon, const char *name)
{
    uint64_t hash = field_hash(FIELD_HASH, bytes_of(name));
    size_t holders = 0;
    for (size_t i = 0; i < hwmon->name_count; i++)
        holders += hwmon->names[i] == hash;
    return holders > 1;
}

static void add_label(struct hwmon_state *hwmon, int fd, const char *file, struct bytes sensor)
{
    char room[SYSFILE_BYTES], label[SYSFILE_BYTES];
    struct span text;
    if (!sysfile_text(fd, file, room, &text))
        return;
    size_t size = text_clean(span_bytes(text), label, sizeof label);
    const struct label labels[] = {{bytes_of("chip"), bytes_of(hwmon->name)},
                                   {bytes_of("label"), {(const uint8_t *)label, size}},
                                   {bytes_of("sensor"), sensor}};
    readings_add(&hwmon->folder.list, &sensor_label, 1, labels, 3);
}

/* A frequency's sensor is called as its label is ("sclk"); false if it has none. */
static bool frequency_sensor(int fd, const struct hwmon_file *parsed,
                             char sensor[HWMON_TEXT_BYTES])
{
    char path[HWMON_TEXT_BYTES], room[SYSFILE_BYTES];
    struct span text;
    snprintf(path, sizeof path, "freq%u_label", parsed->number);
    return sysfile_text(fd, path, room, &text) &&
           hwmon_clean(span_bytes(text), sensor, HWMON_TEXT_BYTES) > 0;
}

static void read_sensor(void *context, int fd, const char *file)
{
    struct hwmon_state *hwmon = context;
    struct hwmon_file parsed;
    struct hwmon_series series;
    char sensor[HWMON_TEXT_BYTES], plain[HWMON_TEXT_BYTES];
    double value;

    if (!hwmon_file_parse(file, &parsed))
        return;
    snprintf(sensor, sizeof sensor, "%s%u", parsed.type, parsed.number);
    if (strcmp(parsed.property, "label") == 0) {
        add_label(hwmon, fd, file, bytes_of(sensor));
        return;
    }
    snprintf(plain, sizeof plain, "%s%u", parsed.type, parsed.number);
    bool has_plain =
        strcmp(parsed.property, "input") == 0 && faccessat(fd, plain, R_OK, 0) == 0;
    if (!hwmon_file_series(&parsed, has_plain, &series) || !sysfile_number(fd, file, &value))
        return;
    if (strcmp(parsed.type, "freq") == 0 && strcmp(parsed.property, "input") == 0 &&
        !frequency_sensor(fd, &parsed, sensor))
        return;
    const struct metric metric = {series.name, series.type, series.help, NULL};
    readings_add_two(&hwmon->folder.list, &metric, value * series.multiply / series.divide,
                     "chip", bytes_of(hwmon->name), "sensor", bytes_of(sensor));
}

static void read_chip(void *context, int fd, const char *chip)
{
    struct hwmon_state *hwmon = context;
    char own[CHIP_BYTES_MAX / 2];
    int folder, device;

    if (directory_open(fd, chip, &folder) != 0)
        return;
    own_name(fd, chip, own);
    chip_name(fd, chip, hwmon->name);
    size_t size = strlen(hwmon->name);
    if (own[0] != '\0' && is_shared(hwmon, hwmon->name))
        snprintf(hwmon->name + size, sizeof hwmon->name - size, "_%s", own);
    if (!pattern_matches(hwmon->exclude, bytes_of(hwmon->name))) {
        if (own[0] != '\0')
            readings_add_two(&hwmon->folder.list, &chip_names, 1, "chip", bytes_of(hwmon->name),
                             "chip_name", bytes_of(own));
        (void)directory_walk(folder, read_sensor, hwmon);
        if (directory_open(folder, "device", &device) == 0) {
            (void)directory_walk(device, read_sensor, hwmon);
            close(device);
        }
    }
    close(folder);
}

static int hwmon_gather(void *state, const struct source_env *env)
{
    (void)env;
    struct hwmon_state *hwmon = state;
    hwmon->name_count = 0;
    readings_begin(&hwmon->folder.list);
    int error = directory_walk(hwmon->folder.fd, note_name, hwmon);
    if (error == 0)
        error = directory_walk(hwmon->folder.fd, read_chip, hwmon);
    return error;
}

static void hwmon_stop(void *state)
{
    struct hwmon_state *hwmon = state;
    sysfs_source_stop(&hwmon->folder);
    pattern_free(hwmon->exclude);
}

const struct source source_hwmon = {
    .name = "hwmon",
    .summary = "temperatures, fans, voltages and power from the host's sensors",
    .needs = "/sys/class/hwmon: sensors with a driver, which virtual machines seldom have",
    .state_bytes = sizeof(struct hwmon_state),
    .interval_ms = INTERVAL_MS,
    .blocking = true,
    .configure = hwmon_configure,
    .start = hwmon_start,
    .gather = hwmon_gather,
    .collect = sysfs_source_collect,
    .stop = hwmon_stop,
};
