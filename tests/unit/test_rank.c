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
            memcpy(sorted, values, sizeof sorted);
            qsort(sorted, count, sizeof *sorted, in_order);
            for (size_t rank = 0; rank < count; rank++) {
                double mixed[COUNT_MAX];
                double next;
                memcpy(mixed, values, sizeof mixed);
                assert_same(rank_select(mixed, count, rank, &next), sorted[rank]);
                assert_same(next, sorted[rank + 1 < count ? rank + 1 : rank]);
                qsort(mixed, count, sizeof *mixed, in_order);
                for (size_t i = 0; i < count; i++)
                    assert_same(mixed[i], sorted[i]);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_rank_is_as_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
