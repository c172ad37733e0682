/*
 * test_robot.c - what a chat is told, how much, and how often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/outbox.h"
#include "collector/notify/robot.h"
#include "proto/base/arena.h"

#define SECOND ((mono_ns)1000 * NS_PER_MS)

static struct arena arena;

static const struct labels *labels(const char *const *pairs, size_t count)
{
    struct label made[8] = {0};
    const struct labels *built;
    for (size_t i = 0; i < count; i++)
        made[i] = (struct label){bytes_of(pairs[2 * i]), bytes_of(pairs[2 * i + 1])};
    assert_int_equal(labels_build(made, count, &arena, &built), 0);
    return built;
}

static struct alert alert(const char *instance, bool firing)
{
    const char *const names[] = {"alertname", "HostCpuHigh", "alias",    "申报系统",
                                 "instance",  instance,      "severity", "critical"};
    const char *const notes[] = {"summary", "处理器很忙\n一个小时了"};
    return (struct alert){.labels = labels(names, 4),
                          .annotations = labels(notes, 1),
                          .starts_ms = INT64_C(1764342721000),
                          .ends_ms = firing ? 0 : 1764342781000,
                          .firing = firing,
                          .fingerprint = UINT64_C(0x1a2b3c4d5e6f7081)};
}

static struct buf composed(const struct robot_words *words, const struct alert *alerts,
                           size_t count)
{
    struct message message = {.id = "0",
                              .receiver = "desk",
                              .group_key = "{}",
                              .group_labels = labels(NULL, 0),
                              .common_labels = alerts[0].labels,
                              .common_annotations = alerts[0].annotations,
                              .external_url = "http://console.example",
                              .alerts = alerts,
                              .alert_count = count,
                              .firing_count = count};
    struct buf body = {0};
    assert_int_equal(robot_text_compose(words, &message, &body), 0);
    return body;
}

static const struct robot_words chinese;

static char *joined(const struct bytes *bodies, size_t count, size_t limit)
{
    struct buf out = {0};
    char *text;
    assert_int_equal(robot_text_join(&chinese, bodies, count, limit, &out), 0);
    text = strdup(buf_text(&out));
    buf_done(&out);
    return text;
}

static void an_outside_room_learns_severity_alias_and_number_only(void **state)
{
    const struct robot_words words = {.alias_label = "alias", .text_bytes_max = 2048};
    struct alert one = alert("db01", true);
    struct buf body = composed(&words, &one, 1);
    struct bytes bytes = buf_bytes(&body);
    char *text = joined(&bytes, 1, 2048);
    (void)state;
    assert_string_equal(text, "【告警】1 项\n1. [告警中] 严重 申报系统 编号 1a2b3c4d\n");
    free(text);
    buf_done(&body);
}

static void an_inside_room_learns_what_where_and_since_when(void **state)
{
    const struct robot_words words = {
        .tells_all = true, .alias_label = "alias", .text_bytes_max = 2048};
    struct alert one = alert("db01", false);
    struct buf body = composed(&words, &one, 1);
    struct bytes bytes = buf_bytes(&body);
    char *text = joined(&bytes, 1, 2048);
    (void)state;
    assert_non_null(strstr(text, "HostCpuHigh db01"));
    assert_non_null(strstr(text, "1. [已恢复] 处理器很忙 一个小时了\n"));
    assert_non_null(
        strstr(text, "严重，11-28 23:12:01 起，11-28 23:13:01 恢复，编号 1a2b3c4d"));
    assert_non_null(strstr(text, "http://console.example"));
    free(text);
    buf_done(&body);
}

static char *terse(bool tells_all, const struct alert *alerts, size_t count)
{
    const struct robot_words words = {.is_terse = true,
                                      .tells_all = tells_all,
                                      .alias_label = "alias",
                                      .text_bytes_max = 600};
    struct buf body = composed(&words, alerts, count);
    struct bytes bytes = buf_bytes(&body);
    char *text = joined(&bytes, 1, 600);
    buf_done(&body);
    return text;
}

static void a_text_message_begins_with_severity_and_number(void **state)
{
    struct alert two[] = {alert("db01", true), alert("db02", true)};
    char *text = terse(false, two, 1);
    (void)state;
    assert_string_equal(text, "【告警】严重 编号 1a2b3c4d 申报系统\n");
    free(text);
    text = terse(false, two, 2);
    assert_string_equal(text, "【告警】2 项\n1. [告警中] 严重 编号 1a2b3c4d 申报系统\n"
                              "2. [告警中] 严重 编号 1a2b3c4d 申报系统\n");
    free(text);
    text = terse(true, two, 2);
    assert_ptr_equal(strstr(text, "【告警】严重 编号 1a2b3c4d 等 2 项\n1. [告警中] 处理器很忙"),
                     text);
    free(text);
}

static void without_data_is_not_called_recovered(void **state)
{
    static const struct {
        enum alert_note note;
        bool firing;
        const char *head, *line;
    } cases[] = {
        {ALERT_NOTE_STALE, true, "【告警】", "1. [数据中断] "},
        {ALERT_NOTE_FLAPPING, true, "【抖动】", "1. [抖动] "},
        {ALERT_NOTE_NO_DATA, false, "【无数据】", "11-28 23:13:01 终止（无数据）"},
    };
    const struct robot_words words = {
        .tells_all = true, .alias_label = "alias", .text_bytes_max = 2048};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct alert one = alert("db01", cases[i].firing);
        struct buf body = {0};
        struct message message = {.group_labels = labels(NULL, 0), .common_labels = one.labels,
                                  .common_annotations = one.annotations, .external_url = "",
                                  .alerts = &one, .alert_count = 1,
                                  .firing_count = cases[i].firing};
        char *text;
        one.note = cases[i].note;
        assert_int_equal(robot_text_compose(&words, &message, &body), 0);
        text = joined(&(struct bytes){body.data, body.size}, 1, 2048);
        if (strncmp(text, cases[i].head, strlen(cases[i].head)) != 0 ||
            strstr(text, cases[i].line) == NULL || strstr(text, "恢复") != NULL)
            fail_msg("%s", text);
        free(text);
        buf_done(&body);
    }
}

static void several_are_one_digest_that_names_each(void **state)
{
    const struct robot_words words = {.alias_label = "alias", .text_bytes_max = 2048};
    struct alert two[] = {alert("a", true), alert("b", false)};
    struct buf body = composed(&words, two, 2);
    struct bytes bodies[40];
    char *text;
    (void)state;
    for (size_t i = 0; i < 40; i++)
        bodies[i] = buf_bytes(&body);
    text = joined(bodies, 2, 2048);
    assert_string_equal(text, "【汇总】2 条通知\n[告警中] 严重 申报系统 编号 1a2b3c4d\n"
                              "[已恢复] 严重 申报系统 编号 1a2b3c4d\n"
                              "[告警中] 严重 申报系统 编号 1a2b3c4d\n"
                              "[已恢复] 严重 申报系统 编号 1a2b3c4d\n");
    free(text);
    /* 40 bodies of two lines are more than 2,048 bytes: what does not fit stays for the next */
    size_t fit = robot_text_fit(bodies, 40, 2048);
    assert_true(fit > 10 && fit < 40);
    text = joined(bodies, fit, 2048);
    assert_true(strlen(text) <= 2048);
    assert_null(strstr(text, "未完"));
    free(text);
    buf_done(&body);
}

