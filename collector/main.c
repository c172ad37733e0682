/*
 * main.c - starts the parts in order, runs the loop, stops them in reverse.
 *
 *     options -> store -> duty -> notify -> jobs -> rules -> remote -> http -> ingest -> watchdog
 *
 * Threads: main (this loop: HTTP, timers, notifications), ingest, the store's writer, rules, and
 * the pools of http; see collector/README.md.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/app.h"
#include "collector/data_lock.h"
#include "collector/descriptors.h"
#include "collector/http/api.h"
#include "collector/http/server.h"
#include "collector/ingest/ingest.h"
#include "collector/jobs/jobs.h"
#include "collector/memory.h"
#include "collector/options_ages.h"
#include "collector/parts.h"
#include "collector/remote/remote.h"
#include "collector/self.h"
#include "collector/series/crew.h"
#include "collector/watchdog/watchdog.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/base/service.h"

#define CLOSING_TURNS    4
#define SELF_INTERVAL_MS 15000
#define HEALTH_MS        1000
#define PATH_BYTES       4096

enum { EXIT_FINE = 0, EXIT_RUNNING = 1, EXIT_USAGE = 2 };

struct collector {
    uv_loop_t loop;
    uv_signal_t signals[3]; /* INT, TERM, HUP */
    struct flags flags;
    struct options options;
    struct app app;
    struct http_server *http;
    struct api *api;
    struct self *self;
    struct memory_watch *memory;
    struct clock clock; /* the rules' */
    uv_timer_t health;
    bool failed; /* while running */
    uv_async_t reload_async;
    uv_mutex_t reload_lock;
    uv_cond_t reload_finished;
    uv_thread_t main_thread;
    struct reload_order {
        struct diagnosis *why;
        int result;
        bool waiting;
    } order;
    bool stopping; /* under reload_lock: nobody will answer an order any more */
    uv_mutex_t config_lock;
    struct buf config_text; /* under config_lock: the configuration in force */
};

/* -- reload --------------------------------------------------------------------------------- */

static void show_config(struct collector *collector, struct buf *text)
{
    uv_mutex_lock(&collector->config_lock);
    struct buf before = collector->config_text;
    collector->config_text = *text;
    uv_mutex_unlock(&collector->config_lock);
    buf_done(&before);
    collector->app.configured_ms = clock_unix_ms(&clock_system);
}

static void print_config(struct app *app, struct buf *out)
{
    struct collector *collector = app->main;
    uv_mutex_lock(&collector->config_lock);
    buf_put(out, collector->config_text.data, collector->config_text.size);
    uv_mutex_unlock(&collector->config_lock);
}

/* What is in force after a reload: what the parts take anew, and for the rest what we began
 * with.  `*ret_text` is the caller's. */
static int print_reloaded(const struct collector *collector, const struct options *fresh,
                          struct buf *ret_text, bool *ret_differs)
{
    struct options in_force = collector->options;
    struct buf wanted = {0};
    in_force.rule_files = fresh->rule_files;
    in_force.evaluation_interval_ms = fresh->evaluation_interval_ms;
    in_force.policy = fresh->policy;
    in_force.jobs = fresh->jobs;
    in_force.duty = fresh->duty;
    in_force.remote_write = fresh->remote_write;
    options_print(&in_force, ret_text);
    options_print(fresh, &wanted);
    int error = buf_ok(ret_text) && buf_ok(&wanted) ? 0 : ERR_NOMEM;
    *ret_differs = error == 0 && !bytes_equal(buf_bytes(ret_text), buf_bytes(&wanted));
    buf_done(&wanted);
    return error;
}

/* The rules speak the PromQL that queries speak, which stays until a restart. */
static struct rules_options reloaded_rules_of(const struct collector *collector,
                                              const struct options *fresh)
{
    struct rules_options rules = parts_rules_options(fresh);
    rules.promql = collector->app.promql;
    rules.promql.default_step_ms = fresh->evaluation_interval_ms;
    rules.external_url = collector->app.external_url;
    return rules;
}

/* Jobs ask the roster's calendar what a workday is; without one, Monday to Friday are. */
static void set_calendar(struct collector *collector, const struct duty *duty)
{
    jobs_set_calendar(collector->app.jobs, duty == NULL ? NULL : duty_calendar(duty));
}

