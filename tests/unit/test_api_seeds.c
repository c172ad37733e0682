/*
 * test_api_seeds.c - the seeds of fuzz_api.c against the table of routes.
 *
 * A route, a method or a parameter that is new has a seed, or fails here; and each route has one
 * that gets past its first checks: it is answered, not refused, but for those that refuse all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the above first
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api.h"
#include "proto/base/log.h"
#include "tests/fuzz/api_answer.h"
#include "tests/fuzz/api_world.h"

#define ROUTES_MAX 256

static struct seed {
    char *name;
    uint8_t *data;
    size_t size;
} seeds[1024];
static size_t seed_count;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seed *)a)->name, ((const struct seed *)b)->name);
}

static int load_seeds(void **state)
{
    (void)state;
    DIR *folder = opendir(SEEDS);
    const struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char path[4096];
        struct seed *seed = &seeds[seed_count];
        if (entry->d_name[0] == '.')
            continue;
        assert_true(seed_count++ < sizeof seeds / sizeof *seeds);
        (void)snprintf(path, sizeof path, "%s/%s", SEEDS, entry->d_name);
        FILE *file = fopen(path, "rb");
        seed->name = strdup(entry->d_name);
        seed->data = malloc(1 << 20);
        assert_true(file != NULL && seed->name != NULL && seed->data != NULL);
        seed->size = fread(seed->data, 1, 1 << 20, file);
        (void)fclose(file);
    }
    (void)closedir(folder);
    qsort(seeds, seed_count, sizeof *seeds, by_name);
    return 0;
}

static int free_seeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < seed_count; i++) {
        free(seeds[i].name);
        free(seeds[i].data);
    }
    return 0;
}

static bool read_seed(size_t i, struct request_text *text)
{
    size_t count;
    const struct http_route *routes = api_routes(&count);
    return request_text_read((struct bytes){seeds[i].data, seeds[i].size}, routes, count, text);
}

static bool has_seed(const struct http_route *route, unsigned method)
{
    bool found = false;
    for (size_t i = 0; i < seed_count && !found; i++) {
        struct request_text text;
        if (!read_seed(i, &text))
            continue;
        found = text.route == route && (unsigned)text.request.method == method;
        request_text_done(&text);
    }
    return found;
}

static bool has_value(const struct http_route *route, const char *name, size_t at_least)
{
    bool found = false;
    for (size_t i = 0; i < seed_count && !found; i++) {
        struct request_text text;
        if (!read_seed(i, &text))
            continue;
        const char *value = NULL;
        size_t at = 0;
        for (size_t n = 0; text.route == route && text.status == 0 && n < at_least; n++)
            value = http_parameter_next(&text.request, name, &at);
        found = value != NULL && *value != '\0';
        request_text_done(&text);
    }
    return found;
}

static void every_route_and_method_has_a_seed(void **state)
{
    (void)state;
    size_t count, missing = 0;
    const struct http_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++)
        for (unsigned method = HTTP_GET; method <= HTTP_DELETE; method <<= 1)
            if ((routes[i].methods & method) != 0 && !has_seed(&routes[i], method)) {
                print_error("no seed in tests/corpus/api: method %u of %s\n", method,
                            routes[i].path);
                missing++;
            }
    assert_int_equal(missing, 0);
}

/* "name!" must be there, "name*" and "name[]" may repeat: then some seed says it twice. */
static size_t missing_parameters(const struct http_route *route, const char *list)
{
    size_t missing = 0;
    for (const char *at = list; *at != '\0';) {
        char name[64];
        size_t size = strcspn(at, " "), bare = strcspn(at, " !*");
        (void)snprintf(name, sizeof name, "%.*s", (int)bare, at);
        bool repeats = at[bare] == '*' || strstr(name, "[]") != NULL;
        if (!has_value(route, name, repeats ? 2 : 1)) {
            print_error("no seed in tests/corpus/api: %s of %s%s\n", name, route->path,
                        repeats ? ", twice" : "");
            missing++;
        }
        at += size + (at[size] == ' ');
    }
    return missing;
}

static void every_parameter_of_the_description_has_a_seed(void **state)
{
    (void)state;
    size_t count, missing = 0;
    const struct http_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++)
        missing += missing_parameters(&routes[i], api_route_parameters(&routes[i]));
    assert_int_equal(missing, 0);
}

/* Whatever it is asked; or as long as a backup runs that another seed has begun; or but for an
 * address that holds the version of what is there. */
