/*
 * lanes.h - compensated sums side by side, one a lane.
 *
 * What an addition rounds away is found without a look at which summand is the larger (Knuth's TwoSum):
 * it is the very number kahan_add() finds, as long as nothing overflows, so both give the same bits.
 * Where something does, a lane's sum or compensation is not finite.  For loops that are CLONED.
 */
#pragma once

#include <stddef.h>

#define LANES 4

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

struct lanes_sum {
    lanes sum, compensation;
};

static inline void lanes_add(struct lanes_sum *to, const lanes *value)
{
    lanes sum = to->sum + *value;
    lanes added = sum - to->sum;
    to->compensation += (to->sum - (sum - added)) + (*value - added);
    to->sum = sum;
}

/* The same place in windows of which each begins `stride` numbers behind the one before. */
static inline void lanes_load(lanes *value, const double *from, size_t stride)
{
    *value = (lanes){from[0], from[stride], from[2 * stride], from[3 * stride]};
}
