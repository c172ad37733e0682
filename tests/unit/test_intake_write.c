/*
 * test_intake_write.c - what is gathered and flies has a bound, of all streams together.
 *
 * What can go wrong: samples that are not counted as a write grows, or still are when it is gone;
 * then messages would wait too late, or for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/ingest/state.h"

#define STREAMS     4
#define SAMPLES_MAX ((size_t)1 << 22) /* far more than may be held */

static struct ingest ingest;
static struct stream streams[STREAMS];

/* One at a time or many at once, until no more are to come. */
static size_t fill(void)
{
    size_t samples = 0;
    for (size_t i = 0; !intake_is_full(&ingest) && samples < SAMPLES_MAX; i++) {
        struct intake_write *write = intake_write_of(&ingest, NULL, &streams[i % STREAMS]);
        assert_non_null(write);
        if (i % 3 == 0)
            assert_int_equal(intake_hold_samples(write, 500), 0);
        for (size_t k = 0; k < 200; k++, samples++)
            assert_int_equal(intake_add_sample(write, NULL, (int64_t)k, 1), 0);
    }
    return samples;
}

static void what_is_held_counts_until_it_goes(void **state)
{
    (void)state;
    ingest.flying_count = 1;
    for (int round = 0; round < 3; round++) {
        const size_t samples = fill();
        assert_true(samples < SAMPLES_MAX);
        assert_true(ingest.held_bytes >= samples * sizeof(struct store_sample));
        for (size_t i = 0; i < STREAMS; i++) {
            intake_write_free(streams[i].gathering);
            streams[i].gathering = NULL;
            assert_true(i + 1 < STREAMS || !intake_is_full(&ingest));
        }
        assert_int_equal(ingest.held_bytes, 0);
    }
}

/* Nothing would end it. */
static void nobody_waits_while_nothing_flies(void **state)
{
    (void)state;
    ingest.flying_count = 1;
    (void)fill();
    assert_true(intake_is_full(&ingest));
    ingest.flying_count = 0;
    assert_false(intake_is_full(&ingest));
    for (size_t i = 0; i < STREAMS; i++) {
        intake_write_free(streams[i].gathering);
        streams[i].gathering = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_counts_until_it_goes),
        cmocka_unit_test(nobody_waits_while_nothing_flies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
