/*
 * test_silence.c - silences and acknowledgements: what they mean, what is kept of them, and how
 * alerts that others post are merged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/notify/acknowledge.h"
#include "collector/notify/group.h"
#include "collector/notify/silence.h"
#include "proto/base/error.h"

static struct silence *silence(int64_t starts_ms, int64_t ends_ms, const char *name,
                               enum matcher_kind kind, const char *value)
{
    struct silence *made;
    assert_int_equal(silence_new("值班员甲", "检修", starts_ms, ends_ms, &made), 0);
    assert_int_equal(silence_add_matcher(made, kind, bytes_of(name), bytes_of(value), NULL), 0);
    return made;
}

static const struct labels *labels(const char *name, const char *value)
{
    const struct label pairs[] = {{bytes_of("alertname"), bytes_of("A")},
                                  {bytes_of(name), bytes_of(value)}};
    const struct labels *built;
    assert_int_equal(labels_build(pairs, 2, NULL, &built), 0);
    return built;
}

static void a_silence_begins_and_ends_on_its_own(void **state)
{
    struct silence *it = silence(1000, 2000, "a", MATCH_EQUAL, "b");
    (void)state;
    assert_int_equal(silence_state(it, 999), SILENCE_PENDING);
    assert_int_equal(silence_state(it, 1000), SILENCE_ACTIVE);
    assert_int_equal(silence_state(it, 1999), SILENCE_ACTIVE);
    assert_int_equal(silence_state(it, 2000), SILENCE_EXPIRED);
    silence_free(it);
}

static void every_matcher_must_hold_and_is_anchored(void **state)
{
    static const struct {
        const char *because;
        enum matcher_kind kind;
        const char *value;
        bool holds;
    } cases[] = {
        {"equal", MATCH_EQUAL, "db-01", true},
        {"not equal", MATCH_EQUAL, "db", false},
        {"anchored at both ends", MATCH_REGEX, "b-0", false},
        {"a pattern for all of it", MATCH_REGEX, "db-.*", true},
        {"an alternation is one", MATCH_REGEX, "db|web", false},
        {"negative", MATCH_NOT_EQUAL, "web", true},
        {"negative pattern", MATCH_NOT_REGEX, "db-.*", false},
    };
    const struct labels *host = labels("instance", "db-01");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct silence *it = silence(0, 1, "instance", cases[i].kind, cases[i].value);
        if (silence_matches(it, host) != cases[i].holds)
            fail_msg("%s", cases[i].because);
        assert_int_equal(
            silence_add_matcher(it, MATCH_EQUAL, bytes_of("other"), bytes_of("x"), NULL), 0);
        assert_false(silence_matches(it, host));
        silence_free(it);
    }
    labels_free(host);
}

static void a_silence_of_everything_is_refused(void **state)
{
    struct silence *all = silence(0, 1000, "a", MATCH_REGEX, ".*"), *none;
    struct diagnosis why = {0};
    (void)state;
    assert_int_equal(silence_check(all, &why), ERR_INVALID);
    assert_string_equal(why.text,
                        "silence invalid: at least one matcher must not match the empty "
                        "string");
    assert_int_equal(silence_add_matcher(all, MATCH_EQUAL, bytes_of("b"), bytes_of("c"), NULL),
                     0);
    assert_int_equal(silence_check(all, NULL), 0);
    all->ends_ms = 0;
    assert_int_equal(silence_check(all, NULL), ERR_INVALID);
    silence_free(all);
    assert_int_equal(silence_new("", "", 0, 1, &none), 0);
    assert_int_equal(silence_check(none, NULL), ERR_INVALID);
    assert_int_equal(silence_add_matcher(none, MATCH_REGEX, bytes_of("a"), bytes_of("("), NULL),
                     ERR_INVALID);
    assert_int_equal(silence_add_matcher(none, MATCH_EQUAL, bytes_of(""), bytes_of("("), NULL),
                     ERR_INVALID);
    silence_free(none);
}

static void an_update_changes_only_the_future(void **state)
{
    enum { NOW = 10000 };
    static const struct {
        const char *because;
        int64_t old_starts, old_ends, starts, ends;
        const char *value;
        bool keeps_id;
    } cases[] = {
        {"active, longer", 1000, 20000, 1000, 30000, "b", true},
        {"active, shorter", 1000, 20000, 1000, 11000, "b", true},
        {"active, its start rewritten to the second", 1234, 20000, 1000, 30000, "b", true},
        {"active, another start", 1000, 20000, 3000, 30000, "b", false},
        {"active, ended in the past", 1000, 20000, 1000, 9999, "b", false},
        {"active, other matchers", 1000, 20000, 1000, 30000, "c", false},
        {"pending, moved", 20000, 30000, 25000, 40000, "b", true},
        {"pending, begun in the past", 20000, 30000, 9999, 40000, "b", false},
        {"expired", 1000, 2000, 1000, 30000, "b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct silence *old =
            silence(cases[i].old_starts, cases[i].old_ends, "a", MATCH_EQUAL, "b");
        struct silence *fresh =
            silence(cases[i].starts, cases[i].ends, "a", MATCH_EQUAL, cases[i].value);
        if (silence_is_update(old, fresh, NOW) != cases[i].keeps_id)
            fail_msg("%s", cases[i].because);
        silence_free(old);
        silence_free(fresh);
    }
}

static void what_is_written_is_read_and_damage_is_seen(void **state)
{
    struct silence *it = silence(-5, 1000, "a", MATCH_NOT_REGEX, "b|c"), *again;
    struct acknowledgement *acknowledged, *back;
    struct buf row = {0};
    (void)state;
    assert_int_equal(silence_make_id(it->id), 0);
    it->updated_ms = 7;
    silence_write(it, &row);
    assert_int_equal(silence_read(it->id, buf_bytes(&row), &again), 0);
    assert_string_equal(again->id, it->id);
    assert_string_equal(again->created_by, "值班员甲");
    assert_string_equal(again->comment, "检修");
    assert_int_equal(again->starts_ms, -5);
    assert_int_equal(again->ends_ms, 1000);
    assert_int_equal(again->updated_ms, 7);
    assert_int_equal(again->matcher_count, 1);
    assert_int_equal(again->matchers[0]->kind, MATCH_NOT_REGEX);
    silence_free(again);
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(silence_read(it->id, (struct bytes){row.data, size}, &again),
                         ERR_CORRUPT);
    silence_free(it);
    buf_clear(&row);
    assert_int_equal(acknowledgement_new("a", "b", 1, 2, &acknowledged), 0);
    acknowledgement_write(acknowledged, &row);
    assert_int_equal(acknowledgement_read(buf_bytes(&row), &back), 0);
    assert_string_equal(back->by, "a");
    assert_string_equal(back->comment, "b");
    assert_int_equal(back->at_ms, 1);
    assert_int_equal(back->starts_ms, 2);
    acknowledgement_free(back);
    for (size_t size = 0; size < row.size; size++)
        assert_int_equal(acknowledgement_read((struct bytes){row.data, size}, &back),
                         ERR_CORRUPT);
    acknowledgement_free(acknowledged);
    buf_done(&row);
}

static struct silence *put(struct silences *all, int64_t starts_ms, int64_t ends_ms,
                           const char *value)
{
    struct silence *it = silence(starts_ms, ends_ms, "instance", MATCH_EQUAL, value);
    assert_int_equal(silence_make_id(it->id), 0);
    assert_int_equal(silences_reserve(all), 0);
    silences_put(all, it);
    return it;
}

static void what_mutes_an_alert_is_looked_up_again_when_silences_change(void **state)
{
    struct silences all = {0};
    struct muting muting = {0};
    const struct labels *host = labels("instance", "db");
    struct silence *active = put(&all, 0, 1000, "db"), *later = put(&all, 2000, 3000, "db");
    char id[SILENCE_ID_BYTES];
    (void)state;
    for (int i = 0; i < 100; i++)
        (void)put(&all, 0, 1000, "web");
    (void)put(&all, 0, 10, "db");
    assert_int_equal(muting_refresh(&muting, &all, host, 20), 0);
    assert_int_equal(muting.count, 2);
    assert_true(muting_is_active(&muting, 20));
    assert_false(muting_is_active(&muting, 1500));
    assert_true(muting_is_active(&muting, 2500));
    assert_ptr_equal(silences_find(&all, later->id), later);
    memcpy(id, active->id, sizeof id);
    silences_remove(&all, id);
    assert_null(silences_find(&all, id));
    assert_int_equal(muting_refresh(&muting, &all, host, 20), 0);
    assert_int_equal(muting.count, 1);
    assert_false(muting_is_active(&muting, 20));
    muting_done(&muting);
    labels_free(host);
    silences_free(&all);
}

/* ---- posted alerts ----------------------------------------------------------------------- */

