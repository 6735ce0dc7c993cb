// Writes numbers as decimal text, eight digits at once in the bytes of one word (SIMD within a
// register).
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Returns the eight digits of a number below 10**8, one a byte, the first in the lowest byte.
static inline uint64_t eight_digits(uint32_t number)
{
    // Halves the number into fours, pairs and digits. x / 100 == x * 10486 >> 20 for x < 10000, and
    // x / 10 == x * 103 >> 10 for x < 100.
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = fours * 10486 >> 20 & 0x0000007F0000007F;
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = twos * 103 >> 10 & 0x000F000F000F000F;
    return tens | (twos - tens * 10) << 8;
}

// Writes at most 20 digits, and up to 7 bytes of garbage behind them. Returns the end of the
// digits.
static inline char *write_number(char *to, uint64_t number)
{
    const uint32_t block = 100'000'000;
    unsigned zeros = 0;
    uint64_t digits;
    if (number < block) {
        digits = eight_digits((uint32_t)number);
        zeros = (unsigned)__builtin_ctzll(digits | 1ULL << 56) / 8;
    } else {
        to = write_number(to, number / block);
        digits = eight_digits((uint32_t)(number % block));
    }
    digits = digits >> zeros * 8 | 0x3030303030303030;
    memcpy(to, &digits, sizeof digits);
    return to + 8 - zeros;
}

// Fast path for at most four decimals. A decimal of at most 15 digits that reads back as the same
// double is the shortest one that does, and so equals Python's `repr`. Writes at most 20 characters
// and returns their end, or returns null for other numbers.
static inline char *write_short_float(char *to, double number)
{
    double scaled = fabs(number) * 10000, whole = rint(scaled);
    if (!(whole >= 1 && whole < 1e15 && whole / 10000 == fabs(number))) {
        return nullptr;
    }
    uint64_t digits = (uint64_t)whole;
    uint32_t fraction = (uint32_t)(eight_digits((uint32_t)(digits % 10000)) >> 32);
    *to = '-';
    to = write_number(to + (number < 0), digits / 10000);
    *to++ = '.';
    // At least one decimal, without trailing zeros.
    int decimals = 4 - __builtin_clz(fraction | 1) / 8;
    fraction |= 0x30303030;
    memcpy(to, &fraction, sizeof fraction);
    return to + decimals;
}