static int reload_parts(struct collector *collector, const struct options *fresh,
                        struct diagnosis *why)
{
    struct policy *policy = NULL;
    struct jobs_file *jobs = NULL;
    struct duty *duty = NULL;
    const struct rules_options rules = reloaded_rules_of(collector, fresh);
    int error = parts_check(fresh, why);
    if (error == 0)
        error = parts_load_duty(fresh, &duty, why);
    if (error == 0)
        error = parts_load_policy(fresh, &policy, why);
    if (error == 0)
        error = jobs_file_load(fresh->jobs, &jobs, why);
    if (error == 0) /* first the one that parts_check() cannot foresee */
        error = http_server_reload(collector->http, why);
    if (error == 0)
        error = notify_reload(collector->app.notify, duty, why);
    if (error == 0)
        error = rules_reload(collector->app.rules, &rules, why);
    if (error == 0)
        error = remote_reload(collector->app.remote, fresh->config, fresh->remote_write, why);
    if (error == 0) { /* last, because they cannot fail */
        ingest_set_policy(collector->app.ingest, policy);
        duty_book_set(collector->app.duty, duty);
        jobs_set_file(collector->app.jobs, jobs);
        set_calendar(collector, duty);
    } else {
        jobs_file_free(jobs);
    }
    duty_unref(duty);
    policy_unref(policy);
    return error;
}

static int reload_now(struct collector *collector, struct diagnosis *why)
{
    struct options fresh = {0};
    struct buf text = {0};
    bool needs_restart = false;
    int error = options_load(&collector->flags, &fresh, why);
    if (error == 0)
        error = print_reloaded(collector, &fresh, &text, &needs_restart);
    if (error == 0)
        error = reload_parts(collector, &fresh, why);
    options_free(&fresh); /* the parts have copied what they keep */
    collector->app.config_refused = error != 0;
    if (error != 0) {
        buf_done(&text);
        return error;
    }
    show_config(collector, &text);
    if (needs_restart)
        log_warn("main", "rules, policy, duty, jobs and remote_write are taken anew, and what the "
                         "users, alerting and certificate files say; the rest waits for a "
                         "restart; GET /api/v1/status/config shows what is in force");
    log_info("main", "configuration re-read");
    return 0;
}

static void on_reload(uv_async_t *async)
{
    struct collector *collector = async->data;
    uv_mutex_lock(&collector->reload_lock);
    if (collector->order.waiting) {
        collector->order.result = reload_now(collector, collector->order.why);
        collector->order.waiting = false;
        uv_cond_broadcast(&collector->reload_finished);
    }
    uv_mutex_unlock(&collector->reload_lock);
}

static int reload_from_anywhere(struct app *app, struct diagnosis *why)
{
    struct collector *collector = app->main;
    uv_thread_t self = uv_thread_self();
    if (uv_thread_equal(&self, &collector->main_thread))
        return reload_now(collector, why);
    uv_mutex_lock(&collector->reload_lock);
    while (collector->order.waiting) /* another one is under way */
        uv_cond_wait(&collector->reload_finished, &collector->reload_lock);
    if (collector->stopping) {
        uv_mutex_unlock(&collector->reload_lock);
        return diagnose(why, ERR_CANCELLED, "the collector is stopping");
    }
    collector->order = (struct reload_order){.why = why, .waiting = true};
    (void)uv_async_send(&collector->reload_async);
    while (collector->order.waiting)
        uv_cond_wait(&collector->reload_finished, &collector->reload_lock);
    int result = collector->order.result;
    uv_mutex_unlock(&collector->reload_lock);
    return result;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct collector *collector = handle->data;
    struct diagnosis why = {0};
    if (number != SIGHUP) {
        log_info("main", "stopping");
        service_notify("STOPPING=1");
        uv_stop(&collector->loop);
        return;
    }
    if (reload_now(collector, &why) != 0)
        log_error("main", "the new configuration is refused, the old one stays: %s", why.text);
}

/* A store that cannot go on is opened afresh by whoever supervises us. */
static void on_health(uv_timer_t *timer)
{
    struct collector *collector = timer->data;
    struct store_stats stats;
    store_get_stats(collector->app.store, &stats);
    if (!stats.broken)
        return;
    log_error("main", "the store must be opened again, ending: %s", stats.full_reason);
    collector->failed = true;
    uv_stop(&collector->loop);
}

