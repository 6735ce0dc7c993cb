// Standard input and output without Python's `io`, whose set-up costs more than a small task.

#include "image.h"
#include "wasi.h"

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

// Returns the bytes left on standard input, or 0 if the host does not report them.
static size_t bytes_left(void)
{
    __wasi_subscription_t input = {.u.tag = __WASI_EVENTTYPE_FD_READ,
                                   .u.u.fd_read.file_descriptor = STDIN_FILENO};
    __wasi_event_t event = {};
    __wasi_size_t count = 0;
    bool known = __wasi_poll_oneoff(&input, &event, 1, &count) == __WASI_ERRNO_SUCCESS && count == 1
                 && event.error == __WASI_ERRNO_SUCCESS
                 && event.fd_readwrite.nbytes < PY_SSIZE_T_MAX / 2;
    return known ? (size_t)event.fd_readwrite.nbytes : 0;
}

// Bytes that `read_input` has read.
static size_t input_length;

size_t input_size(void)
{
    return input_length;
}

// Grows the input when all `capacity` bytes are full. If much input is left, adds its size and one
// byte, so that the next `read` can report the end without another growth.
static Py_ssize_t grow_input(PyObject **input, Py_ssize_t capacity)
{
    size_t left = bytes_left();
    Py_ssize_t growth = left > FIRST_CAPACITY ? (Py_ssize_t)left + 1 : capacity;
    capacity = capacity > PY_SSIZE_T_MAX - growth ? PY_SSIZE_T_MAX : capacity + growth;
    _PyBytes_Resize(input, capacity);
    return capacity;
}

PyObject *read_input(void)
{
    Py_ssize_t length = 0, capacity = (Py_ssize_t)FIRST_CAPACITY;
    PyObject *input = PyBytes_FromStringAndSize(nullptr, capacity);
    while (input != nullptr) {
        ssize_t got =
            read(STDIN_FILENO, PyBytes_AS_STRING(input) + length, (size_t)(capacity - length));
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
            capacity = grow_input(&input, capacity);
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
    reply_is_written = true;
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
