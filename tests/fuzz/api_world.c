/* api_world.c - see api_world.h. */
#include "tests/fuzz/api_world.h"

#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "collector/app.h"
#include "collector/http/api.h"
#include "collector/ingest/ingest.h"
#include "collector/jobs/jobs.h"
#include "collector/policy/policy.h"
#include "collector/remote/remote.h"
#include "collector/watchdog/watchdog.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "proto/base/must.h"
#include "tests/fuzz/api_world_fill.h"

#define PATH_BYTES         256
#define CLOSING_TURNS      4
#define MEMORY_BYTES_LEAST ((uint64_t)512 << 20)

struct api_world {
    char folder[64];
    char rules_path[PATH_BYTES];
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    struct app app;
    struct http_server *server;
    struct api *api;
    struct users *users;
    /* under lock */
    uv_mutex_t lock;
    uv_cond_t done;
    struct http_request *wanted; /* a quick handler's, or NULL */
    struct http_response *answer;
    http_handler *handler;
    bool is_stopping;
};

/* Whoever answers later tells the world. */
struct waiter {
    struct http_pending pending;
    struct api_world *world;
    bool is_done;
};

/* ---- the loop's thread ------------------------------------------------------------------ */

static void on_wake(uv_async_t *wake)
{
    struct api_world *world = wake->data;
    uv_mutex_lock(&world->lock);
    if (world->wanted != NULL) {
        world->handler(world->wanted, world->answer);
        world->wanted = NULL;
        uv_cond_signal(&world->done);
    }
    if (world->is_stopping)
        uv_stop(&world->loop);
    uv_mutex_unlock(&world->lock);
}

static void run_loop(void *context)
{
    struct api_world *world = context;
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
}

static void ask_on_loop(struct api_world *world, http_handler *handler,
                        struct http_request *request, struct http_response *response)
{
    uv_mutex_lock(&world->lock);
    world->handler = handler;
    world->wanted = request;
    world->answer = response;
    (void)uv_async_send(&world->wake);
    while (world->wanted != NULL)
        uv_cond_wait(&world->done, &world->lock);
    uv_mutex_unlock(&world->lock);
}

static void finished(struct http_pending *pending)
{
    struct waiter *waiter = (struct waiter *)(void *)pending; /* its first member */
    uv_mutex_lock(&waiter->world->lock);
    waiter->is_done = true;
    uv_cond_signal(&waiter->world->done);
    uv_mutex_unlock(&waiter->world->lock);
}

static void ask_later(struct api_world *world, http_later_handler *handler,
                      struct http_request *request, struct http_response *response)
{
    struct waiter waiter = {.pending.finish = finished, .world = world};
    handler(request, response, &waiter.pending);
    uv_mutex_lock(&world->lock);
    while (!waiter.is_done)
        uv_cond_wait(&world->done, &world->lock);
    uv_mutex_unlock(&world->lock);
}

/* The directory of a backup is a path of this host; whatever was asked for, it is the world's. */
static char *tame_backup(const struct api_world *world, struct http_request *request)
{
    char path[PATH_BYTES];
    json_t *body = json_loadb((const char *)request->body.data, request->body.size,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *asked = json_string_value(json_object_get(body, "directory"));
    char *text = NULL;
    if (asked != NULL && *asked == '/') {
        (void)snprintf(path, sizeof path, "%s/backup%zu", world->folder, strlen(asked) % 4);
        must(json_object_set_new(body, "directory", json_string(path)) == 0);
        text = json_dumps(body, 0);
        must(text != NULL);
        request->body = bytes_of(text);
    }
    json_decref(body);
    return text;
}

enum verdict api_world_login(struct api_world *world, struct request_text *text)
{
    char name[64];
    struct identity identity = {0};
    const char *token = users_bearer(text->authorization);
    enum verdict verdict = users_check(world->users, text->authorization, &identity);
    users_claimed_name(text->authorization, name, sizeof name);
    must(memchr(name, '\0', sizeof name) != NULL);
    must(verdict != VERDICT_ALLOWED || (*identity.name != '\0' && identity.role != ROLE_NONE));
    must(verdict != VERDICT_UNSURE || token == NULL);
    text->request.context = world->api;
    if (verdict == VERDICT_REFUSED && token != NULL && text->route->admits != NULL &&
        text->route->admits(&text->request, token))
        verdict = VERDICT_ALLOWED;
    return verdict;
}

void api_world_ask(struct api_world *world, struct request_text *text,
                   struct http_response *response)
{
    const struct http_route *route = text->route;
    struct http_request *request = &text->request;
    char *tamed = NULL;
    memset(response, 0, sizeof *response);
    response->status = 200;
    request->context = world->api;
    request->server = world->server;
    request->asked_mono_ns = clock_mono(&clock_system);
    if (strcmp(route->path, "/api/fengsui/v1/store/backup") == 0)
        tamed = tame_backup(world, request);
    if (route->later != NULL)
        ask_later(world, route->later, request, response);
    else if (route->slow || route->brief)
        route->handler(request, response);
    else
        ask_on_loop(world, route->handler, request, response);
    free(tamed);
}

void api_world_forget(struct http_response *response)
{
    if (response->stream != NULL)
        response->stream->close(response->stream);
    response->stream = NULL;
    buf_done(&response->body);
}

/* ---- opening ---------------------------------------------------------------------------- */

static int reload(struct app *app, struct diagnosis *why)
{
    (void)app;
    return diagnose(why, ERR_INVALID, "collector.yml, line 1: there is none");
}

static void print_config(struct app *app, struct buf *out)
{
    buf_printf(out, "# started at %lld\n", (long long)app->started_ms);
}

static void print_http_metrics(struct app *app, struct buf *out)
{
    const struct api_world *world = app->main;
    api_print_metrics(world->api, world->server, out);
}

static const char *path_in(const struct api_world *world, const char *name,
                           char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", world->folder, name);
    return path;
}

/* Every write is synced: where there is room for it, into memory. */
static bool has_memory(void)
{
    struct statvfs disk;
    return access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &disk) == 0 &&
           disk.f_bavail * disk.f_frsize >= MEMORY_BYTES_LEAST;
}