/* -- starting and stopping ------------------------------------------------------------------ */

static int open_store(struct collector *collector, struct diagnosis *why)
{
    const struct options *options = &collector->options;
    /* First, because the store asks it before it cuts its log. */
    int error = remote_new(options->data, options->remote_backlog_bytes, &collector->app.remote);
    struct store_retention *ages = calloc(options->age_count + 1, sizeof *ages);
    if (error != 0 || ages == NULL)
        return free(ages), diagnose(why, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < options->age_count; i++)
        ages[i] = options_store_age(options, i);
    const struct store_options store = {
        .directory = options->data,
        .retention_raw_ms = options->retention_raw_ms,
        .retention_logs_ms = options->retention_logs_ms,
        .rolls_up = true,
        .retention_5m_ms = options->retention_5m_ms,
        .retention_1h_ms = options->retention_1h_ms,
        .quota_bytes = options->quota_bytes,
        .series_limit = (uint64_t)options->series_limit,
        .ages = ages,
        .age_count = options->age_count,
        .release = remote_release,
        .release_context = collector->app.remote,
        .hold = remote_hold,
    };
    error = store_open(&store, &collector->app.store, why);
    free(ages);
    return error;
}

static int open_duty(struct collector *collector, struct diagnosis *why)
{
    struct duty *duty;
    int error = parts_load_duty(&collector->options, &duty, why);
    if (error == 0)
        error = duty_book_open(collector->app.store, duty, &collector->app.duty, why);
    duty_unref(duty);
    return error;
}

static int open_ingest(struct collector *collector, struct diagnosis *why)
{
    char keys[PATH_BYTES];
    const struct options *options = &collector->options;
    struct policy *policy;
    (void)snprintf(keys, sizeof keys, "%s/keys", options->data);
    int error = parts_load_policy(options, &policy, why);
    if (error != 0)
        return error;
    const struct ingest_options ingest = {
        .endpoint = options->ingest_listen,
        .key_directory = keys,
        .window_bytes = options->window_bytes,
        .series_limit_per_probe = (uint64_t)options->series_limit_per_probe,
        .labels_limit = (uint64_t)options->labels_limit,
        .policy = policy,
        .scrape_jobs = options->scrape_jobs.items,
        .scrape_job_count = options->scrape_jobs.count,
    };
    error = ingest_open(&ingest, collector->app.store, &collector->app.ingest, why);
    policy_unref(policy);
    return error;
}

/* Who stands in for whom is asked of the book at each step. */
static int open_notify(struct collector *collector, struct diagnosis *why)
{
    struct duty_view view;
    duty_book_view(collector->app.duty, &view);
    const struct notify_options options = {.path = collector->options.alerting,
                                           .external_url = collector->app.external_url,
                                           .duty = view.duty,
                                           .overrides = duty_book_overrides,
                                           .overrides_context = collector->app.duty};
    int error = notify_open(&collector->loop, collector->app.store, &options,
                            &collector->app.notify, why);
    duty_view_done(&view);
    return error;
}

/* The wall clock, unless somebody set it and the hosts that report know better. */
static int64_t rules_unix_ms(void *context)
{
    const struct app *app = context;
    return app->rules != NULL ? rules_now_ms(app->rules) : clock_unix_ms(&clock_system);
}

static mono_ns system_mono(void *context)
{
    (void)context;
    return clock_mono(&clock_system);
}

static int open_jobs(struct collector *collector, struct diagnosis *why)
{
    struct app *app = &collector->app;
    collector->clock = (struct clock){rules_unix_ms, system_mono, app};
    const struct jobs_options jobs = {
        .path = collector->options.jobs,
        .external_url = app->external_url,
        .clock = &collector->clock,
    };
    struct duty_view view;
    int error = jobs_open(&collector->loop, &jobs, app->store, app->notify, &app->jobs, why);
    if (error != 0)
        return error;
    duty_book_view(app->duty, &view);
    set_calendar(collector, view.duty);
    duty_view_done(&view);
    return 0;
}

