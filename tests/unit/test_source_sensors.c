/*
 * test_source_sensors.c - hwmon and thermal zones: names of chips, units, what goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/hwmon_sensor.h"
#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.out = recorder_new()};
    fake_tree_make(&f->tree);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

static int start(struct fixture *f, const char *name, const char *yaml)
{
    return running_source_start(&f->running, source_find(name), f->tree.root, yaml, f->out,
                                NULL);
}

static void tick(struct fixture *f)
{
    recorder_tick(f->out);
    assert_int_equal(running_source_tick(&f->running, T0, f->out), 0);
}

static void expect(const struct fixture *f, const char *series, double value)
{
    double got = recorder_value(f->out, series);
    if (!(got == value))
        fail_msg("%s is %.17g, not %.17g", series, got, value);
}

/* A chip in the folder of its device, as drivers make them. */
static void make_chip(const struct fixture *f, const char *device, const char *chip)
{
    char path[256], target[256];
    snprintf(path, sizeof path, "sys/devices/platform/%s/hwmon/%s/name", device, chip);
    fake_tree_write(&f->tree, path, "chip\n");
    fake_tree_write(&f->tree, "sys/class/hwmon/.keep", "");
    snprintf(path, sizeof path, "%s/sys/devices/platform/%s/hwmon/%s/device", f->tree.root,
             device, chip);
    assert_int_equal(symlink("../..", path), 0);
    snprintf(path, sizeof path, "%s/sys/class/hwmon/%s", f->tree.root, chip);
    snprintf(target, sizeof target, "../../devices/platform/%s/hwmon/%s", device, chip);
    assert_int_equal(symlink(target, path), 0);
}

static const struct meaning_case {
    const char *file, *name, *help;
    double times_1000;
} meanings[] = {
    {"temp1_input", "node_hwmon_temp_celsius", "Hardware monitor for temperature (input)", 1},
    {"temp1_crit_alarm", "node_hwmon_temp_crit_alarm_celsius",
     "Hardware monitor for temperature (crit_alarm)", 1},
    {"temp1_type", "node_hwmon_temp_type", "Hardware monitor temp element type", 1000},
    {"in3_max", "node_hwmon_in_max_volts", "Hardware monitor for voltage (max)", 1},
    {"curr1_input", "node_hwmon_curr_amps", "Hardware monitor for current (input)", 1},
    {"fan2_input", "node_hwmon_fan_rpm",
     "Hardware monitor for fan revolutions per minute (input)", 1000},
    {"fan2_alarm", "node_hwmon_fan_alarm", "Hardware sensor alarm status (fan)", 1000},
    {"fan2_pulses", "node_hwmon_fan_pulses", "Hardware monitor fan element pulses", 1000},
    {"in0_beep", "node_hwmon_in_beep_enabled", "Hardware monitor sensor has beeping enabled",
     1000},
    {"power1_average", "node_hwmon_power_average_watt",
     "Hardware monitor for power usage in watts (average)", 0.001},
    {"power1_accuracy", "node_hwmon_power_accuracy",
     "Hardware monitor power meter accuracy, as a ratio", 0.001},
    {"energy1_input", "node_hwmon_energy_joule_total",
     "Hardware monitor for joules used so far (input)", 0.001},
    {"pwm1", "node_hwmon_pwm", "Hardware monitor pwm element ", 1000},
    {"pwm1_auto_point1_pwm", "node_hwmon_pwm_auto_point1_pwm",
     "Hardware monitor pwm element auto_point1_pwm", 1000},
    {"update_interval", "node_hwmon_update_interval_seconds",
     "Hardware monitor update interval", 1},
    {"vrm", "node_hwmon_voltage_regulator_version", "Hardware voltage regulator", 1000},
};

