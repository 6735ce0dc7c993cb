// Encodes plain values as JSON, straight to UTF-8: the common case of a task's result.
//
// Plain values are exactly dict (with str keys), list, tuple, str, int, float, bool and None,
// nested up to MAX_DEPTH. The guest package encodes all others: NaN, ints of thousands of digits,
// subclasses, other objects, lone surrogates, cycles. No user code runs during encoding, so nothing
// changes a container while it is read.

#include "digits.h"
#include "escape.h"
#include "image.h"
#include "text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define Py_BUILD_CORE
#include <pycore_dict.h>
#include <pycore_long.h>

// Nested containers. Bounds the C stack that recursion uses, and stops at cycles.
static const int MAX_DEPTH = 200;

// 30-bit digits of an int. CPython converts larger ints in Python (Lib/_pylong.py), where user code
// could run.
enum { MAX_INT_DIGITS = 1000 };

// Bytes: enough for the reply of a small task.
static const Py_ssize_t FIRST_CAPACITY = 4096;

// Bytes. Invariant: at least SLACK bytes are free between writes, so short tokens need no bounds
// check. The longest one is a cached key with its separator, 33 bytes.
enum { SLACK = 64 };

// Entries of the key cache, and bytes of the longest encoded key in it. Items repeat their keys.
enum { CACHED_KEYS = 64, CACHED_KEY_BYTES = 32 };

// A key as JSON, with its quotation marks and the colon.
struct encoded_key {
    char text[CACHED_KEY_BYTES];
    size_t length;
};

// The state of one encoding. Each function takes the write position and returns the new one, so
// that it stays in a register. It returns null if a value is not plain or memory is short; a Python
// exception may then be set.
struct writer {
    // The result. Null if memory was short.
    PyObject *bytes;
    // End of the capacity.
    char *end;
    // The key cache, indexed by a hash of the key's address. Nothing is freed during encoding, so
    // an address identifies a key. Null for an empty entry.
    PyObject *keys[CACHED_KEYS];
    struct encoded_key encoded[CACHED_KEYS];
};

static char *grow(struct writer *out, char *to, size_t length)
{
    const size_t most = PY_SSIZE_T_MAX;
    char *begin = PyBytes_AS_STRING(out->bytes);
    size_t written = (size_t)(to - begin), capacity = (size_t)(out->end - begin);
    if (written + length > most - SLACK) {
        return nullptr;
    }
    size_t needed = written + length + SLACK, twice = capacity > most / 2 ? most : capacity * 2;
    // Output is often as long as the input; then it fits the freed block of the input.
    size_t input = input_size();
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

// Reserves `length` bytes and the slack.
static inline char *reserve(struct writer *out, char *to, size_t length)
{
    return (size_t)(out->end - to) >= length + SLACK ? to : grow(out, to, length);
}

static inline char *put(struct writer *out, char *to, const char *text, size_t length)
{
    to = reserve(out, to, length);
    if (to == nullptr) {
        return nullptr;
    }
    copy_text(to, text, length);
    return to + length;
}

// Writes an ASCII text with its quotation marks.
static char *put_ascii(struct writer *out, char *to, const char *text, size_t length)
{
    *to++ = '"';
    for (;;) {
        // Includes the closing quotation mark. The slack takes the 16 bytes that `copy_run` may
        // write beyond its run.
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

static char *put_string(struct writer *out, char *to, PyObject *text)
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

static char *put_int(struct writer *out, char *to, PyObject *number)
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
    if (_PyLong_DigitCount((PyLongObject *)number) > MAX_INT_DIGITS) {
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

static char *put_float(struct writer *out, char *to, double number)
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

static inline char *put_literal(struct writer *out, char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return reserve(out, to + length, 0);
}

// Writes a key that is not in the cache, and caches its text if it is short.
[[clang::noinline]] static char *put_new_key(struct writer *out, char *to, PyObject *key,
                                             size_t slot)
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
    if (length <= CACHED_KEY_BYTES) {
        out->keys[slot] = key;
        memcpy(out->encoded[slot].text, text, CACHED_KEY_BYTES);
        out->encoded[slot].length = length;
    }
    return to;
}

static inline char *put_key(struct writer *out, char *to, PyObject *key)
{
    // Fibonacci hashing: the upper log2(CACHED_KEYS) bits of a product modulo 2**32.
    size_t slot = ((uintptr_t)key >> 4) * 0x9E3779B1 >> 26;
    if (out->keys[slot] != key) {
        return put_new_key(out, to, key, slot);
    }
    memcpy(to, out->encoded[slot].text, CACHED_KEY_BYTES);
    return to + out->encoded[slot].length;
}

static char *put_value(struct writer *out, char *to, PyObject *value, int depth);

static inline char *put_member(struct writer *out, char *to, char before, PyObject *key,
                               PyObject *value, int depth)
{
    *to = before;
    to = put_key(out, to + 1, key);
    to = to == nullptr ? nullptr : reserve(out, to, 0);
    return to == nullptr ? nullptr : put_value(out, to, value, depth);
}

static char *put_dict(struct writer *out, char *to, PyObject *object, int depth)
{
    PyDictObject *dict = (PyDictObject *)object;
    char before = '{';
    if (dict->ma_values == nullptr && DK_IS_UNICODE(dict->ma_keys)) {
        const PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(dict->ma_keys),
                                 *end = entry + dict->ma_keys->dk_nentries;
        for (; entry < end && to != nullptr; entry++) {
            // A deleted entry has no value.
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

static char *put_list(struct writer *out, char *to, PyObject *const *items, Py_ssize_t count,
                      int depth)
{
    // Nested lists write only brackets, so the slack must be restored here.
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

static char *put_value(struct writer *out, char *to, PyObject *value, int depth)
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
        return value == Py_True ? put_literal(out, to, "true", 4)
                                : put_literal(out, to, "false", 5);
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
        return put_list(out, to, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value),
                        depth - 1);
    }
    return PyTuple_CheckExact(value) ? put_list(out, to, ((PyTupleObject *)value)->ob_item,
                                                PyTuple_GET_SIZE(value), depth - 1)
                                     : nullptr;
}

PyObject *encode_plain(PyObject *value)
{
    struct writer out;
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