static int open_http(struct collector *collector, struct diagnosis *why)
{
    size_t count;
    const struct http_route *routes = api_routes(&count);
    struct http_options http = parts_http_options(&collector->options);
    http.query_memory = &collector->app.query_memory;
    int error = api_open(&collector->app, &collector->api);
    if (error != 0)
        return error;
    return http_server_open(&collector->loop, &http, routes, count, collector->api,
                            &collector->http, why);
}

static void print_http_metrics(struct app *app, struct buf *out)
{
    const struct collector *collector = app->main;
    api_print_metrics(collector->api, collector->http, out);
}

static int start(struct collector *collector, struct diagnosis *why)
{
    struct app *app = &collector->app;
    const struct options *options = &collector->options;
    const struct rules_options rules = parts_rules_options(options);
    char host[256] = "localhost";
    struct buf text = {0};

    (void)gethostname(host, sizeof host - 1);
    app->promql = rules.promql;
    app->query_memory.limit_bytes = options->queries_memory_bytes;
    app->promql.total = &app->query_memory;
    app->query_timeout_ms = options->query_timeout_ms;
    app->external_url = options->external_url == NULL ? "" : options->external_url;
    app->started_ms = clock_unix_ms(&clock_system);
    app->reload = reload_from_anywhere;
    app->main = collector;
    app->print_config = print_config;
    app->retention_ms = options->retention_raw_ms;
    options_print(options, &text);
    show_config(collector, &text);
    int error = buf_ok(&collector->config_text) ? data_lock_take(options->data, why) : ERR_NOMEM;
    if (error == 0)
        error = open_store(collector, why);
    if (error == 0)
        error = open_duty(collector, why);
    if (error == 0)
        error = open_notify(collector, why);
    if (error == 0)
        error = open_jobs(collector, why);
    if (error == 0)
        error = rules_open(&rules, app->store, app->notify, &app->rules, why);
    if (error == 0)
        error = remote_open(app->remote, app->store, options->config, options->remote_write, why);
    if (error == 0)
        error = duty_watch_start(app->duty, app->notify, &app->duty_watch);
    if (error == 0)
        error = crew_open("query-help", crew_spare_cores(), &app->promql.crew);
    if (error == 0)
        error = open_http(collector, why);
    if (error == 0)
        error = open_ingest(collector, why);
    if (error == 0)
        ingest_set_rules(app->ingest, app->rules);
    if (error == 0)
        error = watchdog_open(&collector->loop, options->config, options->watchdog, app->store,
                              app->rules, app->notify, &app->watchdog, why);
    if (error == 0)
        app->print_http_metrics = print_http_metrics;
    if (error == 0)
        error = self_start(&collector->loop, app, SELF_INTERVAL_MS, host, &collector->self);
    if (error == 0)
        error = memory_watch_start(&collector->loop, &collector->memory);
    if (error == 0)
        (void)uv_timer_start(&collector->health, on_health, HEALTH_MS, HEALTH_MS);
    if (error == 0)
        app->ready = true;
    return error;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The loop runs no more: a handler that waits for a reload would wait for ever. */
static void refuse_reloads(struct collector *collector)
{
    uv_mutex_lock(&collector->reload_lock);
    collector->stopping = true;
    if (collector->order.waiting) {
        collector->order.result =
            diagnose(collector->order.why, ERR_CANCELLED, "the collector is stopping");
        collector->order.waiting = false;
        uv_cond_broadcast(&collector->reload_finished);
    }
    uv_mutex_unlock(&collector->reload_lock);
}

static void stop(struct collector *collector)
{
    struct app *app = &collector->app;
    app->ready = false;
    (void)uv_timer_stop(&collector->health); /* the loop turns on while closing */
    refuse_reloads(collector);
    notify_refuse_orders(app->notify);
    app->print_http_metrics = NULL;
    http_server_close(collector->http); /* its handlers ask all the others */
    api_close(collector->api);
    if (app->ingest != NULL) {
        ingest_set_rules(app->ingest, NULL);
        ingest_close(app->ingest);
    }
    memory_watch_stop(collector->memory);
    self_stop(collector->self);
    watchdog_close(app->watchdog);
    duty_watch_stop(app->duty_watch);
    rules_close(app->rules);
    jobs_close(app->jobs);
    notify_close(app->notify);
    for (int i = 0; i < CLOSING_TURNS; i++) /* some handles close one after the other */
        (void)uv_run(&collector->loop, UV_RUN_NOWAIT);
    uv_walk(&collector->loop, close_handle, NULL);
    (void)uv_run(&collector->loop, UV_RUN_DEFAULT);
    duty_book_close(app->duty);
    remote_stop(app->remote);
    crew_close(app->promql.crew); /* rules, too, ask with it */
    store_close(app->store); /* what receivers have yet to get is spilled */
    remote_free(app->remote);
    (void)uv_loop_close(&collector->loop);
    uv_mutex_destroy(&collector->reload_lock);
    uv_cond_destroy(&collector->reload_finished);
    uv_mutex_destroy(&collector->config_lock);
    buf_done(&collector->config_text);
}

static int run(struct collector *collector)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct diagnosis why = {0};

    (void)signal(SIGPIPE, SIG_IGN);
    descriptors_raise_limit();
    memory_setup();
    must(uv_loop_init(&collector->loop) == 0);
    must(uv_mutex_init(&collector->reload_lock) == 0);
    must(uv_cond_init(&collector->reload_finished) == 0);
    must(uv_mutex_init(&collector->config_lock) == 0);
    must(uv_async_init(&collector->loop, &collector->reload_async, on_reload) == 0);
    collector->reload_async.data = collector;
    must(uv_timer_init(&collector->loop, &collector->health) == 0);
    collector->health.data = collector;
    collector->main_thread = uv_thread_self();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        must(uv_signal_init(&collector->loop, &collector->signals[i]) == 0);
        collector->signals[i].data = collector;
        (void)uv_signal_start(&collector->signals[i], on_signal, numbers[i]);
    }
    int error = start(collector, &why);
    if (error != 0) {
        (void)diagnose(&why, error, "%s", error_text(error));
        log_error("main", "%s", why.text);
    } else {
        log_info("main", "ready: http %s, ingest %s, data %s", collector->options.http_listen,
                 collector->options.ingest_listen, collector->options.data);
        service_notify("READY=1");
        (void)uv_run(&collector->loop, UV_RUN_DEFAULT);
    }
    stop(collector);
    if (error == 0)
        return collector->failed ? EXIT_RUNNING : EXIT_FINE;
    return error == ERR_REFUSED || error == ERR_INVALID ? EXIT_USAGE : EXIT_RUNNING;
}

