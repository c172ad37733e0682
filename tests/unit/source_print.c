/*
 * source_print.c - runs sources without a probe and prints what they emit: for comparing and
 * measuring.
 *
 *     source_print [--root DIR] [--ticks N] [--interval MS] [SOURCE...]
 *
 * DIR holds proc, sys and the rest; without it the live host is read.  With more than one tick
 * the CPU time of each source is printed on stderr; the text format is of the last tick.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "tests/unit/recording_emitter.h"

#define SOURCES_MOST 64

struct plan {
    const char *root;
    int ticks;
    int64_t interval_ms;
    char **names;
    int name_count;
};

static bool is_wanted(const struct plan *plan, const char *name)
{
    for (int i = 0; i < plan->name_count; i++)
        if (strcmp(plan->names[i], name) == 0)
            return true;
    return plan->name_count == 0;
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void run(const struct plan *plan)
{
    struct emitter *out = recorder_new();
    struct running_source running[SOURCES_MOST];
    double used[SOURCES_MOST] = {0};
    size_t count = 0;
    for (size_t i = 0; sources[i] != NULL && count < SOURCES_MOST; i++) {
        if (!is_wanted(plan, sources[i]->name))
            continue;
        int error =
            running_source_start(&running[count], sources[i], plan->root, NULL, out, NULL);
        if (error != 0) {
            fprintf(stderr, "%s: left out: %s\n", sources[i]->name, error_text(error));
            running_source_stop(&running[count]);
            continue;
        }
        running[count++].env.interval_ms = plan->interval_ms;
    }
    for (int tick = 0; tick < plan->ticks; tick++) {
        struct timespec pause = {plan->interval_ms / 1000, plan->interval_ms % 1000 * 1000000};
        if (tick > 0)
            nanosleep(&pause, NULL);
        recorder_tick(out);
        for (size_t i = 0; i < count; i++) {
            const struct source *source = running[i].source;
            running[i].env.now_ms = clock_unix_ms(&clock_system);
            double before = cpu_us();
            int error =
                source->blocking ? source->gather(running[i].state, &running[i].env) : 0;
            if (error == 0)
                error = source->collect(running[i].state, &running[i].env, out);
            if (tick > 0)
                used[i] += cpu_us() - before;
            if (error != 0)
                fprintf(stderr, "%s: %s\n", source->name, error_text(error));
        }
    }
    recorder_print(out, stdout);
    for (size_t i = 0; i < count; i++) {
        if (plan->ticks > 1)
            fprintf(stderr, "%-14s %8.1f us a tick\n", running[i].source->name,
                    used[i] / (plan->ticks - 1));
        running_source_stop(&running[i]);
    }
    recorder_free(out);
}

int main(int argc, char **argv)
{
    struct plan plan = {.ticks = 1, .interval_ms = 1000};
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--root") == 0)
            plan.root = argv[at + 1];
        else if (strcmp(argv[at], "--ticks") == 0)
            plan.ticks = atoi(argv[at + 1]);
        else if (strcmp(argv[at], "--interval") == 0)
            plan.interval_ms = atoi(argv[at + 1]);
        else
            break;
    }
    if (at < argc && argv[at][0] == '-') {
        fprintf(stderr,
                "usage: source_print [--root DIR] [--ticks N] [--interval MS] [SOURCE...]\n");
        return 2;
    }
    plan.names = argv + at;
    plan.name_count = argc - at;
    run(&plan);
    return 0;
}
