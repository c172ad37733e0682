/*
 * digits.h - whole numbers as decimal digits, two at a time, without printf.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define DIGITS_MAX 20 /* of a uint64_t */

/* Writes the digits of `number` so that the last lies right before `end`; where the first is.  There must be
 * DIGITS_MAX bytes before `end`.  0 is one digit. */
static inline char *digits_put_before(char *end, uint64_t number)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";
    for (; number >= 100; number /= 100) {
        end -= 2;
        memcpy(end, pairs + number % 100 * 2, 2);
    }
    if (number >= 10) {
        end -= 2;
        memcpy(end, pairs + number * 2, 2);
        return end;
    }
    *--end = (char)('0' + number);
    return end;
}
