// JSON to Python values, straight from UTF-8: the way in for a task's settings and items.
//
// It is for JSON that the host has checked already, so it need not explain what is wrong: whatever it does not take
// (also what is rare: NaN, numbers of more than 64 characters, deep nesting) is left to Python's own `json`. No code of the user can
// run in here, and nothing made here can be garbage yet, so the collector rests meanwhile.

#include "image.h"
#include "text.h"

#include <string.h>

// CPython's own: a dict of that many keys and values, each array read in steps.
extern PyObject *_PyDict_FromItems(PyObject *const *keys, Py_ssize_t key_step, PyObject *const *values,
                                   Py_ssize_t value_step, Py_ssize_t count);

static const int MAX_DEPTH = 200;
static const size_t MAX_KEY = 32;
static const size_t MAX_NUMBER = 64;
// A number of so many digits, and a power of ten up to this one, are exact as floats, so that one division rounds rightly.
enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };

// Members of a dict that are read before the dict is made.
enum { GATHERED = 16 };

// Items have the same keys over and over: each is made once, as far as it finds a place.
enum { KEYS = 256 };

struct reader {
    const char *at;
    const char *end;
    int depth;
    PyObject *keys[KEYS];
};

static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, char expected)
{
    if (peek(reader) != expected) {
        return false;
    }
    reader->at++;
    return true;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end
           && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')) {
        reader->at++;
    }
}

static PyObject *text_of(const char *text, size_t length, bool ascii)
{
    if (!ascii || length <= 1) {
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "strict");
    }
    PyObject *string = PyUnicode_New((Py_ssize_t)length, 127);
    if (string != nullptr) {
        memcpy(PyUnicode_DATA(string), text, length);
    }
    return string;
}

static PyObject *key_of(struct reader *reader, const char *text, size_t length, bool ascii)
{
    if (!ascii || length == 0 || length > MAX_KEY) {
        return text_of(text, length, ascii);
    }
    unsigned first = (unsigned char)text[0], middle = (unsigned char)text[length / 2], last = (unsigned char)text[length - 1];
    unsigned slot = first * 7 + middle * 31 + last * 131 + (unsigned)length * 17;
    PyObject **place = &reader->keys[slot % KEYS];
    if (*place != nullptr && (size_t)PyUnicode_GET_LENGTH(*place) == length
        && memcmp(PyUnicode_DATA(*place), text, length) == 0) {
        return Py_NewRef(*place);
    }
    PyObject *key = text_of(text, length, true);
    if (key != nullptr) {
        Py_XSETREF(*place, Py_NewRef(key));
    }
    return key;
}

static bool read_four_digits(struct reader *reader, Py_UCS4 *value)
{
    if (reader->end - reader->at < 4) {
        return false;
    }
    *value = 0;
    for (int digit = 0; digit < 4; digit++) {
        static const char DIGITS[] = "0123456789abcdefABCDEF";
        char character = *reader->at++;
        const char *found = character ? strchr(DIGITS, character) : nullptr;
        if (found == nullptr) {
            return false;
        }
        Py_UCS4 number = (Py_UCS4)(found - DIGITS);
        *value = *value * 16 + (number < 16 ? number : number - 6);
    }
    return true;
}

static bool put_utf8(struct bytes *out, Py_UCS4 point)
{
    char last = (char)(0x80 | (point & 63)), third = (char)(0x80 | (point >> 6 & 63));
    if (point < 0x80) {
        return bytes_append(out, (char[]){(char)point}, 1);
    }
    if (point < 0x800) {
        return bytes_append(out, (char[]){(char)(0xC0 | point >> 6), last}, 2);
    }
    if (point < 0x10000) {
        return bytes_append(out, (char[]){(char)(0xE0 | point >> 12), third, last}, 3);
    }
    return bytes_append(out, (char[]){(char)(0xF0 | point >> 18), (char)(0x80 | (point >> 12 & 63)), third, last}, 4);
}

// What stands behind a backslash. A pair of surrogates is one character; a lone one stays what it is.
static bool read_escape(struct reader *reader, struct bytes *out)
{
    static const char NAMES[] = "\"\\/bfnrt", VALUES[] = "\"\\/\b\f\n\r\t";
    char name = peek(reader);
    reader->at++;
    if (name == 'u') {
        Py_UCS4 point, low;
        if (!read_four_digits(reader, &point)) {
            return false;
        }
        const char *after = reader->at;
        if (Py_UNICODE_IS_HIGH_SURROGATE(point) && take(reader, '\\') && take(reader, 'u')
            && read_four_digits(reader, &low) && Py_UNICODE_IS_LOW_SURROGATE(low)) {
            return put_utf8(out, Py_UNICODE_JOIN_SURROGATES(point, low));
        }
        reader->at = after;
        return put_utf8(out, point);
    }
    const char *found = name ? strchr(NAMES, name) : nullptr;
    return found != nullptr && bytes_append(out, &VALUES[found - NAMES], 1);
}

// The rest of a string that has a backslash in it; `begin` is its first character.
static PyObject *read_escaped(struct reader *reader, const char *begin)
{
    struct bytes out = {};
    bool ok = bytes_append(&out, begin, (size_t)(reader->at - begin));
    while (ok && reader->at < reader->end && *reader->at != '"') {
        if (*reader->at == '\\') {
            reader->at++;
            ok = reader->at < reader->end && read_escape(reader, &out);
        } else {
            ok = (unsigned char)*reader->at >= 0x20 && bytes_append(&out, reader->at, 1);
            reader->at++;
        }
    }
    ok = ok && take(reader, '"');
    PyObject *text = ok ? PyUnicode_DecodeUTF8(out.data, (Py_ssize_t)out.length, "surrogatepass") : nullptr;
    bytes_free(&out);
    return text;
}

