// JSON strings to Python's str, and keys, which are made once.

#include "decode.h"
#include "text.h"

#include <string.h>

static const size_t MAX_KEY = 32;

static PyObject *text_of(const char *text, size_t length, bool ascii)
{
    if (!ascii || length <= 1) {
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "strict");
    }
    PyObject *string = PyUnicode_New((Py_ssize_t)length, 127);
    if (string != nullptr) {
        copy_text(PyUnicode_DATA(string), text, length);
    }
    return string;
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

// Reads the characters up to the end of a string, or up to the first that is escaped or may not be there.
static struct run read_run(struct reader *reader)
{
    struct run run = run_of(reader->at, (size_t)(reader->end - reader->at));
    reader->at += run.length;
    return run;
}

PyObject *read_text(struct reader *reader)
{
    const char *begin = reader->at;
    struct run run = read_run(reader);
    if (take(reader, '"')) {
        return text_of(begin, run.length, run.ascii);
    }
    return peek(reader) == '\\' ? read_escaped(reader, begin) : nullptr;
}

PyObject *read_key(struct reader *reader, struct known_key **known)
{
    const char *text = reader->at;
    struct run run = read_run(reader);
    size_t length = run.length;
    *known = nullptr;
    if (!run.ascii || length == 0 || length > MAX_KEY || peek(reader) != '"') {
        reader->at = text;
        return read_text(reader);
    }
    reader->at++;
    unsigned first = (unsigned char)text[0], middle = (unsigned char)text[length / 2], last = (unsigned char)text[length - 1];
    unsigned slot = first * 7 + middle * 31 + last * 131 + (unsigned)length * 17;
    struct known_key *place = *known = &reader->known[slot % KEYS];
    if (place->key != nullptr && (size_t)PyUnicode_GET_LENGTH(place->key) == length
        && same_text(PyUnicode_DATA(place->key), text, length)) {
        return Py_NewRef(place->key);
    }
    PyObject *key = text_of(text, length, true);
    if (key != nullptr) {
        Py_XSETREF(place->key, Py_NewRef(key));
        Py_CLEAR(place->shape);
        place->missed = false;
    }
    return key;
}

bool take_key(struct reader *reader, PyObject *key)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(key);
    const char *at = reader->at;
    if ((size_t)(reader->end - at) < length + 2 || at[0] != '"' || at[length + 1] != '"'
        || !same_text(PyUnicode_DATA(key), at + 1, length)) {
        return false;
    }
    reader->at += length + 2;
    return true;
}
