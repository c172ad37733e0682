/*
 * thermal_zone.c - temperatures that the kernel itself acts upon, and what it does to cool.
 *
 *     $ cat /sys/class/thermal/thermal_zone0/{type,temp}
 *     x86_pkg_temp
 *     12376                    thousandths of a degree Celsius
 *     $ cat /sys/class/thermal/cooling_device0/{type,cur_state,max_state}
 *
 * A zone that has no temperature now (a radio that is off) has no series.
 */
#include <string.h>
#include <unistd.h>

#include "probe/source/sysfile.h"

#define INTERVAL_MS 15000
#define PER_DEGREE  1000.0

static const struct metric zone_temp = {"node_thermal_zone_temp", METRIC_GAUGE,
                                        "Zone temperature in Celsius", NULL};
static const struct metric current_state = {"node_cooling_device_cur_state", METRIC_GAUGE,
                                            "Current throttle state of the cooling device",
                                            NULL};
static const struct metric highest_state = {"node_cooling_device_max_state", METRIC_GAUGE,
                                            "Maximum throttle state of the cooling device",
                                            NULL};

static int thermal_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    return sysfs_source_open(state, env, "class/thermal");
}

static void read_zone(struct readings *list, int device, const char *number, struct bytes type)
{
    double value;
    if (sysfile_number(device, "temp", &value))
        readings_add_two(list, &zone_temp, value / PER_DEGREE, "type", type, "zone",
                         bytes_of(number));
}

static void read_cooler(struct readings *list, int device, const char *number,
                        struct bytes type)
{
    double value;
    if (sysfile_number(device, "cur_state", &value))
        readings_add_two(list, &current_state, value, "name", bytes_of(number), "type", type);
    if (sysfile_number(device, "max_state", &value))
        readings_add_two(list, &highest_state, value, "name", bytes_of(number), "type", type);
}

static void thermal_visit(void *context, int fd, const char *name)
{
    struct sysfs_source *source = context;
    struct span number = span_text(name), text;
    char room[SYSFILE_BYTES], type[SYSFILE_BYTES];
    int device;
    bool is_zone = scan_text(&number, "thermal_zone");
    if (!is_zone && !scan_text(&number, "cooling_device"))
        return;
    if (directory_open(fd, name, &device) != 0)
        return;
    if (sysfile_text(device, "type", room, &text)) {
        (is_zone ? read_zone : read_cooler)(&source->list, device, number.at,
                                            sysfile_label(text, type));
    }
    close(device);
}

static int thermal_gather(void *state, const struct source_env *env)
{
    (void)env;
    return sysfs_source_walk(state, thermal_visit);
}

const struct source source_thermal_zone = {
    .name = "thermal_zone",
    .summary = "temperatures of thermal zones, and states of cooling devices",
    .needs = "/sys/class/thermal",
    .state_bytes = sizeof(struct sysfs_source),
    .interval_ms = INTERVAL_MS,
    .blocking = true,
    .start = thermal_start,
    .gather = thermal_gather,
    .collect = sysfs_source_collect,
    .stop = sysfs_source_stop,
};