static void posted_alerts_are_merged_as_alertmanager_does(void **state)
{
    enum { NOW = 1000, LATER = 1 << 20 };
    static const struct {
        const char *because;
        int64_t old_starts, old_ends;
        bool old_timeout;
        int64_t starts, ends;
        bool timeout;
        int64_t want_starts, want_ends;
        bool firing;
    } cases[] = {
        {"the earliest start counts", 100, 5000, true, 50, 4000, true, 50, 4000, true},
        {"a later start is no new beginning", 100, 5000, true, 200, 6000, true, 100, 6000,
         true},
        {"a named end beats an earlier timeout", 100, 5000, false, 200, 4000, true, 100, 5000,
         true},
        {"the newer timeout counts", 100, 5000, true, 200, 4000, true, 100, 4000, true},
        {"it has ended", 100, 5000, true, 100, 900, false, 100, 900, false},
        {"a gap makes two", 100, 500, false, 600, 5000, true, 600, 5000, true},
    };
    struct receiver desk = {.name = "desk"};
    struct route root = {
        .receiver = &desk, .key = (char *)(uintptr_t) "{}", .group_interval_ms = 1000};
    const struct labels *host = labels("instance", "db");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct groups *groups = calloc(1, sizeof *groups);
        struct alert alert = {.labels = host,
                              .annotations = host,
                              .external = true,
                              .starts_ms = cases[i].old_starts,
                              .ends_ms = cases[i].old_ends,
                              .ends_by_timeout = cases[i].old_timeout,
                              .firing = true,
                              .fingerprint = labels_fingerprint(host)};
        assert_int_equal(groups_take_alert(groups, &root, &alert, NOW, 0), 0);
        alert.starts_ms = cases[i].starts;
        alert.ends_ms = cases[i].ends;
        alert.ends_by_timeout = cases[i].timeout;
        assert_int_equal(groups_take_alert(groups, &root, &alert, NOW, 0), 0);
        const struct tracked *tracked = groups_find_fingerprint(groups, alert.fingerprint);
        if (tracked->alert->starts_ms != cases[i].want_starts ||
            tracked->alert->ends_ms != cases[i].want_ends ||
            tracked->alert->firing != cases[i].firing)
            fail_msg("%s", cases[i].because);
        assert_int_equal(groups_end_overdue(groups, NOW),
                         cases[i].firing ? cases[i].want_ends : INT64_MAX);
        assert_int_equal(groups_end_overdue(groups, LATER), INT64_MAX);
        assert_false(tracked->alert->firing);
        groups_free(groups);
        free(groups);
    }
    labels_free(host);
}

