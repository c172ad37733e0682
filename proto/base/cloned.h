/*
 * cloned.h - long loops over columns, compiled once more for the processors of the last ten years.
 *
 * A function marked CLONED exists twice: for any x86-64, and for one that has AVX2 and BMI2.  The
 * loader decides between them when the program starts.  Both give the same numbers to the bit: ISO C
 * (-std=c17) lets no compiler contract a product and a sum into one rounding.
 *
 * Elsewhere, and where a sanitizer looks on, the mark means nothing.
 */
#pragma once

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__OPTIMIZE__) &&                      \
    defined(__STRICT_ANSI__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&           \
    !defined(__SANITIZE_THREAD__)
#define CLONED __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CLONED
#endif
