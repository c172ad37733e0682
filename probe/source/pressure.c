/*
 * pressure.c - how long processes have waited for what was short (PSI).
 *
 *     $ cat /proc/pressure/io
 *     some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802   -> ..._waiting_seconds_total
 *     full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614   -> ..._stalled_seconds_total
 *
 * Totals are microseconds.  Linux 4.20 and newer (irq: 6.1), where it was built in and not
 * switched off (psi=0; then the files are there and cannot be read).  Everything else has no
 * such series.  cpu's "full" means nothing for a whole host and is left out, irq has no "some".
 */
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/series.h"
#include "probe/source/source.h"
#include "proto/base/error.h"

#define PER_THOUSAND 1000.0

enum line { SOME, FULL, LINES };
static const char *const line_words[LINES] = {"some", "full"};

#define WAITING(name, what)                                                                    \
    {                                                                                          \
        "node_pressure_" name "_waiting_seconds_total", METRIC_COUNTER,                        \
            "Total time in seconds that processes have waited " what, NULL                     \
    }
#define STALLED(name, what)                                                                    \
    {                                                                                          \
        "node_pressure_" name "_stalled_seconds_total", METRIC_COUNTER,                        \
            "Total time in seconds no process could make progress due to " what " congestion", \
            NULL                                                                               \
    }
static const struct resource {
    const char *path;
    struct metric metrics[LINES]; /* no name: that line is not sent */
} resources[] = {
    {"pressure/cpu", {[SOME] = WAITING("cpu", "for CPU time")}},
    {"pressure/io",
     {[SOME] = WAITING("io", "due to IO congestion"), [FULL] = STALLED("io", "IO")}},
    {"pressure/memory",
     {[SOME] = WAITING("memory", "for memory"), [FULL] = STALLED("memory", "memory")}},
    {"pressure/irq", {[FULL] = STALLED("irq", "IRQ")}},
};
#define RESOURCES (sizeof resources / sizeof *resources)

struct pressure_state {
    struct procfile files[RESOURCES]; /* closed: not on this host */
    series_handle handles[RESOURCES][LINES];
    struct readbuf text;
};

/* The total of the line that begins with `word`. */
static bool find_total(struct span text, const char *word, uint64_t *ret_microseconds)
{
    struct span line, first, item;
    while (scan_line(&text, &line)) {
        if (!scan_word(&line, &first) || !span_is(first, word))
            continue;
        while (scan_word(&line, &item))
            if (scan_text(&item, "total="))
                return scan_u64(&item, ret_microseconds);
    }
    return false;
}

static int pressure_start(void *state, const struct source_env *env, struct emitter *out)
{
    (void)out;
    struct pressure_state *pressure = state;
    struct span text;
    bool has_any = false;
    for (size_t i = 0; i < RESOURCES; i++) {
        struct procfile *file = &pressure->files[i];
        series_clear(pressure->handles[i], LINES);
        if (procfile_open(file, env->procfs, resources[i].path) != 0)
            continue;
        if (procfile_read(file, &pressure->text, &text) == 0)
            has_any = true;
        else
            procfile_close(file);
    }
    return has_any ? 0 : ERR_NOTFOUND;
}

/* False: the file holds nothing of what is known. */
static bool resource_emit(const struct resource *resource, struct span text,
                          series_handle handles[LINES], struct emitter *out)
{
    uint64_t total;
    bool has_any = false;
    for (size_t line = 0; line < LINES; line++) {
        const struct metric *metric = &resource->metrics[line];
        if (metric->name == NULL || !find_total(text, line_words[line], &total))
            continue;
        if (handles[line] == SERIES_NONE)
            handles[line] = series_plain(out, metric);
        /* Divided twice, as node_exporter does: the same double comes out. */
        emit(out, handles[line], (double)total / PER_THOUSAND / PER_THOUSAND);
        has_any = true;
    }
    return has_any;
}

static int pressure_collect(void *state, const struct source_env *env, struct emitter *out)
{
    (void)env;
    struct pressure_state *pressure = state;
    struct span text;
    bool has_any = false;
    for (size_t i = 0; i < RESOURCES; i++)
        if (pressure->files[i].is_open &&
            procfile_read(&pressure->files[i], &pressure->text, &text) == 0 &&
            resource_emit(&resources[i], text, pressure->handles[i], out))
            has_any = true;
    return has_any ? 0 : ERR_MALFORMED;
}

static void pressure_stop(void *state)
{
    struct pressure_state *pressure = state;
    for (size_t i = 0; i < RESOURCES; i++)
        procfile_close(&pressure->files[i]);
    readbuf_done(&pressure->text);
}

const struct source source_pressure = {
    .name = "pressure",
    .summary = "time that processes waited for CPU, memory, I/O and interrupts (PSI)",
    .needs =
        "/proc/pressure: Linux 4.20 or newer, started with psi=1 where it is off by default",
    .state_bytes = sizeof(struct pressure_state),
    .start = pressure_start,
    .collect = pressure_collect,
    .stop = pressure_stop,
};
