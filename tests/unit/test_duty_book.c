/*
 * test_duty_book.c - swaps: what is refused, what is kept over a restart, what a view holds on
 * to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "collector/duty/book.h"
#include "proto/base/clock.h"
#include "proto/base/error.h"
#include "tests/unit/store_kit.h"

#define HOUR_MS INT64_C(3600000)

static const char text[] =
    "persons:\n"
    "- {id: a, name: 值班员甲, post: 一线}\n"
    "- {id: b, name: 值班员乙}\n"
    "- {id: c, name: 值班员乙, post: 备份}\n"
    "rosters: [{name: r, layers: [{rotation: [a], start: 2026-01-01}]}]\n";

static struct kit kit;
static struct duty_book *book;
static int64_t now_ms;

static void open_book(const char *duty_text)
{
    struct duty *duty = NULL;
    struct diagnosis why = {0};
    if (duty_text != NULL && duty_parse("d.yml", bytes_of(duty_text), &duty, &why) != 0)
        fail_msg("%s", why.text);
    if (duty_book_open(kit.store, duty, &book, &why) != 0)
        fail_msg("%s", why.text);
    duty_unref(duty);
}

static int setup(void **state)
{
    (void)state;
    now_ms = clock_unix_ms(&clock_system);
    kit_start(&kit);
    open_book(text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    duty_book_close(book);
    kit_stop(&kit);
    return 0;
}

static void reopen(const char *duty_text)
{
    duty_book_close(book);
    kit_close(&kit);
    kit_open(&kit);
    open_book(duty_text);
}

static const char *on_duty_at(int64_t at_ms)
{
    const struct duty_target target = {DUTY_ROSTER, "r"};
    const struct duty_person *persons[DUTY_RESOLVED_MAX];
    struct duty_view view;
    duty_book_view(book, &view);
    size_t count = duty_resolve(view.duty, &view.overrides, &target, at_ms, NULL, 0, persons);
    const char *id = count == 0 ? "" : duty_person(view.duty, persons[0]->id)->id;
    static char kept[8];
    (void)strncpy(kept, id, sizeof kept - 1);
    duty_view_done(&view);
    return kept;
}

static struct duty_override swap_of(const char *person, int64_t from_hours, int64_t to_hours)
{
    return (struct duty_override){.roster = "r",
                                  .person_id = person,
                                  .from_ms = now_ms + from_hours * HOUR_MS,
                                  .to_ms = now_ms + to_hours * HOUR_MS,
                                  .by = "op",
                                  .reason = "有事"};
}

static void a_swap_holds_over_a_restart_until_it_is_taken_back(void **state)
{
    struct duty_override swap = swap_of("b", 1, 2);
    uint64_t number = 0, second = 0;
    (void)state;
    assert_int_equal(duty_book_swap(book, &swap, now_ms, &number, NULL), 0);
    assert_int_equal(number, 1);
    assert_string_equal(on_duty_at(now_ms), "a");
    assert_string_equal(on_duty_at(now_ms + HOUR_MS), "b");
    reopen(text);
    assert_string_equal(on_duty_at(now_ms + HOUR_MS), "b");

    struct duty_view view;
    duty_book_view(book, &view);
    assert_int_equal(view.overrides.count, 1);
    assert_int_equal(view.overrides.items[0].number, 1);
    assert_int_equal(view.overrides.items[0].at_ms, now_ms);
    assert_string_equal(view.overrides.items[0].by, "op");
    assert_string_equal(view.overrides.items[0].reason, "有事");
    assert_null(view.overrides.items[0].instead_of);

    assert_int_equal(duty_book_cancel(book, 1, NULL), 0);
    assert_string_equal(view.overrides.items[0].by, "op"); /* a view is not changed */
    duty_view_done(&view);
    assert_string_equal(on_duty_at(now_ms + HOUR_MS), "a");
    reopen(text);
    assert_string_equal(on_duty_at(now_ms + HOUR_MS), "a");
    assert_int_equal(duty_book_swap(book, &swap, now_ms, &second, NULL), 0);
    assert_int_equal(second, 2); /* a number is given once */
}

