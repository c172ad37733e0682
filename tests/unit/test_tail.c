/*
 * test_tail.c - real files, written, rotated and truncated; each line once, in order, whatever
 * dies in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "tests/unit/log_world.h"

/* ---- the facts -------------------------------------------------------------------------- */

static void lines_arrive_once_when_they_are_whole(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n2\nunfin");
    world_start(&world);
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n2\n");
    world_append(&world, "a.log", "ished\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n2\nunfinished\n");
    world_kill(&world);
    world_append(&world, "a.log", "4\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_assert_stored(&world, "1\n2\nunfinished\n4\n");
    world_done(&world);
}

static void what_was_not_committed_is_read_again(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_append(&world, "a.log", "2\n");
    world_collect(&world);
    world_kill(&world); /* the batch with 2 is lost, and the position with it */
    world_start(&world);
    world_ticks(&world, 1);
    world_assert_stored(&world, "1\n2\n");
    world_done(&world);
}

static void rotations_lose_nothing(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_append(&world, "a.log", "2\n");
    world_rotate(&world);
    world_append(&world, "a.log", "3\n");
    world_ticks(&world, 1);
    world_assert_stored(&world, "1\n2\n3\n");
    /* Two between ticks: the middle file was never seen under its own name. */
    world_append(&world, "a.log", "4\n");
    world_rotate(&world);
    world_append(&world, "a.log", "5\n");
    world_rotate(&world);
    world_append(&world, "a.log", "6\n");
    world_ticks(&world, 1);
    world_assert_stored(&world, "1\n2\n3\n4\n5\n6\n");
    assert_true(world_value(&world, "logwatch_rotations_total", "") == 3);
    world_ticks(&world, 20);
    world_assert_stored(&world, "1\n2\n3\n4\n5\n6\n");
    world_done(&world);
}

static void a_slow_writer_keeps_its_rotated_file(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_rotate(&world);
    world_ticks(&world, 2);
    world_append(&world, "a.log.1", "2\nlast words");
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n2\n");
    world_ticks(&world, 12); /* nobody writes any more: what is there is the line */
    world_assert_stored(&world, "1\n2\nlast words\n");
    world_done(&world);
}

static void rotations_while_the_probe_is_down_lose_nothing(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_kill(&world);
    world_append(&world, "a.log", "2\n");
    world_rotate(&world);
    world_append(&world, "a.log", "3\n");
    world_rotate(&world);
    world_append(&world, "a.log", "4\n");
    world_rotate(&world);
    world_append(&world, "a.log", "5\n");
    world_start(&world);
    world_ticks(&world, 3);
    world_assert_stored(&world, "1\n2\n3\n4\n5\n");
    /* And the file that was begun last is gone for good. */
    world_kill(&world);
    world_append(&world, "a.log", "6\n");
    world_rotate(&world);
    world_append(&world, "a.log", "7\n");
    char path[128];
    assert_int_equal(unlink(world_path(&world, "a.log.1", path)), 0);
    world_start(&world);
    world_ticks(&world, 3);
    world_assert_stored(&world, "1\n2\n3\n4\n5\n7\n");
    assert_true(world_value(&world, "logwatch_lost_files_total", "") == 1);
    assert_int_equal(world.out->events, 1);
    world_done(&world);
}

/* A path that leads to itself stands for a disk, or a permission, that is missing for a while.
 */
static void a_file_that_cannot_be_opened_at_the_start_is_read_later(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_kill(&world);
    world_append(&world, "a.log", "2\n");
    world_move(&world, "a.log", "hidden");
    assert_int_equal(symlink("a.log", world_path(&world, "a.log", path)), 0);
    world_start(&world);
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n");
    assert_int_equal(unlink(path), 0);
    world_move(&world, "hidden", "a.log");
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n2\n");
    assert_true(world_value(&world, "logwatch_lost_files_total", "") == 0);
    world_append(&world, "a.log", "3\n");
    world_rotate(&world);
    world_append(&world, "a.log", "4\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n2\n3\n4\n");
    world_done(&world);
}

static void a_file_that_goes_before_it_could_be_opened_is_lost_once(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_make(&world, "a.log");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_kill(&world);
    world_append(&world, "a.log", "2\n");
    assert_int_equal(unlink(world_path(&world, "a.log", path)), 0);
    assert_int_equal(symlink("a.log", path), 0);
    world_start(&world);
    world_ticks(&world, 2);
    assert_int_equal(unlink(path), 0);
    world_append(&world, "a.log", "3\n");
    world_ticks(&world, 2);
    world_kill(&world);
    world_start(&world);
    world_append(&world, "a.log", "4\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "1\n3\n4\n");
    assert_int_equal(world.out->events, 1);
    world_done(&world);
}

static void rotated_files_that_match_the_glob_are_not_new(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log*");
    world_append(&world, "a.log", "1\n");
    world_start(&world);
    world_ticks(&world, 1);
    for (int i = 2; i < 6; i++) {
        char line[32];
        world_rotate(&world);
        snprintf(line, sizeof line, "%d\n", i);
        world_append(&world, "a.log", line);
        world_ticks(&world, i % 2 == 0 ? 1 : 15);
        world_kill(&world);
        world_start(&world);
    }
    world_append(&world, "a.log.9.gz", "compressed\n");
    world_ticks(&world, 15);
    world_assert_stored(&world, "1\n2\n3\n4\n5\n");
    world_done(&world);
}

static void truncation_begins_a_new_generation(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_make(&world, "a.log*");
    world_append(
        &world, "a.log",
        "first line, which is long enough to be told from any other line, isn't it?\n");
    world_append(&world, "a.log", "2\n");
    world_start(&world);
    world_ticks(&world, 1);
    buf_clear(&world.out->stored);
    /* copytruncate: the copy is no new file. */
    char command[400];
    snprintf(command, sizeof command, "cp %s/a.log %s/a.log.1", world.folder, world.folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(truncate(world_path(&world, "a.log", path), 0), 0);
    world_append(&world, "a.log", "3\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "3\n");
    assert_true(world_value(&world, "logwatch_truncations_total", "") == 1);
    assert_int_equal(world.out->events, 1);
    /* Grown past the old size before anybody looked. */
    assert_int_equal(truncate(path, 0), 0);
    world_append(&world, "a.log", "4 and more than there was\n");
    world_ticks(&world, 1);
    world_assert_stored(&world, "3\n4 and more than there was\n");
    /* The same while the probe is down. */
    world_kill(&world);
    assert_int_equal(truncate(path, 0), 0);
    world_append(&world, "a.log", "5 and more than there was before, too\n");
    world_start(&world);
    world_ticks(&world, 1);
    world_assert_stored(
        &world, "3\n4 and more than there was\n5 and more than there was before, too\n");
    world_done(&world);
}

static void a_folder_may_come_later(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_make(&world, "later/*.log");
    world_start(&world);
    world_ticks(&world, 2);
    assert_int_equal(mkdir(world_path(&world, "later", path), 0700), 0);
    world_append(&world, "later/x.log", "here\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "here\n");
    world_done(&world);
}

static void a_full_tick_keeps_the_rest_in_the_file(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "*.log");
    world.out->room = 100;
    struct buf all = {0};
    for (int i = 0; i < 20000; i++)
        buf_printf(&all, "line %d\n", i);
    world_append(&world, "a.log", buf_text(&all));
    world_start(&world);
    for (int i = 0; i < 200 && world.out->stored.size < all.size; i++) {
        world_collect(&world);
        if (i % 5 == 4) {
            world_kill(&world);
            world_start(&world);
        } else {
            world_commit(&world);
        }
    }
    world_assert_stored(&world, buf_text(&all));
    world_ticks(&world, 6);
    assert_false(log_source_has_more(world.state));
    assert_true(world_value(&world, "logwatch_read_lag_bytes", "") == 0);
    buf_done(&all);
    world_done(&world);
}

static void the_rate_limit_drops_and_counts_but_never_errors(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    rate_limit: 1\n    patterns: [{name: x, regex: 'x\\d'}]");
    for (int i = 0; i < 15; i++)
        world_append(&world, "a.log", "INFO x1\n");
    world_append(&world, "a.log", "ERROR x2\n");
    world_start(&world);
    world_ticks(&world, 1);
    assert_int_equal(world.out->stored.size, 10 * strlen("INFO x1\n") + strlen("ERROR x2\n"));
    assert_true(world_value(&world, "logwatch_dropped_lines_total", ",reason=rate_limit") == 5);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=info") == 15);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=error") == 1);
    assert_true(world_value(&world, "logwatch_pattern_matches_total", ",pattern=x") == 16);
    world_done(&world);
}

static void settings_shape_what_is_read(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    from: end\n    encoding: gbk\n    multiline: '^\\d'");
    world_append(&world, "a.log", "0 old\nhalf");
    world_start(&world);
    world_ticks(&world, 1);
    world_append(&world, "a.log", " a line\n1 \xca\xfd\xbe\xdd\n  at x\n2\n");
    world_ticks(&world, 1);
    world_assert_stored(&world, "1 数据\n  at x\n");
    world_ticks(&world, 5);
    world_assert_stored(&world, "1 数据\n  at x\n2\n");
    world_done(&world);
}

static void an_overlong_line_is_cut_and_the_next_is_whole(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log");
    struct buf all = {0};
    for (size_t i = 0; i < 3 * LOG_LINE_BYTES_MAX; i++)
        buf_put_char(&all, 'x');
    world_append(&world, "a.log", buf_text(&all));
    world_start(&world);
    world_ticks(&world, 2);
    world_kill(&world);
    world_start(&world);
    world_append(&world, "a.log", "still the same\nnext\n");
    world_ticks(&world, 2);
    assert_int_equal(world.out->stored.size, LOG_LINE_BYTES_MAX + 1 + strlen("next\n"));
    assert_string_equal(buf_text(&world.out->stored) + LOG_LINE_BYTES_MAX, "\nnext\n");
    buf_done(&all);
    world_done(&world);
}

/* Writers and the probe's death at random; the lines are numbers and must come in order. */
static void campaign(unsigned seed, const char *config)
{
    struct world world;
    struct buf expected = {0};
    int number = 0;
    world_make(&world, config);
    world_append(&world, "a.log", "");
    world_start(&world);
    world_ticks(&world, 1);
    srand(seed);
    for (int step = 0; step < 400; step++) {
        int what = rand() % 10;
        for (int i = 0; what < 4 && i < 1 + rand() % 5; i++) {
            char line[64];
            snprintf(line, sizeof line, "%d\n", number++);
            world_append(&world, "a.log", line);
            buf_put_text(&expected, line);
        }
        if (what == 4 || what == 5)
            world_rotate(&world);
        if (what == 6 || what == 7) {
            world_collect(&world);
            if (rand() % 2 == 0)
                world_commit(&world);
            world_kill(&world);
            world_start(&world);
        }
        if (what >= 8)
            world_ticks(&world, rand() % 14);
        /* Names go to a.log.10 only: what is older must have been read. */
        if (step % 5 == 4)
            world_ticks(&world, 1);
    }
    world_ticks(&world, 3);
    if (strcmp(buf_text(&world.out->stored), buf_text(&expected)) != 0)
        fail_msg("seed %u: stored %zu bytes, expected %zu", seed, world.out->stored.size,
                 expected.size);
    buf_done(&expected);
    world_done(&world);
}

static void random_deaths_and_rotations_lose_and_repeat_nothing(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 12; seed++)
        campaign(seed, seed % 2 == 0 ? "a.log" : "a.log*");
}

static void numbers_leave_masked_and_are_judged_as_written(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    patterns: [{name: vip, regex: '13800138000'}]\n"
                       "    redact: [mobile]\n"
                       "    redact_patterns: [{name: pin, regex: 'pin=(?<secret>\\d+)'}]");
    world_append(&world, "a.log", "13800138000 pin=12 4111111111111111\n");
    world_start(&world);
    world_ticks(&world, 2);
    assert_int_equal(memcmp(world.out->stored.data, "138*", 4), 0);
    assert_int_equal(memcmp((const char *)world.out->stored.data + 6, "*8000 pin=** 4111", 17),
                     0);
    assert_true(world_value(&world, "logwatch_pattern_matches_total", ",pattern=vip") == 1);
    assert_true(world_value(&world, "logwatch_redacted_total", ",kind=mobile") == 1);
    assert_true(world_value(&world, "logwatch_redacted_total", ",kind=pattern") == 1);
    assert_true(world_value(&world, "logwatch_redacted_total", ",kind=bank-card") == 0);
    world_done(&world);
}

