/*
 * test_number.c - numbers as Go and Prometheus write them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/promql/engine.h"

static void shortest_digits_in_go_s_layout(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text, *plain;
    } cases[] = {
        {0, "0", "0"},
        {-0.0, "-0", "-0"},
        {1, "1", "1"},
        {-1.5, "-1.5", "-1.5"},
        {0.1, "0.1", "0.1"},
        {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
        {100, "100", "100"},
        {1234567.125, "1234567.125", "1234567.125"},
        {1e20, "100000000000000000000", "100000000000000000000"},
        {1e21, "1e+21", "1000000000000000000000"},
        {1.5e300, "1.5e+300", NULL},
        {0.000001, "0.000001", "0.000001"},
        {0.00000123, "0.00000123", "0.00000123"},
        {0.0000001, "1e-07", "0.0000001"},
        {1.25e-10, "1.25e-10", "0.000000000125"},
        {5e-324, "5e-324", NULL},
        {1.7976931348623157e308, "1.7976931348623157e+308", NULL},
        {9007199254740993.0, "9007199254740992", "9007199254740992"},
        {0x1p-44, "5.684341886080802e-14", NULL}, /* the nearest 16 digits end in 1 */
        {0x1p-1022, "2.2250738585072014e-308", NULL},
        {HUGE_VAL, "+Inf", "+Inf"},
        {-HUGE_VAL, "-Inf", "-Inf"},
        {(double)NAN, "NaN", "NaN"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[NUMBER_TEXT_BYTES];
        assert_string_equal(promql_number_text(cases[i].value, text), cases[i].text);
        if (cases[i].plain != NULL)
            assert_string_equal(promql_number_plain(cases[i].value, text), cases[i].plain);
    }
}

static void every_number_reads_back_the_same(void **state)
{
    (void)state;
    uint64_t random = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 200000; i++) {
        char text[NUMBER_TEXT_BYTES];
        double value;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(&value, &random, sizeof value);
        if (!isfinite(value))
            continue;
        double again = strtod(promql_number_text(value, text), NULL);
        if (memcmp(&again, &value, sizeof value) != 0)
            fail_msg("%a became %s", value, text);
        again = strtod(promql_number_plain(value, text), NULL);
        if (memcmp(&again, &value, sizeof value) != 0)
            fail_msg("%a became %s", value, text);
        assert_true(strlen(text) < NUMBER_TEXT_BYTES);
    }
}

/* The digits of a text without point and trailing zeros. */
static int digits_of(const char *text, char digits[64])
{
    int count = 0;
    for (; *text != '\0' && *text != 'e' && count < 63; text++)
        if (*text != '.' && *text != '-' && (count > 0 || *text != '0'))
            digits[count++] = *text;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
    return count;
}

/* Against the C library: no rounding to fewer digits reads back the same, and of as many digits
 * there is none nearer.  Powers of two are left to the cases above: beside them the next
 * decimal but one may read back. */
static void digits_are_the_fewest_and_nearest(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252;
    for (int i = 0; i < 200000; i++) {
        char text[NUMBER_TEXT_BYTES];
        char digits[64];
        char wanted[64];
        char fewer[40];
        char as_many[40];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double value = (double)(random >> 11);
        value = i % 4 == 0   ? ldexp(value, (int)(random % 94) - 90)
                : i % 4 == 1 ? (double)(random % 100000000) / 1000.0
                : i % 4 == 2 ? (double)(random % 100000000) / 15000.0
                             : (double)(random % 1000) * 0.001 + (double)(random % 7);
        int exponent;
        if (value == 0 || frexp(value, &exponent) == 0.5)
            continue;
        int count = digits_of(promql_number_text(value, text), digits);
        if (count > 1) {
            snprintf(fewer, sizeof fewer, "%.*e", count - 2, value);
            if (strtod(fewer, NULL) == value)
                fail_msg("%a became %s, but %s is shorter", value, text, fewer);
        }
        snprintf(as_many, sizeof as_many, "%.*e", count - 1, value);
        (void)digits_of(as_many, wanted);
        if (strcmp(digits, wanted) != 0)
            fail_msg("%a became %s, but %s is nearer", value, text, as_many);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_the_fewest_and_nearest),
        cmocka_unit_test(shortest_digits_in_go_s_layout),
        cmocka_unit_test(every_number_reads_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
