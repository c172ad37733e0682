/*
 * test_passed.c - what came and went unseen is said once to each whom its route names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/alerting_config.h"
#include "collector/notify/message_text.h"
#include "collector/notify/passed.h"
#include "collector/notify/robot_text.h"
#include "proto/base/error.h"

#define MINUTE INT64_C(60000)
#define BEGAN  INT64_C(1764342721000) /* 2025-11-28 23:12:01 in Beijing */

static const char routes_text[] =
    "route:\n"
    "  receiver: desk\n"
    "  routes:\n"
    "  - {matchers: ['team=\"db\"'], receiver: db, continue: true}\n"
    "  - {matchers: ['team=\"db\"'], receiver: db, group_by: [instance]}\n"
    "receivers:\n"
    "- {name: desk, webhook_configs: [{url: 'http://a/'}]}\n"
    "- {name: db, webhook_configs: [{url: 'http://b/'}, {url: 'http://c/'}]}\n";

/* What a test needs: routes, debts, and the rows that a store would have. */
struct bench {
    struct alerting *alerting;
    struct passed passed;
    struct silences silences;
    struct arena arena;
    struct puts puts;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct diagnosis why = {0};
    assert_non_null(bench);
    arena_init(&bench->arena, (size_t)4 << 20);
    bench->puts.arena = &bench->arena;
    if (alerting_parse("a.yml", bytes_of(routes_text), NULL, &bench->alerting, &why) != 0)
        fail_msg("%s", why.text);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    passed_free(&bench->passed);
    silences_free(&bench->silences);
    alerting_free(bench->alerting);
    arena_reset(&bench->arena);
    free(bench->puts.items);
    free(bench);
    return 0;
}

static struct alert alert(struct bench *bench, const char *name, const char *team,
                          int64_t minutes)
{
    struct label pairs[] = {{bytes_of("alertname"), bytes_of(name)},
                            {bytes_of("instance"), bytes_of("web01")},
                            {bytes_of("team"), bytes_of(team)}};
    struct alert made = {.starts_ms = BEGAN, .ends_ms = BEGAN + minutes * MINUTE};
    assert_int_equal(labels_build(pairs, 3, &bench->arena, &made.labels), 0);
    made.fingerprint = labels_fingerprint(made.labels);
    return made;
}

static void take(struct bench *bench, const char *name, const char *team, int64_t minutes)
{
    const struct alert passed = alert(bench, name, team, minutes);
    assert_int_equal(passed_take(&bench->passed, alerting_root(bench->alerting),
                                 &bench->silences, &passed, &bench->puts),
                     0);
    assert_false(bench->puts.failed);
}

static const struct integration *integration(const struct bench *bench, const char *receiver,
                                             size_t index)
{
    return &alerting_receiver(bench->alerting, receiver)->integrations[index];
}

static const struct passed_line *claim(struct bench *bench, const char *receiver, size_t index,
                                       const void *by)
{
    return passed_claim(&bench->passed, receiver, integration(bench, receiver, index), by);
}

static void tell(struct bench *bench, const char *receiver, size_t index, const void *by)
{
    passed_told(&bench->passed, receiver, integration(bench, receiver, index), by, &bench->puts);
}

static size_t owed(struct bench *bench, const char *receiver, size_t index)
{
    const struct passed_line *line = claim(bench, receiver, index, bench);
    size_t count = line == NULL ? 0 : line->count;
    passed_forget(&bench->passed);
    return count;
}

/* The collector ends at once and another reads what the writes so far have left. */
static void restart(struct bench *bench)
{
    passed_free(&bench->passed);
    for (size_t i = 0; i < bench->puts.count; i++) {
        const struct store_put *put = &bench->puts.items[i];
        bool is_last = true;
        for (size_t j = i + 1; is_last && j < bench->puts.count; j++)
            is_last = !bytes_equal(put->key, bench->puts.items[j].key);
        if (is_last && put->value.data != NULL)
            assert_int_equal(passed_remember(&bench->passed, put->value), 0);
    }
}

