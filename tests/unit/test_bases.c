/*
 * test_bases.c - the batches a stream took last come back as they were.
 *
 * What can go wrong: an older one is made of the wrong newer ones; a value that differs in its
 * bits alone (a negative zero, a NaN's payload) is taken for the same; refs that change in
 * between, or are shared with a batch that goes; a batch that is too old, or kept twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/ingest/bases.h"

#define SAMPLES_MAX 70
#define BATCHES     40

struct batch {
    uint64_t refs[SAMPLES_MAX];
    double values[SAMPLES_MAX];
    size_t count;
};

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static double any_value(uint64_t *random)
{
    static const uint64_t bits[] = {0, UINT64_C(1) << 63, UINT64_C(0x7FF8000000000001),
                                    UINT64_C(0x7FF0000000000002), UINT64_C(0x3FF0000000000000)};
    double value;
    memcpy(&value, &bits[next(random) % 5], sizeof value);
    return value;
}

static void make_batch(struct batch *batch, const struct batch *before, uint64_t *random)
{
    *batch = *before;
    if (next(random) % 5 == 0) { /* other refs, in runs or not */
        uint64_t ref = next(random) % 4;
        batch->count = next(random) % (SAMPLES_MAX + 1);
        for (size_t i = 0; i < batch->count; i++) {
            batch->refs[i] = ref;
            ref += next(random) % 6 == 0 ? 1 + next(random) % 9 : 1;
        }
    }
    for (size_t i = 0; i < batch->count; i++)
        if (next(random) % 3 == 0)
            batch->values[i] = any_value(random);
}

static void assert_found(const struct bases *bases, uint64_t number, const struct batch *batch,
                         struct arena *arena)
{
    struct sample_columns found;
    assert_true(bases_find(bases, number, arena, &found));
    assert_int_equal(found.count, batch->count);
    if (batch->count == 0)
        return;
    assert_memory_equal(found.refs, batch->refs, batch->count * sizeof batch->refs[0]);
    assert_memory_equal(found.values, batch->values, batch->count * sizeof batch->values[0]);
}

static struct sample_columns columns_of(const struct batch *batch)
{
    return (struct sample_columns){batch->refs, batch->values, batch->count};
}

static void the_last_ones_come_back(void **state)
{
    (void)state;
    static struct batch batches[BATCHES + 1];
    struct sample_columns none;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15);
        struct bases bases = {0};
        batches[0] = (struct batch){.count = 0};
        assert_false(bases_find(&bases, 0, &arena, &none));
        for (uint64_t number = 1; number <= BATCHES; number++) {
            make_batch(&batches[number], &batches[number - 1], &random);
            const struct sample_columns columns = columns_of(&batches[number]);
            bases_keep(&bases, number, &columns);
            for (uint64_t old = number; old > 0 && old + BASES_KEPT > number; old--)
                assert_found(&bases, old, &batches[old], &arena);
            assert_false(bases_find(&bases, 0, &arena, &none));
            if (number > BASES_KEPT)
                assert_false(bases_find(&bases, number - BASES_KEPT, &arena, &none));
            arena_reset(&arena);
        }
        bases_done(&bases);
    }
}

static void one_that_is_kept_stays_as_it_is(void **state)
{
    (void)state;
    struct bases bases = {0};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const struct batch first = {{0, 1, 7}, {1, 2, 3}, 3}, second = {{0, 1, 7}, {1, 2, 4}, 3};
    const struct sample_columns a = columns_of(&first), b = columns_of(&second);
    bases_keep(&bases, 5, &a);
    bases_keep(&bases, 6, &b);
    bases_keep(&bases, 5, &b);
    assert_found(&bases, 5, &first, &arena);
    assert_found(&bases, 6, &second, &arena);
    arena_reset(&arena);
    bases_done(&bases);
}

static void an_arena_without_room_finds_none(void **state)
{
    (void)state;
    struct bases bases = {0};
    struct arena arena;
    struct sample_columns found;
    const struct batch batch = {{0, 1, 7}, {1, 2, 3}, 3};
    const struct sample_columns columns = columns_of(&batch);
    arena_init(&arena, 1);
    bases_keep(&bases, 1, &columns);
    assert_false(bases_find(&bases, 1, &arena, &found));
    bases_done(&bases);
}

/* Four whole ones, refs and all, would be 64 bytes a sample. */
static void older_ones_take_little(void **state)
{
    (void)state;
    enum { COUNT = 800 };
    static uint64_t refs[COUNT];
    static double values[COUNT];
    struct bases bases = {0};
    for (size_t i = 0; i < COUNT; i++)
        refs[i] = i + i / 100;
    for (uint64_t number = 1; number <= 10; number++) {
        for (size_t i = 0; i < COUNT; i += 4)
            values[i] += 1;
        bases_keep(&bases, number, &(struct sample_columns){refs, values, COUNT});
    }
    assert_in_range(bases_bytes(&bases), COUNT * 8, COUNT * 15);
    bases_done(&bases);
}

/* A tick of many parts pushes none of them out: each keeps its own last ones. */
static void each_part_has_its_own(void **state)
{
    struct bases bases = {0};
    struct arena arena;
    uint64_t number = 0;
    (void)state;

    for (uint64_t tick = 1; tick <= BASES_KEPT + 1; tick++)
        for (uint64_t part = 0; part <= BATCH_PARTS_MAX; part++) {
            const uint64_t ref = part * BATCH_SAMPLES_MAX + 3;
            const double value = (double)(tick * 100 + part);
            const struct sample_columns samples = {&ref, &value, 1};
            bases_keep(&bases, ++number, &samples);
        }
    arena_init(&arena, 1 << 20);
    for (uint64_t part = 0; part < BATCH_PARTS_MAX - 1; part++)
        for (uint64_t tick = 1; tick <= BASES_KEPT + 1; tick++) {
            struct sample_columns found;
            bool is_kept = bases_find(&bases, (tick - 1) * (BATCH_PARTS_MAX + 1) + part + 1, &arena,
                                      &found);
            assert_int_equal(is_kept, tick > 1);
            if (is_kept) {
                assert_int_equal(found.refs[0], part * BATCH_SAMPLES_MAX + 3);
                assert_true(found.values[0] == (double)(tick * 100 + part));
            }
        }
    assert_true(bases_bytes(&bases) > 0);
    arena_reset(&arena);
    bases_done(&bases);
    assert_int_equal(bases_bytes(&bases), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_ones_come_back),
        cmocka_unit_test(one_that_is_kept_stays_as_it_is),
        cmocka_unit_test(an_arena_without_room_finds_none),
        cmocka_unit_test(older_ones_take_little),
        cmocka_unit_test(each_part_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
