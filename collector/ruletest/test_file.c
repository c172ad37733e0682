/*
 * test_file.c - see test_file.h.
 */
#include "collector/ruletest/test_file.h"

#include <stdlib.h>

#include "proto/base/error.h"

#define COUNT(table)    (sizeof(table) / sizeof((table)[0]))
#define LABELS_MAX      128
#define DEFAULT_TEST_MS 60000

struct reading {
    struct config *config;
    struct diagnosis *why;
};

static int complain(const struct reading *reading, const struct config_node *node,
                    const char *what)
{
    return config_complain(reading->config, node, reading->why, "%s", what);
}

/* A list of maps, made room for; NULL is an empty one. */
static int begin_list(const struct reading *reading, const struct config_node *list,
                      size_t item_bytes, void *ret_items)
{
    void *items;
    if (list != NULL && list->kind == CONFIG_SCALAR && list->text[0] == '\0')
        return 0;
    if (list != NULL && list->kind != CONFIG_LIST)
        return config_complain(reading->config, list, reading->why, "%s is a list", list->key);
    if (list == NULL || list->count == 0)
        return 0;
    items = calloc(list->count, item_bytes);
    if (items == NULL)
        return ERR_NOMEM;
    memcpy(ret_items, &items, sizeof items);
    return 0;
}

/* {name: value, ...} and more pairs to labels that are malloc'd. */
static int read_label_map(const struct reading *reading, const struct config_node *map,
                          const char *alertname, const struct labels **ret_labels)
{
    struct label pairs[LABELS_MAX];
    size_t count = 0;

    if (map != NULL && map->kind != CONFIG_MAP &&
        !(map->kind == CONFIG_SCALAR && map->text[0] == '\0'))
        return complain(reading, map, "a map of labels is wanted");
    if (alertname != NULL)
        pairs[count++] = (struct label){bytes_of("alertname"), bytes_of(alertname)};
    for (size_t i = 0; map != NULL && map->kind == CONFIG_MAP && i < map->count; i++) {
        const struct config_node *pair = map->children[i];
        if (pair->kind != CONFIG_SCALAR)
            return complain(reading, pair, "a label's value is a text");
        if (alertname != NULL && strcmp(pair->key, "alertname") == 0)
            continue;
        if (count == LABELS_MAX)
            return complain(reading, map, "too many labels");
        pairs[count++] = (struct label){bytes_of(pair->key), bytes_of(pair->text)};
    }
    return labels_build(pairs, count, NULL, ret_labels);
}

/* ---- alert_rule_test --------------------------------------------------------------------- */

struct expected_alert_keys {
    const struct config_node *labels, *annotations;
};

static int read_expected_alert(const struct reading *reading, const struct config_node *node,
                               const char *alertname, struct expected_alert *alert)
{
    static const struct config_option options[] = {
        {.key = "exp_labels", .type = CONFIG_NODE,
         .offset = offsetof(struct expected_alert_keys, labels), .help = "without alertname"},
        {.key = "exp_annotations", .type = CONFIG_NODE,
         .offset = offsetof(struct expected_alert_keys, annotations), .help = "as expanded"},
    };
    struct expected_alert_keys keys = {0};
    int error = config_read(reading->config, node, "exp_alerts", options, COUNT(options), &keys,
                            reading->why);
    if (error == 0)
        error = read_label_map(reading, keys.labels, alertname, &alert->labels);
    if (error == 0)
        error = read_label_map(reading, keys.annotations, NULL, &alert->annotations);
    return error;
}

struct alert_keys {
    int64_t eval_ms;
    const char *alertname;
    const struct config_node *alerts;
};

