// JSON to Python values, straight from UTF-8: the way in for a task's settings and items.
//
// It is for JSON that the host has checked already, so it need not explain what is wrong: whatever it does not take
// (also what is rare: NaN, numbers of many digits, deep nesting) is left to Python's own `json`. No code of the user can
// run in here, and nothing made here can be garbage yet, so the collector rests meanwhile.

#include "image.h"

#include <string.h>

static const int MAX_DEPTH = 200;
static const size_t MAX_KEY = 32;
static const size_t MAX_NUMBER = 64;

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
    unsigned slot = 0;
    for (size_t at = 0; at < length; at++) {
        slot = slot * 31 + (unsigned char)text[at];
    }
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
    const char *begin = reader->at, *at = begin, *end = reader->end;
    unsigned char seen = 0;
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        seen |= (unsigned char)*at++;
    }
    reader->at = at;
    if (peek(reader) == '\\') {
        return read_escaped(reader, begin);
    }
    if (!take(reader, '"')) {
        return nullptr;
    }
    size_t length = (size_t)(at - begin);
    return is_key ? key_of(reader, begin, length, seen < 0x80) : text_of(begin, length, seen < 0x80);
}

static PyObject *read_float(const char *begin, size_t length)
{
    char text[MAX_NUMBER + 1];
    if (length > MAX_NUMBER) {
        return nullptr;
    }
    memcpy(text, begin, length);
    text[length] = '\0';
    double value = PyOS_string_to_double(text, nullptr, nullptr);
    return value == -1.0 && PyErr_Occurred() ? nullptr : PyFloat_FromDouble(value);
}

static PyObject *read_number(struct reader *reader)
{
    const char *begin = reader->at;
    bool negative = take(reader, '-');
    const char *digits = reader->at;
    long long value = 0;
    while (peek(reader) >= '0' && peek(reader) <= '9') {
        if (reader->at - digits == 18) {
            return nullptr;
        }
        value = value * 10 + (*reader->at++ - '0');
    }
    if (reader->at == digits || (*digits == '0' && reader->at - digits > 1)) {
        return nullptr;
    }
    if (peek(reader) != '.' && peek(reader) != 'e' && peek(reader) != 'E') {
        return PyLong_FromLongLong(negative ? -value : value);
    }
    while (reader->at < reader->end && strchr("0123456789.eE+-", *reader->at) != nullptr && *reader->at != '\0') {
        reader->at++;
    }
    return read_float(begin, (size_t)(reader->at - begin));
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

static bool read_member(struct reader *reader, PyObject *dict)
{
    skip_space(reader);
    PyObject *key = take(reader, '"') ? read_string(reader, true) : nullptr;
    if (key == nullptr) {
        return false;
    }
    skip_space(reader);
    PyObject *value = take(reader, ':') ? read_value(reader) : nullptr;
    bool ok = value != nullptr && PyDict_SetItem(dict, key, value) == 0;
    Py_XDECREF(value);
    Py_DECREF(key);
    return ok;
}

static bool read_element(struct reader *reader, PyObject *list)
{
    PyObject *value = read_value(reader);
    bool ok = value != nullptr && PyList_Append(list, value) == 0;
    Py_XDECREF(value);
    return ok;
}

// A dict or list, from behind its opening bracket.
static PyObject *read_container(struct reader *reader, PyObject *container, char close,
                                bool (*read_part)(struct reader *, PyObject *))
{
    if (container == nullptr || reader->depth == 0) {
        Py_XDECREF(container);
        return nullptr;
    }
    reader->depth--;
    skip_space(reader);
    bool ok = true, more = !take(reader, close);
    while (ok && more) {
        ok = read_part(reader, container);
        skip_space(reader);
        more = ok && take(reader, ',');
        ok = ok && (more || take(reader, close));
    }
    reader->depth++;
    if (!ok) {
        Py_CLEAR(container);
    }
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
        reader->at++;
        return read_container(reader, PyDict_New(), '}', read_member);
    case '[':
        reader->at++;
        return read_container(reader, PyList_New(0), ']', read_element);
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
