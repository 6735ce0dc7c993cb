// JSON numbers to Python's int and float.

#include "decode.h"

#include <stdint.h>
#include <string.h>

enum { MAX_NUMBER = 64 };
// Digits of a number that are read at once; as an integer they are below 2**63.
enum { MOST_DIGITS = 18 };
// A number of so many digits, and a power of ten up to this one, are exact as floats, so that one division rounds rightly.
enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };

// A number that is not short, as Python reads it.
static PyObject *long_number(const char *begin, size_t length, bool whole)
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

// Reads up to eight digits at once: how many there are, and the number that they are.
static inline unsigned read_eight(const char *at, uint32_t *number)
{
    uint64_t block;
    memcpy(&block, at, sizeof block);
    block ^= 0x3030303030303030;
    // The highest bit of every character that is no digit; those behind the first one may be wrong.
    uint64_t others = ((block + 0x7676767676767676) | block) & 0x8080808080808080;
    unsigned count = others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
    if (count == 0) {
        return 0;
    }
    // Zeros come before the digits, in the lower bytes; then each two neighbours become one number.
    block <<= 64 - 8 * count;
    block = (block * 10 + (block >> 8)) & 0x00FF00FF00FF00FF;
    block = (block * 100 + (block >> 16)) & 0x0000FFFF0000FFFF;
    *number = (uint32_t)(block * 10000 + (block >> 32));
    return count;
}

// Reads digits and adds them to `value`, which is right for as long as there are no more than it holds.
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

// Reads the digits of an exponent, from behind its letter on.
static const char *read_exponent(const char *at)
{
    at += *at == '-' || *at == '+';
    const char *first = at;
    while (is_digit(*at)) {
        at++;
    }
    return at == first ? nullptr : at;
}

// Reads a number that is not an integer, from behind its integer part on, which is `value`.
static const char *read_float(const struct reader *reader, const char *at, const char *begin, const char *first, uint64_t value,
                              PyObject **number)
{
    static const double POWERS[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
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
    *number = long_number(begin, (size_t)(at - begin), false);
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
    *number = at - first > MOST_DIGITS ? long_number(begin, (size_t)(at - begin), true)
                                       : PyLong_FromLongLong(*begin == '-' ? -(long long)value : (long long)value);
    return *number == nullptr ? nullptr : at;
}