static void every_integration_of_its_receivers_is_owed_it_once(void **state)
{
    struct bench *bench = *state;
    take(bench, "Hot", "db", 3);
    take(bench, "Hot", "db", 3); /* the turn is made again */
    take(bench, "Warm", "web", 5);
    assert_int_equal(owed(bench, "db", 0), 1);
    assert_int_equal(owed(bench, "db", 1), 1);
    assert_int_equal(owed(bench, "desk", 0), 1);
    restart(bench);
    assert_int_equal(owed(bench, "db", 0), 1);
    assert_int_equal(owed(bench, "db", 1), 1);
    assert_int_equal(owed(bench, "desk", 0), 1);
}

static void one_message_of_a_turn_has_the_line_and_a_kill_does_not_repeat_it(void **state)
{
    struct bench *bench = *state;
    const int group = 1, other = 2;
    take(bench, "Warm", "web", 5);
    take(bench, "Hot", "web", 3);
    assert_int_equal(claim(bench, "desk", 0, &group)->count, 2);
    assert_string_equal(claim(bench, "desk", 0, &group)->alerts[0].name, "Hot");
    assert_null(claim(bench, "desk", 0, &other));
    tell(bench, "desk", 0, &other); /* it has not got it */
    tell(bench, "desk", 0, &group);
    restart(bench);
    assert_int_equal(owed(bench, "desk", 0), 0);
}

static void what_a_failed_write_would_have_told_is_still_owed(void **state)
{
    struct bench *bench = *state;
    const int group = 1;
    take(bench, "Hot", "web", 3);
    assert_non_null(claim(bench, "desk", 0, &group));
    tell(bench, "desk", 0, &group);
    passed_forget(&bench->passed);
    assert_int_equal(owed(bench, "desk", 0), 1);
    assert_non_null(claim(bench, "desk", 0, &group));
    tell(bench, "desk", 0, &group);
    passed_apply(&bench->passed);
    assert_int_equal(owed(bench, "desk", 0), 0);
    assert_null(bench->passed.lines);
}

static void what_was_silenced_all_the_time_is_not_owed(void **state)
{
    struct bench *bench = *state;
    struct silence *silence;
    struct diagnosis why = {0};
    assert_int_equal(silence_new("a", "b", BEGAN, BEGAN + 4 * MINUTE, &silence), 0);
    assert_int_equal(silence_add_matcher(silence, MATCH_EQUAL, bytes_of("team"), bytes_of("web"),
                                         &why),
                     0);
    assert_int_equal(silence_make_id(silence->id), 0);
    assert_int_equal(silences_reserve(&bench->silences), 0);
    silences_put(&bench->silences, silence);
    take(bench, "Hot", "web", 3);
    assert_int_equal(owed(bench, "desk", 0), 0);
    take(bench, "Warm", "web", 5); /* it outlasted the silence */
    assert_int_equal(owed(bench, "desk", 0), 1);
}

static void what_nobody_was_told_for_a_month_is_given_up(void **state)
{
    struct bench *bench = *state;
    take(bench, "Hot", "web", 3);
    take(bench, "Warm", "web", 5);
    passed_cut(&bench->passed, &bench->puts, BEGAN + 4 * MINUTE + PASSED_KEPT_MS);
    passed_apply(&bench->passed);
    assert_int_equal(owed(bench, "desk", 0), 1);
    restart(bench);
    assert_int_equal(owed(bench, "desk", 0), 1);
}

/* ---- words ------------------------------------------------------------------------------- */

