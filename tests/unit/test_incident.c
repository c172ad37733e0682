/*
 * test_incident.c - incidents: rows, steps over repetitions, what comes next, signed links.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/incident/forecast.h"
#include "collector/incident/signed_link.h"
#include "proto/base/error.h"

static const char duty_text[] =
    "persons:\n"
    "- {id: a, name: 值班员甲, ways: [{channel: sms, to: '1'}, {channel: mail, to: a@x}], "
    "manager: m}\n"
    "- {id: b, name: 值班员乙, ways: [{channel: mail, to: b@x}], manager: m}\n"
    "- {id: m, name: 主管, ways: [{channel: sms, to: '9'}]}\n"
    "teams:\n"
    "- {name: ops, members: [a, b]}\n"
    "escalations:\n"
    "- name: e\n"
    "  steps:\n"
    "  - {notify: [{person: m}]}\n"
    "  - {wait: 5m, notify: [{manager: true}]}\n"
    "  - {wait: 10m, notify: [{team: ops}], channels: [sms]}\n"
    "  - {wait: 20m, notify: [{manager: true}], ways: all}\n"
    "  repeat: 30m\n"
    "  repeat_from: 3\n";

static struct duty *read_duty(void)
{
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    if (duty_parse("d.yml", bytes_of(duty_text), &duty, &why) != 0)
        fail_msg("%s", why.text);
    return duty;
}

static struct incident *make(void)
{
    struct incident *incident;
    assert_int_equal(incident_new(17, "duty", "{}:{alertname=\"A\"}", "e", "A web1", 1000,
                                  &incident),
                     0);
    return incident;
}

static void test_row_is_what_was_written(void **state)
{
    struct incident *incident = make(), *again, *copy;
    struct buf row = {0}, other = {0};
    (void)state;

    incident->state = INCIDENT_ACKNOWLEDGED;
    incident->muted = true;
    incident->due_ms = 5;
    incident->step = 7;
    incident->serial = 9;
    incident->events = 11;
    assert_int_equal(incident_tell(incident, "a", 0, 2000, 0), 0);
    assert_int_equal(incident_tell(incident, "a", 1, 3000, 1), 0);
    assert_int_equal(incident_tell(incident, "a", 0, 4000, 2), 0); /* was told by it */
    assert_int_equal(incident->told_count, 2);
    incident_write(incident, &row);
    assert_int_equal(incident_read(17, buf_bytes(&row), &again), 0);
    assert_int_equal(again->told[1].at_ms, 3000);
    assert_int_equal(incident_copy(again, &copy), 0);
    incident_write(copy, &other);
    assert_true(bytes_equal(buf_bytes(&row), buf_bytes(&other)));
    for (size_t size = 0; size < row.size; size++) {
        struct incident *cut = NULL;
        assert_int_equal(incident_read(17, (struct bytes){row.data, size}, &cut), ERR_CORRUPT);
    }
    incident_free(copy);
    incident_free(again);
    incident_free(incident);
    buf_done(&row);
    buf_done(&other);
}

static void test_event_row(void **state)
{
    const struct incident_event event = {INCIDENT_FALLBACK, 123, 2, "a", "sms", "0123", "why"};
    struct incident_event again;
    struct arena arena;
    struct buf row = {0};
    (void)state;

    arena_init(&arena, 65536);
    incident_event_write(&event, &row);
    assert_int_equal(incident_event_read(buf_bytes(&row), &arena, &again), 0);
    assert_int_equal(again.kind, INCIDENT_FALLBACK);
    assert_string_equal(again.text, "why");
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(incident_event_read((struct bytes){row.data, size}, &arena, &again),
                         ERR_CORRUPT);
    arena_reset(&arena);
    buf_done(&row);
}

