/*
 * test_relabel.c - relabelling, by the cases Prometheus's documentation and tests speak of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the above first
#include <cmocka.h>

#include "collector/remote/relabel.h"
#include "proto/base/error.h"

static const struct label pairs[] = {
    {{(const uint8_t *)"__name__", 8}, {(const uint8_t *)"up", 2}},
    {{(const uint8_t *)"a", 1}, {(const uint8_t *)"foo", 3}},
    {{(const uint8_t *)"b", 1}, {(const uint8_t *)"bar", 3}},
    {{(const uint8_t *)"c", 1}, {(const uint8_t *)"baz", 3}},
};

static int read_rules(const char *yaml, struct config **config, struct relabel **rules,
                      struct diagnosis *why)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "r: [%s]\n", yaml);
    int error = config_parse("test", bytes_of(text), config, why);
    assert_int_equal(error, 0);
    return relabel_read(*config, config_child(config_root(*config), "r"), rules, why);
}

/* What becomes of up{a="foo",b="bar",c="baz"}; "" where it is dropped. */
static void expect(const char *yaml, const char *expected)
{
    struct config *config = NULL;
    struct relabel *rules = NULL;
    struct relabel_scratch scratch;
    struct diagnosis why = {0};
    const struct labels *labels = NULL, *made = NULL;
    struct buf text = {0};
    if (read_rules(yaml, &config, &rules, &why) != 0)
        fail_msg("%s: %s", yaml, why.text);
    assert_int_equal(labels_build(pairs, 4, NULL, &labels), 0);
    relabel_scratch_init(&scratch);
    for (int i = 0; i < 2; i++) { /* the second time in used scratch */
        assert_int_equal(relabel_apply(rules, labels, &scratch, &made), 0);
        buf_clear(&text);
        if (made != NULL)
            labels_print(made, &text);
        if (strcmp(buf_text(&text), expected) != 0)
            fail_msg("%s: %s, not %s", yaml, buf_text(&text), expected);
    }
    relabel_scratch_done(&scratch);
    buf_done(&text);
    labels_free(labels);
    relabel_free(rules);
    config_free(config);
}

#define SAME "up{a=\"foo\", b=\"bar\", c=\"baz\"}"

static void replace_writes_what_matched(void **state)
{
    (void)state;
    expect("{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", d=\"choo-choo\"}");
    expect("{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, "
           "replacement: 'b${1}${2}m'}",
           "up{a=\"boobam\", b=\"bar\", c=\"baz\"}");
    expect("{source_labels: [a, b], separator: '', regex: '(.*)', target_label: d}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", d=\"foobar\"}");
    expect("{source_labels: [a], regex: 'no', target_label: d}", SAME);
    expect("{source_labels: [a], regex: 'fo', target_label: d}", SAME); /* anchored */
    expect("{target_label: site, replacement: unicom}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", site=\"unicom\"}");
    expect("{source_labels: [a], target_label: b, replacement: ''}", "up{a=\"foo\", c=\"baz\"}");
    expect("{source_labels: [a], regex: '(.*)', target_label: '${1}', replacement: x}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", foo=\"x\"}");
    expect("{source_labels: [a], regex: '(.*)', target_label: '1${1}', replacement: x}", SAME);
    /* One after the other, each sees what the last has made. */
    expect("{source_labels: [a], target_label: d}, {source_labels: [d], regex: 'f(.)o', "
           "target_label: d}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", d=\"o\"}");
}

static void keep_and_drop_choose_series(void **state)
{
    (void)state;
    expect("{source_labels: [a], regex: 'f.*', action: keep}", SAME);
    expect("{source_labels: [a], regex: 'f', action: keep}", "");
    expect("{source_labels: [a], regex: 'f.*', action: drop}", "");
    expect("{source_labels: [missing], regex: '', action: drop}", "");
    expect("{source_labels: [a], regex: 'no', action: drop}", SAME);
    expect("{source_labels: [a], target_label: d}, "
           "{source_labels: [a], target_label: d, action: keepequal}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", d=\"foo\"}");
    expect("{source_labels: [a], target_label: b, action: keepequal}", "");
    expect("{source_labels: [a], target_label: b, action: dropequal}", SAME);
    expect("{source_labels: [a], target_label: a, action: dropequal}", "");
    /* A series without labels is none. */
    expect("{regex: '.*', action: labeldrop}", "");
}

static void labels_are_dropped_kept_and_mapped(void **state)
{
    (void)state;
    expect("{regex: '[ab]', action: labeldrop}", "up{c=\"baz\"}");
    expect("{regex: '__name__|c', action: labelkeep}", "up{c=\"baz\"}");
    expect("{regex: '(b|c)', replacement: 'x_${1}', action: labelmap}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", x_b=\"bar\", x_c=\"baz\"}");
}

static void values_are_hashed_and_written_in_another_case(void **state)
{
    (void)state;
    /* The last eight bytes of MD5("baz"), big-endian, modulo 1000. */
    expect("{source_labels: [c], target_label: d, modulus: 1000, action: hashmod}",
           "up{a=\"foo\", b=\"bar\", c=\"baz\", d=\"976\"}");
    expect("{source_labels: [a], target_label: a, action: uppercase}",
           "up{a=\"FOO\", b=\"bar\", c=\"baz\"}");
    expect("{source_labels: [a], target_label: a, action: uppercase}, "
           "{source_labels: [a], target_label: d, action: lowercase}",
           "up{a=\"FOO\", b=\"bar\", c=\"baz\", d=\"foo\"}");
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const struct {
        const char *yaml, *why;
    } cases[] = {
        {"{source_labels: [a]}", "test:1: write_relabel_configs: replace needs target_label"},
        {"{source_labels: [a], target_label: b, action: hashmod}", "hashmod needs modulus"},
        {"{source_labels: [a], regex: b, action: labeldrop}", "labeldrop has regex alone"},
        {"{regex: '(', action: labeldrop}", "regex"},
        {"{action: jump}", "jump"},
        {"{source_label: [a]}", "source_label"},
        {"{target_label: '1', action: lowercase}", "no name of a label"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = NULL;
        struct relabel *rules = NULL;
        struct diagnosis why = {0};
        assert_int_equal(read_rules(cases[i].yaml, &config, &rules, &why), ERR_INVALID);
        if (strstr(why.text, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].yaml, why.text);
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_writes_what_matched),
        cmocka_unit_test(keep_and_drop_choose_series),
        cmocka_unit_test(labels_are_dropped_kept_and_mapped),
        cmocka_unit_test(values_are_hashed_and_written_in_another_case),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
