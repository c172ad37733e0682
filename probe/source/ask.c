/*
 * ask.c - one target of a service, asked in its own language (ask.h).
 *
 *     begin -> page 0 -> whole, parsed -> page 1 ... -> done
 *
 * All pages share one deadline.  Samples go the way of a scraped page: known series cost a
 * hash, new ones are registered once the whole answer is known to be good.
 */
#include "probe/source/ask.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/base/error.h"
#include "proto/base/log.h"

/* ---- for dialects ---------------------------------------------------------------------- */

void ask_put(struct ask_out *out, const struct ask_metric *metric, const struct label *labels,
             size_t count, double value)
{
    struct label kept[8];
    const struct exposition_family family = {
        .name = bytes_of(metric->name), .type = metric->type, .help = bytes_of(metric->help)};
    struct exposition_sample sample = {
        .name = family.name, .labels = kept, .value = value, .family = &family};

    for (size_t i = 0; i < count && sample.label_count < sizeof kept / sizeof *kept; i++)
        if (labels[i].value.size > 0 && labels[i].value.size <= LABEL_VALUE_BYTES_MAX)
            kept[sample.label_count++] = labels[i];
    if (out->error != 0)
        return;
    out->count++;
    out->error = out->take(out->context, &sample, out->why);
}

const struct ask_metric *ask_metric_find(const struct ask_metric *table, size_t count,
                                         struct span field)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(field, table[i].field))
            return &table[i];
    return NULL;
}

bool ask_number(struct span text, double *ret_value)
{
    scan_blanks(&text);
    struct span number = {text.at, text.at};
    while (number.end < text.end && number.end - number.at < 40 &&
           ((*number.end >= '0' && *number.end <= '9') || *number.end == '.' ||
            *number.end == '-' || *number.end == '+' || *number.end == 'e' ||
            *number.end == 'E'))
        number.end++;
    return span_size(number) > 0 && exposition_number(span_bytes(number), ret_value) == 0;
}

/* ---- one look -------------------------------------------------------------------------- */

static int take_sample(void *context, const struct exposition_sample *sample,
                       struct diagnosis *why)
{
    return scrape_series_take(context, sample, why);
}

static int take_piece(void *context, const struct http_response *response, struct bytes piece,
                      struct diagnosis *why)
{
    struct ask_state *ask = context;
    (void)response;
    buf_put(&ask->answer, piece.data, piece.size);
    if (!buf_ok(&ask->answer))
        return diagnose(why, ERR_NOMEM, "out of memory");
    if (!ask->dialect->is_raw)
        return 0;
    int whole = ask->dialect->whole(buf_bytes(&ask->answer), ask->login.password != NULL);
    return whole < 0   ? diagnose(why, whole, "an answer that is not %s", ask->dialect->source)
           : whole > 0 ? HTTP_ENOUGH
                       : 0;
}

static void ask_page(struct ask_state *ask, int64_t left_ms);

static int64_t left_ms(const struct ask_state *ask)
{
    int64_t gone = (int64_t)((clock_mono(&clock_system) - ask->began) / NS_PER_MS);
    return ask->timeout_ms > gone ? ask->timeout_ms - gone : 0;
}

static void finish(void *context, int error, const struct diagnosis *why)
{
    struct ask_state *ask = context;
    mono_ns began = clock_thread_cpu();
    ask->why = *why;
    ask->failure = error;
    ask->out.why = &ask->why;
    if (error == 0)
        ask->failure = ask->dialect->parse(buf_bytes(&ask->answer), ask->page, &ask->login,
                                           &ask->out, &ask->why);
    if (ask->failure == 0)
        ask->failure = ask->out.error;
    ask->spent_ns += clock_thread_cpu() - began;
    if (ask->failure == 0 && ++ask->page < ask->page_count) {
        int64_t left = left_ms(ask);
        if (left > 0) {
            ask_page(ask, left);
            return;
        }
        ask->failure = diagnose(&ask->why, ERR_TIMEOUT, "the answer did not end in time");
    }
    ask->duration_seconds = (double)(clock_mono(&clock_system) - ask->began) / 1e9;
    ask->done(ask->context, 0); /* a service that is down is no fault of the source */
}

static void ask_page(struct ask_state *ask, int64_t timeout_ms)
{
    const struct scrape_settings *settings = &ask->settings;
    const struct http_get_request request = {
        .host = settings->host,
        .port = settings->port,
        .text = buf_bytes(&ask->requests[ask->page]),
        .timeout_ms = timeout_ms,
        .body_limit_bytes = settings->body_limit_bytes,
        .is_raw = ask->dialect->is_raw,
        .body = take_piece,
        .done = finish,
        .context = ask,
    };
    buf_clear(&ask->answer);
    http_get(&ask->get, ask->loop, &request);
}

