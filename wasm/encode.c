// JSON of plain values, straight to UTF-8: the common case of a task's result, without a Python object for each part.
//
// Plain are exactly Python's own dict, list, tuple, str, int, float, bool and None, not too deep, with text for keys.
// Everything else (NaN, ints of thousands of digits, subclasses, other objects, lone surrogates, circles) is left to the guest
// package, which has the rules for it. No code of the user can run in here, so what is looked at stays as it is.

#include "digits.h"
#include "image.h"
#include "text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define Py_BUILD_CORE
#include <pycore_dict.h>
#include <pycore_long.h>

static const int MAX_DEPTH = 200;

// Digits of an int, of 30 bits each, up to which CPython makes its text in C. Beyond, it does so in Python, where code of the
// user could run and change what is being written.
enum { MOST_DIGITS = 1000 };

static const Py_ssize_t FIRST_CAPACITY = 4096;

// Every part finds room for so many characters, and leaves as much behind it: what is short is written without a look.
enum { ROOM = 64 };

// Keys of which the text is kept, and how long that is at most. Rows have the same keys over and over.
enum { KEYS = 64, KEY_ROOM = 32 };

// A key as it is written, with its quotation marks and the colon.
struct written_key {
    char text[KEY_ROOM];
    size_t length;
};

// JSON as far as it is written. It is written into the object that is handed out. The place where it goes on is handed on from
// part to part, so that it stays in a register; it is null where a value is not plain, or memory is short (a Python exception
// may be set then).
struct reply {
    // Null when memory was short.
    PyObject *bytes;
    char *end;
    // Nothing is freed meanwhile, so a key is known by where it lies. Null where there is none yet.
    PyObject *keys[KEYS];
    struct written_key written[KEYS];
};

static char *grow(struct reply *out, char *to, size_t length)
{
    const size_t most = PY_SSIZE_T_MAX;
    char *begin = PyBytes_AS_STRING(out->bytes);
    size_t written = (size_t)(to - begin), capacity = (size_t)(out->end - begin);
    if (written + length > most - ROOM) {
        return nullptr;
    }
    size_t needed = written + length + ROOM, twice = capacity > most / 2 ? most : capacity * 2;
    // What comes out is often as long as what came in, and then fits where that was.
    size_t input = length_of_input();
    if (needed <= input && input < twice) {
        twice = input;
    }
    capacity = twice > needed ? twice : needed;
    if (_PyBytes_Resize(&out->bytes, (Py_ssize_t)capacity) < 0) {
        return nullptr;
    }
    begin = PyBytes_AS_STRING(out->bytes);
    out->end = begin + capacity;
    return begin + written;
}

// Makes room for so many characters more.
static inline char *reserve(struct reply *out, char *to, size_t length)
{
    return (size_t)(out->end - to) >= length + ROOM ? to : grow(out, to, length);
}

