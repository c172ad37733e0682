/*
 * watchdog.c - see watchdog.h.
 */
#include "collector/watchdog/watchdog.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notify/delivery.h"
#include "collector/client/http_post.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#define BEAT_KEY "watchdog/beat"
#define ID       "watchdog" /* transfers want one; nobody sees it */

/* One that is told.  Settings are the config's. */
struct target {
    const char *url, *url_file;
    int64_t interval_ms;
    struct http_settings http;
    struct watchdog *watchdog;
    size_t number; /* from 1, as the config has them */
    uv_timer_t timer;
    struct store_write write;
    struct store_put put;
    bool is_writing, is_sending;
    bool is_unfit, is_unheard; /* logged */
    /* under lock */
    bool is_written;
    int write_error;
    uint64_t pings, failures;
    int64_t last_ms;
    bool is_fit;
};

struct watchdog {
    /* fixed after watchdog_open() */
    struct store *store;
    struct rules *rules;
    struct notify *notify;
    struct target *targets;
    size_t count;
    /* loop */
    struct delivery *delivery;
    uv_async_t wake;
    size_t open_handles;
    bool is_closing;
    pthread_mutex_t lock;
};

/* ---- the configuration --------------------------------------------------------------------
 */

#define AT(field) offsetof(struct target, field)

static const struct config_option target_rows[] = {
    {.key = "url", .type = CONFIG_STRING, .offset = AT(url)},
    {.key = "url_file", .type = CONFIG_FILE, .offset = AT(url_file)},
    {.key = "interval",
     .type = CONFIG_DURATION,
     .offset = AT(interval_ms),
     .fallback = "10s",
     .min = 1000,
     .max = 86400000},
    {.key = "timeout",
     .type = CONFIG_DURATION,
     .offset = AT(http.timeout_ms),
     .fallback = "5s",
     .min = 100,
     .max = 600000},
    {.key = "username", .type = CONFIG_STRING, .offset = AT(http.username)},
    {.key = "password_file", .type = CONFIG_FILE, .offset = AT(http.password_file)},
    {.key = "bearer_file", .type = CONFIG_FILE, .offset = AT(http.bearer_file)},
    {.key = "ca_file", .type = CONFIG_FILE, .offset = AT(http.tls.ca_file)},
    {.key = "insecure_skip_verify",
     .type = CONFIG_BOOL,
     .offset = AT(http.tls.insecure_skip_verify),
     .fallback = "false"},
};

static int read_target(struct config *config, const struct config_node *node,
                       struct target *target, struct diagnosis *why)
{
    int error = config_read(config, node, "watchdog", target_rows,
                            sizeof target_rows / sizeof *target_rows, target, why);
    if (error != 0)
        return error;
    if ((target->url == NULL) == (target->url_file == NULL))
        return config_complain(config, node, why, "watchdog: give url or url_file");
    if (target->url != NULL && strncmp(target->url, "http://", 7) != 0 &&
        strncmp(target->url, "https://", 8) != 0)
        return config_complain(config, config_child(node, "url"), why,
                               "watchdog: the url must begin with http:// or https://");
    if (target->http.username != NULL && target->http.bearer_file != NULL)
        return config_complain(config, node, why, "watchdog: either username or bearer_file");
    return 0;
}

static int read_targets(struct config *config, const struct config_node *list,
                        struct target **ret_targets, size_t *ret_count, struct diagnosis *why)
{
    size_t count = list == NULL ? 0 : list->count;
    struct target *targets;
    int error = 0;
    if (list != NULL && (list->kind != CONFIG_LIST || count > WATCHDOG_TARGETS_MAX))
        return config_complain(config, list, why, "watchdog must be a list of at most %d",
                               WATCHDOG_TARGETS_MAX);
    targets = calloc(count + 1, sizeof *targets);
    if (targets == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < count; i++) {
        targets[i].number = i + 1;
        error = read_target(config, list->children[i], &targets[i], why);
    }
    if (error != 0) {
        free(targets);
        return error;
    }
    *ret_targets = targets;
    *ret_count = count;
    return 0;
}

int watchdog_check(struct config *config, const struct config_node *list, struct diagnosis *why)
{
    struct target *targets = NULL;
    size_t count;
    int error = read_targets(config, list, &targets, &count, why);
    free(targets);
    return error;
}

/* ---- sending ------------------------------------------------------------------------------
 */

static int prepare(const void *settings, CURL *easy, struct client_request *request,
                   struct diagnosis *why)
{
    const struct target *target = settings;
    int error = http_post_secret(target->url, target->url_file, &request->text, why);
    return error != 0 ? error
                      : http_post_prepare(&target->http, easy, request, "text/plain",
                                          request->text, request->body, why);
}