static void make_folder(struct api_world *world)
{
    char path[PATH_BYTES];
    (void)snprintf(world->folder, sizeof world->folder, "%s/fengsui-api-XXXXXX",
                   has_memory() ? "/dev/shm" : "/tmp");
    must(mkdtemp(world->folder) != NULL);
    for (size_t i = 0; i < api_world_file_count; i++) {
        FILE *file = fopen(path_in(world, api_world_files[i].name, path), "w");
        must(file != NULL && fchmod(fileno(file), S_IRUSR | S_IWUSR) == 0);
        must(fputs(api_world_files[i].text, file) >= 0 && fclose(file) == 0);
    }
    path_in(world, "rules.yml", world->rules_path);
}

/* Small ceilings: a query of death ends soon. */
static void set_up(struct api_world *world)
{
    struct app *app = &world->app;
    app->query_memory.limit_bytes = (uint64_t)8 << 20;
    app->promql = (struct promql_options){.lookback_ms = 300000,
                                          .default_step_ms = 60000,
                                          .max_samples = 20000,
                                          .max_memory_bytes = (size_t)2 << 20,
                                          .experimental = true,
                                          .total = &app->query_memory};
    app->query_timeout_ms = 2000;
    app->external_url = "http://collector.example:9470";
    app->started_ms = clock_unix_ms(&clock_system);
    app->reload = reload;
    app->print_config = print_config;
    app->main = world;
}

static int open_store(struct api_world *world, struct diagnosis *why)
{
    char path[PATH_BYTES];
    struct app *app = &world->app;
    int error = remote_new(path_in(world, "data", path), 1 << 20, &app->remote);
    const struct store_options options = {.directory = path,
                                          .rolls_up = true,
                                          .series_limit = 5000,
                                          .live_bytes_max = (uint64_t)256 << 20,
                                          .release = remote_release,
                                          .release_context = app->remote,
                                          .hold = remote_hold};
    if (error == 0)
        error = store_open(&options, &app->store, why);
    if (error == 0)
        api_world_put_keys(app->store);
    return error;
}

static int open_people(struct api_world *world, struct diagnosis *why)
{
    char path[PATH_BYTES];
    struct app *app = &world->app;
    struct duty *duty = NULL;
    int error = duty_load(path_in(world, "duty.yml", path), &duty, why);
    if (error == 0)
        error = duty_book_open(app->store, duty, &app->duty, why);
    const struct notify_options notify = {.path = path_in(world, "alerting.yml", path),
                                          .external_url = app->external_url,
                                          .duty = duty,
                                          .overrides = duty_book_overrides,
                                          .overrides_context = app->duty};
    if (error == 0)
        error = notify_open(&world->loop, app->store, &notify, &app->notify, why);
    duty_unref(duty);
    const struct jobs_options jobs = {.path = path_in(world, "jobs.yml", path),
                                      .external_url = app->external_url};
    if (error == 0)
        error = jobs_open(&world->loop, &jobs, app->store, app->notify, &app->jobs, why);
    return error;
}

static int open_rules(struct api_world *world, struct diagnosis *why)
{
    struct app *app = &world->app;
    const char *glob = world->rules_path;
    const struct rules_options rules = {.globs = &glob,
                                        .glob_count = 1,
                                        .evaluation_interval_ms = 60000,
                                        .promql = app->promql,
                                        .external_url = app->external_url};
    int error = rules_open(&rules, app->store, app->notify, &app->rules, why);
    if (error == 0)
        error = remote_open(app->remote, app->store, NULL, NULL, why);
    if (error == 0)
        error = duty_watch_start(app->duty, app->notify, &app->duty_watch);
    return error;
}

