/*
 * alerts_route.c - alerts route: who would be told of an alert with these labels, and by which
 * way through the tree (amtool config routes test).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ctl/alerts.h"
#include "collector/ctl/explain_text.h"
#include "collector/ctl/running.h"
#include "collector/notify/route_trace.h"
#include "proto/base/error.h"

#define LABELS_BYTES_MAX ((size_t)1 << 20)
#define LABELS_MAX       64

/* A value may stand in quotes, as in a matcher. */
static struct bytes unquoted(const char *text)
{
    const size_t size = strlen(text);
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
        return (struct bytes){(const uint8_t *)text + 1, size - 2};
    return bytes_of(text);
}

static int read_labels(const struct ctl *ctl, char **words, int count, struct arena *arena,
                       const struct labels **ret_labels)
{
    struct label pairs[LABELS_MAX];

    for (int i = 0; i < count; i++) {
        char *sign = strchr(words[i], '=');
        if (sign == NULL || sign == words[i] || count > LABELS_MAX) {
            fprintf(stderr,
                    SAY(ctl, "fengsuictl: alerts route takes labels, each as name=value\n",
                        "fengsuictl：alerts route 需要标签，写作 名=值\n"));
            return EXIT_USAGE;
        }
        *sign = '\0';
        pairs[i] = (struct label){bytes_of(words[i]), unquoted(sign + 1)};
    }
    return labels_build(pairs, (size_t)count, arena, ret_labels) == 0 ? EXIT_FINE : EXIT_FAILED;
}

static void put_receivers(const struct route_step *steps, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].outcome != ROUTE_TAKEN)
            continue;
        buf_put_text(out, out->size > 0 ? "," : "");
        explain_put_foreign(steps[i].route->receiver->name, out);
    }
}

static void print_json(const char *receivers, const char *routes)
{
    json_t *row =
        json_pack("{s:s, s:o}", "receivers", receivers, "routes", json_loads(routes, 0, NULL));
    (void)json_dumpf(row, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(row);
}

static int show(const struct ctl *ctl, const struct alerting *alerting,
                const struct labels *labels, const char *expect)
{
    struct buf receivers = {0}, routes = {0}, text = {0};
    struct route_step *steps;
    size_t count;
    json_t *tree;
    int code = EXIT_FINE;

    if (route_trace(alerting_root(alerting), labels, &steps, &count) != 0)
        return EXIT_FAILED;
    put_receivers(steps, count, &receivers);
    route_trace_print(steps, count, &routes);
    tree = json_loads(buf_text(&routes), 0, NULL);
    explain_put_routes(ctl, tree, &text);
    if (ctl->json)
        print_json(buf_text(&receivers), buf_text(&routes));
    else
        printf("%s\n\n%s", buf_text(&receivers), buf_text(&text));
    if (expect != NULL && strcmp(expect, buf_text(&receivers)) != 0) {
        fprintf(stderr, SAY(ctl, "fengsuictl: expected %s\n", "fengsuictl：预期是 %s\n"),
                expect);
        code = EXIT_FAILED;
    }
    json_decref(tree);
    buf_done(&receivers);
    buf_done(&routes);
    buf_done(&text);
    free(steps);
    return code;
}

static int load(const char *file, const char *duty_file, struct alerting **ret_alerting)
{
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    int error = duty_file == NULL ? 0 : duty_load(duty_file, &duty, &why);

    if (error == 0)
        error = alerting_load(file, duty, ret_alerting, &why);
    duty_unref(duty);
    if (error != 0)
        fprintf(stderr, "%s\n", why.text);
    return error == 0 ? EXIT_FINE : EXIT_USAGE;
}

int alerts_route(const struct ctl *ctl, char **words, int count, const char *file,
                 const char *duty, const char *expect)
{
    struct alerting *alerting = NULL;
    const struct labels *labels;
    struct arena arena;
    int code;

    arena_init(&arena, LABELS_BYTES_MAX);
    code = read_labels(ctl, words, count, &arena, &labels);
    if (code == EXIT_FINE)
        code = file == NULL ? running_alerting(ctl, NULL, &alerting) : load(file, duty, &alerting);
    if (code == EXIT_FINE)
        code = show(ctl, alerting, labels, expect);
    alerting_free(alerting);
    arena_reset(&arena);
    return code;
}
