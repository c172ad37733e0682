/*
 * rank.h - the number at a rank among others, without putting all of them in order.
 */
#pragma once

#include <stddef.h>

/* The number at `rank` (from 0, below `count`) and the one behind it (or itself, where it is the last),
 * NaNs before all others; rearranges `values`.  Time grows with `count`, at worst with count * log2(count). */
double rank_select(double *values, size_t count, size_t rank, double *ret_next);