static void judge(const void *settings, CURL *easy, CURLcode result,
                  struct client_request *request, struct client_verdict *ret_verdict)
{
    (void)settings;
    http_post_judge(easy, result, request, ret_verdict);
}

static const struct channel channel_ping = {
    .name = "watchdog", .prepare = prepare, .judge = judge};

static void count_ping(struct target *target, bool is_heard, const struct diagnosis *why)
{
    (void)pthread_mutex_lock(&target->watchdog->lock);
    target->pings++;
    target->failures += !is_heard;
    if (is_heard)
        target->last_ms = clock_unix_ms(&clock_system);
    (void)pthread_mutex_unlock(&target->watchdog->lock);
    if (!is_heard && !target->is_unheard)
        log_warn("watchdog", "number %zu does not hear us: %s", target->number, why->text);
    if (is_heard && target->is_unheard)
        log_info("watchdog", "number %zu hears us again", target->number);
    target->is_unheard = !is_heard;
}

static void on_sent(void *context, const struct client_verdict *verdict)
{
    struct target *target = context;
    target->is_sending = false;
    count_ping(target, verdict->accepted, &verdict->why);
}

static void send_ping(struct target *target)
{
    struct diagnosis why = {0};
    const struct delivery_order order = {
        .channel = &channel_ping,
        .settings = target,
        .id = ID,
        .body = {(const uint8_t *)"", 0},
        .progress = {(const uint8_t *)"", 0},
    };
    int error =
        delivery_start(target->watchdog->delivery, &order, on_sent, target, &why);
    target->is_sending = error == 0;
    if (error != 0) {
        (void)diagnose(&why, error, "%s", error_text(error));
        count_ping(target, false, &why);
    }
}

/* ---- is all well? -------------------------------------------------------------------------
 */

static bool is_fit(struct watchdog *watchdog, int write_error, struct diagnosis *why)
{
    struct store_stats store;
    const mono_ns since = rules_working_since(watchdog->rules), now = clock_mono(&clock_system);
    if (write_error != 0)
        return diagnose(why, write_error, "writes fail: %s", error_text(write_error)) == 0;
    store_get_stats(watchdog->store, &store);
    if (store.full || store.broken)
        return diagnose(why, ERR_FULL, "the store takes nothing: %s", store.full_reason) == 0;
    if (since != 0 && now > since + (mono_ns)WATCHDOG_RULES_MS * NS_PER_MS)
        return diagnose(why, ERR_TIMEOUT, "no rule has been evaluated for a minute") == 0;
    if (notify_is_failing(watchdog->notify))
        return diagnose(why, ERR_IO, "messages cannot be stored") == 0;
    return true;
}

static void note_fitness(struct target *target, bool fit, const struct diagnosis *why)
{
    (void)pthread_mutex_lock(&target->watchdog->lock);
    target->is_fit = fit;
    (void)pthread_mutex_unlock(&target->watchdog->lock);
    if (!fit && !target->is_unfit)
        log_error("watchdog", "number %zu is told nothing any more: %s", target->number,
                  why->text);
    if (fit && target->is_unfit)
        log_info("watchdog", "all is well again, number %zu is told so", target->number);
    target->is_unfit = !fit;
}

static void go_on(struct target *target, int write_error)
{
    struct diagnosis why = {0};
    bool fit = is_fit(target->watchdog, write_error, &why);
    note_fitness(target, fit, &why);
    if (fit && !target->is_sending)
        send_ping(target);
}

/* Writer thread. */
static void on_written(struct store_write *write, int error)
{
    struct target *target = write->context;
    (void)pthread_mutex_lock(&target->watchdog->lock);
    target->is_written = true;
    target->write_error = error;
    (void)uv_async_send(&target->watchdog->wake);
    (void)pthread_mutex_unlock(&target->watchdog->lock);
}

