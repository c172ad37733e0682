/*
 * restrict.h - a store that shows some instances only.
 *
 * Wraps a queryable and adds instance="x" (or an alternation of several) to every selector, so
 * that a rule is evaluated for just the instances whose samples have arrived.
 *
 * Thread: one owner at a time.
 */
#pragma once

#include <stddef.h>

#include "collector/series/queryable.h"

#define RESTRICT_INSTANCES_MAX 64 /* more: evaluate everything, it is cheaper */

struct restricted {
    struct queryable queryable; /* hand this to the engine */
    struct queryable *inner;
    struct matcher *matcher;
};

int restricted_init(struct restricted *restricted, struct queryable *inner,
                    const char *const *instances, size_t count);
void restricted_done(struct restricted *restricted);