static char *said(const struct bench *bench, bool tells_all, bool is_english, const char *text)
{
    const struct robot_words words = {.tells_all = tells_all, .alias_label = "alias",
                                      .text = text, .text_bytes_max = 2048};
    const struct label pair = {bytes_of("alertname"), bytes_of("Now")};
    struct alert now = {.starts_ms = BEGAN, .firing = true};
    struct message message = {.id = "0", .receiver = "desk", .group_key = "{}",
                              .external_url = "", .alerts = &now, .alert_count = 1,
                              .firing_count = 1, .is_english = is_english,
                              .passed = bench->passed.lines};
    struct arena arena;
    struct buf body = {0}, out = {0};
    struct bytes bytes;
    char *copy;

    arena_init(&arena, 1 << 20);
    assert_int_equal(labels_build(&pair, 1, &arena, &now.labels), 0);
    assert_int_equal(labels_build(NULL, 0, &arena, &now.annotations), 0);
    message.common_labels = message.group_labels = now.labels;
    message.common_annotations = now.annotations;
    assert_int_equal(robot_text_compose(&words, &message, &body), 0);
    bytes = buf_bytes(&body);
    assert_int_equal(robot_text_join(&words, &bytes, 1, 2048, &out), 0);
    copy = strdup(buf_text(&out));
    buf_done(&body);
    buf_done(&out);
    arena_reset(&arena);
    return copy;
}

static void an_outside_room_learns_how_many_and_an_inside_one_which(void **state)
{
    struct bench *bench = *state;
    const struct {
        bool tells_all, is_english;
        const char *text, *end;
    } cases[] = {
        {false, false, NULL, "\n【补记】停机期间起止的告警 2 项\n"},
        {false, true, NULL, "\n[Past] began and ended while the collector was down: 2\n"},
        {true, false, NULL,
         "\n【补记】停机期间起止的告警 2 项：Hot web01（11-28 23:12:01 至 11-28 23:15:01）；"
         "Warm web01（11-28 23:12:01 至 11-28 23:17:01）\n"},
        {true, true, NULL,
         "\n[Past] began and ended while the collector was down: 2: "
         "Hot web01 (11-28 23:12:01 to 11-28 23:15:01), "
         "Warm web01 (11-28 23:12:01 to 11-28 23:17:01)\n"},
        {true, true, "my own words",
         "my own words\n[Past] began and ended while the collector was down: 2: "
         "Hot web01 (11-28 23:12:01 to 11-28 23:15:01), "
         "Warm web01 (11-28 23:12:01 to 11-28 23:17:01)\n"},
    };
    take(bench, "Hot", "web", 3);
    take(bench, "Warm", "web", 5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = said(bench, cases[i].tells_all, cases[i].is_english, cases[i].text);
        const char *end = strstr(text, cases[i].end);
        if (end == NULL || end[strlen(cases[i].end)] != '\0')
            fail_msg("%s", text);
        if (!cases[i].tells_all)
            assert_null(strstr(text, "web01"));
        free(text);
    }
}

static void a_long_list_names_the_first_and_counts_all(void **state)
{
    struct bench *bench = *state;
    char *text;
    for (char name[] = "A"; name[0] < 'A' + 12; name[0]++)
        take(bench, name, "web", name[0] - 'A' + 1);
    text = said(bench, true, false, NULL);
    assert_non_null(strstr(text, "12 项：A web01"));
    assert_non_null(strstr(text, "E web01"));
    assert_null(strstr(text, "F web01"));
    assert_non_null(strstr(text, "；等，详见控制台\n"));
    free(text);
}

static void the_words_of_a_whole_message_can_be_english(void **state)
{
    struct bench *bench = *state;
    char *text = said(bench, true, true, NULL);
    assert_string_equal(text,
                        "[Alert] Now\n1. [firing] Now\n   unrated, since 11-28 23:12:01, "
                        "no. 00000000\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_integration_of_its_receivers_is_owed_it_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            one_message_of_a_turn_has_the_line_and_a_kill_does_not_repeat_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_failed_write_would_have_told_is_still_owed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_silenced_all_the_time_is_not_owed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_nobody_was_told_for_a_month_is_given_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_outside_room_learns_how_many_and_an_inside_one_which,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_list_names_the_first_and_counts_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_words_of_a_whole_message_can_be_english, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