static void on_wake(uv_async_t *async)
{
    struct watchdog *watchdog = async->data;
    for (size_t i = 0; i < watchdog->count && !watchdog->is_closing; i++) {
        struct target *target = &watchdog->targets[i];
        bool is_written;
        int error;
        (void)pthread_mutex_lock(&watchdog->lock);
        is_written = target->is_written;
        error = target->write_error;
        target->is_written = false;
        (void)pthread_mutex_unlock(&watchdog->lock);
        if (!is_written)
            continue;
        target->is_writing = false;
        go_on(target, error);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct target *target = timer->data;
    struct diagnosis why = {0};
    int error;
    if (target->is_writing) {
        (void)diagnose(&why, ERR_TIMEOUT, "a commit takes longer than the interval");
        note_fitness(target, false, &why);
        return;
    }
    target->put = (struct store_put){bytes_of(BEAT_KEY), bytes_of("1")};
    target->write = (struct store_write){
        .puts = &target->put, .put_count = 1, .done = on_written, .context = target};
    target->is_writing = true;
    error = store_write_submit(target->watchdog->store, &target->write);
    if (error != 0) {
        target->is_writing = false;
        go_on(target, error);
    }
}

/* ---- life ---------------------------------------------------------------------------------
 */

static void watchdog_free(struct watchdog *watchdog)
{
    (void)pthread_mutex_destroy(&watchdog->lock);
    free(watchdog->targets);
    free(watchdog);
}

int watchdog_open(uv_loop_t *loop, struct config *config, const struct config_node *list,
                  struct store *store, struct rules *rules, struct notify *notify,
                  struct watchdog **ret_watchdog, struct diagnosis *why)
{
    struct watchdog *watchdog = calloc(1, sizeof *watchdog);
    int error;
    if (watchdog == NULL)
        return ERR_NOMEM;
    must(pthread_mutex_init(&watchdog->lock, NULL) == 0);
    watchdog->store = store;
    watchdog->rules = rules;
    watchdog->notify = notify;
    error = read_targets(config, list, &watchdog->targets, &watchdog->count, why);
    if (error == 0)
        error = delivery_open(loop, NULL, NULL, &watchdog->delivery);
    if (error != 0) {
        watchdog_free(watchdog);
        return error;
    }
    must(uv_async_init(loop, &watchdog->wake, on_wake) == 0);
    watchdog->wake.data = watchdog;
    watchdog->open_handles = watchdog->count + 1;
    for (size_t i = 0; i < watchdog->count; i++) {
        struct target *target = &watchdog->targets[i];
        target->watchdog = watchdog;
        must(uv_timer_init(loop, &target->timer) == 0);
        target->timer.data = target;
        (void)uv_timer_start(&target->timer, on_timer, 0, (uint64_t)target->interval_ms);
    }
    *ret_watchdog = watchdog;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct watchdog *watchdog = handle->data;
    if (--watchdog->open_handles == 0)
        watchdog_free(watchdog);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct target *target = handle->data;
    handle->data = target->watchdog;
    on_closed(handle);
}

void watchdog_close(struct watchdog *watchdog)
{
    bool is_writing = false;
    if (watchdog == NULL)
        return;
    watchdog->is_closing = true;
    delivery_close(watchdog->delivery);
    for (size_t i = 0; i < watchdog->count; i++)
        is_writing = is_writing || watchdog->targets[i].is_writing;
    if (is_writing) { /* an empty write behind ours: when it is done, ours are */
        struct store_write barrier = {0};
        (void)store_write_wait(watchdog->store, &barrier);
    }
    for (size_t i = 0; i < watchdog->count; i++)
        uv_close((uv_handle_t *)&watchdog->targets[i].timer, on_timer_closed);
    uv_close((uv_handle_t *)&watchdog->wake, on_closed);
}

/* ---- metrics ------------------------------------------------------------------------------
 */

enum figure { FIT, PINGS, FAILURES, LAST };

static const struct {
    const char *name, *type, *help;
} figures[] = {
    [FIT] = {"fengsui_collector_watchdog_fit", "gauge",
             "1 while all works that a watchdog's ping vouches for."},
    [PINGS] = {"fengsui_collector_watchdog_pings_total", "counter",
               "Pings sent, by the watchdog's place in the list."},
    [FAILURES] = {"fengsui_collector_watchdog_pings_failed_total", "counter",
                  "Pings that were not accepted."},
    [LAST] = {"fengsui_collector_watchdog_last_accepted_timestamp_seconds", "gauge",
              "When a ping was last accepted; 0: never."},
};

static double figure_of(const struct target *target, enum figure figure)
{
    switch (figure) {
    case FIT:
        return target->is_fit;
    case PINGS:
        return (double)target->pings;
    case FAILURES:
        return (double)target->failures;
    case LAST:
        return (double)target->last_ms / MS_PER_SEC;
    }
    return 0;
}

void watchdog_print_metrics(struct watchdog *watchdog, struct buf *out)
{
    if (watchdog == NULL || watchdog->count == 0)
        return;
    (void)pthread_mutex_lock(&watchdog->lock);
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", figures[f].name, figures[f].help,
                   figures[f].name, figures[f].type);
        for (size_t i = 0; i < watchdog->count; i++)
            buf_printf(out, "%s{watchdog=\"%zu\"} %.15g\n", figures[f].name,
                       watchdog->targets[i].number,
                       figure_of(&watchdog->targets[i], (enum figure)f));
    }
    (void)pthread_mutex_unlock(&watchdog->lock);
}
