/*
 * test_inputs.c - whether the data speak of an alert: fresh, silent, ended, retired.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/rules/inputs.h"
#include "tests/unit/store_kit.h"

#define S     INT64_C(1000)
#define T     (KIT_START_MS + 600 * S) /* the alert was last seen to hold */
#define BACK  (300 * S)
#define STALE STALE_NAN_BITS

struct world {
    struct kit kit;
    struct rule_set *set;
    struct live_alert alert;
};

/* A rule with this expression, and its alert with the labels n="1" and severity of its own. */
static void begin(struct world *world, const char *expression)
{
    static char no_instance[] = "";
    struct diagnosis why = {0};
    const struct labels *labels;
    const struct label pairs[] = {{bytes_of("alertname"), bytes_of("A")},
                                  {bytes_of("n"), bytes_of("1")},
                                  {bytes_of("severity"), bytes_of("info")}};
    char text[300];

    *world = (struct world){0};
    kit_start(&world->kit);
    world->kit.now_ms = T;
    (void)snprintf(text, sizeof text,
                   "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: %s\n"
                   "    labels: {severity: info}\n", expression);
    if (rule_set_parse("r.yml", bytes_of(text), 15000, &world->set, &why) != 0)
        fail_msg("%s", why.text);
    assert_int_equal(labels_build(pairs, 3, NULL, &labels), 0);
    world->alert = (struct live_alert){.life = {.state = ALERT_FIRING}, .labels = labels,
                                       .instance = no_instance, .held_ms = T};
}

static void end(struct world *world)
{
    labels_free(world->alert.labels);
    rule_set_free(world->set);
    kit_stop(&world->kit);
}

static void write(struct world *world, unsigned n, int64_t ts_ms, double value)
{
    assert_int_equal(kit_write(&world->kit, n, ts_ms, value), 0);
}

static void write_marker(struct world *world, unsigned n, int64_t ts_ms)
{
    const uint64_t bits = STALE;
    double value;
    memcpy(&value, &bits, sizeof value);
    write(world, n, ts_ms, value);
}

static void expect(struct world *world, int64_t ts_ms, enum inputs_verdict expected)
{
    enum inputs_verdict verdict;
    assert_int_equal(inputs_look(world->kit.store, world->set->rules[0], &world->alert, BACK,
                                 ts_ms, &verdict),
                     0);
    assert_int_equal(verdict, expected);
}

static void samples_speak_until_the_lookback_is_over(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m > 80");
    write(&world, 1, T, 90);
    write(&world, 2, T + 1000 * S, 90); /* of another alert */
    expect(&world, T + 299 * S, INPUTS_SPEAK);
    expect(&world, T + 300 * S, INPUTS_SILENT);
    write(&world, 1, T + 400 * S, 10);
    expect(&world, T + 400 * S, INPUTS_SPEAK);
    end(&world);
}

static void a_silent_source_is_known_at_once(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m > 80");
    write(&world, 1, T, 90);
    store_series_set_source(kit_series(&world.kit, 1), 7);
    store_set_absent(world.kit.store, 7, T);
    expect(&world, T + 15 * S, INPUTS_SILENT);
    store_set_absent(world.kit.store, 7, 0);
    expect(&world, T + 15 * S, INPUTS_SPEAK);
    store_set_absent(world.kit.store, 7, STORE_RETIRED_MS);
    expect(&world, T + 15 * S, INPUTS_RETIRED);
    end(&world);
}

static void a_series_that_ends_by_itself_speaks(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m > 80");
    write(&world, 1, T, 90);
    write_marker(&world, 1, T + 5 * S);
    expect(&world, T + 1000 * S, INPUTS_SPEAK);
    end(&world);
}

static void of_a_range_half_must_be_fresh(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "rate(m[1m]) > 2");
    write(&world, 1, T, 90);
    expect(&world, T + 29 * S, INPUTS_SPEAK);
    expect(&world, T + 30 * S, INPUTS_SILENT);
    end(&world);
}

static void each_side_of_an_expression_must_speak(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m{n!='2'} > 80 and on () m{n='2'} > 5");
    write(&world, 1, T, 90);
    write(&world, 2, T + 400 * S, 90);
    expect(&world, T + 400 * S, INPUTS_SILENT);
    write(&world, 1, T + 400 * S, 90);
    expect(&world, T + 400 * S, INPUTS_SPEAK);
    end(&world);
}

static void what_had_stopped_long_before_is_no_reason(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m{n='1'} > 80 unless m{n='1'} offset 2h");
    world.alert.held_ms = T + 20000 * S;
    write(&world, 1, T, 90);
    expect(&world, T + 20000 * S, INPUTS_SPEAK);
    end(&world);
}

static void an_aggregation_is_spoken_for_by_those_that_are_left(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "sum(m) > 80");
    labels_free(world.alert.labels);
    assert_int_equal(labels_build(NULL, 0, NULL, &world.alert.labels), 0);
    write(&world, 1, T, 90);
    write(&world, 2, T + 400 * S, 10);
    expect(&world, T + 400 * S, INPUTS_SPEAK);
    expect(&world, T + 800 * S, INPUTS_SILENT);
    end(&world);
}

static void where_there_is_nothing_only_what_is_known_stale_stays_so(void **state)
{
    struct world world;
    (void)state;
    begin(&world, "m > 80");
    expect(&world, T, INPUTS_SPEAK);
    world.alert.life.stale_since_ms = T;
    expect(&world, T, INPUTS_SILENT);
    world.alert.life.stale_since_ms = 0;
    world.alert.unknown = true; /* loaded, and nothing of it has come since */
    expect(&world, T, INPUTS_SILENT);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_speak_until_the_lookback_is_over),
        cmocka_unit_test(a_silent_source_is_known_at_once),
        cmocka_unit_test(a_series_that_ends_by_itself_speaks),
        cmocka_unit_test(of_a_range_half_must_be_fresh),
        cmocka_unit_test(each_side_of_an_expression_must_speak),
        cmocka_unit_test(what_had_stopped_long_before_is_no_reason),
        cmocka_unit_test(an_aggregation_is_spoken_for_by_those_that_are_left),
        cmocka_unit_test(where_there_is_nothing_only_what_is_known_stale_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
