/*
 * cpufreq.c - how fast each CPU runs, and how fast it may.
 *
 *     $ cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_{cur_freq,min_freq,max_freq,governor}
 *     1699981                       kHz
 *     800000
 *     3700000
 *     powersave
 *
 * A CPU that sleeps may have to be woken to be asked: on a worker, and not at every tick.
 * Virtual machines have no such folder.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/source/sysfile.h"

#define HERTZ_A_KHZ 1000.0

static const struct row {
    const char *file;
    struct metric metric;
} rows[] = {
    {"cpuinfo_cur_freq",
     {"node_cpu_frequency_hertz", METRIC_GAUGE, "Current CPU thread frequency in hertz.",
      NULL}},
    {"cpuinfo_min_freq",
     {"node_cpu_frequency_min_hertz", METRIC_GAUGE, "Minimum CPU thread frequency in hertz.",
      NULL}},
    {"cpuinfo_max_freq",
     {"node_cpu_frequency_max_hertz", METRIC_GAUGE, "Maximum CPU thread frequency in hertz.",
      NULL}},
    {"scaling_cur_freq",
     {"node_cpu_scaling_frequency_hertz", METRIC_GAUGE,
      "Current scaled CPU thread frequency in hertz.", NULL}},
    {"scaling_min_freq",
     {"node_cpu_scaling_frequency_min_hertz", METRIC_GAUGE,
      "Minimum scaled CPU thread frequency in hertz.", NULL}},
    {"scaling_max_freq",
     {"node_cpu_scaling_frequency_max_hertz", METRIC_GAUGE,
      "Maximum scaled CPU thread frequency in hertz.", NULL}},
};

static const struct metric governors = {"node_cpu_scaling_governor", METRIC_GAUGE,
                                        "Current enabled CPU frequency governor.", NULL};

static void add_governors(struct readings *list, int folder, struct bytes cpu)
{
    char room[SYSFILE_BYTES], all_room[SYSFILE_BYTES], label[SYSFILE_BYTES];
    struct span current, all, word;
    if (!sysfile_text(folder, "scaling_governor", room, &current) ||
        !sysfile_text(folder, "scaling_available_governors", all_room, &all))
        return;
    while (scan_word(&all, &word))
        readings_add_two(list, &governors,
                         bytes_equal(span_bytes(word), span_bytes(current)) ? 1 : 0, "cpu", cpu,
                         "governor", sysfile_label(word, label));
}

static void visit_cpu(void *context, int fd, const char *name)
{
    struct sysfs_source *source = context;
    struct span number = span_text(name);
    char path[64];
    double value;
    int folder;
    if (!scan_text(&number, "cpu") || number.at == number.end || *number.at < '0' ||
        *number.at > '9' || span_size(number) > 8)
        return;
    snprintf(path, sizeof path, "%s/cpufreq", name);
    if (directory_open(fd, path, &folder) != 0)
        return;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (sysfile_number(folder, rows[i].file, &value))
            readings_add_one(&source->list, &rows[i].metric, value * HERTZ_A_KHZ, "cpu",
                             span_bytes(number));
    add_governors(&source->list, folder, span_bytes(number));
    close(folder);
}

static int cpufreq_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct sysfs_source *source = state;
    int error = sysfs_source_open(source, env, "devices/system/cpu/cpu0/cpufreq");
    if (error != 0)
        return error;
    close(source->fd);
    source->fd = 0;
    return sysfs_source_open(source, env, "devices/system/cpu");
}

static int cpufreq_gather(void *state, const struct source_env *env)
{
    (void)env;
    return sysfs_source_walk(state, visit_cpu);
}

const struct source source_cpufreq = {
    .name = "cpufreq",
    .summary = "frequency of each CPU, its bounds and governor",
    .needs = "/sys/devices/system/cpu/cpu0/cpufreq, which virtual machines seldom have",
    .state_bytes = sizeof(struct sysfs_source),
    .interval_ms = 15000,
    .blocking = true,
    .start = cpufreq_start,
    .gather = cpufreq_gather,
    .collect = sysfs_source_collect,
    .stop = sysfs_source_stop,
};