static void a_file_is_called_as_node_exporter_calls_it(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        struct hwmon_file file;
        struct hwmon_series series;
        assert_true(hwmon_file_parse(meanings[i].file, &file));
        assert_true(hwmon_file_series(&file, false, &series));
        assert_string_equal(series.name, meanings[i].name);
        assert_string_equal(series.help, meanings[i].help);
        assert_true(1000 * series.multiply / series.divide == meanings[i].times_1000);
    }
    static const char *const others[] = {"name",
                                         "uevent",
                                         "power",
                                         "temp1_",
                                         "temp1x",
                                         "device",
                                         "temp99999999999_input",
                                         "bogus1_input",
                                         ""};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct hwmon_file file = {0};
        struct hwmon_series series;
        /* "power" is a sensor's type, and a folder that every device has: it has no number. */
        if (hwmon_file_parse(others[i], &file) && strcmp(others[i], "power") != 0)
            fail_msg("%s is no sensor", others[i]);
        (void)series;
    }
}

static void a_chip_is_named_by_its_device_and_by_itself_when_it_shares_one(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    make_chip(&f, "coretemp.0", "hwmon0");
    make_chip(&f, "asus-wmi", "hwmon1");
    make_chip(&f, "asus-wmi", "hwmon2");
    fake_tree_write(&f.tree, "sys/devices/platform/asus-wmi/hwmon/hwmon2/name", "fans\n");
    fake_tree_write(&f.tree, "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input",
                    "55000\n");
    fake_tree_write(&f.tree, "sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_label",
                    "Physical id 0\n");
    fake_tree_write(&f.tree, "sys/devices/platform/asus-wmi/hwmon/hwmon1/pwm1", "9\n");
    fake_tree_write(&f.tree, "sys/devices/platform/asus-wmi/hwmon/hwmon2/pwm1", "8\n");
    assert_int_equal(start(&f, "hwmon", NULL), 0);
    tick(&f);
    expect(&f, "node_hwmon_temp_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"}", 55);
    expect(&f,
           "node_hwmon_sensor_label{chip=\"platform_coretemp_0\",label=\"Physical id "
           "0\",sensor=\"temp1\"}",
           1);
    expect(&f, "node_hwmon_chip_names{chip=\"platform_coretemp_0\",chip_name=\"chip\"}", 1);
    expect(&f, "node_hwmon_pwm{chip=\"platform_asus_wmi_chip\",sensor=\"pwm1\"}", 9);
    expect(&f, "node_hwmon_pwm{chip=\"platform_asus_wmi_fans\",sensor=\"pwm1\"}", 8);
    close_fixture(&f);
}

static void a_sensor_that_cannot_be_read_is_not_zero_and_a_chip_that_goes_ends(void **unused)
{
    (void)unused;
    struct fixture f;
    const char *first = "node_hwmon_temp_celsius{chip=\"platform_a\",sensor=\"temp1\"}";
    const char *other = "node_hwmon_fan_rpm{chip=\"platform_b\",sensor=\"fan1\"}";
    open_fixture(&f);
    make_chip(&f, "a", "hwmon0");
    make_chip(&f, "b", "hwmon1");
    fake_tree_write(&f.tree, "sys/devices/platform/a/hwmon/hwmon0/temp1_input", "1000\n");
    fake_tree_write(&f.tree, "sys/devices/platform/b/hwmon/hwmon1/fan1_input", "900\n");
    assert_int_equal(start(&f, "hwmon", NULL), 0);
    tick(&f);
    expect(&f, first, 1);
    expect(&f, other, 900);
    fake_tree_write(&f.tree, "sys/devices/platform/a/hwmon/hwmon0/temp1_input", "N/A\n");
    tick(&f);
    assert_true(recorder_ended(f.out, first));
    fake_tree_write(&f.tree, "sys/devices/platform/a/hwmon/hwmon0/temp1_input", "2000\n");
    fake_tree_remove(&f.tree, "sys/class/hwmon/hwmon1");
    tick(&f);
    expect(&f, first, 2);
    assert_true(recorder_ended(f.out, other));
    close_fixture(&f);
}

