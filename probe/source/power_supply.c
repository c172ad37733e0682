/*
 * power_supply.c - mains and batteries, as far as the host sees them.
 *
 *     $ ls /sys/class/power_supply/BAT0
 *     capacity  energy_now  status  technology  voltage_now ...
 *
 * A file a property; the kernel's unit is a millionth of what is sent, a tenth for temperatures
 * (Documentation/ABI/testing/sysfs-class-power).  What is a word goes into ..._info's labels.
 * Reading one may ask the embedded controller and take tens of milliseconds: on a worker.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/device_filter.h"
#include "probe/source/sysfile.h"

#define NAME_PREFIX    "node_power_supply_"
#define TEXT_BYTES_MAX 128
#define WORD_BYTES_MAX 192
#define ONE            1.0
#define MICRO          1e6
#define TENTH          10.0

static const struct property {
    const char *file, *name;
    double divide;
} properties[] = {
    {"authentic", "authentic", ONE},
    {"calibrate", "calibrate", ONE},
    {"capacity", "capacity", ONE},
    {"capacity_alert_max", "capacity_alert_max", ONE},
    {"capacity_alert_min", "capacity_alert_min", ONE},
    {"charge_control_limit", "charge_control_limit", MICRO},
    {"charge_control_limit_max", "charge_control_limit_max", MICRO},
    {"charge_counter", "charge_counter", MICRO},
    {"charge_empty", "charge_empty", MICRO},
    {"charge_empty_design", "charge_empty_design", MICRO},
    {"charge_full", "charge_full", MICRO},
    {"charge_full_design", "charge_full_design", MICRO},
    {"charge_now", "charge_ampere", MICRO},
    {"charge_term_current", "charge_term_current", MICRO},
    {"constant_charge_current", "constant_charge_current", MICRO},
    {"constant_charge_current_max", "constant_charge_current_max", MICRO},
    {"constant_charge_voltage", "constant_charge_voltage", MICRO},
    {"constant_charge_voltage_max", "constant_charge_voltage_max", MICRO},
    {"current_boot", "current_boot", MICRO},
    {"current_max", "current_max", MICRO},
    {"current_now", "current_ampere", MICRO},
    {"cycle_count", "cyclecount", ONE},
    {"energy_empty", "energy_empty", MICRO},
    {"energy_empty_design", "energy_empty_design", MICRO},
    {"energy_full", "energy_full", MICRO},
    {"energy_full_design", "energy_full_design", MICRO},
    {"energy_now", "energy_watthour", MICRO},
    {"input_current_limit", "input_current_limit", MICRO},
    {"online", "online", ONE},
    {"power_now", "power_watt", MICRO},
    {"precharge_current", "precharge_current", MICRO},
    {"present", "present", ONE},
    {"temp", "temp_celsius", TENTH},
    {"temp_alert_max", "temp_alert_max_celsius", TENTH},
    {"temp_alert_min", "temp_alert_min_celsius", TENTH},
    {"temp_ambient", "temp_ambient_celsius", TENTH},
    {"temp_ambient_max", "temp_ambient_max_celsius", TENTH},
    {"temp_ambient_min", "temp_ambient_min_celsius", TENTH},
    {"temp_max", "temp_max_celsius", TENTH},
    {"temp_min", "temp_min_celsius", TENTH},
    {"time_to_empty_now", "time_to_empty_seconds", ONE},
    {"time_to_full_now", "time_to_full_seconds", ONE},
    {"voltage_boot", "voltage_boot", MICRO},
    {"voltage_max", "voltage_max", MICRO},
    {"voltage_max_design", "voltage_max_design", MICRO},
    {"voltage_min", "voltage_min", MICRO},
    {"voltage_min_design", "voltage_min_design", MICRO},
    {"voltage_now", "voltage_volt", MICRO},
    {"voltage_ocv", "voltage_ocv", MICRO},
};

/* Files and labels, ascending. */
static const char *const words[] = {
    "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "scope",
    "serial_number",  "status",      "technology", "type",         "usb_type",
};
#define WORDS (sizeof words / sizeof *words)

static const struct metric info = {NAME_PREFIX "info", METRIC_GAUGE,
                                   "info of /sys/class/power_supply/<power_supply>.", NULL};

struct power_state {
    struct sysfs_source folder; /* first: sysfs_source_collect() takes the state for it */
    struct pattern *exclude;
};

static int power_configure(void *state, struct config *config, const struct config_node *node,
                           struct diagnosis *why)
{
    return device_filter_read(config, node, "sources.power_supply", NULL,
                              &((struct power_state *)state)->exclude, why);
}

static int power_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    return sysfs_source_open(&((struct power_state *)state)->folder, env, "class/power_supply");
}

static void add_info(struct readings *list, int device, const char *supply)
{
    char texts[WORDS][WORD_BYTES_MAX], room[SYSFILE_BYTES];
    struct label labels[WORDS + 1];
    struct span text;
    size_t count = 0;
    for (size_t i = 0; i < WORDS; i++) {
        if (strcmp(words[i], "scope") == 0) /* between model_name and serial_number */
            labels[count++] = (struct label){bytes_of("power_supply"), bytes_of(supply)};
        if (!sysfile_text(device, words[i], room, &text))
            continue;
        size_t size = text_clean(span_bytes(text), texts[i], WORD_BYTES_MAX);
        labels[count++] = (struct label){bytes_of(words[i]), {(const uint8_t *)texts[i], size}};
    }
    readings_add(list, &info, 1, labels, count);
}

static void power_visit(void *context, int fd, const char *supply)
{
    struct power_state *power = context;
    char name[TEXT_BYTES_MAX], help[TEXT_BYTES_MAX];
    double value;
    int device;
    if (pattern_matches(power->exclude, bytes_of(supply)) ||
        directory_open(fd, supply, &device) != 0)
        return;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (!sysfile_number(device, properties[i].file, &value))
            continue;
        snprintf(name, sizeof name, NAME_PREFIX "%s", properties[i].name);
        snprintf(help, sizeof help, "%s value of /sys/class/power_supply/<power_supply>.",
                 properties[i].name);
        const struct metric metric = {name, METRIC_GAUGE, help, NULL};
        readings_add_one(&power->folder.list, &metric, value / properties[i].divide,
                         "power_supply", bytes_of(supply));
    }
    add_info(&power->folder.list, device, supply);
    close(device);
}

static int power_gather(void *state, const struct source_env *env)
{
    (void)env;
    struct power_state *power = state;
    readings_begin(&power->folder.list);
    return directory_walk(power->folder.fd, power_visit, power);
}

static void power_stop(void *state)
{
    struct power_state *power = state;
    sysfs_source_stop(&power->folder);
    pattern_free(power->exclude);
}

const struct source source_power_supply = {
    .name = "power_supply",
    .summary = "mains and batteries",
    .needs = "/sys/class/power_supply",
    .state_bytes = sizeof(struct power_state),
    .interval_ms = 15000,
    .blocking = true,
    .configure = power_configure,
    .start = power_start,
    .gather = power_gather,
    .collect = sysfs_source_collect,
    .stop = power_stop,
};
