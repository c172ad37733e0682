/*
 * main.c - the probe as a process: flags, signals, exit codes.
 *
 *     0  fine       1  failed while running       2  unusable flags or file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "probe/control.h"
#include "probe/host.h"
#include "probe/options.h"
#include "probe/privileges.h"
#include "probe/probe.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/base/service.h"

#define EXIT_FINE   0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* What still runs this long after a stop hangs in the kernel, and does not matter. */
#define STOP_MS 2000
/* A disk that is full at the start is looked at again. */
#define START_AGAIN_MS 5000
/* By then every source has ticked and the collector has been met. */
#define SETTLED_MS 10000

struct program {
    int argc;
    char **argv;
    uv_loop_t loop;
    struct control control;
    uv_timer_t patience, settled, again;
    struct options *options;
    struct options *next; /* read and good; taken over when the loop has stopped */
    struct probe *probe;
    bool is_ending;
    bool is_waiting;       /* for a disk with room */
    uint64_t ticks_missed; /* while waiting */
};

static void on_end(void *context, const char *why)
{
    struct program *program = context;
    log_info("main", "%s: stopping", why);
    program->is_ending = true;
    uv_stop(&program->loop);
}

/* Reads flags and file again; what is not valid changes nothing. */
static void on_reload(void *context)
{
    struct program *program = context;
    struct options *options;
    struct diagnosis why = {0};

    if (options_read(program->argc, program->argv, &options, &why) != 0) {
        log_error("main", "the new configuration is not used: %s", why.text);
        return;
    }
    options_free(program->next);
    program->next = options;
    uv_stop(&program->loop);
}

static void on_settled(uv_timer_t *timer)
{
    (void)timer;
    host_settle();
}

static void out_of_patience(uv_timer_t *timer)
{
    (void)timer;
    log_warn("main", "a source hangs in the kernel; leaving without it");
    _exit(EXIT_FINE);
}

/* Stops the probe and lets the loop close what belonged to it. */
static void wind_down(struct program *program)
{
    must(uv_timer_start(&program->patience, out_of_patience, STOP_MS, 0) == 0);
    uv_unref((uv_handle_t *)&program->patience);
    probe_stop(program->probe);
    program->probe = NULL;
    (void)uv_run(&program->loop, UV_RUN_DEFAULT);
    must(uv_timer_stop(&program->patience) == 0);
}

