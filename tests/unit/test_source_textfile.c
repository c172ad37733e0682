/*
 * test_source_textfile.c - metrics in files: what counts, what is left out and told, what ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct fake_tree tree;
    struct emitter *out;
    struct running_source running;
};

static void open_fixture(struct fixture *f)
{
    char yaml[256];
    *f = (struct fixture){.out = recorder_new()};
    fake_tree_make(&f->tree);
    fake_tree_write(&f->tree, "a/.keep", "");
    fake_tree_write(&f->tree, "b/.keep", "");
    snprintf(yaml, sizeof yaml, "{directories: [%s/a, %s/b]}", f->tree.root, f->tree.root);
    assert_int_equal(running_source_start(&f->running, source_find("textfile"), f->tree.root,
                                          yaml, f->out, NULL),
                     0);
}

static void close_fixture(struct fixture *f)
{
    running_source_stop(&f->running);
    recorder_free(f->out);
    fake_tree_done(&f->tree);
}

/* Beside its place, then renamed: what a good writer does. */
static void put(const struct fixture *f, const char *path, const char *text)
{
    char from[256], to[256];
    fake_tree_write(&f->tree, "written", text);
    snprintf(from, sizeof from, "%s/written", f->tree.root);
    snprintf(to, sizeof to, "%s/%s", f->tree.root, path);
    assert_int_equal(rename(from, to), 0);
}

static void tick(struct fixture *f)
{
    recorder_tick(f->out);
    assert_int_equal(running_source_tick(&f->running, T0, f->out), 0);
}

static void expect(const struct fixture *f, const char *series, double value)
{
    double got = recorder_value(f->out, series);
    if (!(got == value))
        fail_msg("%s is %.17g, not %.17g", series, got, value);
}

static const char *complaint(const struct fixture *f)
{
    const char *text = f->running.source->complaint(f->running.state);
    return text != NULL ? text : "";
}

static void files_are_read_when_they_change_and_their_series_end_with_them(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    put(&f, "a/one.prom",
        "# HELP jobs Jobs.\n# TYPE jobs gauge\njobs{queue=\"x\"} 3\njobs 4\n");
    put(&f, "b/two.prom", "other 1\n");
    put(&f, "a/not.txt", "ignored 1\n");
    tick(&f);
    expect(&f, "jobs{queue=\"x\"}", 3);
    expect(&f, "jobs", 4);
    expect(&f, "other", 1);
    expect(&f, "node_textfile_scrape_error", 0);
    assert_int_equal(recorder_count(f.out), 3 + 1 + 2);
    tick(&f);
    expect(&f, "jobs", 4);
    put(&f, "a/one.prom", "# HELP jobs Jobs.\n# TYPE jobs gauge\njobs 5\n");
    tick(&f);
    expect(&f, "jobs", 5);
    assert_true(recorder_ended(f.out, "jobs{queue=\"x\"}"));
    fake_tree_remove(&f.tree, "b/two.prom");
    tick(&f);
    assert_true(recorder_ended(f.out, "other"));
    expect(&f, "jobs", 5);
    assert_int_equal(recorder_count(f.out), 1 + 1 + 1);
    close_fixture(&f);
}

static const struct bad_case {
    const char *because, *text, *told;
} bad_cases[] = {
    {"one bad line costs the file", "good 1\nbad line here\n", "bad.prom:2"},
    {"a timestamp is refused, as node_exporter does", "late 1 1441205977284\n", "timestamp"},
    {"a file that ends within a line is being written", "good 1\ncut 12", "within a line"},
};

static void a_bad_file_counts_not_at_all_and_costs_no_other(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        struct fixture f;
        open_fixture(&f);
        put(&f, "a/fine.prom", "fine 7\n");
        put(&f, "a/bad.prom", bad_cases[i].text);
        tick(&f);
        expect(&f, "fine", 7);
        expect(&f, "node_textfile_scrape_error", 1);
        if (recorder_count(f.out) != 3)
            fail_msg("%s: %zu values", bad_cases[i].because, recorder_count(f.out));
        if (strstr(complaint(&f), bad_cases[i].told) == NULL)
            fail_msg("%s: told is \"%s\"", bad_cases[i].because, complaint(&f));
        put(&f, "a/bad.prom", "good 1\n");
        tick(&f);
        expect(&f, "good", 1);
        expect(&f, "node_textfile_scrape_error", 0);
        assert_string_equal(complaint(&f), "");
        close_fixture(&f);
    }
}

