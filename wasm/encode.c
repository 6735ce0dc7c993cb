// JSON of plain values, straight to UTF-8: the common case of a task's result, without a Python object for each part.
//
// Plain are exactly Python's own dict, list, tuple, str, int, float, bool and None, not too deep, with text for keys.
// Everything else (NaN, ints of thousands of digits, subclasses, other objects, lone surrogates, circles) is left to the guest package, which has the
// rules for it. No code of the user can run in here, so what is looked at stays as it is.

#include "image.h"
#include "text.h"

#include <math.h>
#include <string.h>

#define Py_BUILD_CORE
#include <pycore_dict.h>
#include <pycore_long.h>

static const int MAX_DEPTH = 200;

// Digits of an int, of 30 bits each, up to which CPython makes its text in C. Beyond, it does so in Python, where code of the
// user could run and change what is being written.
enum { MOST_DIGITS = 1000 };

static const Py_ssize_t FIRST_CAPACITY = 4096;

// JSON as far as it is written. It is written into the object that is handed out.
struct reply {
    // Null when memory was short.
    PyObject *bytes;
    char *data;
    size_t length;
    size_t capacity;
};

static bool grow(struct reply *out, size_t length)
{
    const size_t most = PY_SSIZE_T_MAX;
    if (length > most - out->length) {
        return false;
    }
    size_t needed = out->length + length, twice = out->capacity > most / 2 ? most : out->capacity * 2;
    size_t capacity = twice > needed ? twice : needed;
    if (_PyBytes_Resize(&out->bytes, (Py_ssize_t)capacity) < 0) {
        return false;
    }
    out->data = PyBytes_AS_STRING(out->bytes);
    out->capacity = capacity;
    return true;
}

static inline bool reserve(struct reply *out, size_t length)
{
    return out->capacity - out->length >= length || grow(out, length);
}

static inline bool put(struct reply *out, const char *text, size_t length)
{
    if (!reserve(out, length)) {
        return false;
    }
    copy_text(out->data + out->length, text, length);
    out->length += length;
    return true;
}

static inline bool put_char(struct reply *out, char character)
{
    if (!reserve(out, 1)) {
        return false;
    }
    out->data[out->length++] = character;
    return true;
}

// How a character below 0x80 is written inside of a string: as it is (0), with a letter, or by its number ('u').
static inline char escape_of(unsigned char character)
{
    switch (character) {
    case '"':
    case '\\':
        return (char)character;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return character < 0x20 ? 'u' : 0;
    }
}

static bool put_escaped(struct reply *out, unsigned char character, char escape)
{
    static const char DIGITS[] = "0123456789abcdef";
    if (escape != 'u') {
        return put(out, (char[]){'\\', escape}, 2);
    }
    return put(out, (char[]){'\\', 'u', '0', '0', DIGITS[character >> 4], DIGITS[character & 15]}, 6);
}

// Text of ASCII characters, some of which are escaped.
static bool put_ascii(struct reply *out, const char *text, size_t length)
{
    for (;;) {
        size_t plain = run_of(text, length).length;
        if (!put(out, text, plain)) {
            return false;
        }
        if (plain == length) {
            return true;
        }
        unsigned char special = (unsigned char)text[plain];
        if (!put_escaped(out, special, escape_of(special))) {
            return false;
        }
        text += plain + 1;
        length -= plain + 1;
    }
}

// Text of ASCII characters with its quotation marks: copied in blocks until one is met that must be escaped.
static bool put_ascii_string(struct reply *out, const char *text, size_t length)
{
    // The marks, and what the last block writes too much.
    if (!reserve(out, length + 2 + 16)) {
        return false;
    }
    char *to = out->data + out->length;
    *to++ = '"';
    size_t plain = copy_run(to, text, length);
    out->length += 1 + plain;
    return (plain == length || put_ascii(out, text + plain, length - plain)) && put_char(out, '"');
}

static bool put_code_point(struct reply *out, Py_UCS4 point)
{
    if (point < 0x80) {
        char escape = escape_of((unsigned char)point);
        return escape ? put_escaped(out, (unsigned char)point, escape) : put_char(out, (char)point);
    }
    if (point < 0x800) {
        return put(out, (char[]){(char)(0xC0 | point >> 6), (char)(0x80 | (point & 63))}, 2);
    }
    if (Py_UNICODE_IS_SURROGATE(point)) {
        return false;
    }
    char second = (char)(0x80 | (point >> 6 & 63)), last = (char)(0x80 | (point & 63));
    if (point < 0x10000) {
        return put(out, (char[]){(char)(0xE0 | point >> 12), second, last}, 3);
    }
    return put(out, (char[]){(char)(0xF0 | point >> 18), (char)(0x80 | (point >> 12 & 63)), second, last}, 4);
}

static bool put_string(struct reply *out, PyObject *text)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return put_ascii_string(out, PyUnicode_DATA(text), length);
    }
    if (!put_char(out, '"')) {
        return false;
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (size_t at = 0; at < length; at++) {
        if (!put_code_point(out, PyUnicode_READ(kind, data, at))) {
            return false;
        }
    }
    return put_char(out, '"');
}

