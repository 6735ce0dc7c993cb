// JSON numbers to Python's int and float.

#include "decode.h"

#include <string.h>

enum { MAX_NUMBER = 64 };
// Digits of a number that are read at once; as an integer they are below 2**63.
enum { MOST_DIGITS = 18 };
// A number of so many digits, and a power of ten up to this one, are exact as floats, so that one division rounds rightly.
enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };

// A number that is not short, as Python reads it.
static PyObject *read_long_number(const char *begin, size_t length, bool whole)
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

// Reads digits and adds them to `value`, as long as there are no more than it holds; how many there were.
static inline int read_digits(struct reader *reader, unsigned long long *value)
{
    const char *begin = reader->at, *at = begin, *end = reader->end;
    unsigned long long sum = *value;
    for (; at < end && (unsigned char)(*at - '0') < 10; at++) {
        sum = sum * 10 + (unsigned long long)(*at - '0');
    }
    *value = sum;
    reader->at = at;
    return (int)(at - begin);
}

PyObject *read_number(struct reader *reader)
{
    static const double POWERS[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *begin = reader->at;
    bool negative = take(reader, '-');
    const char *first = reader->at;
    // Too many digits make these wrong; they are not used then.
    unsigned long long value = 0, ignored = 0;
    int whole = read_digits(reader, &value);
    if (whole == 0 || (*first == '0' && whole > 1)) {
        return nullptr;
    }
    char next = peek(reader);
    if (next != '.' && next != 'e' && next != 'E') {
        return whole > MOST_DIGITS ? read_long_number(begin, (size_t)(reader->at - begin), true)
                                   : PyLong_FromLongLong(negative ? -(long long)value : (long long)value);
    }
    int decimals = take(reader, '.') ? read_digits(reader, &value) : -1;
    if (decimals == 0) {
        return nullptr;
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        (void)(take(reader, '-') || take(reader, '+'));
        if (read_digits(reader, &ignored) == 0) {
            return nullptr;
        }
    } else if (whole + decimals <= EXACT_DIGITS) {
        double number = (double)value / POWERS[decimals];
        return PyFloat_FromDouble(negative ? -number : number);
    }
    return read_long_number(begin, (size_t)(reader->at - begin), false);
}