int ask_begin(void *state, const struct source_env *env, struct uv_loop_s *loop,
              void (*done)(void *context, int error), void *context)
{
    struct ask_state *ask = state;
    ask->done = done;
    ask->context = context;
    ask->loop = loop;
    ask->page = 0;
    ask->began = clock_mono(&clock_system);
    ask->timeout_ms = ask->settings.timeout_ms < env->interval_ms ? ask->settings.timeout_ms
                                                                  : env->interval_ms;
    ask->out =
        (struct ask_out){.take = take_sample, .context = &ask->series, .now_ms = env->now_ms};
    scrape_series_begin(&ask->series);
    ask_page(ask, ask->timeout_ms);
    return 0;
}

void ask_cancel(void *state)
{
    struct ask_state *ask = state;
    http_get_cancel(&ask->get);
}

/* ---- the source ------------------------------------------------------------------------ */

int ask_configure(void *state, const struct ask_dialect *dialect, struct config *config,
                  const struct config_node *node, struct diagnosis *why)
{
    struct ask_state *ask = state;
    if (node == NULL)
        return 0;
    ask->dialect = dialect;
    int error = ask_settings_read(ask, config, node, why);
    ask->series.rules = &ask->settings.rules;
    buf_init(&ask->answer, (size_t)ask->settings.body_limit_bytes + HTTP_READ_BYTES);
    return error;
}

int ask_start(void *state, const struct source_env *env, struct emitter *out)
{
    struct ask_state *ask = state;
    const struct scrape_rules *rules = &ask->settings.rules;
    struct label labels[SERIES_LABELS_MAX + 1];
    size_t count = rules->label_count;

    (void)env;
    if (ask->dialect == NULL)
        return ERR_NOTFOUND; /* the source without a target */
    scrape_series_start(&ask->series, out);
    ask->own_up = SERIES_NONE;
    if (ask->dialect->up.name == NULL)
        return 0;
    const struct metric own = {ask->dialect->up.name, METRIC_GAUGE, ask->dialect->up.help,
                               NULL};
    memcpy(labels, rules->labels, count * sizeof *labels);
    if (ask->dialect->up_label != NULL)
        labels[count++] =
            (struct label){bytes_of(ask->dialect->up_label), bytes_of(ask->settings.host)};
    ask->own_up = emitter_series(out, &own, labels, count);
    return 0;
}

int ask_collect(void *state, const struct source_env *env, struct emitter *out)
{
    struct ask_state *ask = state;
    bool is_up = ask->failure == 0;
    (void)env;
    int error = scrape_series_tell(&ask->series, is_up, ask->duration_seconds, out);
    emit(out, ask->own_up, is_up);
    if (!is_up && !ask->was_failing)
        log_warn(ask->dialect->source, "%s is down: %s", ask->settings.url, ask->why.text);
    else if (is_up && ask->was_failing)
        log_info(ask->dialect->source, "%s is up again", ask->settings.url);
    ask->was_failing = !is_up;
    return error;
}

uint64_t ask_spent_ns(const void *state)
{
    const struct ask_state *ask = state;
    return ask->get.spent_ns + ask->spent_ns;
}

static void checked(void *context, int error)
{
    *(int *)context = error;
}

int ask_check(void *state, const struct source_env *env, struct diagnosis *why)
{
    struct ask_state *ask = state;
    struct source_env now = *env;
    uv_loop_t loop;
    int error = 0;

    if (ask->dialect == NULL)
        return diagnose(why, ERR_NOTFOUND, "no targets");
    if (uv_loop_init(&loop) != 0)
        return diagnose(why, ERR_NOMEM, "out of memory");
    now.interval_ms = ask->settings.timeout_ms;
    (void)ask_begin(ask, &now, &loop, checked, &error);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    if (ask->failure != 0)
        *why = ask->why;
    else
        (void)diagnose(why, 0, "it answers, %zu samples", ask->out.count);
    return ask->failure == ERR_NOTFOUND ? ERR_IO : ask->failure;
}

const char *ask_title(const void *state)
{
    const struct ask_state *ask = state;
    return ask->settings.title == NULL ? "a target" : ask->settings.title;
}

void ask_stop(void *state)
{
    struct ask_state *ask = state;
    scrape_series_done(&ask->series);
    ask_settings_done(ask);
    buf_done(&ask->answer);
}
