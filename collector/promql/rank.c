/*
 * rank.c - see rank.h: Hoare's FIND (CACM 4, 1961) with the median of three; a few are put in order
 * by insertion, and where the halves stay uneven too often the rest is sorted.
 */
#include "collector/promql/rank.h"

#include <math.h>
#include <stdlib.h>

#define FEW 32 /* numbers */

static int order_of_numbers(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void swap(double *a, double *b)
{
    double held = *a;
    *a = *b;
    *b = held;
}

static void insert_in_order(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

/* To the front; how many there are. */
static size_t part_nans(double *values, size_t count)
{
    size_t nans = 0;
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            swap(&values[i], &values[nans++]);
    return nans;
}

static double median_of_three(double a, double b, double c)
{
    const double low = a < b ? a : b;
    const double high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* What is at most the pivot to the left of the place that is returned, what is at least it from there
 * on; neither part is all of them. */
static size_t part(double *values, size_t count)
{
    const double pivot = median_of_three(values[0], values[count / 2], values[count - 1]);
    size_t left = 0;
    size_t right = count - 1;
    for (;;) {
        while (values[left] < pivot)
            left++;
        while (values[right] > pivot)
            right--;
        if (left >= right)
            return left > 0 ? left : 1;
        swap(&values[left++], &values[right--]);
    }
}

/* The one that belongs at `rank` gets there, none before it is greater, none behind it less. */
static void find(double *values, size_t count, size_t rank)
{
    size_t turns = 0;
    for (size_t left = count; left > 1; left /= 2)
        turns += 2;
    while (count > FEW && turns-- > 0) {
        const size_t middle = part(values, count);
        if (rank < middle) {
            count = middle;
        } else {
            values += middle;
            count -= middle;
            rank -= middle;
        }
    }
    if (count > FEW)
        qsort(values, count, sizeof *values, order_of_numbers);
    else
        insert_in_order(values, count);
}

double rank_select(double *values, size_t count, size_t rank, double *ret_next)
{
    const size_t nans = part_nans(values, count);
    if (rank >= nans)
        find(values + nans, count - nans, rank - nans);
    double next = values[rank];
    if (rank + 1 < count) {
        next = values[rank + 1];
        for (size_t i = rank + 2; rank + 1 >= nans && i < count; i++)
            next = values[i] < next ? values[i] : next;
    }
    *ret_next = next;
    return values[rank];
}
