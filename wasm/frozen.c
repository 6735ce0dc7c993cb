// The frozen modules: code that is imported from memory, because the image has no file system.
//
// The standard library is compiled by the build into one blob, with a table that says where each module lies
// (`stdlib_table.h`, generated). The guest package comes later, when the snapshot is taken: its sources arrive on
// standard input, are compiled here and join the same table, so that the ordinary frozen importer finds them.

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

// One module of the guest package as it lies in the records: no terminating zeros, all of it inside of them.
struct record {
    const char *name;
    uint32_t name_length;
    bool is_package;
    const char *source;
    uint32_t source_length;
};

// Cuts `length` bytes off the front of `rest`, or returns null if there are not so many.
static const char *cut(struct bytes *rest, size_t length)
{
    if (length > rest->length) {
        return nullptr;
    }
    const char *piece = rest->data;
    rest->data += length;
    rest->length -= length;
    return piece;
}

static bool cut_length(struct bytes *rest, uint32_t *length)
{
    const unsigned char *piece = (const unsigned char *)cut(rest, 4);
    if (piece == nullptr) {
        return false;
    }
    *length = piece[0] | (uint32_t)piece[1] << 8 | (uint32_t)piece[2] << 16 | (uint32_t)piece[3] << 24;
    return true;
}

// A record is: u32le name length, name, u8 is-package, u32le source length, source (UTF-8).
static bool cut_record(struct bytes *rest, struct record *record)
{
    if (!cut_length(rest, &record->name_length) || (record->name = cut(rest, record->name_length)) == nullptr) {
        return false;
    }
    const char *is_package = cut(rest, 1);
    if (is_package == nullptr || !cut_length(rest, &record->source_length)) {
        return false;
    }
    record->is_package = *is_package != 0;
    record->source = cut(rest, record->source_length);
    return record->source != nullptr;
}

// A copy with a terminating zero that lives as long as the image does.
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

// The marshalled code of a module's source, or null with an exception set. The module is known as "<frozen NAME>".
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
    PyObject *marshalled = name != nullptr && source != nullptr ? compile_source(name, source) : nullptr;
    free(source);
    char *code = marshalled == nullptr ? nullptr
                                       : keep_text(PyBytes_AS_STRING(marshalled), (size_t)PyBytes_GET_SIZE(marshalled));
    if (code == nullptr) {
        Py_XDECREF(marshalled);
        free(name);
        return false;
    }
    *into = (struct _frozen){name, (const unsigned char *)code, (int)PyBytes_GET_SIZE(marshalled), record->is_package};
    Py_DECREF(marshalled);
    return true;
}

// Counts the records, so that the table is allocated once. Returns false if they are cut short.
static bool count_records(struct bytes rest, size_t *count)
{
    struct record record;
    for (*count = 0; rest.length > 0; ++*count) {
        if (!cut_record(&rest, &record)) {
            return false;
        }
    }
    return true;
}

bool frozen_add_guest(const struct bytes *records)
{
    size_t count;
    if (!count_records(*records, &count) || count == 0) {
        PyErr_Format(PyExc_ValueError, "%zu bytes on standard input are not the modules of a guest package",
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
        // The guest's modules come first: they are looked for most often, and the search is from the front.
        if (!cut_record(&rest, &record) || !freeze_record(&record, &table[i])) {
            free(table);
            return false;
        }
    }
    memcpy(table + count, stdlib_table, STDLIB_MODULES * sizeof *table);
    PyImport_FrozenModules = table;
    return true;
}
