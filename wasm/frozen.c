// Frozen modules: imported from memory, because the image has no file system.
//
// The build compiles the standard library into one blob and a table of its modules
// (`stdlib_table.h`, generated). The guest package joins before the snapshot: this file compiles
// its sources from standard input into the same table, where CPython's FrozenImporter finds both
// (https://docs.python.org/3/c-api/import.html#c.PyImport_FrozenModules).

#include "image.h"

#include <marshal.h>
#include <stdlib.h>
#include <string.h>

alignas(16) static const unsigned char stdlib_blob[] = {
#embed "stdlib.bin"
};

static const struct _frozen stdlib_table[] = {
#define MODULE(name, offset, size, is_package) {name, stdlib_blob + (offset), size, is_package},
#include "stdlib_table.h"
#undef MODULE
    {},
};

static const size_t STDLIB_MODULES = sizeof stdlib_table / sizeof *stdlib_table - 1;

void frozen_install(void)
{
    PyImport_FrozenModules = stdlib_table;
}

// One module of the guest package. The texts point into the records and end without a NUL.
struct record {
    const char *name;
    uint32_t name_length;
    bool is_package;
    const char *source;
    uint32_t source_length;
};

// Removes the first `length` bytes of `rest` and returns them, or returns null if `rest` is
// shorter.
static const char *take(struct bytes *rest, size_t length)
{
    if (length > rest->length) {
        return nullptr;
    }
    const char *piece = rest->data;
    rest->data += length;
    rest->length -= length;
    return piece;
}

static bool take_length(struct bytes *rest, uint32_t *length)
{
    const unsigned char *piece = (const unsigned char *)take(rest, 4);
    if (piece == nullptr) {
        return false;
    }
    *length =
        piece[0] | (uint32_t)piece[1] << 8 | (uint32_t)piece[2] << 16 | (uint32_t)piece[3] << 24;
    return true;
}

// Record: u32le name length, name, u8 is-package, u32le source length, source (UTF-8).
static bool take_record(struct bytes *rest, struct record *record)
{
    if (!take_length(rest, &record->name_length)
        || (record->name = take(rest, record->name_length)) == nullptr) {
        return false;
    }
    const char *is_package = take(rest, 1);
    if (is_package == nullptr || !take_length(rest, &record->source_length)) {
        return false;
    }
    record->is_package = *is_package != 0;
    record->source = take(rest, record->source_length);
    return record->source != nullptr;
}

// Returns a copy that ends with a NUL and is never freed.
static char *keep_text(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (copy == nullptr) {
        PyErr_NoMemory();
        return nullptr;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

// Returns a module's marshalled code, or null with an exception set. Its file name is
// "<frozen NAME>", as for CPython's own frozen modules.
static PyObject *compile_source(const char *name, const char *source)
{
    PyObject *filename = PyUnicode_FromFormat("<frozen %s>", name);
    if (filename == nullptr) {
        return nullptr;
    }
    PyObject *code = Py_CompileStringObject(source, filename, Py_file_input, nullptr, 2);
    Py_DECREF(filename);
    if (code == nullptr) {
        return nullptr;
    }
    PyObject *marshalled = PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION);
    Py_DECREF(code);
    return marshalled;
}

static bool freeze_record(const struct record *record, struct _frozen *into)
{
    char *name = keep_text(record->name, record->name_length);
    char *source = keep_text(record->source, record->source_length);
    PyObject *marshalled =
        name != nullptr && source != nullptr ? compile_source(name, source) : nullptr;
    free(source);
    char *code = marshalled == nullptr ? nullptr
                                       : keep_text(PyBytes_AS_STRING(marshalled),
                                                   (size_t)PyBytes_GET_SIZE(marshalled));
    if (code == nullptr) {
        Py_XDECREF(marshalled);
        free(name);
        return false;
    }
    *into = (struct _frozen){name, (const unsigned char *)code, (int)PyBytes_GET_SIZE(marshalled),
                             record->is_package};
    Py_DECREF(marshalled);
    return true;
}

// Counts the records, so that the table is allocated once. Returns false if the last is truncated.
static bool count_records(struct bytes rest, size_t *count)
{
    struct record record;
    for (*count = 0; rest.length > 0; ++*count) {
        if (!take_record(&rest, &record)) {
            return false;
        }
    }
    return true;
}

bool frozen_add_guest(const struct bytes *records)
{
    size_t count;
    if (!count_records(*records, &count) || count == 0) {
        PyErr_Format(PyExc_ValueError,
                     "%zu bytes on standard input are not the modules of a guest package",
                     records->length);
        return false;
    }
    struct _frozen *table = calloc(STDLIB_MODULES + count + 1, sizeof *table);
    if (table == nullptr) {
        PyErr_NoMemory();
        return false;
    }
    struct bytes rest = *records;
    for (size_t i = 0; i < count; i++) {
        struct record record;
        // The guest's modules come first: CPython searches linearly, and imports them most often.
        if (!take_record(&rest, &record) || !freeze_record(&record, &table[i])) {
            free(table);
            return false;
        }
    }
    memcpy(table + count, stdlib_table, STDLIB_MODULES * sizeof *table);
    PyImport_FrozenModules = table;
    return true;
}
