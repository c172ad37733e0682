#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/arena.h"
#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"
#include "proto/base/error.h"
#include "proto/base/file.h"
#include "proto/base/units.h"

static void an_arena_never_takes_more_than_its_limit(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 10000);
    size_t got = 0;
    while (arena_alloc(&arena, 100, 1) != NULL)
        got += 100;
    assert_true(got > 8000 && got <= 10000);
    assert_true(arena.held_bytes <= 10000);
    assert_null(arena_alloc(&arena, SIZE_MAX / 2, 16));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1, 1));
    arena_reset(&arena);
}

static void an_arena_that_is_rewound_keeps_what_it_took_in_one_piece(void **state)
{
    struct arena_total total = {.limit_bytes = 40000};
    struct arena arena;
    (void)state;
    arena_init(&arena, 100000);
    arena.total = &total;
    for (int i = 0; i < 5; i++) /* chunks of their own */
        assert_non_null(arena_alloc(&arena, 3000, 1));
    arena_rewind(&arena);
    size_t held_bytes = arena.held_bytes;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            assert_non_null(arena_alloc(&arena, 3000, 1));
        assert_int_equal(arena.held_bytes, held_bytes);
        assert_null(arena_alloc(&arena, 30000, 1));
        assert_true(arena.total_refused);
        arena_rewind(&arena);
        assert_false(arena.total_refused);
    }
    assert_int_equal(total.held_bytes, held_bytes);
    arena_reset(&arena);
    assert_int_equal(total.held_bytes, 0);
}

static void count_end(void *count)
{
    ++*(int *)count;
}

static void what_an_arena_leases_ends_with_it_and_counts(void **state)
{
    struct arena_total total = {.limit_bytes = 40000};
    struct arena one;
    struct arena other;
    int ended = 0;
    (void)state;
    arena_init(&one, 30000);
    arena_init(&other, 30000);
    one.total = other.total = &total;
    assert_true(arena_lease(&one, 10000, count_end, &ended));
    assert_true(one.held_bytes >= 10000);
    assert_false(arena_lease(&one, 20000, count_end, &ended)); /* its own limit */
    assert_true(arena_lease(&other, 10000, count_end, &ended));
    assert_false(arena_lease(&other, 12000, count_end, &ended)); /* both together */
    assert_int_equal(total.held_bytes, one.held_bytes + other.held_bytes);
    other.limit_bytes = 15000;
    one.limit_bytes = 50000;
    arena_join(&one, &other);
    arena_reset(&other);
    assert_int_equal(ended, 0);
    arena_rewind(&one);
    assert_int_equal(ended, 2);
    assert_int_equal(total.held_bytes, one.held_bytes);
    assert_true(arena_lease(&one, 1, count_end, &ended));
    arena_reset(&one);
    assert_int_equal(ended, 3);
    assert_int_equal(total.held_bytes, 0);
}

static void a_share_grows_within_a_total(void **state)
{
    struct arena_total all = {.limit_bytes = 1000};
    struct arena_total part = {.limit_bytes = 600, .parent = &all};
    struct arena_share one = {.total = &part};
    struct arena_share other = {.total = &all};
    struct arena_share free_one = {.held_bytes = 0};
    (void)state;
    assert_true(arena_share_hold(&one, 500));
    assert_false(arena_share_hold(&one, 200));
    assert_false(one.total_refused); /* the part did */
    assert_true(arena_share_hold(&other, 450));
    assert_false(arena_share_hold(&one, 100));
    assert_true(one.total_refused);
    assert_int_equal(all.held_bytes, 950);
    arena_share_release(&one);
    arena_share_release(&one);
    assert_int_equal(part.held_bytes, 0);
    assert_int_equal(all.held_bytes, 450);
    assert_true(arena_share_hold(&one, 550));
    arena_share_release(&one);
    arena_share_release(&other);
    assert_int_equal(all.held_bytes, 0);
    assert_true(arena_share_hold(&free_one, SIZE_MAX / 2));
    arena_share_release(&free_one);
}

static void arenas_share_a_total(void **state)
{
    struct arena_total total = {.limit_bytes = 12000};
    struct arena one;
    struct arena other;

    (void)state;
    arena_init(&one, 100000);
    arena_init(&other, 100000);
    one.total = &total;
    other.total = &total;
    assert_non_null(arena_alloc(&one, 6000, 1));
    assert_null(arena_alloc(&other, 6000, 1));
    assert_true(other.total_refused && !one.total_refused);
    assert_int_equal(other.held_bytes, 0);
    assert_non_null(arena_alloc(&other, 100, 1)); /* there is some left */
    arena_reset(&one);
    assert_non_null(arena_alloc(&other, 5000, 1));
    arena_reset(&other);
    assert_false(other.total_refused);
    assert_int_equal(total.held_bytes, 0);
    /* Within a share of it, and joined to one that counts there alone. */
    struct arena_total part = {.limit_bytes = 8000, .parent = &total};
    arena_init(&one, 100000);
    arena_init(&other, 100000);
    one.total = &total;
    other.total = &part;
    assert_non_null(arena_alloc(&one, 100, 1));
    char *kept = arena_alloc(&other, 100, 1);
    assert_null(arena_alloc(&other, 5000, 1));
    assert_false(other.total_refused); /* by the part */
    strcpy(kept, "kept");
    arena_join(&one, &other);
    assert_int_equal(other.held_bytes, 0);
    assert_int_equal(one.held_bytes, total.held_bytes);
    assert_string_equal(kept, "kept");
    arena_reset(&one);
    assert_int_equal(total.held_bytes, 0);
    arena_init(&one, 100);
    one.total = &total; /* its own limit comes first */
    assert_null(arena_alloc(&one, 1000, 1));
    assert_false(one.total_refused);
}

