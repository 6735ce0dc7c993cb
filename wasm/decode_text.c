// Decodes JSON strings to Python's str, and interns object keys for the duration of one call.

#include "decode.h"

#include <string.h>

#define Py_BUILD_CORE
#include <pycore_object.h>
#include <pycore_runtime.h>

// Characters. Longer keys are rare and are not interned.
static const size_t MAX_KEY = 32;

// `PyUnicode_New` and a copy, for text that is ASCII and not empty.
HOT static inline PyObject *new_ascii(const char *text, size_t length)
{
    PyASCIIObject *string = PyObject_Malloc(sizeof(PyASCIIObject) + length + 1);
    if (string == nullptr) {
        return PyErr_NoMemory();
    }
    _PyObject_Init((PyObject *)string, &PyUnicode_Type);
    string->length = (Py_ssize_t)length;
    string->hash = -1;
    string->state = (typeof(string->state)){.kind = PyUnicode_1BYTE_KIND, .compact = 1, .ascii = 1};
    char *data = (char *)(string + 1);
    copy_text(data, text, length);
    data[length] = '\0';
    return (PyObject *)string;
}

HOT static inline PyObject *text_of(const char *text, size_t length, bool ascii)
{
    if (!ascii) {
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "strict");
    }
    if (length == 1) {
        return Py_NewRef(_Py_LATIN1_CHR((unsigned char)*text));
    }
    if (length == 0) {
        return PyUnicode_New(0, 0);
    }
    return new_ascii(text, length);
}

static const char *read_four_digits(const char *at, Py_UCS4 *value)
{
    static const char DIGITS[] = "0123456789abcdefABCDEF";
    *value = 0;
    for (int digit = 0; digit < 4; digit++, at++) {
        const char *found = *at ? strchr(DIGITS, *at) : nullptr;
        if (found == nullptr) {
            return nullptr;
        }
        Py_UCS4 number = (Py_UCS4)(found - DIGITS);
        *value = *value * 16 + (number < 16 ? number : number - 6);
    }
    return at;
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
    return bytes_append(
        out, (char[]){(char)(0xF0 | point >> 18), (char)(0x80 | (point >> 12 & 63)), third, last},
        4);
}

// Reads a code point after `\u`. A surrogate pair is one character; a lone surrogate stays itself.
static const char *read_code_point(const char *at, struct bytes *out)
{
    Py_UCS4 point, low;
    at = read_four_digits(at, &point);
    if (at == nullptr) {
        return nullptr;
    }
    if (Py_UNICODE_IS_HIGH_SURROGATE(point) && at[0] == '\\' && at[1] == 'u') {
        const char *after = read_four_digits(at + 2, &low);
        if (after != nullptr && Py_UNICODE_IS_LOW_SURROGATE(low)) {
            point = Py_UNICODE_JOIN_SURROGATES(point, low);
            at = after;
        }
    }
    return put_utf8(out, point) ? at : nullptr;
}

// Reads an escape sequence after its backslash.
static const char *read_escape(const char *at, struct bytes *out)
{
    static const char NAMES[] = "\"\\/bfnrt", VALUES[] = "\"\\/\b\f\n\r\t";
    char name = *at++;
    if (name == 'u') {
        return read_code_point(at, out);
    }
    const char *found = name ? strchr(NAMES, name) : nullptr;
    return found != nullptr && bytes_append(out, &VALUES[found - NAMES], 1) ? at : nullptr;
}

// Reads the rest of a string from its first backslash, at `at`. `begin` is its first character.
static const char *read_escaped(const char *begin, const char *at, PyObject **text)
{
    struct bytes out = {};
    if (!bytes_append(&out, begin, (size_t)(at - begin))) {
        at = nullptr;
    }
    while (at != nullptr && *at != '"') {
        if (*at == '\\') {
            at = read_escape(at + 1, &out);
        } else {
            at = (unsigned char)*at >= 0x20 && bytes_append(&out, at, 1) ? at + 1 : nullptr;
        }
    }
    *text = at != nullptr ? PyUnicode_DecodeUTF8(out.data, (Py_ssize_t)out.length, "surrogatepass")
                          : nullptr;
    bytes_free(&out);
    return *text != nullptr ? at + 1 : nullptr;
}

const char *read_text(const struct reader *reader, const char *at, PyObject **text)
{
    struct run run = run_of(at, (size_t)(reader->end - at));
    const char *end = at + run.length;
    if (*end == '"') {
        *text = text_of(at, run.length, run.ascii);
        return *text == nullptr ? nullptr : end + 1;
    }
    return *end == '\\' ? read_escaped(at, end, text) : nullptr;
}

const char *read_key(struct reader *reader, const char *at, PyObject **key, struct key_slot **slot)
{
    struct run run = run_of(at, (size_t)(reader->end - at));
    size_t length = run.length;
    *slot = nullptr;
    if (!run.ascii || length == 0 || length > MAX_KEY || at[length] != '"') {
        return read_text(reader, at, key);
    }
    unsigned first = (unsigned char)at[0], middle = (unsigned char)at[length / 2],
             last = (unsigned char)at[length - 1];
    unsigned hash = first * 7 + middle * 31 + last * 131 + (unsigned)length * 17;
    struct key_slot *entry = *slot = &reader->slots[hash % KEY_SLOTS];
    if (entry->key != nullptr && (size_t)PyUnicode_GET_LENGTH(entry->key) == length
        && same_text(PyUnicode_DATA(entry->key), at, length)) {
        *key = Py_NewRef(entry->key);
        return at + length + 1;
    }
    *key = text_of(at, length, true);
    if (*key == nullptr) {
        return nullptr;
    }
    Py_XSETREF(entry->key, Py_NewRef(*key));
    Py_CLEAR(entry->shape);
    entry->missed = false;
    return at + length + 1;
}
