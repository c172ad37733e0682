/*
 * check_sources.c - what each source would not measure, and why (check_sources.h).
 *
 * Tailing logs and telling of the probe itself are left out: they leave traces in the state
 * folder, and need the rest of the probe.
 */
#include "probe/check_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/emitter_tick.h"
#include "probe/log/log.h"
#include "probe/self.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"

/* A zeroed state, configured.  *ret_state is to be stopped and freed, whatever is returned. */
static int configure(struct options *options, const struct options_source *source,
                     void **ret_state, struct diagnosis *why)
{
    size_t size = source->source->state_bytes;
    *ret_state = calloc(1, size == 0 ? 1 : size);
    if (*ret_state == NULL)
        return diagnose(why, ERR_NOMEM, "out of memory");
    if (source->source->configure == NULL)
        return 0;
    return source->source->configure(*ret_state, options->config, source->node, why);
}

static void release(const struct source *source, void *state)
{
    if (state != NULL && source->stop != NULL)
        source->stop(state);
    free(state);
}

int check_sources_configure(struct options *options, struct diagnosis *why)
{
    int error = 0;
    for (size_t i = 0; error == 0 && i < options->source_count; i++) {
        const struct options_source *source = &options->sources[i];
        void *state;
        if (!source->is_on)
            continue;
        error = configure(options, source, &state, why);
        for (size_t k = 0;
             error == 0 && source->source == &source_log && k < options->glob_count; k++)
            error = log_source_add(state, options->globs[k], why);
        release(source->source, state);
    }
    return error;
}

static void report_failure(const struct source *source, int error)
{
    if (error == ERR_NOTFOUND)
        (void)printf("source %s: not on this host%s%s\n", source->name,
                     source->needs == NULL ? "" : "; it needs ",
                     source->needs == NULL ? "" : source->needs);
    else
        (void)printf("source %s: FAILS: %s\n", source->name, error_text(error));
}

/* True: it measures, and has nothing to complain of. */
static bool try_source(const struct source *source, void *state, const struct source_env *env,
                       struct emitter *out)
{
    int error = source->start == NULL ? 0 : source->start(state, env, out);
    if (error == 0 && source->blocking && source->gather != NULL)
        error = source->gather(state, env);
    if (error == 0 && source->collect != NULL)
        error = source->collect(state, env, out);
    const char *complaint =
        error == 0 && source->complaint != NULL ? source->complaint(state) : NULL;
    if (error != 0)
        report_failure(source, error);
    else if (complaint != NULL)
        (void)printf("source %s: %s\n", source->name, complaint);
    return error == 0 && complaint == NULL;
}

static void report_working(const bool *works, const struct options *options)
{
    const char *between = "measured here, with nothing to say:";
    for (size_t i = 0; i < options->source_count; i++) {
        if (!works[i])
            continue;
        (void)printf("%s %s", between, options->sources[i].source->name);
        between = ",";
    }
    if (between[0] == ',')
        (void)printf("\n");
}

/* What the source itself says of this host.  True: it is on, works, and has nothing to say. */
static bool ask_source(const struct source *source, void *state, const struct source_env *env)
{
    struct diagnosis why = {0};
    int error = source->check(state, env, &why);
    if (error == 0 && why.text[0] == '\0' && source->title == NULL)
        return true;
    (void)printf("source %s: %s%s%s\n",
                 source->title == NULL ? source->name : source->title(state),
                 error == 0              ? "works"
                 : error == ERR_NOTFOUND ? "left out"
                                         : "FAILS",
                 why.text[0] == '\0' ? "" : ": ", why.text);
    return false;
}

static bool is_on(const struct options *options, const struct source *source)
{
    for (size_t i = 0; i < options->source_count; i++)
        if (options->sources[i].source == source)
            return options->sources[i].is_on;
    return false;
}

int check_sources_report(struct options *options, struct diagnosis *why)
{
    struct source_env env = {
        .procfs = options->procfs,
        .sysfs = options->sysfs,
        .rootfs = options->rootfs,
        .live = options->is_live,
        .now_ms = clock_unix_ms(&clock_system),
    };
    struct emitter *out;
    int error = emitter_open(NULL, &out);
    if (error != 0)
        return diagnose(why, error, "out of memory");
    bool *works = calloc(options->source_count + 1, sizeof *works);
    if (works == NULL)
        error = diagnose(why, ERR_NOMEM, "out of memory");
    emitter_begin(out, env.now_ms);
    for (size_t i = 0; error == 0 && i < options->source_count; i++) {
        const struct options_source *source = &options->sources[i];
        void *state;
        if (!source->is_on || source->source == &source_log || source->source == &source_self)
            continue;
        env.interval_ms = source->interval_ms;
        error = configure(options, source, &state, why);
        if (error == 0 && source->source->check != NULL)
            works[i] = ask_source(source->source, state, &env);
        else if (error == 0)
            works[i] = try_source(source->source, state, &env, out);
        release(source->source, state);
    }
    emitter_close(out);
    if (error == 0)
        report_working(works, options);
    free(works);
    for (size_t i = 0; error == 0 && sources[i] != NULL; i++)
        if (!is_on(options, sources[i]))
            (void)printf("source %s: off%s\n", sources[i]->name,
                         sources[i]->is_optional ? "; \"enabled: true\" turns it on" : "");
    return error;
}
