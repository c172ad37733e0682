/*
 * test_rank.c - the number at a rank is what it is when all are put in order.
 *
 * What can go wrong: equal numbers, NaNs and infinities, an order that makes the halves uneven, the
 * last rank, which has none behind it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/rank.h"

#define COUNT_MAX 300

enum shape { RANDOM, FEW_VALUES, ALL_EQUAL, UP, DOWN, PIPES, ODD, SHAPES };

static double value_of(enum shape shape, size_t i, size_t count, uint32_t dice)
{
    static const double odd[] = {(double)NAN, HUGE_VAL, -HUGE_VAL, 0, 1e308, -1e-308};
    switch (shape) {
    case FEW_VALUES:
        return dice % 3;
    case ALL_EQUAL:
        return 7;
    case UP:
        return (double)i;
    case DOWN:
        return -(double)i;
    case PIPES:
        return (double)(i < count / 2 ? i : count - i);
    case ODD:
        return odd[dice % 6];
    default:
        return (double)dice / 3 - 1e8;
    }
}

static int in_order(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

static void assert_same(double a, double b)
{
    assert_true(isnan(a) ? isnan(b) : a == b);
}

static void each_rank_is_as_in_order(void **state)
{
    uint32_t random = 99;
    (void)state;
    for (enum shape shape = 0; shape < SHAPES; shape++)
        for (size_t count = 1; count <= COUNT_MAX; count += count < 80 ? 1 : 37) {
            double values[COUNT_MAX];
            double sorted[COUNT_MAX];
            for (size_t i = 0; i < count; i++) {
                random = random * 1664525 + 1013904223;
                values[i] = value_of(shape, i, count, random >> 8);
            }
            memcpy(sorted, values, count * sizeof *sorted);
            qsort(sorted, count, sizeof *sorted, in_order);
            for (size_t rank = 0; rank < count; rank++) {
                double mixed[COUNT_MAX];
                double next;
                memcpy(mixed, values, count * sizeof *mixed);
                assert_same(rank_select(mixed, count, rank, &next), sorted[rank]);
                assert_same(next, sorted[rank + 1 < count ? rank + 1 : rank]);
                qsort(mixed, count, sizeof *mixed, in_order);
                for (size_t i = 0; i < count; i++)
                    assert_same(mixed[i], sorted[i]);
            }
        }
}

/* Numbers of which each turn's median of three is the second least that is left: nothing but two of
 * them are done with by a turn. */
static void make_uneven(double *values, size_t count)
{
    size_t places[COUNT_MAX];
    size_t least = 0;
    for (size_t i = 0; i < count; i++)
        places[i] = i;
    for (size_t left = count; left > 2; left -= 2) {
        size_t *at = places + (count - left);
        values[at[0]] = (double)least++;
        values[at[left / 2]] = (double)least++;
        at[left / 2] = at[1]; /* where its partition puts it */
    }
    values[places[count - 2]] = (double)least;
    values[places[count - 1]] = (double)least + 1;
}

static void uneven_halves_end_in_sorting(void **state)
{
    double values[COUNT_MAX];
    double next;
    (void)state;
    for (size_t rank = 0; rank < COUNT_MAX; rank++) {
        make_uneven(values, COUNT_MAX);
        assert_same(rank_select(values, COUNT_MAX, rank, &next), (double)rank);
        assert_same(next, (double)(rank + 1 < COUNT_MAX ? rank + 1 : rank));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rank_is_as_in_order),
        cmocka_unit_test(uneven_halves_end_in_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