static bool refuses_all(const char *path)
{
    static const char *const paths[] = {"/-/reload", "/-/quit", "/console/*",
                                        "/api/v1/admin/tsdb/snapshot",
                                        "/api/v1/notifications/live",
                                        "/api/v1/search/metric_names",
                                        "/api/v1/search/label_names",
                                        "/api/v1/search/label_values",
                                        "/api/v1/otlp/v1/metrics",
                                        "/api/v1/targets/relabel_steps", "/api/v1/series",
                                        "/api/fengsui/v1/store/backup",
                                        "/api/fengsui/v1/store/verify"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(path, paths[i]) == 0)
            return true;
    return false;
}

/* What became of the seeds of a route. */
struct outcome {
    bool is_answered;
    char refusal[200]; /* the last */
};

static size_t logins[VERDICT_UNSURE + 1]; /* by verdict */

static void ask(struct api_world *world, size_t i, struct outcome *outcomes)
{
    struct request_text text;
    struct http_response response;
    size_t count;
    const struct http_route *routes = api_routes(&count);
    if (!read_seed(i, &text))
        return;
    if (text.route != NULL && text.status == 0) {
        struct outcome *outcome = &outcomes[text.route - routes];
        logins[api_world_login(world, &text)]++;
        api_world_ask(world, &text, &response);
        api_answer_check(&text.request, &response);
        outcome->is_answered |= response.status < 400;
        if (response.status >= 400)
            (void)snprintf(outcome->refusal, sizeof outcome->refusal, "%s: %d %s",
                           seeds[i].name, response.status, buf_text(&response.body));
        api_world_forget(&response);
    }
    request_text_done(&text);
}

/* In the order of their names, in one world; twice, because some ask for what others make. */
static void every_route_answers_one_of_its_seeds(void **state)
{
    (void)state;
    static struct outcome outcomes[ROUTES_MAX];
    size_t count, missing = 0;
    const struct http_route *routes = api_routes(&count);
    assert_true(count <= ROUTES_MAX);
    struct api_world *world = api_world_open();
    for (size_t i = 0; i < 2 * seed_count; i++)
        ask(world, i % seed_count, outcomes);
    for (size_t i = 0; i < count; i++)
        if (!outcomes[i].is_answered && !refuses_all(routes[i].path)) {
            print_error("all seeds are refused by %s: %s\n", routes[i].path,
                        outcomes[i].refusal);
            missing++;
        }
    api_world_close(world);
    assert_int_equal(missing, 0);
    for (size_t i = 0; i <= VERDICT_UNSURE; i++)
        assert_true(logins[i] > 0);
}

/* One parameter after the other has each of these; the others stay as they are. */
static void sweep(struct api_world *world, struct request_text *text)
{
    static const char *const odd[] = {
        "",  "-0", "-1",  "1e308", "NaN", "-Inf", "9007199254740993", "9223372036854775807",
        "-9223372036854775808", "9223372036854775.807", "18446744073709551616",
        "106751991167d", "-5m", "99999999999999999999y", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z", "292277025-08-18T07:12:54.999999999Z", "2023-02-30 24:00",
        "\xff", "{", "a=~(", "<b>\"\\\n", "(x+x+)+[yz]", "up[5m] offset -1y"};
    struct http_response response;
    for (size_t i = 0; i < text->form.count; i++) {
        const char *value = text->form.items[i].value;
        for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
            text->form.items[i].value = odd[k];
            api_world_ask(world, text, &response);
            api_answer_check(&text->request, &response);
            api_world_forget(&response);
        }
        text->form.items[i].value = value;
    }
}

/* Of each route the first seed with parameters, which has all of them. */
static void every_parameter_stands_odd_values(void **state)
{
    (void)state;
    static bool is_swept[ROUTES_MAX];
    size_t count, swept = 0;
    const struct http_route *routes = api_routes(&count);
    struct api_world *world = api_world_open();
    for (size_t i = 0; i < seed_count; i++) {
        struct request_text text;
        if (!read_seed(i, &text))
            continue;
        bool *done = text.route != NULL ? &is_swept[text.route - routes] : NULL;
        if (done != NULL && !*done && text.status == 0 && text.form.count > 0) {
            sweep(world, &text);
            *done = true;
            swept++;
        }
        request_text_done(&text);
    }
    api_world_close(world);
    assert_true(swept > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_and_method_has_a_seed),
        cmocka_unit_test(every_parameter_of_the_description_has_a_seed),
        cmocka_unit_test(every_route_answers_one_of_its_seeds),
        cmocka_unit_test(every_parameter_stands_odd_values),
    };
    log_setup(LOG_ERROR_LEVEL, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, load_seeds, free_seeds);
}
