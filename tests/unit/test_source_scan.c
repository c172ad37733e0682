/*
 * test_source_scan.c - the helpers all sources stand on: scanners, kernel files, tracked sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "probe/source/mounts.h"
#include "probe/source/pattern.h"
#include "probe/source/procfile.h"
#include "probe/source/scan.h"
#include "probe/source/tracked.h"
#include "proto/base/error.h"
#include "tests/unit/fake_tree.h"

static void numbers_are_read_up_to_64_bits_and_no_further(void **unused)
{
    (void)unused;
    static const struct {
        const char *because, *text;
        bool is_number;
        uint64_t value;
    } cases[] = {
        {"blanks before it are skipped", " \t42 7", true, 42},
        {"the largest fits", "18446744073709551615", true, UINT64_MAX},
        {"one more does not", "18446744073709551616", false, 0},
        {"many digits do not", "99999999999999999999999", false, 0},
        {"leading zeros mean nothing", "0000000000000000000000000001", true, 1},
        {"nothing is no number", "", false, 0},
        {"a word is no number", "kB", false, 0},
        {"a sign is no unsigned number", "-1", false, 0},
        {"a newline ends the line, it is no blank", "\n5", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span span = span_text(cases[i].text);
        uint64_t value = 77;
        if (scan_u64(&span, &value) != cases[i].is_number)
            fail_msg("%s: \"%s\"", cases[i].because, cases[i].text);
        if (value != (cases[i].is_number ? cases[i].value : 77))
            fail_msg("%s: \"%s\" gave %ju", cases[i].because, cases[i].text, (uintmax_t)value);
    }
}

static void signed_hex_and_decimal_numbers_are_read(void **unused)
{
    (void)unused;
    struct span span = span_text("-9223372036854775807 0x1303 12.34 .");
    int64_t number;
    uint64_t hex;
    double decimal;
    assert_true(scan_i64(&span, &number));
    assert_int_equal(number, -INT64_MAX);
    assert_true(scan_hex(&span, &hex));
    assert_int_equal(hex, 0x1303);
    assert_true(scan_decimal(&span, &decimal));
    assert_true(decimal == 12.34);
    assert_false(scan_decimal(&span, &decimal));
    span = span_text("--1");
    assert_false(scan_i64(&span, &number));
    span = span_text("- 1");
    assert_false(scan_i64(&span, &number));
    span = span_text("0x11112222333344445");
    assert_false(scan_hex(&span, &hex));
    span = span_text("0.1234567890123456");
    assert_false(scan_decimal(&span, &decimal));
}

static void a_last_line_without_newline_counts(void **unused)
{
    (void)unused;
    struct span text = span_text("a\n\nb"), line;
    assert_true(scan_line(&text, &line) && span_is(line, "a"));
    assert_true(scan_line(&text, &line) && span_is(line, ""));
    assert_true(scan_line(&text, &line) && span_is(line, "b"));
    assert_false(scan_line(&text, &line));
}

static void foreign_text_becomes_utf8_without_control_characters(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"eth0", "eth0"},
        {"烽燧", "烽燧"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
        {"cut \xe7\x83", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"a\nb\x1b[31m", "a b [31m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[64];
        size_t size = text_clean(bytes_of(cases[i].text), room, sizeof room);
        room[size] = '\0';
        assert_string_equal(room, cases[i].clean);
    }
    char small[4];
    assert_int_equal(text_clean(bytes_of("ab烽"), small, sizeof small), 2);
}

static void mount_points_lose_their_escapes(void **unused)
{
    (void)unused;
    struct mount_line mount;
    assert_true(mount_parse(
        span_text("/dev/sda1 /data\\040disk\\134x ext4 rw,errors=remount-ro 0 0"), &mount));
    assert_string_equal(mount.point, "/data disk\\x");
    assert_string_equal(mount.type, "ext4");
    assert_false(mount.is_readonly);
    assert_true(mount_parse(span_text("tmpfs /x tmpfs nosuid,ro"), &mount));
    assert_true(mount.is_readonly);
    assert_false(mount_parse(span_text("tmpfs /x tmpfs"), &mount));
    assert_false(mount_parse(span_text(""), &mount));
}

static void a_file_larger_than_the_buffer_is_read_whole(void **unused)
{
    (void)unused;
    struct fake_tree tree;
    struct procfile file = {0};
    struct readbuf buf = {0};
    struct span text;
    size_t size = 100000;
    char *content = malloc(size);
    assert_non_null(content);
    memset(content, 'x', size);
    fake_tree_make(&tree);
    fake_tree_write_bytes(&tree, "proc/big", content, size);
    assert_int_equal(procfile_open(&file, tree.root, "proc/big"), 0);
    assert_int_equal(procfile_read(&file, &buf, &text), 0);
    assert_int_equal(span_size(text), size);
    fake_tree_write(&tree, "proc/big", "now small");
    assert_int_equal(procfile_read(&file, &buf, &text), 0);
    assert_true(span_is(text, "now small"));
    assert_int_equal(procfile_read_path(tree.root, "proc/none", &buf, &text), ERR_NOTFOUND);
    procfile_close(&file);
    procfile_close(NULL);
    readbuf_done(&buf);
    free(content);
    fake_tree_done(&tree);
}

static void note_gone(void *value, void *context)
{
    (void)value;
    ++*(int *)context;
}

static void what_is_not_met_again_is_swept(void **unused)
{
    (void)unused;
    struct tracked set = {.value_bytes = sizeof(int), .limit = 3};
    bool is_new;
    int gone = 0;
    tracked_begin(&set);
    int *a = tracked_touch(&set, bytes_of("a"), &is_new);
    assert_true(is_new);
    assert_int_equal(*a, 0);
    *a = 5;
    assert_non_null(tracked_touch(&set, bytes_of("b"), &is_new));
    assert_non_null(tracked_touch(&set, bytes_of(""), &is_new));
    assert_null(tracked_touch(&set, bytes_of("beyond the limit"), &is_new));
    tracked_begin(&set);
    assert_ptr_equal(tracked_touch(&set, bytes_of("a"), &is_new), a);
    assert_false(is_new);
    assert_non_null(tracked_find(&set, bytes_of("b"))); /* and is not met by that */
    assert_null(tracked_find(&set, bytes_of("c")));
    tracked_sweep(&set, note_gone, &gone);
    assert_int_equal(gone, 2);
    assert_int_equal(set.count, 1);
    assert_int_equal(*(int *)tracked_at(&set, 0), 5);
    assert_true(bytes_equal(tracked_key(a), bytes_of("a")));
    tracked_done(&set, note_gone, &gone);
    assert_int_equal(gone, 3);
}

