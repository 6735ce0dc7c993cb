// What the parts of the image say to each other.
//
// The image is CPython with its whole standard library inside, and one task's worth of glue around it:
//
//   entry.c          what the host calls: start the interpreter once (before the snapshot), run a task (after it)
//   buffer.c         binary data as JSON, and back
//   decode*.c        JSON to plain values
//   encode.c         plain values as JSON
//   frozen.c         the table of frozen modules: the standard library, and the guest package added at snapshot time
//   function.c       the text of a Code node as the code of a function
//   heap.c           how the heap takes memory from the host
//   host_module.c    the `_host` module, what Python sees of the host
//   snapshot.c       makes the memory cheap to copy before it is frozen into a snapshot
//   streams.c        standard input and output
//   wasi.c           the system calls that this image answers itself instead of importing them
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>

// Bytes of a page of WebAssembly, in which memory grows.
static const size_t WASM_PAGE = 64 * 1024;

// A growing run of bytes. All zero is a valid empty one.
struct bytes {
    char *data;
    size_t length;
    size_t capacity;
};

// Reads everything that is left on standard input. Returns false with errno set; `into` is then empty.
bool read_standard_input(struct bytes *into);
void bytes_free(struct bytes *bytes);

// Adds a copy of `data`. Returns false with errno set where memory is short; nothing is added then.
bool bytes_append(struct bytes *bytes, const void *data, size_t length);

// All of standard input as a bytes object. Null with a Python exception set.
PyObject *read_input(void);

// How much `read_input` read.
size_t length_of_input(void);

// Writes all of it. Returns false with errno set.
bool write_standard_output(const char *data, size_t length);

// The value of a JSON text, behind which a NUL stands. Null with ValueError set where this is not for it.
PyObject *decode_plain(const char *json, size_t length);

// JSON as a bytes object, or None where the value is not plain. Null with a Python exception set where memory is short.
PyObject *encode_plain(PyObject *value);

// The code of a function of that name whose body is the text; None where it does not compile as it is, False where that was not
// tried. The guest package then sees to it. Null never.
PyObject *function_code(PyObject *text, PyObject *filename, PyObject *name);

// `{"type":"Buffer","data":[…]}` as a str. Null with a Python exception set where `data` is not bytes-like.
PyObject *buffer_to_json(PyObject *data);

// The bytes of such a text from `start` on, and where it ends, as a tuple. Null with ValueError set where none stands there.
PyObject *buffer_from_json(PyObject *text, Py_ssize_t start);

// Makes the standard library importable. Call before the interpreter starts.
void frozen_install(void);

// Compiles the modules in `records` (see frozen.c for their form) and makes them importable as frozen modules.
// Returns false with a Python exception set.
bool frozen_add_guest(const struct bytes *records);

// The initialiser of the built-in module `_host`.
PyObject *host_module_init(void);

// From now on, the heap grows in larger steps than it is asked to.
void heap_grow_in_steps(void);

// Call as the very last thing before the snapshot. Return false with a Python exception set.
bool snapshot_make_immortal(void);
bool snapshot_settle_memory(void);