static int read_alert_test(const struct reading *reading, const struct config_node *node,
                           struct alert_test *test)
{
    static const struct config_option options[] = {
        {.key = "eval_time", .type = CONFIG_DURATION, .offset = offsetof(struct alert_keys, eval_ms),
         .fallback = "0s", .min = 0, .max = INT64_MAX / 2, .help = "since the test's start"},
        {.key = "alertname", .type = CONFIG_STRING,
         .offset = offsetof(struct alert_keys, alertname), .required = true,
         .help = "the alert that is looked at"},
        {.key = "exp_alerts", .type = CONFIG_NODE, .offset = offsetof(struct alert_keys, alerts),
         .help = "which of it fire then; empty: none"},
    };
    struct alert_keys keys = {0};
    int error = config_read(reading->config, node, "alert_rule_test", options, COUNT(options),
                            &keys, reading->why);
    if (error == 0)
        error = begin_list(reading, keys.alerts, sizeof *test->alerts, &test->alerts);
    test->node = node;
    test->eval_ms = keys.eval_ms;
    test->alertname = keys.alertname;
    for (size_t i = 0; error == 0 && test->alerts != NULL && i < keys.alerts->count; i++) {
        test->count++;
        error = read_expected_alert(reading, keys.alerts->children[i], keys.alertname,
                                    &test->alerts[i]);
    }
    return error;
}

/* ---- promql_expr_test -------------------------------------------------------------------- */

struct sample_keys {
    const char *labels, *value;
};

static int read_expected_sample(const struct reading *reading, const struct config_node *node,
                                struct expected_sample *sample)
{
    static const struct config_option options[] = {
        {.key = "labels", .type = CONFIG_STRING, .offset = offsetof(struct sample_keys, labels),
         .fallback = "{}", .help = "as a series: name{label=\"value\"}"},
        {.key = "value", .type = CONFIG_STRING, .offset = offsetof(struct sample_keys, value),
         .fallback = "0", .help = "a number"},
        {.key = "histogram", .type = CONFIG_STRING, .offset = offsetof(struct sample_keys, value),
         .help = "native histograms are not stored"},
    };
    struct sample_keys keys = {0};
    int error = config_read(reading->config, node, "exp_samples", options, COUNT(options), &keys,
                            reading->why);
    if (error != 0)
        return error;
    if (config_child(node, "histogram") != NULL)
        return complain(reading, node, "native histograms are not stored");
    if (!notation_number(keys.value, &sample->value))
        return complain(reading, node, "the sample's value is no number");
    if (keys.labels[0] == '\0')
        return labels_build(NULL, 0, NULL, &sample->labels);
    if (!notation_labels(keys.labels, &sample->labels))
        return complain(reading, node, "the sample's labels do not read as a series");
    return 0;
}

struct expression_keys {
    const char *expression;
    int64_t eval_ms;
    const struct config_node *samples;
};

static int read_expression_test(const struct reading *reading, const struct config_node *node,
                                struct expression_test *test)
{
    static const struct config_option options[] = {
        {.key = "expr", .type = CONFIG_STRING,
         .offset = offsetof(struct expression_keys, expression), .required = true,
         .help = "a PromQL expression"},
        {.key = "eval_time", .type = CONFIG_DURATION,
         .offset = offsetof(struct expression_keys, eval_ms), .fallback = "0s", .min = 0,
         .max = INT64_MAX / 2, .help = "since the test's start"},
        {.key = "exp_samples", .type = CONFIG_NODE,
         .offset = offsetof(struct expression_keys, samples), .help = "what it yields then"},
    };
    struct expression_keys keys = {0};
    int error = config_read(reading->config, node, "promql_expr_test", options, COUNT(options),
                            &keys, reading->why);
    if (error == 0)
        error = begin_list(reading, keys.samples, sizeof *test->samples, &test->samples);
    test->node = node;
    test->expression = keys.expression;
    test->eval_ms = keys.eval_ms;
    for (size_t i = 0; error == 0 && test->samples != NULL && i < keys.samples->count; i++) {
        test->count++;
        error = read_expected_sample(reading, keys.samples->children[i], &test->samples[i]);
    }
    return error;
}

/* ---- tests ------------------------------------------------------------------------------- */

struct series_keys {
    const char *series, *values;
};