static void bad_settings_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *told;
    } cases[] = {
        {"- {path: relative}", "not absolute"},
        {"- {path: /a, patern: x}", "patterns"},
        {"- {path: /a, multiline: '('}", "regular expression"},
        {"- {path: /a, encoding: latin}", "encoding"},
        {"- {path: /a, patterns: [{name: a, regex: b}, {name: a, regex: c}]}", "two patterns"},
        {"- {path: /a, rate_limit: -1}", "rate_limit"},
        {"- {path: /a, redact: [mobil]}", "\"mobil\" is none of"},
        {"- {path: /a, redact: [none, mobile]}", "none alone"},
        {"- {path: /a, redact: []}", "an empty list"},
        {"- {path: /a, redact_patterns: [{name: a, regex: '('}]}", "regular expression"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *document;
        struct diagnosis why = {{0}};
        void *log = calloc(1, source_log.state_bytes);
        assert_non_null(log);
        assert_int_equal(config_parse("p.yml", bytes_of(cases[i].text), &document, &why), 0);
        assert_int_equal(source_log.configure(log, document, config_root(document), &why),
                         ERR_INVALID);
        if (strstr(why.text, cases[i].told) == NULL || strstr(why.text, "p.yml:1") == NULL)
            fail_msg("%s: %s", cases[i].text, why.text);
        source_log.stop(log);
        free(log);
        config_free(document);
    }
}