static void a_text_too_long_is_cut_between_lines_and_says_so(void **state)
{
    const struct robot_words words = {.alias_label = "alias", .text_bytes_max = 2048};
    struct alert many[100];
    struct buf body;
    struct bytes bytes;
    char *text;
    (void)state;
    for (size_t i = 0; i < 100; i++)
        many[i] = alert("db01", true);
    body = composed(&words, many, 100);
    bytes = buf_bytes(&body);
    assert_int_equal(robot_text_fit(&bytes, 1, 100), 1);
    text = joined(&bytes, 1, 2048);
    assert_true(strlen(text) <= 2048 && strlen(text) > 1900);
    assert_non_null(strstr(text, "编号 1a2b3c4d\n……（未完，详见控制台）"));
    free(text);
    text = joined(&bytes, 1, 64); /* no line end in reach of the note: between characters */
    assert_true(strlen(text) <= 64);
    free(text);
    buf_done(&body);
}

static void a_broken_body_is_an_error(void **state)
{
    const struct bytes broken = {(const uint8_t *)"\x7f", 1};
    struct buf out = {0};
    (void)state;
    assert_int_not_equal(robot_text_join(&chinese, &broken, 1, 100, &out), 0);
    buf_done(&out);
}

/* The vectors were computed with Python and with openssl. */
static void signatures_are_the_services(void **state)
{
    char *sign =
        robot_sign(bytes_of("SECthis-is-secret"), bytes_of("1599360473000\nSECthis-is-secret"));
    (void)state;
    assert_string_equal(sign, "vJbK3b5tkUTJwQ3PcojXGwsQI1sJGUvZRHkb7wLpL2s=");
    free(sign);
    sign = robot_sign(bytes_of("1599360473\nSECthis-is-secret"), (struct bytes){0});
    assert_string_equal(sign, "IEWXjcn1tcTuq5ZulnlRc2hgyBCNIZsnN2lkjygO4wM=");
    free(sign);
}