static void what_makes_no_sense_is_refused(void **state)
{
    const struct {
        const char *because;
        struct duty_override swap;
        int error;
        const char *reason;
    } cases[] = {
        {"nobody", swap_of("x", 1, 2), ERR_NOTFOUND, "no person with the id \"x\""},
        {"a shared name", swap_of("值班员乙", 1, 2), ERR_INVALID, "b (), c (备份)"},
        {"a name", swap_of("值班员甲", 1, 2), ERR_INVALID, "a (一线)"},
        {"backwards", swap_of("b", 2, 1), ERR_INVALID, "from must be before to"},
        {"over", swap_of("b", -3, -1), ERR_INVALID, "would end before now"},
        {"too long", swap_of("b", 1, 24 * 367), ERR_LIMIT, "at most 366 days"},
    };
    struct duty_override elsewhere = swap_of("b", 1, 2);
    struct diagnosis why = {0};
    uint64_t number = 77;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        why = (struct diagnosis){0};
        assert_int_equal(duty_book_swap(book, &cases[i].swap, now_ms, &number, &why),
                         cases[i].error);
        if (strstr(why.text, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].because, why.text);
    }
    elsewhere.roster = "q";
    assert_int_equal(duty_book_swap(book, &elsewhere, now_ms, &number, &why), ERR_NOTFOUND);
    assert_int_equal(number, 77);
    assert_int_equal(duty_book_cancel(book, 1, &why), ERR_NOTFOUND);
}

static void who_left_the_file_stands_in_for_nobody(void **state)
{
    static const char less[] = "persons: [{id: a, name: 值班员甲}]\n"
                               "rosters: [{name: r, layers: [{rotation: [a], start: "
                               "2026-01-01}]}]\n";
    struct duty_override swap = swap_of("b", 1, 2);
    struct duty *duty;
    uint64_t number, before = duty_book_generation(book);
    (void)state;
    assert_int_equal(duty_book_swap(book, &swap, now_ms, &number, NULL), 0);
    assert_true(duty_book_generation(book) > before);
    assert_int_equal(duty_parse("d.yml", bytes_of(less), &duty, NULL), 0);
    duty_book_set(book, duty);
    duty_unref(duty);
    assert_string_equal(on_duty_at(now_ms + HOUR_MS), "a");
}

static void without_a_file_there_is_nothing_to_swap(void **state)
{
    struct duty_override swap = swap_of("b", 1, 2);
    struct duty_view view;
    uint64_t number;
    (void)state;
    reopen(NULL);
    assert_int_equal(duty_book_swap(book, &swap, now_ms, &number, NULL), ERR_NOTFOUND);
    duty_book_view(book, &view);
    assert_null(view.duty);
    duty_view_done(&view);
    duty_book_view(NULL, &view);
    assert_null(view.duty);
    assert_int_equal(view.overrides.count, 0);
    duty_view_done(&view);
}

static void what_ended_long_ago_is_forgotten(void **state)
{
    struct duty_override swap = swap_of("b", -24 * 500, -24 * 450);
    uint64_t number;
    struct duty_view view;
    (void)state;
    assert_int_equal(duty_book_swap(book, &swap, now_ms - DUTY_SWAP_KEPT_MS * 2, &number, NULL),
                     0);
    reopen(text);
    duty_book_view(book, &view);
    assert_int_equal(view.overrides.count, 0);
    duty_view_done(&view);
    struct buf row = {0};
    assert_int_equal(
        store_state_get(kit.store, bytes_of(DUTY_SWAP_PREFIX "0000000000000001"), &row),
        ERR_NOTFOUND);
    buf_done(&row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_swap_holds_over_a_restart_until_it_is_taken_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(who_left_the_file_stands_in_for_nobody, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_file_there_is_nothing_to_swap, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_ended_long_ago_is_forgotten, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
