/*
 * run.c - see run.h.
 *
 * promtool's rules of time: rules are evaluated at every multiple of evaluation_interval from
 * the start on; what an alert_rule_test sees at eval_time are the alerts after the last
 * evaluation that is not later.  Expressions are run at eval_time itself, over everything.
 */
#include "collector/ruletest/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/promql/engine.h"
#include "collector/ruletest/world.h"
#include "proto/base/error.h"

#define FUZZY_ULPS 4.0 /* fuzzy_compare: how many units in the last place values may differ */

struct run {
    const struct test_file *file;
    const struct rule_test *test;
    struct test_world world;
    struct buf *report;
    bool has_failed;
};

/* ---- the report -------------------------------------------------------------------------- */

static void begin_failure(struct run *run, const struct config_node *node)
{
    run->has_failed = true;
    buf_printf(run->report, "%s:%u: ", config_name(run->file->config), node->line);
    if (run->test->name[0] != '\0')
        buf_printf(run->report, "%s: ", run->test->name);
}

static void put_time(struct buf *out, int64_t ms)
{
    int64_t seconds = ms / 1000;
    if (seconds >= 3600)
        buf_printf(out, "%lldh", (long long)(seconds / 3600));
    if (seconds >= 60)
        buf_printf(out, "%lldm", (long long)(seconds / 60 % 60));
    buf_printf(out, "%llds", (long long)(seconds % 60));
}

static void put_alert(struct buf *out, const struct labels *labels,
                      const struct labels *annotations)
{
    buf_put_text(out, "      labels ");
    labels_print_pairs(labels, out);
    buf_put_text(out, "\n      annotations ");
    labels_print_pairs(annotations, out);
    buf_put_char(out, '\n');
}

/* ---- alerts ------------------------------------------------------------------------------ */

struct seen_alerts {
    const struct live_alert **items;
    size_t count;
};

static int collect_firing(struct run *run, const char *name, struct seen_alerts *ret_seen)
{
    struct seen_alerts seen = {0};
    for (int turn = 0; turn < 2; turn++) {
        if (turn == 1) {
            seen.items = calloc(seen.count + 1, sizeof *seen.items);
            if (seen.items == NULL)
                return ERR_NOMEM;
            seen.count = 0;
        }
        for (size_t i = 0; i < run->world.rules->rule_count; i++) {
            const struct rule_state *state = &run->world.states[i];
            if (!state->rule->is_alert || strcmp(state->rule->name, name) != 0)
                continue;
            for (const struct live_alert *at = rule_state_next(state, NULL); at != NULL;
                 at = rule_state_next(state, at)) {
                if (at->life.state != ALERT_FIRING)
                    continue;
                if (turn == 1)
                    seen.items[seen.count] = at;
                seen.count++;
            }
        }
    }
    *ret_seen = seen;
    return 0;
}

static bool is_expected(const struct expected_alert *expected, const struct live_alert *alert)
{
    return labels_equal(expected->labels, alert->labels) &&
           labels_equal(expected->annotations, alert->annotations);
}

/* Every expected alert takes one that was seen and is left NULL there. */
static bool all_are_matched(const struct alert_test *test, struct seen_alerts *seen)
{
    for (size_t i = 0; i < test->count; i++) {
        size_t at = 0;
        while (at < seen->count && !is_expected(&test->alerts[i], seen->items[at]))
            at++;
        if (at == seen->count)
            return false;
        seen->items[at] = seen->items[--seen->count];
    }
    return seen->count == 0;
}

static void report_alerts(struct run *run, const struct alert_test *test,
                          const struct seen_alerts *seen)
{
    begin_failure(run, test->node);
    buf_printf(run->report, "alertname %s, at ", test->alertname);
    put_time(run->report, test->eval_ms);
    buf_printf(run->report, "\n    expected%s\n", test->count == 0 ? " none" : "");
    for (size_t i = 0; i < test->count; i++)
        put_alert(run->report, test->alerts[i].labels, test->alerts[i].annotations);
    buf_printf(run->report, "    got%s\n", seen->count == 0 ? " none" : "");
    for (size_t i = 0; i < seen->count; i++)
        put_alert(run->report, seen->items[i]->labels, seen->items[i]->annotations);
}

static int check_alerts(struct run *run, const struct alert_test *test)
{
    struct seen_alerts seen, left;
    int error = collect_firing(run, test->alertname, &seen);

    if (error != 0)
        return error;
    left.count = seen.count;
    left.items = calloc(seen.count + 1, sizeof *left.items);
    if (left.items == NULL) {
        free(seen.items);
        return ERR_NOMEM;
    }
    memcpy(left.items, seen.items, seen.count * sizeof *left.items);
    if (!all_are_matched(test, &left))
        report_alerts(run, test, &seen);
    free(left.items);
    free(seen.items);
    return 0;
}

/* ---- expressions ------------------------------------------------------------------------- */

static bool same_value(const struct run *run, double expected, double got)
{
    if (isnan(expected) || isnan(got))
        return isnan(expected) && isnan(got);
    if (expected == got)
        return true;
    return run->file->fuzzy_compare &&
           fabs(expected - got) <= FUZZY_ULPS * ldexp(fabs(expected), -52);
}

