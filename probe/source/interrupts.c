/*
 * interrupts.c - how many interrupts each CPU has had, by line.
 *
 *     $ cat /proc/interrupts
 *                CPU0       CPU1
 *       0:         18          0   IO-APIC-edge      timer
 *     NMI:         47       5031   Non-maskable interrupts
 *
 * A number is followed by the controller (label info) and the devices; a name by its meaning
 * (info).  Lines times CPUs are ten thousand series on a large host, so this source is off
 * where probe.yml does not turn it on, and `exclude` leaves lines out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/source/device_filter.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"

#define CPUS_MOST  1024
#define LINES_MOST 4096
#define TEXT_BYTES 128

static const struct metric interrupts = {"node_interrupts_total", METRIC_COUNTER,
                                         "Interrupt details.", NULL};

/* A line, and its series by column. */
struct interrupt_line {
    bool is_excluded;
    uint32_t cpu_count;
    series_handle *handles;
};

struct interrupts_state {
    struct procfile file;
    struct readbuf text;
    struct tracked lines; /* by name, controller and devices: another driver is another line */
    struct pattern *exclude;
    uint32_t cpus[CPUS_MOST]; /* of the columns */
    uint32_t cpu_count;
    /* while lines are read */
    struct emitter *out;
    bool has_heading;
};

static int interrupts_configure(void *state, struct config *config,
                                const struct config_node *node, struct diagnosis *why)
{
    return device_filter_read(config, node, "sources.interrupts", NULL,
                              &((struct interrupts_state *)state)->exclude, why);
}

static void line_gone(void *value, void *context)
{
    struct interrupt_line *line = value;
    if (context != NULL && line->handles != NULL)
        series_end(context, line->handles, line->cpu_count);
    free(line->handles);
}

static int interrupts_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct interrupts_state *irq = state;
    irq->lines.value_bytes = sizeof(struct interrupt_line);
    irq->lines.limit = LINES_MOST;
    return procfile_open(&irq->file, env->procfs, "interrupts");
}

/* "CPU0 CPU1 ..."; a CPU that has come or gone makes all lines new. */
static void read_heading(struct interrupts_state *irq, struct span line)
{
    struct span word;
    uint64_t number;
    uint32_t count = 0;
    bool is_same = true;
    while (count < CPUS_MOST && scan_word(&line, &word) && scan_text(&word, "CPU") &&
           scan_u64(&word, &number) && number < UINT32_MAX) {
        is_same = is_same && count < irq->cpu_count && irq->cpus[count] == (uint32_t)number;
        irq->cpus[count++] = (uint32_t)number;
    }
    if (!is_same || count != irq->cpu_count)
        tracked_done(&irq->lines, line_gone, irq->out);
    irq->cpu_count = count;
    irq->has_heading = count > 0;
}

static void line_register(struct interrupts_state *irq, struct interrupt_line *line,
                          struct span name, struct span rest)
{
    uint64_t number;
    struct span digits = name, info = rest, devices = {rest.end, rest.end};
    char cpu[16], info_text[TEXT_BYTES], devices_text[TEXT_BYTES];
    line->is_excluded = pattern_matches(irq->exclude, span_bytes(name));
    if (line->is_excluded)
        return;
    line->handles = calloc(irq->cpu_count, sizeof *line->handles);
    if (line->handles == NULL)
        return;
    line->cpu_count = irq->cpu_count;
    if (scan_u64(&digits, &number) && digits.at == digits.end) {
        devices = rest;
        if (!scan_word(&devices, &info))
            info = (struct span){rest.end, rest.end};
        devices = span_trim(devices);
    }
    size_t info_size = text_clean(span_bytes(info), info_text, sizeof info_text);
    size_t devices_size = text_clean(span_bytes(devices), devices_text, sizeof devices_text);
    for (uint32_t i = 0; i < irq->cpu_count; i++) {
        snprintf(cpu, sizeof cpu, "%u", irq->cpus[i]);
        const struct label labels[] = {
            {bytes_of("cpu"), bytes_of(cpu)},
            {bytes_of("devices"), {(const uint8_t *)devices_text, devices_size}},
            {bytes_of("info"), {(const uint8_t *)info_text, info_size}},
            {bytes_of("type"), span_bytes(name)},
        };
        line->handles[i] = emitter_series(irq->out, &interrupts, labels, 4);
    }
}

/* Words with one blank between them, as node_exporter joins them; returns the size. */
static size_t join_words(struct span text, char *out, size_t capacity)
{
    struct span word;
    size_t size = 0;
    while (scan_word(&text, &word) && size + span_size(word) + 1 <= capacity) {
        if (size > 0)
            out[size++] = ' ';
        memcpy(out + size, word.at, span_size(word));
        size += span_size(word);
    }
    return size;
}

static void read_line(void *context, struct span line)
{
    struct interrupts_state *irq = context;
    struct span name, whole = line, rest;
    char key[2 * TEXT_BYTES], joined[TEXT_BYTES];
    uint64_t value;
    bool is_new;
    if (!irq->has_heading) {
        read_heading(irq, line);
        return;
    }
    if (!scan_word(&line, &name) || name.end[-1] != ':' || span_size(name) > 16)
        return;
    name.end--;
    whole = line;
    for (uint32_t i = 0; i < irq->cpu_count; i++)
        if (!scan_u64(&line, &value))
            return; /* ERR and MIS: one number for all CPUs */
    rest = span_of(joined, join_words(line, joined, sizeof joined));
    int size = snprintf(key, sizeof key, "%.*s %.*s", (int)span_size(name), name.at,
                        (int)span_size(rest), rest.at);
    struct interrupt_line *entry =
        tracked_touch(&irq->lines, (struct bytes){(const uint8_t *)key, (size_t)size}, &is_new);
    if (entry == NULL)
        return;
    if (is_new)
        line_register(irq, entry, name, rest);
    for (uint32_t i = 0; entry->handles != NULL && i < entry->cpu_count; i++)
        if (scan_u64(&whole, &value))
            emit(irq->out, entry->handles[i], (double)value);
}

static int interrupts_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct interrupts_state *irq = state;
    irq->out = out;
    irq->has_heading = false;
    tracked_begin(&irq->lines);
    int error = procfile_lines(&irq->file, &irq->text, read_line, irq);
    if (error == 0 && !irq->has_heading)
        error = ERR_MALFORMED;
    if (error == 0)
        tracked_sweep(&irq->lines, line_gone, out);
    return error;
}

static void interrupts_stop(void *state)
{
    struct interrupts_state *irq = state;
    procfile_close(&irq->file);
    readbuf_done(&irq->text);
    tracked_done(&irq->lines, line_gone, NULL);
    pattern_free(irq->exclude);
}

const struct source source_interrupts = {
    .name = "interrupts",
    .summary = "interrupts by line and CPU (off by default: many series)",
    .needs = "/proc/interrupts",
    .state_bytes = sizeof(struct interrupts_state),
    .interval_ms = 15000,
    .is_optional = true,
    .configure = interrupts_configure,
    .start = interrupts_start,
    .collect = interrupts_collect,
    .stop = interrupts_stop,
};