static void no_minute_has_more_than_the_service_allows(void **state)
{
    const unsigned limits[] = {1, 2, 5, 9, 10, 20, 100};
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct pace pace;
        mono_ns sent[2000], now = 1000 * SECOND;
        size_t count = 0, first = 0;
        pace_start(&pace, limits[i], now);
        for (; now < 1300 * SECOND; now += SECOND / 10) {
            if (now == 1100 * SECOND)
                now += 90 * SECOND; /* a rest, and then a burst */
            while (pace_left(&pace, now, 100) > 0) {
                assert_true(pace_next(&pace) <= now);
                pace_take(&pace, now);
                sent[count++] = now;
                while (sent[first] + 60 * SECOND <= now)
                    first++;
                assert_true(count - first <= limits[i]);
            }
            assert_true(pace_next(&pace) > now);
        }
        assert_true(count >= (size_t)limits[i] * 2);
    }
}

static struct parcel *parcel(const char *id, const char *group)
{
    struct parcel *made;
    assert_int_equal(parcel_new("desk", "wecom", 0, group, 1000, &made), 0);
    (void)strcpy(made->id, id);
    return made;
}

static void what_must_wait_goes_together_and_in_its_lane(void **state)
{
    struct outbox outbox = {0};
    struct parcel *chosen[8], *due;
    mono_ns now = 1000 * SECOND;
    (void)state;
    assert_int_equal(outbox_limit(&outbox, "desk", "wecom", 0, 5, now), 0);
    outbox_put(&outbox, parcel("0000000000000001", "a"));
    outbox_put(&outbox, parcel("0000000000000002", "b"));
    outbox_put(&outbox, parcel("0000000000000003", "a"));
    outbox_put(&outbox, parcel("0000000000000004", "b"));
    outbox.first->next->next_try = now + 60 * SECOND; /* b waits, and so does what follows it */
    due = outbox_due(&outbox, now);
    assert_string_equal(due->id, "0000000000000001");
    assert_int_equal(outbox_together(&outbox, due, now, chosen, 8), 2);
    assert_string_equal(chosen[1]->id, "0000000000000003");
    outbox_begin(&outbox, chosen, 2, now);
    assert_int_equal(outbox.sending, 1);
    assert_null(outbox_due(&outbox, now));
    outbox_finish(&outbox, due, 60000, now);
    const struct client_verdict throttled = {.recoverable = true};
    for (struct parcel *at = due, *next; at != NULL; at = next) {
        next = at->together;
        outbox_settle(at, &throttled, true, 2000, now);
    }
    assert_null(outbox_due(&outbox, now + 59 * SECOND));
    assert_true(outbox_next_due(&outbox) == now + 60 * SECOND);
    assert_non_null(outbox_due(&outbox, now + 61 * SECOND));
    outbox_free(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outside_room_learns_severity_alias_and_number_only),
        cmocka_unit_test(an_inside_room_learns_what_where_and_since_when),
        cmocka_unit_test(a_text_message_begins_with_severity_and_number),
        cmocka_unit_test(without_data_is_not_called_recovered),
        cmocka_unit_test(several_are_one_digest_that_names_each),
        cmocka_unit_test(a_text_too_long_is_cut_between_lines_and_says_so),
        cmocka_unit_test(a_broken_body_is_an_error),
        cmocka_unit_test(signatures_are_the_services),
        cmocka_unit_test(no_minute_has_more_than_the_service_allows),
        cmocka_unit_test(what_must_wait_goes_together_and_in_its_lane),
    };
    int failed;
    arena_init(&arena, 1 << 20);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_reset(&arena);
    return failed;
}