static bool samples_match(const struct run *run, const struct expression_test *test,
                          const struct promql_result *result)
{
    static const struct labels none = {0};
    size_t count = 0;

    for (size_t i = 0; i < result->series_count; i++) {
        const struct series_samples *series = &result->series[i];
        const struct labels *labels = series->labels != NULL ? series->labels : &none;
        bool found = false;
        if (series->count == 0)
            continue;
        count++;
        for (size_t j = 0; j < test->count && !found; j++)
            found = labels_equal(labels, test->samples[j].labels) &&
                    same_value(run, test->samples[j].value, series->values[0]);
        if (!found)
            return false;
    }
    return count == test->count;
}

static void put_sample(struct buf *out, const struct labels *labels, double value)
{
    char text[NUMBER_TEXT_BYTES];
    buf_put_text(out, "      ");
    if (labels == NULL || labels->count == 0)
        buf_put_text(out, "{}");
    else
        labels_print(labels, out);
    buf_printf(out, " %s\n", promql_number_text(value, text));
}

static void report_expression(struct run *run, const struct expression_test *test,
                              const struct promql_result *result)
{
    begin_failure(run, test->node);
    buf_printf(run->report, "expr %s, at ", test->expression);
    put_time(run->report, test->eval_ms);
    buf_printf(run->report, "\n    expected%s\n", test->count == 0 ? " nothing" : "");
    for (size_t i = 0; i < test->count; i++)
        put_sample(run->report, test->samples[i].labels, test->samples[i].value);
    buf_printf(run->report, "    got%s\n", result->series_count == 0 ? " nothing" : "");
    for (size_t i = 0; i < result->series_count; i++)
        if (result->series[i].count > 0)
            put_sample(run->report, result->series[i].labels, result->series[i].values[0]);
}

static void check_expression(struct run *run, const struct expression_test *test)
{
    int64_t at_ms = run->test->start_ms + test->eval_ms;
    const struct promql_query query = {
        .text = test->expression, .start_ms = at_ms, .end_ms = at_ms};
    struct promql_result result;
    struct promql_error failure = {0};

    if (promql_run(&run->world.promql, store_queryable(run->world.store), &query, &result,
                   &failure) != 0) {
        begin_failure(run, test->node);
        buf_printf(run->report, "expr %s: %s\n", test->expression, failure.why.text);
        return;
    }
    if (result.type != PROMQL_SCALAR && result.type != PROMQL_VECTOR) {
        begin_failure(run, test->node);
        buf_printf(run->report, "expr %s yields neither a vector nor a scalar\n",
                   test->expression);
    } else if (!samples_match(run, test, &result)) {
        report_expression(run, test, &result);
    }
    promql_result_done(&result);
}

/* ---- one test ---------------------------------------------------------------------------- */

static int64_t last_time(const struct rule_test *test)
{
    int64_t last = 0;
    for (size_t i = 0; i < test->alert_count; i++)
        last = test->alerts[i].eval_ms > last ? test->alerts[i].eval_ms : last;
    for (size_t i = 0; i < test->expression_count; i++)
        last = test->expressions[i].eval_ms > last ? test->expressions[i].eval_ms : last;
    return last;
}

static int run_steps(struct run *run)
{
    const struct rule_test *test = run->test;
    int64_t interval_ms = run->file->evaluation_interval_ms, last_ms = last_time(test);
    int error = 0;

    for (int64_t since_ms = 0; error == 0 && since_ms <= last_ms; since_ms += interval_ms) {
        struct diagnosis why = {0};
        error = test_world_step(&run->world, test->start_ms + since_ms, &why);
        if (error == ERR_INVALID) {
            begin_failure(run, test->node);
            buf_put_text(run->report, "at ");
            put_time(run->report, since_ms);
            buf_printf(run->report, ": %s\n", why.text);
            return 0; /* it would fail at every step */
        }
        for (size_t i = 0; error == 0 && i < test->alert_count; i++)
            if (test->alerts[i].eval_ms >= since_ms &&
                test->alerts[i].eval_ms < since_ms + interval_ms)
                error = check_alerts(run, &test->alerts[i]);
    }
    for (size_t i = 0; error == 0 && i < test->expression_count; i++)
        check_expression(run, &test->expressions[i]);
    return error;
}

static int run_test(struct run *run, struct diagnosis *why)
{
    int error = test_world_open(run->file, run->test, &run->world, why);
    if (error != 0)
        return error;
    error = run_steps(run);
    test_world_close(&run->world);
    return error == 0 ? 0 : diagnose(why, error, "%s", error_text(error));
}

int rule_test_run(const char *path, struct buf *report, struct rule_test_counts *ret_counts,
                  struct diagnosis *why)
{
    struct rule_test_counts counts = {0};
    struct test_file *file;
    struct run *run;
    int error = test_file_load(path, &file, why);

    if (error != 0)
        return error;
    run = calloc(1, sizeof *run);
    for (size_t i = 0; run != NULL && error == 0 && i < file->count; i++) {
        *run = (struct run){.file = file, .test = &file->tests[i], .report = report};
        error = run_test(run, why);
        counts.tests++;
        counts.failed += run->has_failed;
    }
    if (run == NULL)
        error = ERR_NOMEM;
    free(run);
    test_file_free(file);
    if (error == 0 && !buf_ok(report))
        error = ERR_NOMEM;
    *ret_counts = counts;
    return error;
}
