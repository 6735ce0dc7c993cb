// Converts bytes to and from n8n's JSON form of binary data, `{"type":"Buffer","data":[1,2,3]}`
// (https://nodejs.org/api/buffer.html#buftojson). Python lists would need one object a byte.

#include "image.h"

#include <string.h>

static const char HEAD[] = "{\"type\":\"Buffer\",\"data\":[";
static const char TAIL[] = "]}";

enum { HEAD_LENGTH = sizeof HEAD - 1, TAIL_LENGTH = sizeof TAIL - 1 };

static Py_ssize_t digits_of(uint8_t byte)
{
    return 1 + (byte >= 10) + (byte >= 100);
}

static char *write_byte(char *to, uint8_t byte)
{
    if (byte >= 100) {
        *to++ = (char)('0' + byte / 100);
    }
    if (byte >= 10) {
        *to++ = (char)('0' + byte / 10 % 10);
    }
    *to++ = (char)('0' + byte % 10);
    return to;
}

PyObject *buffer_to_json(PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return nullptr;
    }
    const uint8_t *bytes = view.buf;
    // 64 bits: at up to four characters a byte the length can exceed Py_ssize_t (32 bits here).
    int64_t length = HEAD_LENGTH + TAIL_LENGTH + (view.len > 0 ? view.len - 1 : 0);
    for (Py_ssize_t i = 0; i < view.len; i++) {
        length += digits_of(bytes[i]);
    }
    PyObject *text =
        length <= PY_SSIZE_T_MAX ? PyUnicode_New((Py_ssize_t)length, 127) : PyErr_NoMemory();
    if (text != nullptr) {
        char *to = PyUnicode_DATA(text);
        memcpy(to, HEAD, HEAD_LENGTH);
        to += HEAD_LENGTH;
        for (Py_ssize_t i = 0; i < view.len; i++) {
            if (i > 0) {
                *to++ = ',';
            }
            to = write_byte(to, bytes[i]);
        }
        memcpy(to, TAIL, TAIL_LENGTH);
    }
    PyBuffer_Release(&view);
    return text;
}

struct scanner {
    const char *at;
    const char *end;
};

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end
           && (*scanner->at == ' ' || *scanner->at == '\n' || *scanner->at == '\t'
               || *scanner->at == '\r')) {
        scanner->at++;
    }
}

// Skips white space and then `word`. Returns false if `word` does not follow.
static bool skip(struct scanner *scanner, const char *word)
{
    skip_space(scanner);
    size_t length = strlen(word);
    if ((size_t)(scanner->end - scanner->at) < length || memcmp(scanner->at, word, length) != 0) {
        return false;
    }
    scanner->at += length;
    return true;
}

// `skip` for one character. Runs once a byte, so it avoids `strlen`.
static bool skip_one(struct scanner *scanner, char character)
{
    skip_space(scanner);
    bool there = scanner->at < scanner->end && *scanner->at == character;
    scanner->at += there;
    return there;
}

static bool read_byte(struct scanner *scanner, uint8_t *byte)
{
    skip_space(scanner);
    const char *first = scanner->at;
    unsigned value = 0;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9'
           && scanner->at - first < 3) {
        value = value * 10 + (unsigned)(*scanner->at++ - '0');
    }
    // RFC 8259 forbids leading zeros.
    bool is_number = scanner->at > first && (*first != '0' || scanner->at - first == 1);
    *byte = (uint8_t)value;
    return is_number && value <= 255;
}

// Fast path: reads numbers in n8n's compact form, without white space and with a comma after each.
// Needs no bounds check: the NUL behind a Python str is neither digit nor comma.
static Py_ssize_t read_compact(struct scanner *scanner, uint8_t *to, Py_ssize_t capacity)
{
    const char *at = scanner->at;
    Py_ssize_t count = 0;
    for (; count < capacity; count++) {
        unsigned value = (unsigned)(at[0] - '0');
        if (value > 9) {
            break;
        }
        if (at[1] == ',') {
            at += 2;
        } else {
            unsigned second = (unsigned)(at[1] - '0');
            // RFC 8259 forbids leading zeros.
            if (second > 9 || value == 0) {
                break;
            }
            value = value * 10 + second;
            if (at[2] == ',') {
                at += 3;
            } else {
                unsigned third = (unsigned)(at[2] - '0');
                value = value * 10 + third;
                if (third > 9 || at[3] != ',' || value > 255) {
                    break;
                }
                at += 4;
            }
        }
        to[count] = (uint8_t)value;
    }
    scanner->at = at;
    return count;
}

// Reads the numbers and the closing bracket. Writes at most `capacity` bytes.
static bool read_bytes(struct scanner *scanner, uint8_t *to, Py_ssize_t capacity, Py_ssize_t *count)
{
    *count = 0;
    if (skip_one(scanner, ']')) {
        return true;
    }
    *count = read_compact(scanner, to, capacity);
    do {
        if (*count == capacity || !read_byte(scanner, to + *count)) {
            return false;
        }
        ++*count;
    } while (skip_one(scanner, ','));
    return skip_one(scanner, ']');
}

// Returns an upper bound of the list's length: the commas before the bracket, plus one.
static Py_ssize_t max_bytes(const struct scanner *scanner)
{
    const char *bracket = memchr(scanner->at, ']', (size_t)(scanner->end - scanner->at));
    Py_ssize_t count = 1;
    for (const char *at = scanner->at; at < (bracket != nullptr ? bracket : scanner->end); at++) {
        count += *at == ',';
    }
    return count;
}

static bool open_buffer(struct scanner *scanner)
{
    return skip(scanner, "{") && skip(scanner, "\"type\"") && skip(scanner, ":")
           && skip(scanner, "\"Buffer\"") && skip(scanner, ",") && skip(scanner, "\"data\"")
           && skip(scanner, ":") && skip(scanner, "[");
}

PyObject *buffer_from_json(PyObject *text, Py_ssize_t start)
{
    if (!PyUnicode_Check(text) || !PyUnicode_IS_COMPACT_ASCII(text) || start < 0
        || start > PyUnicode_GET_LENGTH(text)) {
        PyErr_SetString(PyExc_ValueError, "expected an ASCII str and an index in it");
        return nullptr;
    }
    const char *json = PyUnicode_DATA(text);
    struct scanner scanner = {.at = json + start, .end = json + PyUnicode_GET_LENGTH(text)};
    if (!open_buffer(&scanner)) {
        PyErr_SetString(PyExc_ValueError, "not a buffer");
        return nullptr;
    }
    Py_ssize_t count = max_bytes(&scanner);
    PyObject *bytes = PyBytes_FromStringAndSize(nullptr, count);
    if (bytes == nullptr) {
        return nullptr;
    }
    if (!read_bytes(&scanner, (uint8_t *)PyBytes_AS_STRING(bytes), count, &count)
        || !skip(&scanner, "}")) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_ValueError, "not a buffer");
        return nullptr;
    }
    // Only the empty list has fewer numbers than the upper bound.
    if (count != PyBytes_GET_SIZE(bytes) && _PyBytes_Resize(&bytes, count) < 0) {
        return nullptr;
    }
    return Py_BuildValue("(Nn)", bytes, (Py_ssize_t)(scanner.at - json));
}