static inline char *put(struct reply *out, char *to, const char *text, size_t length)
{
    to = reserve(out, to, length);
    if (to == nullptr) {
        return nullptr;
    }
    copy_text(to, text, length);
    return to + length;
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

// At most six characters.
static char *write_escaped(char *to, unsigned char character, char escape)
{
    static const char DIGITS[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = escape;
    if (escape == 'u') {
        memcpy(to, (char[]){'0', '0', DIGITS[character >> 4], DIGITS[character & 15]}, 4);
        to += 4;
    }
    return to;
}

// Text of ASCII characters with its quotation marks: copied in blocks up to each that must be escaped.
static char *put_ascii(struct reply *out, char *to, const char *text, size_t length)
{
    *to++ = '"';
    for (;;) {
        // With the mark at the end; the last block writes up to 16 characters too much.
        to = reserve(out, to, length + 1);
        if (to == nullptr) {
            return nullptr;
        }
        size_t plain = copy_run(to, text, length);
        to += plain;
        if (plain == length) {
            *to = '"';
            return to + 1;
        }
        unsigned char special = (unsigned char)text[plain];
        to = write_escaped(to, special, escape_of(special));
        text += plain + 1;
        length -= plain + 1;
    }
}

// At most six characters; null for what UTF-8 has no form for.
static char *write_code_point(char *to, Py_UCS4 point)
{
    if (point < 0x80) {
        char escape = escape_of((unsigned char)point);
        if (escape) {
            return write_escaped(to, (unsigned char)point, escape);
        }
        *to++ = (char)point;
        return to;
    }
    if (Py_UNICODE_IS_SURROGATE(point)) {
        return nullptr;
    }
    if (point < 0x800) {
        *to++ = (char)(0xC0 | point >> 6);
    } else {
        if (point < 0x10000) {
            *to++ = (char)(0xE0 | point >> 12);
        } else {
            *to++ = (char)(0xF0 | point >> 18);
            *to++ = (char)(0x80 | (point >> 12 & 63));
        }
        *to++ = (char)(0x80 | (point >> 6 & 63));
    }
    *to++ = (char)(0x80 | (point & 63));
    return to;
}

static char *put_string(struct reply *out, char *to, PyObject *text)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return put_ascii(out, to, PyUnicode_DATA(text), length);
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    *to++ = '"';
    for (size_t at = 0; at < length && to != nullptr; at++) {
        to = reserve(out, to, 0);
        if (to != nullptr) {
            to = write_code_point(to, PyUnicode_READ(kind, data, at));
        }
    }
    if (to == nullptr) {
        return nullptr;
    }
    *to = '"';
    return reserve(out, to + 1, 0);
}

static char *put_int(struct reply *out, char *to, PyObject *number)
{
    int overflow = 0;
    long long value = PyUnstable_Long_IsCompact((PyLongObject *)number)
                          ? PyUnstable_Long_CompactValue((PyLongObject *)number)
                          : PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow == 0) {
        *to = '-';
        to = write_number(to + (value < 0), value < 0 ? -(uint64_t)value : (uint64_t)value);
        return reserve(out, to, 0);
    }
    if (_PyLong_DigitCount((PyLongObject *)number) > MOST_DIGITS) {
        return nullptr;
    }
    PyObject *text = PyObject_Str(number);
    if (text == nullptr) {
        return nullptr;
    }
    to = put(out, to, PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    Py_DECREF(text);
    return to;
}

static char *put_float(struct reply *out, char *to, double number)
{
    if (!isfinite(number)) {
        return nullptr;
    }
    char *end = write_short_float(to, number);
    if (end != nullptr) {
        return reserve(out, end, 0);
    }
    char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
    if (text == nullptr) {
        return nullptr;
    }
    to = put(out, to, text, strlen(text));
    PyMem_Free(text);
    return to;
}

// `false` is the longest.
static inline char *put_literal(struct reply *out, char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return reserve(out, to + length, 0);
}

// Writes a key that is not known, and keeps its text if it is short.
[[clang::noinline]] static char *put_new_key(struct reply *out, char *to, PyObject *key, size_t place)
{
    if (!PyUnicode_CheckExact(key)) {
        return nullptr;
    }
    size_t before = (size_t)(to - PyBytes_AS_STRING(out->bytes));
    to = put_string(out, to, key);
    if (to == nullptr) {
        return nullptr;
    }
    *to++ = ':';
    const char *text = PyBytes_AS_STRING(out->bytes) + before;
    size_t length = (size_t)(to - text);
    if (length <= KEY_ROOM) {
        out->keys[place] = key;
        memcpy(out->written[place].text, text, KEY_ROOM);
        out->written[place].length = length;
    }
    return to;
}

static inline char *put_key(struct reply *out, char *to, PyObject *key)
{
    size_t place = ((uintptr_t)key >> 4) * 0x9E3779B1 >> 26;
    if (out->keys[place] != key) {
        return put_new_key(out, to, key, place);
    }
    memcpy(to, out->written[place].text, KEY_ROOM);
    return to + out->written[place].length;
}

static char *put_value(struct reply *out, char *to, PyObject *value, int depth);

static inline char *put_member(struct reply *out, char *to, char before, PyObject *key, PyObject *value, int depth)
{
    *to = before;
    to = put_key(out, to + 1, key);
    to = to == nullptr ? nullptr : reserve(out, to, 0);
    return to == nullptr ? nullptr : put_value(out, to, value, depth);
}

static char *put_dict(struct reply *out, char *to, PyObject *object, int depth)
{
    PyDictObject *dict = (PyDictObject *)object;
    char before = '{';
    if (dict->ma_values == nullptr && DK_IS_UNICODE(dict->ma_keys)) {
        const PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(dict->ma_keys), *end = entry + dict->ma_keys->dk_nentries;
        for (; entry < end && to != nullptr; entry++) {
            // One without a value was deleted.
            if (entry->me_value != nullptr) {
                to = put_member(out, to, before, entry->me_key, entry->me_value, depth);
                before = ',';
            }
        }
    } else {
        PyObject *key, *value;
        Py_ssize_t position = 0;
        while (to != nullptr && PyDict_Next(object, &position, &key, &value)) {
            to = put_member(out, to, before, key, value, depth);
            before = ',';
        }
    }
    if (to == nullptr) {
        return nullptr;
    }
    if (before == '{') {
        *to++ = '{';
    }
    *to = '}';
    return reserve(out, to + 1, 0);
}

static char *put_list(struct reply *out, char *to, PyObject *const *items, Py_ssize_t count, int depth)
{
    // Lists in lists write nothing but this, one after the other.
    to = reserve(out, to, 1);
    if (to == nullptr) {
        return nullptr;
    }
    *to++ = '[';
    for (Py_ssize_t index = 0; index < count && to != nullptr; index++) {
        if (index > 0) {
            *to++ = ',';
        }
        to = put_value(out, to, items[index], depth);
    }
    if (to == nullptr) {
        return nullptr;
    }
    *to = ']';
    return reserve(out, to + 1, 0);
}

static char *put_value(struct reply *out, char *to, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value)) {
        return put_string(out, to, value);
    }
    if (PyLong_CheckExact(value)) {
        return put_int(out, to, value);
    }
    if (value == Py_None) {
        return put_literal(out, to, "null", 4);
    }
    if (PyBool_Check(value)) {
        return value == Py_True ? put_literal(out, to, "true", 4) : put_literal(out, to, "false", 5);
    }
    if (PyFloat_CheckExact(value)) {
        return put_float(out, to, PyFloat_AS_DOUBLE(value));
    }
    if (depth == 0) {
        return nullptr;
    }
    if (PyDict_CheckExact(value)) {
        return put_dict(out, to, value, depth - 1);
    }
    if (PyList_CheckExact(value)) {
        return put_list(out, to, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value), depth - 1);
    }
    return PyTuple_CheckExact(value)
               ? put_list(out, to, ((PyTupleObject *)value)->ob_item, PyTuple_GET_SIZE(value), depth - 1)
               : nullptr;
}

PyObject *encode_plain(PyObject *value)
{
    struct reply out;
    out.bytes = PyBytes_FromStringAndSize(nullptr, FIRST_CAPACITY);
    if (out.bytes == nullptr) {
        return nullptr;
    }
    memset(out.keys, 0, sizeof out.keys);
    char *begin = PyBytes_AS_STRING(out.bytes);
    out.end = begin + FIRST_CAPACITY;
    char *end = put_value(&out, begin, value, MAX_DEPTH);
    if (end != nullptr) {
        _PyBytes_Resize(&out.bytes, end - PyBytes_AS_STRING(out.bytes));
        return out.bytes;
    }
    PyErr_Clear();
    Py_XDECREF(out.bytes);
    Py_RETURN_NONE;
}