/* 1 2 3 4 | 3 4 | 3 4 ... : waits are 0, 5, 10, 20, then 30 and 20 minutes. */
static void test_steps_go_round(void **state)
{
    static const int minutes[] = {0, 5, 10, 20, 30, 20, 30, 20};
    static const int index[] = {0, 1, 2, 3, 2, 3, 2, 3};
    struct duty *duty = read_duty();
    const struct duty_escalation *escalation = duty_escalation(duty, "e");
    struct incident *incident = make();
    int64_t due_ms = 1000;
    (void)state;

    incident_begin_steps(incident, escalation, 1000);
    for (uint32_t i = 0; i < 8; i++) {
        due_ms += i == 0 ? 0 : minutes[i] * INT64_C(60000);
        assert_int_equal(incident->due_ms, due_ms);
        assert_ptr_equal(incident_step(escalation, i), &escalation->steps[index[i]]);
        /* a little late: the next counts from when this one was due */
        incident_next_step(incident, escalation, due_ms + INCIDENT_LATE_MS, false);
    }
    incident->due_ms = 1000; /* far too late: people keep their time */
    incident->step = 0;
    incident_next_step(incident, escalation, 100000, false);
    assert_int_equal(incident->due_ms, 100000 + 5 * 60000);
    incident->due_ms = 5000000; /* the clock went back */
    incident_next_step(incident, escalation, 1000, false);
    assert_int_equal(incident->due_ms, 1000 + 10 * 60000);
    incident_next_step(incident, escalation, incident->due_ms, true); /* it reached nobody */
    assert_int_equal(incident->due_ms, 1000 + 10 * 60000);
    incident_free(incident);
    duty_unref(duty);
}

static void test_forecast(void **state)
{
    struct duty *duty = read_duty();
    const struct duty_overrides none = {0};
    const struct forecast_start start = {.at_ms = 1000};
    struct forecast_step *steps;
    struct arena arena;
    size_t count;
    (void)state;

    arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(forecast_make(duty, &none, duty_escalation(duty, "e"), &start, 5, &arena,
                                   &steps, &count),
                     0);
    assert_int_equal(count, 5);
    assert_int_equal(steps[0].person_count, 1);
    assert_int_equal(steps[1].person_count, 0);
    assert_int_equal(steps[1].at_ms, 1000 + 5 * 60000);
    assert_int_equal(steps[2].at_ms, steps[1].at_ms); /* nobody keeps nobody waiting */
    assert_int_equal(steps[2].person_count, 2);
    assert_int_equal(steps[3].person_count, 1);
    assert_string_equal(steps[3].persons[0]->id, "m");
    assert_int_equal(steps[4].at_ms, steps[3].at_ms + 30 * 60000);
    /* a has sms; b has none of the channels named and is told by the first way */
    assert_true(forecast_uses_way(steps[2].what, duty_person(duty, "a"), 0));
    assert_false(forecast_uses_way(steps[2].what, duty_person(duty, "a"), 1));
    assert_true(forecast_uses_way(steps[2].what, duty_person(duty, "b"), 0));
    assert_true(forecast_uses_way(steps[3].what, duty_person(duty, "m"), 0));
    assert_false(forecast_uses_way(steps[0].what, duty_person(duty, "a"), 1));
    arena_reset(&arena);
    duty_unref(duty);
}

static void test_links(void **state)
{
    struct signed_link_key key, other;
    struct buf link = {0};
    const char *token;
    (void)state;

    memset(&key, 1, sizeof key);
    signed_link_make_key(&other);
    signed_link_put(&key, "", 17, "0017", &link);
    assert_int_equal(link.size, 0);
    signed_link_put(&key, "https://duty.example/", 17, "a b", &link);
    assert_non_null(strstr(buf_text(&link),
                           "https://duty.example/acknowledge?incident=17&person=a%20b&token="));
    token = strstr(buf_text(&link), "token=") + 6;
    /* HMAC-SHA256 of "17 a b" under 32 bytes of 01, by Python's hmac */
    assert_string_equal(token, "1590bd51fdd52fc963e630e223f8e272");
    assert_true(signed_link_is_good(&key, 17, "a b", token));
    assert_false(signed_link_is_good(&key, 18, "a b", token));
    assert_false(signed_link_is_good(&key, 17, "a", token));
    assert_false(signed_link_is_good(&key, 17, "a b", ""));
    assert_false(signed_link_is_good(&other, 17, "a b", token));
    buf_done(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_is_what_was_written), cmocka_unit_test(test_event_row),
        cmocka_unit_test(test_steps_go_round),          cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