static int read_series(const struct reading *reading, const struct config_node *node,
                       struct series_line *line)
{
    static const struct config_option options[] = {
        {.key = "series", .type = CONFIG_STRING, .offset = offsetof(struct series_keys, series),
         .required = true, .help = "name{label=\"value\"}"},
        {.key = "values", .type = CONFIG_STRING, .offset = offsetof(struct series_keys, values),
         .required = true, .help = "1 2 3, 0+1x10, _, stale"},
    };
    struct series_keys keys = {0};
    int error = config_read(reading->config, node, "input_series", options, COUNT(options),
                            &keys, reading->why);
    if (error != 0)
        return error;
    if (!notation_labels(keys.series, &line->labels))
        return config_complain(reading->config, node, reading->why,
                               "\"%.200s\" does not read as a series", keys.series);
    if (!notation_points(keys.values, line) || line->foreign)
        return config_complain(reading->config, node, reading->why, "\"%.200s\": %s",
                               keys.values,
                               line->foreign ? "native histograms are not stored"
                                             : "points are 1, 0+1x10, 5x3, _, _x3 or stale");
    return 0;
}

struct test_keys {
    const char *name, *external_url, *start;
    int64_t interval_ms;
    const struct config_node *series, *alerts, *expressions, *external_labels;
};

#define AT(field) offsetof(struct test_keys, field)
static const struct config_option test_options[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = AT(name), .fallback = "",
     .help = "for messages"},
    {.key = "interval", .type = CONFIG_DURATION, .offset = AT(interval_ms), .fallback = "1m",
     .min = 1, .max = INT64_MAX / 2, .help = "between two points"},
    {.key = "start_timestamp", .type = CONFIG_STRING, .offset = AT(start), .fallback = "0",
     .help = "Unix seconds of the first point"},
    {.key = "input_series", .type = CONFIG_NODE, .offset = AT(series), .help = "the samples"},
    {.key = "alert_rule_test", .type = CONFIG_NODE, .offset = AT(alerts), .help = "what fires"},
    {.key = "promql_expr_test", .type = CONFIG_NODE, .offset = AT(expressions),
     .help = "what expressions yield"},
    {.key = "external_labels", .type = CONFIG_NODE, .offset = AT(external_labels),
     .help = "for {{ $externalLabels }}"},
    {.key = "external_url", .type = CONFIG_STRING, .offset = AT(external_url), .fallback = "",
     .help = "for {{ externalURL }}"},
};
#undef AT

static int read_series_list(const struct reading *reading, const struct config_node *list,
                            struct rule_test *test)
{
    int error = begin_list(reading, list, sizeof *test->series, &test->series);
    for (size_t i = 0; error == 0 && test->series != NULL && i < list->count; i++) {
        test->series_count++;
        error = read_series(reading, list->children[i], &test->series[i]);
    }
    return error;
}

static int read_alert_list(const struct reading *reading, const struct config_node *list,
                           struct rule_test *test)
{
    int error = begin_list(reading, list, sizeof *test->alerts, &test->alerts);
    for (size_t i = 0; error == 0 && test->alerts != NULL && i < list->count; i++) {
        test->alert_count++;
        error = read_alert_test(reading, list->children[i], &test->alerts[i]);
    }
    return error;
}

static int read_expression_list(const struct reading *reading, const struct config_node *list,
                                struct rule_test *test)
{
    int error = begin_list(reading, list, sizeof *test->expressions, &test->expressions);
    for (size_t i = 0; error == 0 && test->expressions != NULL && i < list->count; i++) {
        test->expression_count++;
        error = read_expression_test(reading, list->children[i], &test->expressions[i]);
    }
    return error;
}