static int open_ports(struct api_world *world, struct diagnosis *why)
{
    char keys[PATH_BYTES], path[PATH_BYTES];
    struct app *app = &world->app;
    struct policy *policy = NULL;
    size_t count;
    const struct http_route *routes = api_routes(&count);
    const struct http_options http = {.listen = "127.0.0.1:0", .query_threads = 1};
    int error = api_open(app, &world->api);
    if (error == 0)
        error = http_server_open(&world->loop, &http, routes, count, world->api, &world->server,
                                 why);
    if (error == 0)
        error = policy_load(path_in(world, "policy.yml", path), &policy, why);
    const struct ingest_options ingest = {.endpoint = "tcp://127.0.0.1:*",
                                          .key_directory = path_in(world, "keys", keys),
                                          .policy = policy};
    if (error == 0)
        error = ingest_open(&ingest, app->store, &app->ingest, why);
    policy_unref(policy);
    if (error == 0)
        ingest_set_rules(app->ingest, app->rules);
    if (error == 0)
        error = watchdog_open(&world->loop, NULL, NULL, app->store, app->rules, app->notify,
                              &app->watchdog, why);
    return error;
}

/* Requests in the order of the table, each of which must be taken; then what has no route. */
static void fill(struct api_world *world)
{
    struct buf samples = {0};
    api_world_print_samples(&samples, clock_unix_ms(&clock_system));
    size_t count;
    const struct http_route *routes = api_routes(&count);
    for (size_t i = 0; i <= api_world_request_count; i++) {
        struct request_text text;
        struct http_response response;
        struct bytes bytes = i == 0 ? buf_bytes(&samples) : bytes_of(api_world_requests[i - 1]);
        must(request_text_read(bytes, routes, count, &text) && text.route != NULL);
        api_world_ask(world, &text, &response);
        if (response.status >= 300) {
            (void)fprintf(stderr, "%s: %d %s\n", text.request.path, response.status,
                          buf_text(&response.body));
            abort();
        }
        api_world_forget(&response);
        request_text_done(&text);
    }
    buf_done(&samples);
    api_world_put_lines(world->app.store, clock_unix_ms(&clock_system));
}

struct api_world *api_world_open(void)
{
    char path[PATH_BYTES];
    struct diagnosis why = {0};
    struct api_world *world = calloc(1, sizeof *world);
    must(world != NULL);
    make_folder(world);
    must(uv_loop_init(&world->loop) == 0);
    must(uv_mutex_init(&world->lock) == 0 && uv_cond_init(&world->done) == 0);
    must(uv_async_init(&world->loop, &world->wake, on_wake) == 0);
    world->wake.data = world;
    set_up(world);
    int error = open_store(world, &why);
    if (error == 0)
        error = open_people(world, &why);
    if (error == 0)
        error = users_load(path_in(world, "users.yml", path), &world->users, &why);
    if (error == 0)
        error = open_rules(world, &why);
    if (error == 0)
        error = open_ports(world, &why);
    if (error != 0) {
        (void)fprintf(stderr, "the world does not open: %s: %s\n", error_text(error), why.text);
        abort();
    }
    world->app.print_http_metrics = print_http_metrics;
    world->app.ready = true;
    must(uv_thread_create(&world->thread, run_loop, world) == 0);
    fill(world);
    return world;
}

/* ---- closing ---------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

/* As main.c stops. */
static void close_parts(struct api_world *world)
{
    struct app *app = &world->app;
    notify_refuse_orders(app->notify);
    app->print_http_metrics = NULL;
    http_server_close(world->server);
    api_close(world->api);
    ingest_set_rules(app->ingest, NULL);
    ingest_close(app->ingest);
    watchdog_close(app->watchdog);
    duty_watch_stop(app->duty_watch);
    rules_close(app->rules);
    jobs_close(app->jobs);
    notify_close(app->notify);
    for (int i = 0; i < CLOSING_TURNS; i++)
        (void)uv_run(&world->loop, UV_RUN_NOWAIT);
    uv_walk(&world->loop, close_handle, NULL);
    (void)uv_run(&world->loop, UV_RUN_DEFAULT);
    duty_book_close(app->duty);
    remote_stop(app->remote);
    store_close(app->store);
    remote_free(app->remote);
}

void api_world_close(struct api_world *world)
{
    if (world == NULL)
        return;
    uv_mutex_lock(&world->lock);
    world->is_stopping = true;
    (void)uv_async_send(&world->wake);
    uv_mutex_unlock(&world->lock);
    must(uv_thread_join(&world->thread) == 0);
    close_parts(world);
    users_unref(world->users);
    must(uv_loop_close(&world->loop) == 0);
    uv_mutex_destroy(&world->lock);
    uv_cond_destroy(&world->done);
    (void)nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(world);
}
