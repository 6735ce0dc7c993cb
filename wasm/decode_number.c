// Decodes JSON numbers to Python's int and float.

#include "decode.h"

#include <stdint.h>
#include <string.h>

// Characters. Python's `json` reads longer numbers.
enum { MAX_NUMBER = 64 };

// Digits of an integer that is read without CPython's conversion: 10**18 fits an int64_t.
enum { MAX_FAST_DIGITS = 18 };

// Clinger's fast path (https://doi.org/10.1145/93542.93557): an integer of at most 15 digits and a
// power of ten up to 10**22 are exact doubles, so one division rounds correctly.
enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };

// Slow path: converts with CPython's own functions.
static PyObject *convert_with_cpython(const char *begin, size_t length, bool whole)
{
    char text[MAX_NUMBER + 1];
    if (length > MAX_NUMBER) {
        return nullptr;
    }
    memcpy(text, begin, length);
    text[length] = '\0';
    if (whole) {
        return PyLong_FromString(text, nullptr, 10);
    }
    double value = PyOS_string_to_double(text, nullptr, nullptr);
    return value == -1.0 && PyErr_Occurred() ? nullptr : PyFloat_FromDouble(value);
}

// Reads up to eight digits at once (SIMD within a register). Returns their count and stores their
// value.
static inline unsigned read_eight(const char *at, uint32_t *number)
{
    uint64_t block;
    memcpy(&block, at, sizeof block);
    block ^= 0x3030303030303030;
    // Sets the high bit of each byte that is no digit. Carries may corrupt those after the first.
    uint64_t others = ((block + 0x7676767676767676) | block) & 0x8080808080808080;
    unsigned count = others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
    if (count == 0) {
        return 0;
    }
    // Shifts leading zeros into the low bytes, then combines neighbours: 8 digits, 4 pairs, 2
    // fours.
    block <<= 64 - 8 * count;
    block = (block * 10 + (block >> 8)) & 0x00FF00FF00FF00FF;
    block = (block * 100 + (block >> 16)) & 0x0000FFFF0000FFFF;
    *number = (uint32_t)(block * 10000 + (block >> 32));
    return count;
}

// Appends digits to `*value`. Overflow wraps: the caller counts the digits.
static const char *read_digits(const struct reader *reader, const char *at, uint64_t *value)
{
    static const uint32_t POWERS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t sum = *value;
    if (reader->end - at >= 8) {
        uint32_t number = 0;
        unsigned count = read_eight(at, &number);
        at += count;
        if (count < 8) {
            *value = sum * POWERS[count] + number;
            return at;
        }
        sum = sum * 100000000 + number;
    }
    for (; is_digit(*at); at++) {
        sum = sum * 10 + (uint64_t)(*at - '0');
    }
    *value = sum;
    return at;
}

// Skips an exponent's sign and digits, after its letter.
static const char *read_exponent(const char *at)
{
    at += *at == '-' || *at == '+';
    const char *first = at;
    while (is_digit(*at)) {
        at++;
    }
    return at == first ? nullptr : at;
}

// Reads a fraction and an exponent, after the integer part with the value `value`.
static const char *read_float(const struct reader *reader, const char *at, const char *begin,
                              const char *first, uint64_t value, PyObject **number)
{
    static const double POWERS[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    ptrdiff_t digits = at - first, decimals = 0;
    if (*at == '.') {
        const char *point = at;
        at = read_digits(reader, point + 1, &value);
        decimals = at - point - 1;
        if (decimals == 0) {
            return nullptr;
        }
    }
    if (*at == 'e' || *at == 'E') {
        at = read_exponent(at + 1);
        if (at == nullptr) {
            return nullptr;
        }
    } else if (digits + decimals <= EXACT_DIGITS) {
        double exact = (double)value / POWERS[decimals];
        *number = PyFloat_FromDouble(*begin == '-' ? -exact : exact);
        return *number == nullptr ? nullptr : at;
    }
    *number = convert_with_cpython(begin, (size_t)(at - begin), false);
    return *number == nullptr ? nullptr : at;
}

const char *read_number(const struct reader *reader, const char *begin, PyObject **number)
{
    const char *first = begin + (*begin == '-');
    uint64_t value = 0;
    const char *at = read_digits(reader, first, &value);
    if (at == first || (*first == '0' && at - first > 1)) {
        return nullptr;
    }
    if (*at == '.' || *at == 'e' || *at == 'E') {
        return read_float(reader, at, begin, first, value, number);
    }
    *number = at - first > MAX_FAST_DIGITS
                  ? convert_with_cpython(begin, (size_t)(at - begin), true)
                  : PyLong_FromLongLong(*begin == '-' ? -(long long)value : (long long)value);
    return *number == nullptr ? nullptr : at;
}
