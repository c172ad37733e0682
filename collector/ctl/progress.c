/* progress.c - see progress.h. */
#include "collector/ctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ctl/table.h"
#include "collector/ctl/values.h"

#define TERMINAL_NS ((mono_ns)200 * NS_PER_MS)
#define PLAIN_NS    ((mono_ns)10 * 1000 * NS_PER_MS)
#define BAR_CELLS   20

void progress_begin(struct progress *progress, const struct ctl *ctl, const char *name,
                    uint64_t total_bytes)
{
    const char *terminal = getenv("TERM");
    *progress = (struct progress){.ctl = ctl, .name = name, .total_bytes = total_bytes};
    progress->is_terminal =
        isatty(STDERR_FILENO) && (terminal == NULL || strcmp(terminal, "dumb") != 0);
    progress->start = clock_mono(&clock_system);
    progress->next = progress->start + (progress->is_terminal ? TERMINAL_NS : PLAIN_NS);
}

double progress_seconds(const struct progress *progress)
{
    return (double)(clock_mono(&clock_system) - progress->start) / 1e9;
}

static void put_bar(double part)
{
    int full = (int)(part * BAR_CELLS);
    fputs("  [", stderr);
    for (int i = 0; i < BAR_CELLS; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3d%%", (int)(part * 100));
}

static void put_state(const struct progress *progress, uint64_t bytes, uint64_t samples)
{
    struct values values = {.next = 0};
    const struct ctl *ctl = progress->ctl;
    double seconds = progress_seconds(progress);
    double part = progress->total_bytes > 0 ? (double)bytes / (double)progress->total_bytes : 0;
    char *name = text_visible(progress->name);
    part = part > 1 ? 1 : part;
    fputs(name != NULL ? name : "", stderr);
    free(name);
    if (progress->total_bytes > 0) {
        put_bar(part);
        fprintf(stderr, SAY(ctl, "  %s of %s", "  %s，共 %s"),
                value_bytes(&values, (double)bytes),
                value_bytes(&values, (double)progress->total_bytes));
    } else {
        fprintf(stderr, "  %s", value_bytes(&values, (double)bytes));
    }
    if (samples > 0)
        fprintf(stderr,
                SAY(ctl, "  %" PRIu64 " samples  %.0f/s", "  %" PRIu64 " 个样本  %.0f/s"),
                samples, seconds > 0 ? (double)samples / seconds : 0);
    else if (seconds > 0)
        fprintf(stderr, "  %s/s", value_bytes(&values, (double)bytes / seconds));
    if (part > 0.001) {
        long left = (long)(seconds * (1 - part) / part + 0.5);
        fprintf(stderr, SAY(ctl, "  %ld:%02ld left", "  还需 %ld:%02ld"), left / 60, left % 60);
    }
}

void progress_show(struct progress *progress, uint64_t bytes, uint64_t samples)
{
    mono_ns now = clock_mono(&clock_system);
    if (now < progress->next)
        return;
    progress->next = now + (progress->is_terminal ? TERMINAL_NS : PLAIN_NS);
    progress_clear(progress);
    put_state(progress, bytes, samples);
    if (!progress->is_terminal)
        fputc('\n', stderr);
    progress->is_drawn = progress->is_terminal;
    fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}