static void patterns_are_bounded_and_explain_their_errors(void **unused)
{
    (void)unused;
    struct pattern *pattern;
    struct diagnosis why = {0};
    assert_int_equal(pattern_new("a(b", &pattern, &why), ERR_INVALID);
    assert_non_null(strstr(why.text, "character 4"));
    /* Backtracks exponentially: given up, not waited for. */
    assert_int_equal(pattern_new("^(a+)+$", &pattern, NULL), 0);
    char text[64];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '!';
    assert_false(pattern_matches(pattern, (struct bytes){(uint8_t *)text, sizeof text}));
    assert_true(pattern_matches(pattern, bytes_of("aaa")));
    assert_false(pattern_matches(pattern, (struct bytes){0}));
    pattern_free(pattern);
    assert_false(pattern_matches(NULL, bytes_of("x")));

    assert_int_equal(pattern_new("app=(?P<app>\\w+)", &pattern, NULL), 0);
    struct bytes line = bytes_of("java -Dapp=oss x");
    assert_true(pattern_matches(pattern, line));
    assert_true(bytes_equal(pattern_capture(pattern, line, "app"), bytes_of("oss")));
    assert_int_equal(pattern_capture(pattern, line, "none").size, 0);
    pattern_free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_up_to_64_bits_and_no_further),
        cmocka_unit_test(signed_hex_and_decimal_numbers_are_read),
        cmocka_unit_test(a_last_line_without_newline_counts),
        cmocka_unit_test(foreign_text_becomes_utf8_without_control_characters),
        cmocka_unit_test(mount_points_lose_their_escapes),
        cmocka_unit_test(a_file_larger_than_the_buffer_is_read_whole),
        cmocka_unit_test(what_is_not_met_again_is_swept),
        cmocka_unit_test(patterns_are_bounded_and_explain_their_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