static void integers_survive_a_round_trip(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    struct buf buf = {0};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        buf_put_varint(&buf, values[i]);
        buf_put_zigzag(&buf, (int64_t)values[i]);
        buf_put_u64(&buf, values[i]);
    }
    struct reader reader = reader_of(buf_bytes(&buf));
    for (size_t i = 0; i < 8; i++) {
        assert_true(reader_varint(&reader) == values[i]);
        assert_true(reader_zigzag(&reader) == (int64_t)values[i]);
        assert_true(reader_u64(&reader) == values[i]);
    }
    assert_false(reader.failed);
    assert_int_equal(reader_left(&reader), 0);
    (void)reader_u8(&reader);
    assert_true(reader.failed);
    buf_done(&buf);
}

static void a_varint_of_eleven_bytes_fails(void **state)
{
    const uint8_t bytes[11] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    struct reader reader = reader_of((struct bytes){bytes, sizeof bytes});
    (void)state;
    (void)reader_varint(&reader);
    assert_true(reader.failed);
}

static void a_buffer_past_its_limit_stays_failed(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 300);
    for (int i = 0; i < 301; i++)
        buf_put_u8(&buf, 1);
    assert_false(buf_ok(&buf));
    assert_int_equal(buf.size, 300);
    buf_clear(&buf);
    buf_put_text(&buf, "again");
    assert_string_equal(buf_text(&buf), "again");
    buf_done(&buf);
}

static void a_buffer_counts_what_it_has_room_for(void **state)
{
    struct arena_total all = {.limit_bytes = 10000};
    struct arena_total part = {.limit_bytes = 5000, .parent = &all};
    struct buf buf = {.total = &part};
    struct buf other = {.total = &all};
    (void)state;
    for (int i = 0; i < 4500; i++) /* doubled, the room would be more than is left */
        buf_put_u8(&buf, 1);
    assert_true(buf_ok(&buf) && buf.capacity >= 4500);
    assert_int_equal(part.held_bytes, buf.capacity);
    assert_int_equal(all.held_bytes, buf.capacity);
    assert_null(buf_reserve(&buf, 2000));
    assert_false(buf.total_refused); /* by the part */
    assert_null(buf_reserve(&other, 9000));
    assert_true(other.failed && other.total_refused);
    assert_int_equal(all.held_bytes, buf.capacity);
    struct buf moved = buf;
    buf = (struct buf){.total = &part};
    buf_done(&moved);
    assert_int_equal(all.held_bytes, 0);
    buf_clear(&other);
    assert_non_null(buf_reserve(&other, 8000));
    assert_false(other.total_refused);
    buf_done(&other);
    buf_put_text(&other, "again"); /* the total stays */
    assert_int_equal(all.held_bytes, other.capacity);
    buf_done(&other);
    assert_int_equal(all.held_bytes, 0);
    assert_int_equal(part.held_bytes, 0);
}