// A string, from behind its first quotation mark.
static PyObject *read_string(struct reader *reader, bool is_key)
{
    const char *begin = reader->at;
    struct run run = run_of(begin, (size_t)(reader->end - begin));
    reader->at += run.length;
    if (peek(reader) == '\\') {
        return read_escaped(reader, begin);
    }
    if (!take(reader, '"')) {
        return nullptr;
    }
    return is_key ? key_of(reader, begin, run.length, run.ascii) : text_of(begin, run.length, run.ascii);
}

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

// Reads digits and adds the first 18 in all to `value`; how many there were.
static int read_digits(struct reader *reader, unsigned long long *value)
{
    const char *begin = reader->at;
    for (; peek(reader) >= '0' && peek(reader) <= '9'; reader->at++) {
        if (*value < 100'000'000'000'000'000) {
            *value = *value * 10 + (unsigned long long)(*reader->at - '0');
        }
    }
    return (int)(reader->at - begin);
}

static PyObject *read_number(struct reader *reader)
{
    static const double POWERS[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *begin = reader->at;
    bool negative = take(reader, '-');
    const char *first = reader->at;
    unsigned long long value = 0, ignored = 0;
    int whole = read_digits(reader, &value);
    if (whole == 0 || (*first == '0' && whole > 1)) {
        return nullptr;
    }
    char next = peek(reader);
    if (next != '.' && next != 'e' && next != 'E') {
        return whole > 18 ? read_long_number(begin, (size_t)(reader->at - begin), true)
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

static PyObject *read_literal(struct reader *reader, const char *name, PyObject *value)
{
    size_t length = strlen(name);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, name, length) != 0) {
        return nullptr;
    }
    reader->at += length;
    return Py_NewRef(value);
}

static PyObject *read_value(struct reader *reader);

static bool read_member(struct reader *reader, PyObject **key, PyObject **value)
{
    skip_space(reader);
    *key = take(reader, '"') ? read_string(reader, true) : nullptr;
    if (*key == nullptr) {
        return false;
    }
    skip_space(reader);
    *value = take(reader, ':') ? read_value(reader) : nullptr;
    if (*value == nullptr) {
        Py_CLEAR(*key);
    }
    return *value != nullptr;
}

// What stands between two parts of a container and after the last; `more` says whether another part follows.
static bool read_separator(struct reader *reader, char close, bool *more)
{
    skip_space(reader);
    *more = take(reader, ',');
    return *more || take(reader, close);
}

static PyObject *read_list(struct reader *reader)
{
    PyObject *list = PyList_New(0);
    skip_space(reader);
    bool ok = list != nullptr, more = !take(reader, ']');
    while (ok && more) {
        PyObject *value = read_value(reader);
        ok = value != nullptr && PyList_Append(list, value) == 0 && read_separator(reader, ']', &more);
        Py_XDECREF(value);
    }
    if (!ok) {
        Py_CLEAR(list);
    }
    return list;
}

// The first members are gathered, so that most dicts are made at their right size at once.
static PyObject *read_dict(struct reader *reader)
{
    PyObject *keys[GATHERED], *values[GATHERED], *dict = nullptr;
    int gathered = 0;
    skip_space(reader);
    bool ok = true, more = !take(reader, '}');
    while (ok && more && gathered < GATHERED) {
        ok = read_member(reader, &keys[gathered], &values[gathered]);
        gathered += ok;
        ok = ok && read_separator(reader, '}', &more);
    }
    if (ok) {
        dict = _PyDict_FromItems(keys, 1, values, 1, gathered);
    }
    while (gathered-- > 0) {
        Py_DECREF(keys[gathered]);
        Py_DECREF(values[gathered]);
    }
    ok = dict != nullptr;
    while (ok && more) {
        PyObject *key, *value;
        ok = read_member(reader, &key, &value);
        if (ok) {
            ok = PyDict_SetItem(dict, key, value) == 0 && read_separator(reader, '}', &more);
            Py_DECREF(key);
            Py_DECREF(value);
        }
    }
    if (!ok) {
        Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *read_container(struct reader *reader, PyObject *(*read)(struct reader *))
{
    if (reader->depth == 0) {
        return nullptr;
    }
    reader->at++;
    reader->depth--;
    PyObject *container = read(reader);
    reader->depth++;
    return container;
}

// Null where the text is not understood, or memory is short (a Python exception may be set then).
static PyObject *read_value(struct reader *reader)
{
    skip_space(reader);
    switch (peek(reader)) {
    case '"':
        reader->at++;
        return read_string(reader, false);
    case '{':
        return read_container(reader, read_dict);
    case '[':
        return read_container(reader, read_list);
    case 't':
        return read_literal(reader, "true", Py_True);
    case 'f':
        return read_literal(reader, "false", Py_False);
    case 'n':
        return read_literal(reader, "null", Py_None);
    default:
        return read_number(reader);
    }
}

PyObject *decode_plain(const char *json, size_t length)
{
    struct reader reader = {.at = json, .end = json + length, .depth = MAX_DEPTH};
    int collecting = PyGC_Disable();
    PyObject *value = read_value(&reader);
    skip_space(&reader);
    if (value != nullptr && reader.at != reader.end) {
        Py_CLEAR(value);
    }
    for (int slot = 0; slot < KEYS; slot++) {
        Py_XDECREF(reader.keys[slot]);
    }
    if (collecting) {
        PyGC_Enable();
    }
    if (value == nullptr) {
        PyErr_SetString(PyExc_ValueError, "not plain JSON");
    }
    return value;
}
