/*
 * test_file.h - a file of rule unit tests, in promtool's format.
 *
 *     rule_files: [host.yml, ora*.yml]   # relative to this file
 *     evaluation_interval: 1m
 *     group_eval_order: [host, derived]
 *     tests:
 *     - name: disk fills
 *       interval: 1m                     # between the points of input_series
 *       input_series: [{series: 'up{instance="a"}', values: '1x5 0x10'}]
 *       alert_rule_test:
 *       - {eval_time: 10m, alertname: HostDown,
 *          exp_alerts: [{exp_labels: {instance: a}, exp_annotations: {summary: a is down}}]}
 *       promql_expr_test:
 *       - {expr: up, eval_time: 1m, exp_samples: [{labels: 'up{instance="a"}', value: 1}]}
 *       external_labels: {site: bj}
 *       external_url: https://console.example
 *
 * Source: Prometheus, docs/configuration/unit_testing_rules.md.
 * A loaded file never changes; any thread.
 */
#pragma once

#include "collector/ruletest/notation.h"
#include "proto/base/config.h"

struct expected_alert {
    const struct labels *labels, *annotations; /* labels with alertname */
};

struct alert_test {
    const struct config_node *node; /* for messages */
    int64_t eval_ms;
    const char *alertname;
    struct expected_alert *alerts;
    size_t count;
};

struct expected_sample {
    const struct labels *labels;
    double value;
};

struct expression_test {
    const struct config_node *node;
    const char *expression;
    int64_t eval_ms;
    struct expected_sample *samples;
    size_t count;
};

struct rule_test {
    const struct config_node *node;
    const char *name; /* "" if it has none */
    int64_t interval_ms, start_ms;
    struct series_line *series;
    size_t series_count;
    struct alert_test *alerts;
    size_t alert_count;
    struct expression_test *expressions;
    size_t expression_count;
    const struct labels *external_labels; /* of templates' $externalLabels */
    const char *external_url;
};

struct test_file {
    struct config *config;
    struct config_strings rule_files; /* globs as written */
    struct config_strings group_order;
    int64_t evaluation_interval_ms;
    bool fuzzy_compare;
    struct rule_test *tests;
    size_t count;
};

/* Every error names file, line and reason. */
int test_file_load(const char *path, struct test_file **ret_file, struct diagnosis *why);
void test_file_free(struct test_file *file); /* NULL is allowed */