/* -- the command line ----------------------------------------------------------------------- */

static int complain(const char *text)
{
    (void)fprintf(stderr, "fengsui-collector: %s\n", text);
    return EXIT_USAGE;
}

static void warn(const char *text)
{
    (void)printf("warning: %s\n", text);
}

static int check(const struct collector *collector)
{
    struct diagnosis why = {0};
    const struct rules_options rules = parts_rules_options(&collector->options);
    size_t groups = 0, count = 0;
    struct duty *duty = NULL;
    if (parts_check(&collector->options, &why) != 0)
        return complain(why.text);
    (void)rules_check(&rules, &groups, &count, &why);
    if (parts_load_duty(&collector->options, &duty, &why) == 0 && duty != NULL)
        (void)duty_watch_tell(duty, NULL, warn);
    duty_unref(duty);
    (void)printf("configuration is good: %zu rules in %zu groups\n", count, groups);
    return EXIT_FINE;
}

int main(int argc, char **argv)
{
    static struct collector collector; /* too large for a stack; used by main alone */
    struct diagnosis why = {0};

    if (flags_parse(argc, argv, &collector.flags, &why) != 0)
        return complain(why.text);
    if (collector.flags.help) {
        (void)fputs(flags_help, stdout);
        return EXIT_FINE;
    }
    if (collector.flags.version) {
        (void)printf("fengsui-collector %s\n", FENGSUI_VERSION);
        return EXIT_FINE;
    }
    if (options_load(&collector.flags, &collector.options, &why) != 0)
        return complain(why.text);
    enum log_level least = (enum log_level)log_level_of(collector.options.log_level);
    log_setup(least, strcmp(collector.options.log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
    int code = collector.flags.check ? check(&collector) : EXIT_FINE;
    if (!collector.flags.check && parts_check(&collector.options, &why) != 0)
        code = complain(why.text);
    else if (!collector.flags.check)
        code = run(&collector);
    options_free(&collector.options);
    return code;
}