static void a_storm_that_ends_at_once_ends_bit_by_bit(void **state)
{
    enum { ALERTS = 5000, NOW = 1000 };
    struct receiver desk = {.name = "desk"};
    struct route root = {
        .receiver = &desk, .key = (char *)(uintptr_t) "{}", .group_interval_ms = 1000};
    struct groups *groups = calloc(1, sizeof *groups);
    (void)state;
    for (int i = 0; i < ALERTS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "host%d", i);
        const struct labels *host = labels("instance", name);
        const struct alert alert = {.labels = host,
                                    .annotations = host,
                                    .external = true,
                                    .starts_ms = 1,
                                    .ends_ms = NOW,
                                    .firing = true,
                                    .fingerprint = labels_fingerprint(host)};
        assert_int_equal(groups_take_alert(groups, &root, &alert, 1, 0), 0);
        labels_free(host);
    }
    for (size_t want = ALERTS, left; want > 0; want = left) {
        const int64_t next_ms = groups_end_overdue(groups, NOW);
        left = 0;
        for (const struct tracked *at = groups_next_alert(groups, NULL); at != NULL;
             at = groups_next_alert(groups, at))
            left += at->alert->firing;
        assert_true(left < want && want - left < ALERTS);
        assert_int_equal(next_ms, left > 0 ? NOW : INT64_MAX);
    }
    groups_free(groups);
    free(groups);
}

static void an_acknowledgement_goes_with_its_firing(void **state)
{
    struct receiver desk = {.name = "desk"};
    struct route root = {
        .receiver = &desk, .key = (char *)(uintptr_t) "{}", .group_interval_ms = 1000};
    const struct labels *host = labels("instance", "db");
    struct groups *groups = calloc(1, sizeof *groups);
    struct alert alert = {.labels = host,
                          .annotations = host,
                          .starts_ms = 5,
                          .firing = true,
                          .fingerprint = labels_fingerprint(host)};
    struct tracked *tracked;
    (void)state;
    assert_int_equal(groups_take_alert(groups, &root, &alert, 10, 0), 0);
    tracked = groups_find_fingerprint(groups, alert.fingerprint);
    assert_int_equal(acknowledgement_new("a", "", 10, 5, &tracked->acknowledgement), 0);
    alert.value = 3; /* heard again */
    assert_int_equal(groups_take_alert(groups, &root, &alert, 10, 0), 0);
    assert_non_null(tracked->acknowledgement);
    alert.external = true; /* somebody else cannot end what our rule says */
    alert.ends_ms = 8;
    alert.firing = false;
    assert_int_equal(groups_take_alert(groups, &root, &alert, 10, 0), 0);
    assert_true(tracked->alert->firing);
    assert_non_null(tracked->acknowledgement);
    alert.external = false;
    assert_int_equal(groups_take_alert(groups, &root, &alert, 10, 0), 0);
    assert_null(tracked->acknowledgement);
    assert_true(tracked->acknowledgement_over);
    groups_free(groups);
    free(groups);
    labels_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silence_begins_and_ends_on_its_own),
        cmocka_unit_test(every_matcher_must_hold_and_is_anchored),
        cmocka_unit_test(a_silence_of_everything_is_refused),
        cmocka_unit_test(an_update_changes_only_the_future),
        cmocka_unit_test(what_is_written_is_read_and_damage_is_seen),
        cmocka_unit_test(what_mutes_an_alert_is_looked_up_again_when_silences_change),
        cmocka_unit_test(posted_alerts_are_merged_as_alertmanager_does),
        cmocka_unit_test(a_storm_that_ends_at_once_ends_bit_by_bit),
        cmocka_unit_test(an_acknowledgement_goes_with_its_firing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