static void files_that_disagree_on_a_metric_leave_the_later_one_out(void **unused)
{
    (void)unused;
    static const struct {
        const char *because, *first, *second;
        bool is_left_out;
    } cases[] = {
        {"the same help", "# HELP m A.\n# TYPE m gauge\nm{f=\"a\"} 1\n",
         "# HELP m A.\n# TYPE m gauge\nm{f=\"b\"} 2\n", false},
        {"another help", "# HELP m A.\n# TYPE m gauge\nm{f=\"a\"} 1\n",
         "# HELP m B.\n# TYPE m gauge\nm{f=\"b\"} 2\n", true},
        {"no help in one", "# TYPE m gauge\nm{f=\"a\"} 1\n",
         "# HELP m B.\n# TYPE m gauge\nm{f=\"b\"} 2\n", false},
        {"another type", "# TYPE m gauge\nm{f=\"a\"} 1\n", "# TYPE m counter\nm{f=\"b\"} 2\n",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        open_fixture(&f);
        put(&f, "a/1.prom", cases[i].first);
        put(&f, "a/2.prom", cases[i].second);
        tick(&f);
        expect(&f, "m{f=\"a\"}", 1);
        if (recorder_has(f.out, "m{f=\"b\"}") == cases[i].is_left_out)
            fail_msg("%s", cases[i].because);
        expect(&f, "node_textfile_scrape_error", cases[i].is_left_out);
        close_fixture(&f);
    }
}

static void of_two_samples_alike_the_first_counts_and_it_is_told(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    put(&f, "a/1.prom", "m{x=\"1\"} 1\n");
    put(&f, "b/2.prom", "m{x=\"1\"} 2\n");
    tick(&f);
    expect(&f, "m{x=\"1\"}", 1);
    expect(&f, "node_textfile_scrape_error", 1);
    assert_non_null(strstr(complaint(&f), "first counts"));
    close_fixture(&f);
}

static void a_named_folder_that_is_not_there_is_an_error_until_it_is(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    fake_tree_remove(&f.tree, "b");
    put(&f, "a/1.prom", "m 1\n");
    tick(&f);
    expect(&f, "m", 1);
    expect(&f, "node_textfile_scrape_error", 1);
    assert_non_null(strstr(complaint(&f), "/b"));
    fake_tree_write(&f.tree, "b/2.prom", "n 2\n");
    tick(&f);
    expect(&f, "n", 2);
    expect(&f, "node_textfile_scrape_error", 0);
    close_fixture(&f);
}

static void what_is_no_file_does_not_hang_the_probe(void **unused)
{
    (void)unused;
    struct fixture f;
    char path[256];
    open_fixture(&f);
    snprintf(path, sizeof path, "%s/a/pipe.prom", f.tree.root);
    assert_int_equal(mkfifo(path, 0644), 0);
    snprintf(path, sizeof path, "%s/a/folder.prom", f.tree.root);
    assert_int_equal(mkdir(path, 0755), 0);
    put(&f, "a/1.prom", "m 1\n");
    tick(&f);
    expect(&f, "m", 1);
    expect(&f, "node_textfile_scrape_error", 1);
    close_fixture(&f);
}

static void histograms_keep_their_parts_and_escapes_are_undone(void **unused)
{
    (void)unused;
    struct fixture f;
    open_fixture(&f);
    put(&f, "a/1.prom",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\n"
        "h_count 3\nw{path=\"C:\\\\x\\ny\",empty=\"\"} NaN\n");
    tick(&f);
    expect(&f, "h_bucket{le=\"+Inf\"}", 3);
    expect(&f, "h_sum", 4.5);
    assert_true(recorder_has(f.out, "w{path=\"C:\\\\x\\ny\"}"));
    expect(&f, "node_textfile_scrape_error", 0);
    close_fixture(&f);
}

/* The limit of all files together: the file that goes past it is left out whole. */
static void there_is_a_limit_to_what_files_may_say(void **unused)
{
    (void)unused;
    enum { LINES = 10001 };
    struct fixture f;
    char *text = malloc(LINES * 24), *at = text;
    open_fixture(&f);
    for (int i = 0; i < LINES; i++)
        at += sprintf(at, "m{i=\"%d\"} 1\n", i);
    put(&f, "a/many.prom", text);
    put(&f, "b/one.prom", "n 1\n");
    tick(&f);
    expect(&f, "n", 1);
    expect(&f, "node_textfile_scrape_error", 1);
    assert_int_equal(recorder_count(f.out), 3);
    free(text);
    close_fixture(&f);
}

/* The same for the room that all texts take. */
static void texts_that_take_too_much_room_leave_their_file_out(void **unused)
{
    (void)unused;
    enum { LINES = 800, VALUE_BYTES = 3000 };
    struct fixture f;
    char *text = malloc(LINES * (VALUE_BYTES + 24)), *at = text;
    open_fixture(&f);
    for (int i = 0; i < LINES; i++)
        at += sprintf(at, "%c{i=\"%0*d\"} 1\n", 'm', VALUE_BYTES, i);
    put(&f, "a/1.prom", text);
    for (at = text; (at = strchr(at, 'm')) != NULL;)
        *at = 'n';
    put(&f, "b/2.prom", text);
    put(&f, "b/3.prom", "o 1\n");
    tick(&f);
    expect(&f, "o", 1);
    expect(&f, "node_textfile_scrape_error", 1);
    assert_int_equal(recorder_count(f.out), LINES + 4);
    free(text);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_when_they_change_and_their_series_end_with_them),
        cmocka_unit_test(a_bad_file_counts_not_at_all_and_costs_no_other),
        cmocka_unit_test(files_that_disagree_on_a_metric_leave_the_later_one_out),
        cmocka_unit_test(of_two_samples_alike_the_first_counts_and_it_is_told),
        cmocka_unit_test(a_named_folder_that_is_not_there_is_an_error_until_it_is),
        cmocka_unit_test(what_is_no_file_does_not_hang_the_probe),
        cmocka_unit_test(histograms_keep_their_parts_and_escapes_are_undone),
        cmocka_unit_test(there_is_a_limit_to_what_files_may_say),
        cmocka_unit_test(texts_that_take_too_much_room_leave_their_file_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