static int read_test(const struct reading *reading, const struct config_node *node,
                     struct rule_test *test)
{
    struct test_keys keys = {0};
    double start = 0;
    int error = config_read(reading->config, node, "tests", test_options, COUNT(test_options),
                            &keys, reading->why);
    if (error != 0)
        return error;
    if (!notation_number(keys.start, &start) || start < -1e11 || start > 1e11)
        return complain(reading, config_child(node, "start_timestamp"),
                        "start_timestamp is a number of Unix seconds");
    *test = (struct rule_test){.node = node, .name = keys.name, .interval_ms = keys.interval_ms,
                               .start_ms = (int64_t)(start * 1000),
                               .external_url = keys.external_url};
    error = read_label_map(reading, keys.external_labels, NULL, &test->external_labels);
    if (error == 0)
        error = read_series_list(reading, keys.series, test);
    if (error == 0)
        error = read_alert_list(reading, keys.alerts, test);
    if (error == 0)
        error = read_expression_list(reading, keys.expressions, test);
    return error;
}

static int read_tests(const struct reading *reading, const struct config_node *list,
                      struct test_file *file)
{
    int error = begin_list(reading, list, sizeof *file->tests, &file->tests);
    for (size_t i = 0; error == 0 && file->tests != NULL && i < list->count; i++) {
        file->count++;
        error = read_test(reading, list->children[i], &file->tests[i]);
    }
    return error;
}

struct file_keys {
    struct config_strings rule_files, group_order;
    int64_t interval_ms;
    const struct config_node *tests;
    bool fuzzy_compare;
};

#define AT(field) offsetof(struct file_keys, field)
static const struct config_option file_options[] = {
    {.key = "rule_files", .type = CONFIG_FILES, .offset = AT(rule_files),
     .help = "rule files or globs, relative to this file"},
    {.key = "evaluation_interval", .type = CONFIG_DURATION, .offset = AT(interval_ms),
     .fallback = "1m", .min = 1, .max = INT64_MAX / 2, .help = "between two evaluations"},
    {.key = "group_eval_order", .type = CONFIG_STRINGS, .offset = AT(group_order),
     .help = "groups in the order of their evaluation"},
    {.key = "fuzzy_compare", .type = CONFIG_BOOL, .offset = AT(fuzzy_compare),
     .fallback = "false", .help = "values may differ in the last bits"},
    {.key = "tests", .type = CONFIG_NODE, .offset = AT(tests), .help = "the tests"},
};
#undef AT

int test_file_load(const char *path, struct test_file **ret_file, struct diagnosis *why)
{
    struct test_file *file = calloc(1, sizeof *file);
    struct file_keys keys = {0};
    int error;

    if (file == NULL)
        return ERR_NOMEM;
    error = config_load(path, &file->config, why);
    if (error == 0)
        error = config_read(file->config, config_root(file->config), "", file_options,
                            COUNT(file_options), &keys, why);
    if (error == 0) {
        const struct reading reading = {file->config, why};
        file->rule_files = keys.rule_files;
        file->group_order = keys.group_order;
        file->evaluation_interval_ms = keys.interval_ms;
        file->fuzzy_compare = keys.fuzzy_compare;
        error = read_tests(&reading, keys.tests, file);
    }
    if (error != 0) {
        test_file_free(file);
        return diagnose(why, error, "%s: %s", path, error_text(error));
    }
    *ret_file = file;
    return 0;
}

static void free_test(struct rule_test *test)
{
    for (size_t i = 0; i < test->series_count; i++)
        series_line_free(&test->series[i]);
    for (size_t i = 0; i < test->alert_count; i++) {
        for (size_t j = 0; j < test->alerts[i].count; j++) {
            labels_free(test->alerts[i].alerts[j].labels);
            labels_free(test->alerts[i].alerts[j].annotations);
        }
        free(test->alerts[i].alerts);
    }
    for (size_t i = 0; i < test->expression_count; i++) {
        for (size_t j = 0; j < test->expressions[i].count; j++)
            labels_free(test->expressions[i].samples[j].labels);
        free(test->expressions[i].samples);
    }
    free(test->series);
    free(test->alerts);
    free(test->expressions);
    labels_free(test->external_labels);
}

void test_file_free(struct test_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->count; i++)
        free_test(&file->tests[i]);
    free(file->tests);
    config_free(file->config);
    free(file);
}