static void chips_are_left_out_by_expression(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    make_chip(&f, "a", "hwmon0");
    make_chip(&f, "b", "hwmon1");
    assert_int_equal(start(&f, "hwmon", "{exclude: '_a$'}"), 0);
    tick(&f);
    assert_int_equal(recorder_count(f.out), 1);
    assert_true(
        recorder_has(f.out, "node_hwmon_chip_names{chip=\"platform_b\",chip_name=\"chip\"}"));
    close_fixture(&f);
}

static void zones_and_coolers_are_read_and_end(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_write(&f.tree, "sys/class/thermal/thermal_zone3/type", "x86_pkg_temp\n");
    fake_tree_write(&f.tree, "sys/class/thermal/thermal_zone3/temp", "-12500\n");
    fake_tree_write(&f.tree, "sys/class/thermal/cooling_device1/type", "Processor\n");
    fake_tree_write(&f.tree, "sys/class/thermal/cooling_device1/cur_state", "2\n");
    fake_tree_write(&f.tree, "sys/class/thermal/cooling_device1/max_state", "3\n");
    assert_int_equal(start(&f, "thermal_zone", NULL), 0);
    tick(&f);
    expect(&f, "node_thermal_zone_temp{type=\"x86_pkg_temp\",zone=\"3\"}", -12.5);
    expect(&f, "node_cooling_device_cur_state{name=\"1\",type=\"Processor\"}", 2);
    fake_tree_remove(&f.tree, "sys/class/thermal/thermal_zone3");
    tick(&f);
    assert_true(
        recorder_ended(f.out, "node_thermal_zone_temp{type=\"x86_pkg_temp\",zone=\"3\"}"));
    assert_int_equal(recorder_count(f.out), 2);
    close_fixture(&f);
}

static void energy_counters_of_one_name_are_numbered(void **unused)
{
    (void)unused;
    struct fixture f;
    char series[256];
    open_fixture(&f);
    assert_int_equal(start(&f, "rapl", NULL), ERR_NOTFOUND);
    running_source_stop(&f.running);
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:1:0/name", "core\n");
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:1:0/energy_uj", "7000000\n");
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:0:0/name", "core\n");
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:0:0/energy_uj", "500000\n");
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:1/name", "package-1\n");
    fake_tree_write(&f.tree, "sys/class/powercap/intel-rapl:1/energy_uj", "9000000\n");
    assert_int_equal(start(&f, "rapl", NULL), 0);
    tick(&f);
    snprintf(series, sizeof series,
             "node_rapl_core_joules_total{index=\"1\",path=\"%s/sys/class/powercap/"
             "intel-rapl:1:0\"}",
             f.tree.root);
    expect(&f, series, 7);
    snprintf(series, sizeof series,
             "node_rapl_package_joules_total{index=\"1\",path=\"%s/sys/class/powercap/"
             "intel-rapl:1\"}",
             f.tree.root);
    expect(&f, series, 9);
    assert_int_equal(recorder_count(f.out), 3);
    close_fixture(&f);
}

static void a_host_without_sensors_has_no_such_source(void **unused)
{
    (void)unused;
    static const char *const names[] = {"hwmon", "thermal_zone"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fixture f;
        open_fixture(&f);
        assert_int_equal(start(&f, names[i], NULL), ERR_NOTFOUND);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_called_as_node_exporter_calls_it),
        cmocka_unit_test(a_chip_is_named_by_its_device_and_by_itself_when_it_shares_one),
        cmocka_unit_test(a_sensor_that_cannot_be_read_is_not_zero_and_a_chip_that_goes_ends),
        cmocka_unit_test(chips_are_left_out_by_expression),
        cmocka_unit_test(zones_and_coolers_are_read_and_end),
        cmocka_unit_test(energy_counters_of_one_name_are_numbered),
        cmocka_unit_test(a_host_without_sensors_has_no_such_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
