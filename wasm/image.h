// Interfaces between the C files of the image: CPython with its standard library, and
//
//   appear.c         files that appear when code looks for them
//   buffer.c         binary data to n8n's JSON form, and back
//   decode*.c        JSON to plain Python values
//   descriptors.c    WASI calls on open files, and directories.c on paths
//   encode.c         plain Python values to JSON
//   entry.c          exports: start the interpreter (before the snapshot), run a task (after it)
//   files.c          the in-memory file system, and pieces.c the bytes of its files
//   frozen.c         frozen modules: the standard library, the guest package and packages
//   program.c        compiles a task's text as a program
//   heap.c           grows the linear memory
//   modes.c          permission bits, and other parts of POSIX that WASI lacks
//   host_module.c    the module `_host`, Python's interface to the host
//   scrypt.c         the module `_scrypt`, the slow part of hashlib.scrypt
//   snapshot.c       prepares the memory for copy-on-write instances
//   streams.c        standard input and output
//   wasi.c           WASI calls that the image answers itself
//   zone.c           local time in the task's time zone
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>

// Bytes of a WebAssembly page, the unit of `memory.grow`.
static const size_t WASM_PAGE = 64 * 1024;

// A growable byte array. All zero is a valid empty one.
struct bytes {
    char *data;
    size_t length;
    size_t capacity;
};

void bytes_free(struct bytes *bytes);

// Appends a copy of `data`. If memory is short, returns false with errno set and appends nothing.
bool bytes_append(struct bytes *bytes, const void *data, size_t length);

// Returns all of standard input as a bytes object, or null with a Python exception set.
PyObject *read_input(void);

// Returns the number of bytes that `read_input` has read.
size_t input_size(void);

// Writes all `length` bytes. On failure returns false with errno set.
bool write_standard_output(const char *data, size_t length);

// Decodes a JSON text with a NUL behind it. Returns null with ValueError set for invalid JSON, and
// for the valid JSON that decode.c leaves to Python's `json`.
PyObject *decode_plain(const char *json, size_t length);

// Returns a value's JSON as a bytes object, or None if the value is not plain (encode.c) or memory
// is short. Returns null with a Python exception set if no memory is left at the start.
PyObject *encode_plain(PyObject *value);

// Compiles a text as a program, a module that can return. `revealing`: a frozenset of names; in code
// that contains one of them, all variables of the module are entries of its dict. Returns the code
// object, None if the text does not compile unchanged, or False if the text needs the guest
// package. Never returns null.
PyObject *program_code(PyObject *text, PyObject *filename, PyObject *revealing);

// Compiles an `ast.Module` in the same way. Returns null with a Python exception set on failure.
PyObject *program_code_of_tree(PyObject *tree, PyObject *filename, PyObject *revealing);

// Returns `{"type":"Buffer","data":[…]}` as a str, or null with a Python exception set if `data` is
// not bytes-like.
PyObject *buffer_to_json(PyObject *data);

// Reads that form in `text` from the index `start`. Returns a tuple of the bytes and the end index,
// or null with ValueError set if no such form starts there.
PyObject *buffer_from_json(PyObject *text, Py_ssize_t start);

// Makes the standard library importable. The interpreter must not have started.
void frozen_install(void);

// Reads the records on standard input (format: frozen.c), makes their modules importable, and makes
// the files of packages. On failure returns false with a Python exception set.
bool frozen_add_guest(void);

// Sets the function that returns the data of the local time zone, or None for UTC (zone.c). The
// first use of local time calls it. Returns false with a Python exception set for other objects.
bool set_zone(PyObject *source);

// Sets the function that makes files when code looks for them (appear.c). It takes a path relative to
// the root, and returns whether it made any. Returns false with a Python exception set for other
// objects.
bool set_maker(PyObject *function);

// The initialiser of the built-in module `_host`.
PyObject *host_module_init(void);

// The initialiser of the built-in module `_scrypt`.
PyObject *scrypt_module_init(void);

// Adds free memory that a small task fits in, and makes the heap grow in larger steps than requested
// from now on (heap.c). Returns false if memory is short.
bool heap_grow_in_steps(void);

// The last calls before the snapshot, in this order. On failure return false with a Python
// exception set.
bool snapshot_make_immortal(void);
bool snapshot_fill_heap_gaps(void);
