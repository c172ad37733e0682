/*
 * scrape.c - what other exporters on this host have to say, as Prometheus would ask them.
 *
 *     GET /metrics -> exposition text -> series of that target
 *
 * and for every look, good or bad, what Prometheus says about it: up and its kin
 * (scrape_series.h).
 *
 * A page counts whole or not at all: one line that does not parse, a limit, a status other than
 * 200, a late end: up is 0, and every series of the target ends.
 *
 * The surprise: job and instance are asked for, as labels of the definition; the collector
 * decides (proto/README.md, section 3).
 */
#include "probe/source/scrape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "probe/http/http_get.h"
#include "probe/source/scrape_settings.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

struct scrape_state {
    /* fixed after configure() */
    struct scrape_settings settings;
    /* the look under way: the loop's */
    struct http_get get;
    struct exposition parser;
    uint8_t *line;
    bool has_begun; /* the page's first bytes are here */
    struct scrape_series series;
    mono_ns began;
    mono_ns spent_ns; /* processor time at the ends of pages, since the start */
    void (*done)(void *context, int error);
    void *context;
    /* its outcome, for collect() */
    int failure;
    struct diagnosis why;
    double duration_seconds;
    bool was_failing;
};

static int scrape_configure(void *state, struct config *config, const struct config_node *node,
                            struct diagnosis *why)
{
    struct scrape_state *scrape = state;
    int error = scrape_settings_read(&scrape->settings, config, node, why);
    if (error != 0 || node == NULL)
        return error;
    scrape->series.rules = &scrape->settings.rules;
    scrape->line = malloc(EXPOSITION_LINE_BYTES);
    return scrape->line == NULL ? diagnose(why, ERR_NOMEM, "out of memory") : 0;
}

static int scrape_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct scrape_state *scrape = state;
    (void)env;
    if (scrape->line == NULL)
        return ERR_NOTFOUND; /* the source without a target */
    scrape_series_start(&scrape->series, out);
    return 0;
}

/* Content-Type comes before the first bytes, and decides how they are read. */
static void begin_page(struct scrape_state *scrape)
{
    if (!scrape->has_begun)
        exposition_init(&scrape->parser,
                        exposition_format_of(scrape->get.response.content_type), NULL,
                        scrape->line, EXPOSITION_LINE_BYTES);
    scrape->has_begun = true;
}

static int take_piece(void *context, const struct http_response *response, struct bytes piece,
                      struct diagnosis *why)
{
    struct scrape_state *scrape = context;
    struct exposition_sample sample;
    int got;

    (void)response;
    begin_page(scrape);
    while ((got = exposition_next(&scrape->parser, &piece, &sample, why)) != EXPOSITION_MORE) {
        int error = got < 0 ? got
                    : got == EXPOSITION_SAMPLE
                        ? scrape_series_take(&scrape->series, &sample, why)
                        : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static int end_page(struct scrape_state *scrape, struct diagnosis *why)
{
    struct exposition_sample sample;
    int got;

    begin_page(scrape);
    while ((got = exposition_end(&scrape->parser, &sample, why)) != EXPOSITION_MORE) {
        int error = got < 0 ? got
                    : got == EXPOSITION_SAMPLE
                        ? scrape_series_take(&scrape->series, &sample, why)
                        : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static void finish(void *context, int error, const struct diagnosis *why)
{
    struct scrape_state *scrape = context;
    mono_ns began = clock_thread_cpu();

    scrape->why = *why;
    scrape->failure = error == 0 ? end_page(scrape, &scrape->why) : error;
    scrape->spent_ns += clock_thread_cpu() - began;
    scrape->duration_seconds = (double)(clock_mono(&clock_system) - scrape->began) / 1e9;
    scrape->done(scrape->context, 0); /* a target that is down is no fault of the source */
}

static int scrape_begin(void *state, const struct source_env *env, uv_loop_t *loop,
                        void (*done)(void *context, int error), void *context)
{
    struct scrape_state *scrape = state;
    const struct scrape_settings *settings = &scrape->settings;
    const struct http_get_request request = {
        .host = settings->host,
        .port = settings->port,
        .text = buf_bytes(&settings->request),
        .timeout_ms =
            settings->timeout_ms < env->interval_ms ? settings->timeout_ms : env->interval_ms,
        .body_limit_bytes = settings->body_limit_bytes,
        .body = take_piece,
        .done = finish,
        .context = scrape,
    };

    scrape->done = done;
    scrape->context = context;
    scrape->has_begun = false;
    scrape->began = clock_mono(&clock_system);
    scrape_series_begin(&scrape->series);
    http_get(&scrape->get, loop, &request);
    return 0;
}

static void scrape_cancel(void *state)
{
    struct scrape_state *scrape = state;
    http_get_cancel(&scrape->get);
}

static uint64_t scrape_spent_ns(const void *state)
{
    const struct scrape_state *scrape = state;
    return scrape->get.spent_ns + scrape->spent_ns;
}

static int scrape_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct scrape_state *scrape = state;
    bool is_up = scrape->failure == 0;
    (void)env;
    int error = scrape_series_tell(&scrape->series, is_up, scrape->duration_seconds, out);
    if (!is_up && !scrape->was_failing)
        log_warn("scrape", "%s is down: %s", scrape->settings.url, scrape->why.text);
    else if (is_up && scrape->was_failing)
        log_info("scrape", "%s is up again", scrape->settings.url);
    scrape->was_failing = !is_up;
    return error;
}

static void checked(void *context, int error)
{
    *(int *)context = error;
}

static int scrape_check(void *state, const struct source_env *env, struct diagnosis *why)
{
    struct scrape_state *scrape = state;
    struct source_env now = *env;
    uv_loop_t loop;
    int error = 0;

    if (scrape->line == NULL)
        return diagnose(why, ERR_NOTFOUND, "no targets");
    if (uv_loop_init(&loop) != 0)
        return diagnose(why, ERR_NOMEM, "out of memory");
    now.interval_ms = scrape->settings.timeout_ms;
    (void)scrape_begin(scrape, &now, &loop, checked, &error);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    if (scrape->failure != 0)
        *why = scrape->why;
    return scrape->failure == ERR_NOTFOUND ? ERR_IO : scrape->failure;
}

static const char *scrape_title(const void *state)
{
    const struct scrape_state *scrape = state;
    return scrape->settings.title == NULL ? "scrape" : scrape->settings.title;
}

static void scrape_stop(void *state)
{
    struct scrape_state *scrape = state;
    scrape_series_done(&scrape->series);
    scrape_settings_done(&scrape->settings);
    free(scrape->line);
    scrape->line = NULL;
}

const struct source source_scrape = {
    .name = "scrape",
    .summary = "local Prometheus exporters, asked and passed on",
    .state_bytes = sizeof(struct scrape_state),
    .interval_ms = 15000,
    .has_targets = true,
    .configure = scrape_configure,
    .start = scrape_start,
    .begin = scrape_begin,
    .spent_ns = scrape_spent_ns,
    .cancel = scrape_cancel,
    .title = scrape_title,
    .collect = scrape_collect,
    .check = scrape_check,
    .stop = scrape_stop,
};
