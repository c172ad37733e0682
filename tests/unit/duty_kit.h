/*
 * duty_kit.h - what tests of duty share: five persons, two of one name, and the holidays of
 * 2026.
 *
 * After cmocka.h; HOLIDAYS is the folder of holiday files as shipped.
 */
#pragma once

#include <stdio.h>

#include "collector/duty/duty.h"

#define PERSONS                                                                                 \
    "persons:\n"                                                                                \
    "- {id: a, name: 值班员甲, post: 一线, ways: [{channel: sms, to: '1'}], team: ops}\n" \
    "- {id: b, name: 值班员乙, ways: [{channel: sms, to: '2'}], team: ops, manager: m}\n"   \
    "- {id: c, name: 值班员丙, ways: [{channel: mail, to: c@x}], team: db}\n"               \
    "- {id: d, name: 值班员丙, post: 备份, ways: []}\n"                                   \
    "- {id: m, name: 主管, ways: [{channel: sms, to: '9'}]}\n"                                \
    "teams:\n"                                                                                  \
    "- {name: ops, title: 运维组, manager: m}\n"                                             \
    "- {name: db, members: [d, c]}\n"                                                           \
    "- {name: empty}\n"

static inline struct duty *read_duty(const char *text)
{
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    if (duty_parse("d.yml", bytes_of(text), &duty, &why) != 0)
        fail_msg("%s", why.text);
    return duty;
}

/* A roster of one or more layers over PERSONS, with the holidays of 2026. */
static inline struct duty *read_roster(const char *roster)
{
    char text[8192];
    (void)snprintf(text, sizeof text, PERSONS "holidays: " HOLIDAYS "\nrosters:\n- name: r\n%s",
                   roster);
    return read_duty(text);
}

static inline int64_t moment(const char *text)
{
    int64_t local_ms = 0;
    assert_true(civil_parse_moment(text, false, &local_ms));
    return local_ms - 8 * 60 * CIVIL_MINUTE_MS;
}
