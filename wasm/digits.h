// Numbers as text. Eight digits are made at once, in the bytes of one word.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// The eight digits of a number below 10**8 as numbers, the first in the lowest byte.
static inline uint64_t eight_digits(uint32_t number)
{
    // The number is cut in two halves of four digits, those in two of two, and so on; x / 100 is x * 10486 >> 20.
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = fours * 10486 >> 20 & 0x0000007F0000007F;
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = twos * 103 >> 10 & 0x000F000F000F000F;
    return tens | (twos - tens * 10) << 8;
}

// At most 20 digits, and up to 7 characters behind them.
static inline char *write_number(char *to, uint64_t number)
{
    const uint32_t most = 100'000'000;
    unsigned zeros = 0;
    uint64_t digits;
    if (number < most) {
        digits = eight_digits((uint32_t)number);
        zeros = (unsigned)__builtin_ctzll(digits | 1ULL << 56) / 8;
    } else {
        to = write_number(to, number / most);
        digits = eight_digits((uint32_t)(number % most));
    }
    digits = digits >> zeros * 8 | 0x3030303030303030;
    memcpy(to, &digits, sizeof digits);
    return to + 8 - zeros;
}

// Most numbers in data have few decimals. One of at most 15 digits that reads back as the same number is the shortest that does,
// and so what Python writes. Null where the number is none of those; otherwise the place behind at most 20 characters.
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
    // One decimal at least, and no zeros at the end.
    int decimals = 4 - __builtin_clz(fraction | 1) / 8;
    fraction |= 0x30303030;
    memcpy(to, &fraction, sizeof fraction);
    return to + decimals;
}