/* A policy's list with one entry for `name`, and what follows its path. */
static struct log_settings_list list_of(const struct world *world, const char *name,
                                        const char *rest)
{
    char text[512], path[128];
    struct config *document;
    struct log_settings_list list = {0};
    if (name != NULL) {
        (void)snprintf(text, sizeof text, "- {path: %s%s}", world_path(world, name, path),
                       rest);
        assert_int_equal(config_parse("policy", bytes_of(text), &document, NULL), 0);
        assert_int_equal(log_settings_read(&list, document, config_root(document), NULL), 0);
        config_free(document);
    }
    return list;
}

static void change(struct world *world, const char *name, const char *rest)
{
    struct log_settings_list list = list_of(world, name, rest);
    log_source_change_policy(world->state, &list, world->out);
    assert_int_equal(list.count, 0);
}

static void files_of_a_policy_come_change_and_go_while_others_are_read_on(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "b.log");
    world_append(&world, "b.log", "own 1\n");
    world_append(&world, "a.log", "old\n");
    world_start(&world);
    world_ticks(&world, 2);
    change(&world, "a.log", ", from: end");
    world_ticks(&world, 2);
    world_append(&world, "a.log", "1\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "own 1\n1\n");
    /* The same words again change nothing, in the middle of a line either. */
    world_append(&world, "b.log", "own 2\nun");
    world_ticks(&world, 1);
    world_append(&world, "a.log", "ha");
    world_ticks(&world, 1);
    change(&world, "a.log", ", from: end");
    world_append(&world, "a.log", "lf\n");
    world_ticks(&world, 2);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=unknown") == 2);
    /* Other words: counters begin anew, the position stays. */
    change(&world, "a.log", ", patterns: [{name: x, regex: boom}]");
    world_append(&world, "a.log", "boom\n");
    world_ticks(&world, 2);
    world_append(&world, "b.log", "finished\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "own 1\n1\nown 2\nhalf\nboom\nunfinished\n");
    assert_true(world_value(&world, "logwatch_pattern_matches_total", ",pattern=x") == 1);
    assert_true(world_value(&world, "logwatch_lines_total", ",severity=unknown") == 1);
    /* Gone: its lines are not read, its note is forgotten; ours goes on over a death. */
    change(&world, NULL, "");
    world_append(&world, "a.log", "unread\n");
    world_ticks(&world, 2);
    world_kill(&world);
    world_append(&world, "b.log", "own 3\n");
    world_start(&world);
    world_ticks(&world, 2);
    world_assert_stored(&world, "own 1\n1\nown 2\nhalf\nboom\nunfinished\nown 3\n");
    world_done(&world);
}

static void our_own_entry_holds_over_a_policys(void **state)
{
    (void)state;
    struct world world;
    world_make(&world, "a.log\n    patterns: [{name: own, regex: boom}]");
    world_append(&world, "a.log", "boom\n");
    world_start(&world);
    world_ticks(&world, 1);
    change(&world, "*.log", ", patterns: [{name: policy, regex: boom}]");
    world_append(&world, "a.log", "boom\n");
    world_append(&world, "b.log", "2\n");
    world_ticks(&world, 2);
    world_assert_stored(&world, "boom\nboom\n2\n");
    assert_true(world_value(&world, "logwatch_pattern_matches_total", ",pattern=own") == 2);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_arrive_once_when_they_are_whole),
        cmocka_unit_test(what_was_not_committed_is_read_again),
        cmocka_unit_test(rotations_lose_nothing),
        cmocka_unit_test(a_slow_writer_keeps_its_rotated_file),
        cmocka_unit_test(rotations_while_the_probe_is_down_lose_nothing),
        cmocka_unit_test(a_file_that_cannot_be_opened_at_the_start_is_read_later),
        cmocka_unit_test(a_file_that_goes_before_it_could_be_opened_is_lost_once),
        cmocka_unit_test(rotated_files_that_match_the_glob_are_not_new),
        cmocka_unit_test(truncation_begins_a_new_generation),
        cmocka_unit_test(a_folder_may_come_later),
        cmocka_unit_test(a_full_tick_keeps_the_rest_in_the_file),
        cmocka_unit_test(the_rate_limit_drops_and_counts_but_never_errors),
        cmocka_unit_test(settings_shape_what_is_read),
        cmocka_unit_test(an_overlong_line_is_cut_and_the_next_is_whole),
        cmocka_unit_test(random_deaths_and_rotations_lose_and_repeat_nothing),
        cmocka_unit_test(numbers_leave_masked_and_are_judged_as_written),
        cmocka_unit_test(bad_settings_name_their_line),
        cmocka_unit_test(files_of_a_policy_come_change_and_go_while_others_are_read_on),
        cmocka_unit_test(our_own_entry_holds_over_a_policys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
