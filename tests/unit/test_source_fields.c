/*
 * test_source_fields.c - series by hash, readings, and tables read line by line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "probe/source/procfile.h"
#include "probe/source/readings.h"
#include "tests/unit/fake_tree.h"
#include "tests/unit/recording_emitter.h"

static const struct metric metric = {"m", METRIC_GAUGE, "Help.", NULL};

static void add(struct readings *list, const char *name, double value)
{
    readings_add_one(list, &metric, value, "x", bytes_of(name));
}

static void readings_that_are_not_there_any_more_end(void **unused)
{
    (void)unused;
    struct emitter *out = recorder_new();
    struct readings list = {0};
    readings_begin(&list);
    add(&list, "a", 1);
    add(&list, "b", 2);
    assert_int_equal(readings_emit(&list, out), 0);
    assert_true(recorder_value(out, "m{x=\"b\"}") == 2);
    recorder_tick(out);
    readings_begin(&list);
    add(&list, "c", 4);
    add(&list, "b", 3);
    assert_int_equal(readings_emit(&list, out), 0);
    assert_true(recorder_ended(out, "m{x=\"a\"}"));
    assert_true(recorder_value(out, "m{x=\"b\"}") == 3);
    assert_true(recorder_value(out, "m{x=\"c\"}") == 4);
    recorder_tick(out);
    assert_int_equal(readings_emit(&list, out), 0);
    assert_int_equal(recorder_count(out), 2);
    readings_done(&list);
    recorder_free(out);
}

static void of_two_readings_alike_the_first_stays(void **unused)
{
    (void)unused;
    struct emitter *out = recorder_new();
    struct readings list = {0};
    readings_begin(&list);
    add(&list, "a", 1);
    add(&list, "a", 2);
    assert_int_equal(readings_emit(&list, out), 0);
    assert_true(recorder_value(out, "m{x=\"a\"}") == 1);
    readings_done(&list);
    recorder_free(out);
}

static void parts_of_a_hash_are_told_apart(void **unused)
{
    (void)unused;
    uint64_t left = field_hash(field_hash(FIELD_HASH, bytes_of("ab")), bytes_of("c"));
    uint64_t right = field_hash(field_hash(FIELD_HASH, bytes_of("a")), bytes_of("bc"));
    assert_true(left != right);
}

struct lines {
    size_t count, bytes, longest;
};

static void count_line(void *context, struct span line)
{
    struct lines *lines = context;
    lines->count++;
    lines->bytes += span_size(line);
    if (span_size(line) > lines->longest)
        lines->longest = span_size(line);
}

static struct lines lines_of(const char *text, size_t size)
{
    struct fake_tree tree;
    struct procfile file = {0};
    struct readbuf buf = {0};
    struct lines lines = {0};
    fake_tree_make(&tree);
    fake_tree_write_bytes(&tree, "proc/x", text, size);
    assert_int_equal(procfile_open(&file, tree.root, "proc/x"), 0);
    assert_int_equal(procfile_lines(&file, &buf, count_line, &lines), 0);
    procfile_close(&file);
    readbuf_done(&buf);
    fake_tree_done(&tree);
    return lines;
}

static void lines_are_whole_wherever_the_buffer_ends(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1, 7, 100, 4095, 4096, 16383, 65535, 65536, 65537};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t total = 300000, count = 0;
        char *text = malloc(total);
        memset(text, 'x', total);
        for (size_t at = sizes[i]; at < total; at += sizes[i] + 1) {
            text[at] = '\n';
            count++;
        }
        size_t rest = total - count * (sizes[i] + 1);
        struct lines lines = lines_of(text, total);
        assert_int_equal(lines.count, count + (rest > 0));
        if (sizes[i] < PROCFILE_LINE_BYTES)
            assert_int_equal(lines.bytes, total - count);
        assert_true(lines.longest <= PROCFILE_LINE_BYTES);
        free(text);
    }
    assert_int_equal(lines_of("", 0).count, 0);
    assert_int_equal(lines_of("a\n\nb", 4).count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readings_that_are_not_there_any_more_end),
        cmocka_unit_test(of_two_readings_alike_the_first_stays),
        cmocka_unit_test(parts_of_a_hash_are_told_apart),
        cmocka_unit_test(lines_are_whole_wherever_the_buffer_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
