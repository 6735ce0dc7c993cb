// Standard input and output, without Python's io stack, which would cost more than a small task does.

#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

static const size_t FIRST_CAPACITY = 64 * 1024;

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){};
}

static bool bytes_grow(struct bytes *bytes)
{
    size_t capacity = bytes->capacity ? bytes->capacity * 2 : FIRST_CAPACITY;
    char *data = capacity > bytes->capacity ? realloc(bytes->data, capacity) : nullptr;
    if (data == nullptr) {
        errno = ENOMEM;
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

bool bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    while (bytes->capacity - bytes->length < length) {
        if (!bytes_grow(bytes)) {
            return false;
        }
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return true;
}

bool read_standard_input(struct bytes *into)
{
    for (;;) {
        if (into->length == into->capacity && !bytes_grow(into)) {
            break;
        }
        ssize_t got = read(STDIN_FILENO, into->data + into->length, into->capacity - into->length);
        if (got == 0) {
            return true;
        }
        if (got > 0) {
            into->length += (size_t)got;
        } else if (errno != EINTR && errno != EAGAIN) {
            break;
        }
    }
    int reason = errno;
    bytes_free(into);
    errno = reason;
    return false;
}

// Bytes that are left on standard input, or 0 where the host does not say.
static size_t bytes_left(void)
{
    __wasi_subscription_t input = {.u.tag = __WASI_EVENTTYPE_FD_READ, .u.u.fd_read.file_descriptor = STDIN_FILENO};
    __wasi_event_t event = {};
    __wasi_size_t count = 0;
    bool known = __wasi_poll_oneoff(&input, &event, 1, &count) == __WASI_ERRNO_SUCCESS && count == 1
                 && event.error == __WASI_ERRNO_SUCCESS && event.fd_readwrite.nbytes < PY_SSIZE_T_MAX / 2;
    return known ? (size_t)event.fd_readwrite.nbytes : 0;
}

// So many bytes were read as the input.
static size_t input_length;

size_t length_of_input(void)
{
    return input_length;
}

// Makes more room in the input, of which `capacity` bytes are full: for all that is left, if that is much, and for one byte
// more, whose absence is the end.
static Py_ssize_t make_room(PyObject **input, Py_ssize_t capacity)
{
    size_t left = bytes_left();
    Py_ssize_t room = left > FIRST_CAPACITY ? (Py_ssize_t)left + 1 : capacity;
    capacity = capacity > PY_SSIZE_T_MAX - room ? PY_SSIZE_T_MAX : capacity + room;
    _PyBytes_Resize(input, capacity);
    return capacity;
}

PyObject *read_input(void)
{
    Py_ssize_t length = 0, capacity = (Py_ssize_t)FIRST_CAPACITY;
    PyObject *input = PyBytes_FromStringAndSize(nullptr, capacity);
    while (input != nullptr) {
        ssize_t got = read(STDIN_FILENO, PyBytes_AS_STRING(input) + length, (size_t)(capacity - length));
        if (got > 0) {
            length += got;
        } else if (got == 0) {
            break;
        } else if (errno != EINTR && errno != EAGAIN) {
            PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(input);
            return nullptr;
        }
        if (length == capacity) {
            capacity = make_room(&input, capacity);
        }
    }
    if (input != nullptr) {
        input_length = (size_t)length;
        _PyBytes_Resize(&input, length);
    }
    return input;
}

bool write_standard_output(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, data, length);
        if (written > 0) {
            data += written;
            length -= (size_t)written;
        } else if (written == 0 || (errno != EINTR && errno != EAGAIN)) {
            return false;
        }
    }
    return true;
}
