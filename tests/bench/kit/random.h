/*
 * random.h - numbers that look random and are the same on every machine: splitmix64.
 *
 * Sebastiano Vigna's public-domain generator (https://prng.di.unimi.it/splitmix64.c).
 */
#pragma once

#include <stdint.h>

/* A well-mixed number that depends on nothing but `x`. */
static inline uint64_t random_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The next number of a sequence; `state` is its seed and its memory. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t number = random_mix(*state);
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return number;
}

/* 0 <= x < 1 */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}
