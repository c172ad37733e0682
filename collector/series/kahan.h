/*
 * kahan.h - sums that keep what rounding takes away (Kahan-Babuska-Neumaier).
 */
#pragma once

#include <math.h>

struct kahan {
    double sum, compensation;
};

static inline struct kahan kahan_add(struct kahan to, double value)
{
    double sum = to.sum + value;
    if (isinf(sum))
        to.compensation = 0;
    else if (fabs(to.sum) >= fabs(value))
        to.compensation += (to.sum - sum) + value;
    else
        to.compensation += (value - sum) + to.sum;
    to.sum = sum;
    return to;
}
