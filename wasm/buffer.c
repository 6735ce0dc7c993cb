// Binary data as n8n writes it in JSON, `{"type":"Buffer","data":[1,2,3]}`, to and from bytes, without a Python object
// for each byte.

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
    // At most four characters a byte, and every address has 32 bits: sizes are counted with more.
    int64_t length = HEAD_LENGTH + TAIL_LENGTH + (view.len > 0 ? view.len - 1 : 0);
    for (Py_ssize_t i = 0; i < view.len; i++) {
        length += digits_of(bytes[i]);
    }
    PyObject *text = length <= PY_SSIZE_T_MAX ? PyUnicode_New((Py_ssize_t)length, 127) : PyErr_NoMemory();
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

struct reader {
    const char *at;
    const char *end;
};

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r')) {
        reader->at++;
    }
}

// Steps over `word` and the space before it, if it is there.
static bool skip(struct reader *reader, const char *word)
{
    skip_space(reader);
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

// As `skip`, for one character: this is called for every byte.
static bool skip_one(struct reader *reader, char character)
{
    skip_space(reader);
    bool there = reader->at < reader->end && *reader->at == character;
    reader->at += there;
    return there;
}

static bool read_byte(struct reader *reader, uint8_t *byte)
{
    skip_space(reader);
    const char *first = reader->at;
    unsigned value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && reader->at - first < 3) {
        value = value * 10 + (unsigned)(*reader->at++ - '0');
    }
    // JSON has no leading zeros.
    bool is_number = reader->at > first && (*first != '0' || reader->at - first == 1);
    *byte = (uint8_t)value;
    return is_number && value <= 255;
}

// Reads numbers for as long as they stand as n8n writes them: no space anywhere, a comma behind each. A Python text ends with
// a NUL, which is neither digit nor comma, and so stops every step.
static Py_ssize_t read_plain(struct reader *reader, uint8_t *to, Py_ssize_t room)
{
    const char *at = reader->at;
    Py_ssize_t count = 0;
    for (; count < room; count++) {
        unsigned value = (unsigned)(at[0] - '0');
        if (value > 9) {
            break;
        }
        if (at[1] == ',') {
            at += 2;
        } else {
            unsigned second = (unsigned)(at[1] - '0');
            // JSON has no leading zeros.
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
    reader->at = at;
    return count;
}

// Reads the numbers and the bracket after them. `room` bytes can be written.
static bool read_bytes(struct reader *reader, uint8_t *to, Py_ssize_t room, Py_ssize_t *count)
{
    *count = 0;
    if (skip_one(reader, ']')) {
        return true;
    }
    *count = read_plain(reader, to, room);
    do {
        if (*count == room || !read_byte(reader, to + *count)) {
            return false;
        }
        ++*count;
    } while (skip_one(reader, ','));
    return skip_one(reader, ']');
}

// How many numbers there are at most: one more than commas before the bracket.
static Py_ssize_t count_bytes(const struct reader *reader)
{
    const char *bracket = memchr(reader->at, ']', (size_t)(reader->end - reader->at));
    Py_ssize_t count = 1;
    for (const char *at = reader->at; at < (bracket != nullptr ? bracket : reader->end); at++) {
        count += *at == ',';
    }
    return count;
}

static bool open_buffer(struct reader *reader)
{
    return skip(reader, "{") && skip(reader, "\"type\"") && skip(reader, ":") && skip(reader, "\"Buffer\"") &&
           skip(reader, ",") && skip(reader, "\"data\"") && skip(reader, ":") && skip(reader, "[");
}

PyObject *buffer_from_json(PyObject *text, Py_ssize_t start)
{
    if (!PyUnicode_Check(text) || !PyUnicode_IS_COMPACT_ASCII(text) || start < 0 ||
        start > PyUnicode_GET_LENGTH(text)) {
        PyErr_SetString(PyExc_ValueError, "expected plain ASCII text, and a place in it");
        return nullptr;
    }
    const char *json = PyUnicode_DATA(text);
    struct reader reader = {.at = json + start, .end = json + PyUnicode_GET_LENGTH(text)};
    if (!open_buffer(&reader)) {
        PyErr_SetString(PyExc_ValueError, "not a buffer");
        return nullptr;
    }
    Py_ssize_t count = count_bytes(&reader);
    PyObject *bytes = PyBytes_FromStringAndSize(nullptr, count);
    if (bytes == nullptr) {
        return nullptr;
    }
    if (!read_bytes(&reader, (uint8_t *)PyBytes_AS_STRING(bytes), count, &count) || !skip(&reader, "}")) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_ValueError, "not a buffer");
        return nullptr;
    }
    // Only an empty list has fewer numbers than were counted.
    if (count != PyBytes_GET_SIZE(bytes) && _PyBytes_Resize(&bytes, count) < 0) {
        return nullptr;
    }
    return Py_BuildValue("(Nn)", bytes, (Py_ssize_t)(reader.at - json));
}