// A number whose last `decimals` digits stand behind a point; at least one digit stands before it.
static bool put_digits(struct reply *out, bool negative, unsigned long long digits, int decimals)
{
    char text[32], *end = text + sizeof text, *at = end;
    do {
        *--at = (char)('0' + digits % 10);
        digits /= 10;
        if (--decimals == 0) {
            *--at = '.';
        }
    } while (digits != 0 || decimals >= 0);
    if (negative) {
        *--at = '-';
    }
    return put(out, at, (size_t)(end - at));
}

static bool put_int(struct reply *out, PyObject *number)
{
    if (PyUnstable_Long_IsCompact((PyLongObject *)number)) {
        Py_ssize_t value = PyUnstable_Long_CompactValue((PyLongObject *)number);
        return put_digits(out, value < 0, value < 0 ? -(unsigned long long)value : (unsigned long long)value, 0);
    }
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow == 0) {
        return put_digits(out, value < 0, value < 0 ? -(unsigned long long)value : (unsigned long long)value, 0);
    }
    if (_PyLong_DigitCount((PyLongObject *)number) > MOST_DIGITS) {
        return false;
    }
    PyObject *text = PyObject_Str(number);
    bool ok = text != nullptr && put(out, PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    Py_XDECREF(text);
    return ok;
}

static bool put_float(struct reply *out, double number)
{
    if (!isfinite(number)) {
        return false;
    }
    // Most numbers in data have few decimals. One of at most 15 digits that reads back as the same number is the shortest
    // that does, and so what Python writes.
    double scaled = fabs(number) * 10000, whole = rint(scaled);
    if (whole >= 1 && whole < 1e15 && whole / 10000 == fabs(number)) {
        unsigned long long digits = (unsigned long long)whole;
        int decimals = 4;
        for (; decimals > 1 && digits % 10 == 0; decimals--) {
            digits /= 10;
        }
        return put_digits(out, number < 0, digits, decimals);
    }
    char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
    bool ok = text != nullptr && put(out, text, strlen(text));
    PyMem_Free(text);
    return ok;
}

static bool put_value(struct reply *out, PyObject *value, int depth);

static inline bool put_member(struct reply *out, char before, PyObject *key, PyObject *value, int depth)
{
    return PyUnicode_CheckExact(key) && put_char(out, before) && put_string(out, key) && put_char(out, ':')
           && put_value(out, value, depth);
}

static bool put_dict(struct reply *out, PyObject *object, int depth)
{
    PyDictObject *dict = (PyDictObject *)object;
    char before = '{';
    if (dict->ma_values == nullptr && DK_IS_UNICODE(dict->ma_keys)) {
        const PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(dict->ma_keys), *end = entry + dict->ma_keys->dk_nentries;
        for (; entry < end; entry++) {
            // One without a value was deleted.
            if (entry->me_value != nullptr) {
                if (!put_member(out, before, entry->me_key, entry->me_value, depth)) {
                    return false;
                }
                before = ',';
            }
        }
    } else {
        PyObject *key, *value;
        Py_ssize_t position = 0;
        while (PyDict_Next(object, &position, &key, &value)) {
            if (!put_member(out, before, key, value, depth)) {
                return false;
            }
            before = ',';
        }
    }
    return before == ',' ? put_char(out, '}') : put(out, "{}", 2);
}

static bool put_list(struct reply *out, PyObject *const *items, Py_ssize_t count, int depth)
{
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!put_char(out, index ? ',' : '[') || !put_value(out, items[index], depth)) {
            return false;
        }
    }
    return count ? put_char(out, ']') : put(out, "[]", 2);
}

// False where the value is not plain, or memory is short (a Python exception may be set then).
static bool put_value(struct reply *out, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value)) {
        return put_string(out, value);
    }
    if (PyLong_CheckExact(value)) {
        return put_int(out, value);
    }
    if (depth == 0) {
        return false;
    }
    if (PyDict_CheckExact(value)) {
        return put_dict(out, value, depth - 1);
    }
    if (PyList_CheckExact(value)) {
        return put_list(out, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value), depth - 1);
    }
    if (PyFloat_CheckExact(value)) {
        return put_float(out, PyFloat_AS_DOUBLE(value));
    }
    if (value == Py_None) {
        return put(out, "null", 4);
    }
    if (value == Py_True || value == Py_False) {
        return value == Py_True ? put(out, "true", 4) : put(out, "false", 5);
    }
    return PyTuple_CheckExact(value)
           && put_list(out, ((PyTupleObject *)value)->ob_item, PyTuple_GET_SIZE(value), depth - 1);
}

PyObject *encode_plain(PyObject *value)
{
    PyObject *bytes = PyBytes_FromStringAndSize(nullptr, FIRST_CAPACITY);
    if (bytes == nullptr) {
        return nullptr;
    }
    struct reply out = {.bytes = bytes, .data = PyBytes_AS_STRING(bytes), .capacity = (size_t)FIRST_CAPACITY};
    if (put_value(&out, value, MAX_DEPTH)) {
        _PyBytes_Resize(&out.bytes, (Py_ssize_t)out.length);
        return out.bytes;
    }
    PyErr_Clear();
    Py_XDECREF(out.bytes);
    Py_RETURN_NONE;
}