static void stop_waiting(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Can the start be tried again?  A disk without room is a state of the host and passes, and it
 * is just then that the host wants watching; so is anything that a probe meets which has run
 * and takes over a new configuration.  Everything else is for a person. */
static bool may_start_later(int error, bool has_run)
{
    return error == ERR_FULL || (has_run && (error == ERR_IO || error == ERR_NOMEM));
}

/* A probe without a spool could promise nothing: it waits, and counts what it misses. */
static void wait_to_start(struct program *program, const struct diagnosis *why)
{
    if (!program->is_waiting)
        log_error("main", "%s; nothing is measured until it can be written, tried every %d s",
                  why->text, START_AGAIN_MS / 1000);
    program->is_waiting = true;
    service_notify("READY=1");
    wind_down(program);
    uint64_t began_ns = uv_hrtime();
    uv_update_time(&program->loop);
    must(uv_timer_start(&program->again, stop_waiting, START_AGAIN_MS, 0) == 0);
    (void)uv_run(&program->loop, UV_RUN_DEFAULT);
    must(uv_timer_stop(&program->again) == 0);
    uint64_t waited_ms = (uv_hrtime() - began_ns) / 1000000;
    program->ticks_missed += waited_ms / (uint64_t)program->options->interval_ms;
}

static void take_next_options(struct program *program)
{
    if (program->next == NULL)
        return;
    options_free(program->options);
    program->options = program->next;
    program->next = NULL;
}

/* Runs until a signal ends it, through any number of configurations.  The exit code. */
static int run_probes(struct program *program)
{
    bool has_run = false;
    while (!program->is_ending) {
        struct diagnosis why = {0};
        int error = probe_start(&program->loop, program->options, program->ticks_missed,
                                &program->probe, &why);
        if (error != 0 && !may_start_later(error, has_run)) {
            log_error("main", "%s", why.text);
            return EXIT_FAILED;
        }
        if (error != 0) {
            wait_to_start(program, &why);
            take_next_options(program);
            continue;
        }
        has_run = true;
        program->is_waiting = false;
        program->ticks_missed = 0;
        log_info("main", "fengsui-probe " FENGSUI_VERSION " measures every %lld ms for %s",
                 (long long)program->options->interval_ms, program->options->endpoint);
        service_notify("READY=1");
        (void)uv_run(&program->loop, UV_RUN_DEFAULT);
        if (program->is_ending)
            service_notify("STOPPING=1");
        wind_down(program);
        take_next_options(program);
    }
    return EXIT_FINE;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_loop(struct program *program)
{
    uv_walk(&program->loop, close_handle, NULL);
    (void)uv_run(&program->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&program->loop);
}

static int run(struct program *program)
{
    host_prepare();
    /* A dead server and a sensor may each hold one worker; the third still resolves names. */
    (void)setenv("UV_THREADPOOL_SIZE", "3", 0);
    must(uv_loop_init(&program->loop) == 0);
    must(uv_timer_init(&program->loop, &program->patience) == 0);
    must(uv_timer_init(&program->loop, &program->settled) == 0);
    must(uv_timer_init(&program->loop, &program->again) == 0);
    must(uv_timer_start(&program->settled, on_settled, SETTLED_MS, 0) == 0);
    uv_unref((uv_handle_t *)&program->settled);
    program->control =
        (struct control){.end = on_end, .reload = on_reload, .context = program};
    control_start(&program->control, &program->loop);
    int code = run_probes(program);
    control_stop(&program->control);
    options_free(program->next);
    close_loop(program);
    return code;
}

static int list_sources(void)
{
    const struct source *source;
    for (size_t i = 0; (source = options_source_at(i)) != NULL; i++)
        (void)printf("%-16s %s\n", source->name, source->summary);
    return EXIT_FINE;
}

/* A finding in the configuration is the user's; anything else failed while running. */
static int report(int error, const struct diagnosis *why, int code)
{
    if (error == 0)
        return EXIT_FINE;
    (void)fprintf(stderr, "fengsui-probe: %s\n",
                  why->text[0] != '\0' ? why->text : error_text(error));
    return code;
}

static bool wants(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

/* Before a file is read: what is read at the start can then be read again later. */
static int become_user(int argc, char **argv, struct diagnosis *why)
{
    const char *user;
    uint32_t mask;
    int error = options_identity(argc, argv, &user, &mask, why);
    return error != 0 || user == NULL ? error : privileges_drop("", user, mask, why);
}

static int probe_main(int argc, char **argv)
{
    struct program program = {.argc = argc, .argv = argv};
    struct diagnosis why = {0};
    int code;

    /* These two help with a command line that is otherwise wrong. */
    if (wants(argc, argv, "--help") || wants(argc, argv, "-h")) {
        options_print_help();
        return EXIT_FINE;
    }
    int error = become_user(argc, argv, &why);
    if (error == 0)
        error = options_read(argc, argv, &program.options, &why);
    if (error != 0)
        return report(error, &why, EXIT_USAGE);
    log_setup(program.options->log_level, program.options->log_format);
    switch (program.options->mode) {
    case OPTIONS_HELP:
        options_print_help();
        code = EXIT_FINE;
        break;
    case OPTIONS_VERSION:
        (void)printf("fengsui-probe " FENGSUI_VERSION "\n");
        code = EXIT_FINE;
        break;
    case OPTIONS_LIST_SOURCES:
        code = list_sources();
        break;
    case OPTIONS_CHECK:
        code = report(probe_check(program.options, &why), &why, EXIT_USAGE);
        break;
    case OPTIONS_ONCE:
        code = report(probe_once(program.options, &why), &why, EXIT_FAILED);
        break;
    default:
        code = run(&program);
        break;
    }
    options_free(program.options);
    return code;
}

int main(int argc, char **argv)
{
    return host_main(argc, argv, probe_main);
}