static void durations_read_and_print_as_prometheus_does(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } good[] = {
        {"15s", 15000, "15s"},        {"1h30m", 5400000, "1h30m"}, {"0", 0, "0s"},
        {"90m", 5400000, "1h30m"},    {"1d", 86400000, "1d"},      {"7d", 604800000, "1w"},
        {"1y", 31536000000, "1y"},    {"100ms", 100, "100ms"},     {"1500ms", 1500, "1s500ms"},
        {"25h", 90000000, "1d1h"},    {"3d12h", 302400000, "3d12h"}, {"400d", 34560000000, "400d"},
    };
    static const char *const bad[] = {"", "5", "s", "1x", "1m1h", "1.5s", "-1s", "1s1s", "1 s"};
    int64_t ms;
    char text[DURATION_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(duration_parse(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
        assert_string_equal(duration_format(ms, text), good[i].printed);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(duration_parse(bad[i], &ms), ERR_MALFORMED);
    assert_int_equal(duration_parse("9999999999999y", &ms), ERR_LIMIT);
}

static void sizes_need_a_binary_unit(void **state)
{
    uint64_t bytes;
    (void)state;
    assert_int_equal(size_parse("64MiB", &bytes), 0);
    assert_int_equal(bytes, 64 << 20);
    char text[SIZE_TEXT_BYTES];
    assert_string_equal(size_format(bytes, text), "64MiB");
    assert_string_equal(size_format(1536 * 1024, text), "1536KiB");
    assert_string_equal(size_format(1001, text), "1001B");
    assert_string_equal(size_format(UINT64_C(5000) << 40, text), "5000TiB");
    assert_string_equal(size_format(0, text), "0");
    assert_int_equal(size_parse("64MB", &bytes), ERR_MALFORMED);
    assert_int_equal(size_parse("64", &bytes), ERR_MALFORMED);
    assert_int_equal(size_parse("9000000000TiB", &bytes), ERR_LIMIT);
}

static void the_nearest_name_is_found_and_a_far_one_is_not(void **state)
{
    static const char *const names[] = {"rate", "irate", "increase", "sum_over_time"};
    (void)state;
    assert_string_equal(nearest_name("raet", names, 4), "rate");
    assert_string_equal(nearest_name("sum_over_tme", names, 4), "sum_over_time");
    assert_null(nearest_name("quantile", names, 4));
}

static void the_first_diagnosis_stays(void **state)
{
    struct diagnosis why = {0};
    (void)state;
    assert_int_equal(diagnose(&why, ERR_IO, "first %d", 1), ERR_IO);
    assert_int_equal(diagnose(&why, ERR_LIMIT, "second"), ERR_LIMIT);
    assert_string_equal(why.text, "first 1");
    assert_int_equal(diagnose(NULL, ERR_IO, "nobody listens"), ERR_IO);
}

/* -- files whose writes fail ---------------------------------------------------------------- */

struct failing {
    int left; /* calls that still work */
};

static ssize_t failing_write(void *context, int fd, const void *data, size_t size, off_t offset)
{
    struct failing *failing = context;
    if (failing->left-- <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, data, size > 3 ? 3 : size, offset); /* short writes on purpose */
}

static int failing_sync(void *context, int fd)
{
    struct failing *failing = context;
    (void)fd;
    if (failing->left-- > 0)
        return 0;
    errno = EIO;
    return -1;
}

static int failing_rename(void *context, const char *from, const char *to)
{
    struct failing *failing = context;
    if (failing->left-- > 0)
        return rename(from, to);
    errno = EIO;
    return -1;
}

static int plain_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path);
}

static void an_atomic_write_leaves_the_old_or_the_new_wherever_it_fails(void **state)
{
    char folder[] = "test_base.XXXXXX";
    char path[64];
    struct failing failing = {0};
    const struct file_io io = {failing_write, failing_sync, failing_rename, plain_unlink,
                               &failing};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(file_write_atomic(&file_io_system, path, bytes_of("old"), 0600, NULL), 0);

    int error = ERR_IO;
    for (int calls = 0; error != 0; calls++) {
        char *text;
        struct diagnosis why = {0};
        failing.left = calls;
        error = file_write_atomic(&io, path, bytes_of("the new content"), 0600, &why);
        assert_int_equal(file_read_whole(path, 100, &text, NULL, NULL), 0);
        if (error != 0) {
            assert_non_null(strstr(why.text, path));
            assert_true(strcmp(text, "old") == 0 || strcmp(text, "the new content") == 0);
        } else {
            assert_string_equal(text, "the new content");
            assert_true(calls > 5); /* it really failed on the way */
        }
        free(text);
        assert_true(calls < 100);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* no temporary file is left */
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
    char path[] = "test_base.XXXXXX";
    char *text;
    struct diagnosis why = {0};
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "token\n", 6), 6);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_read_secret(path, 100, &text, NULL), 0);
    assert_string_equal(text, "token");
    free(text);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(file_read_secret(path, 100, &text, &why), ERR_REFUSED);
    assert_non_null(strstr(why.text, "chmod 600"));
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_never_takes_more_than_its_limit),
        cmocka_unit_test(an_arena_that_is_rewound_keeps_what_it_took_in_one_piece),
        cmocka_unit_test(what_an_arena_leases_ends_with_it_and_counts),
        cmocka_unit_test(a_share_grows_within_a_total),
        cmocka_unit_test(arenas_share_a_total),
        cmocka_unit_test(integers_survive_a_round_trip),
        cmocka_unit_test(a_varint_of_eleven_bytes_fails),
        cmocka_unit_test(a_buffer_past_its_limit_stays_failed),
        cmocka_unit_test(a_buffer_counts_what_it_has_room_for),
        cmocka_unit_test(durations_read_and_print_as_prometheus_does),
        cmocka_unit_test(sizes_need_a_binary_unit),
        cmocka_unit_test(the_nearest_name_is_found_and_a_far_one_is_not),
        cmocka_unit_test(the_first_diagnosis_stays),
        cmocka_unit_test(an_atomic_write_leaves_the_old_or_the_new_wherever_it_fails),
        cmocka_unit_test(a_secret_that_others_can_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
