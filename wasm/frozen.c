// Frozen modules: imported from memory, because the image has no file system of the host.
//
// The build compiles the standard library into one blob and a table of its modules
// (`stdlib_table.h`, generated). The guest package joins before the snapshot: this file compiles
// its sources from standard input into the same table, where CPython's FrozenImporter finds both
// (https://docs.python.org/3/c-api/import.html#c.PyImport_FrozenModules).
//
// Files of packages join too. All become files of the in-memory file system. The modules among them
// are in the table by their path, where guest/_serpentarium/core/packages.py finds them.

#include "image.h"

#include <marshal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

// What a record holds (wasm/ABI.md).
enum kind { MODULE, PACKAGE, FILE_OF_PACKAGE };

// One record. The texts point into the records and end without a NUL. The name of a file is its path.
struct record {
    const char *name;
    uint32_t name_length;
    enum kind kind;
    const char *content;
    uint32_t content_length;
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

// Record: u32le name length, name, u8 kind, u32le content length, content.
static bool take_record(struct bytes *rest, struct record *record)
{
    if (!take_length(rest, &record->name_length)
        || (record->name = take(rest, record->name_length)) == nullptr) {
        return false;
    }
    const char *kind = take(rest, 1);
    if (kind == nullptr || *kind < MODULE || *kind > FILE_OF_PACKAGE
        || !take_length(rest, &record->content_length)) {
        return false;
    }
    record->kind = (enum kind) * kind;
    record->content = take(rest, record->content_length);
    return record->content != nullptr;
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

// Returns the code of a module of the guest package. Its file name is "<frozen NAME>", as for
// CPython's own frozen modules.
static PyObject *compile_own(const char *name, const char *source)
{
    PyObject *filename = PyUnicode_FromFormat("<frozen %s>", name);
    if (filename == nullptr) {
        return nullptr;
    }
    PyObject *code = Py_CompileStringObject(source, filename, Py_file_input, nullptr, 2);
    Py_DECREF(filename);
    return code;
}

// Returns the code of a module of a package, with docstrings and assertions. A source that is no
// Python gives code that raises the error: many packages have such a module, and never import it.
static PyObject *compile_foreign(const char *path, const char *source)
{
    PyObject *code = Py_CompileStringExFlags(source, path, Py_file_input, nullptr, 0);
    if (code != nullptr || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return code;
    }
    PyObject *error = PyErr_GetRaisedException();
    PyObject *text = PyObject_Str(error);
    PyObject *raising =
        text == nullptr ? nullptr : PyUnicode_FromFormat("raise SyntaxError(%R)", text);
    const char *raising_source = raising == nullptr ? nullptr : PyUnicode_AsUTF8(raising);
    if (raising_source != nullptr) {
        code = Py_CompileStringExFlags(raising_source, path, Py_file_input, nullptr, 0);
    }
    Py_XDECREF(raising);
    Py_XDECREF(text);
    Py_DECREF(error);
    return code;
}

static PyObject *compile_record(const struct record *record, const char *name)
{
    char *source = keep_text(record->content, record->content_length);
    if (source == nullptr) {
        return nullptr;
    }
    PyObject *code =
        record->kind == FILE_OF_PACKAGE ? compile_foreign(name, source) : compile_own(name, source);
    free(source);
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
    PyObject *marshalled = name == nullptr ? nullptr : compile_record(record, name);
    char *code = marshalled == nullptr ? nullptr
                                       : keep_text(PyBytes_AS_STRING(marshalled),
                                                   (size_t)PyBytes_GET_SIZE(marshalled));
    if (code == nullptr) {
        Py_XDECREF(marshalled);
        free(name);
        return false;
    }
    *into = (struct _frozen){name, (const unsigned char *)code, (int)PyBytes_GET_SIZE(marshalled),
                             record->kind == PACKAGE};
    Py_DECREF(marshalled);
    return true;
}

static bool is_module(const struct record *record)
{
    static const char END[] = ".py";
    static const size_t LENGTH = sizeof END - 1;
    return record->kind != FILE_OF_PACKAGE
           || (record->name_length > LENGTH
               && memcmp(record->name + record->name_length - LENGTH, END, LENGTH) == 0);
}

// Makes the file of a record, with its directories.
static bool write_file(const struct record *record)
{
    char *path = keep_text(record->name, record->name_length);
    if (path == nullptr) {
        return false;
    }
    for (char *end = strchr(path + 1, '/'); end != nullptr; end = strchr(end + 1, '/')) {
        *end = '\0';
        // One that exists is no error; any other shows when the file is opened.
        (void)mkdir(path, 0755);
        *end = '/';
    }
    FILE *file = fopen(path, "wb");
    size_t written = 0;
    if (file != nullptr) {
        written = fwrite(record->content, 1, record->content_length, file);
    }
    bool done = file != nullptr && fclose(file) == 0 && written == record->content_length;
    if (!done) {
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    }
    free(path);
    return done;
}

// Counts the modules of the guest package, and those of packages, so that the table is allocated
// once. Returns false if a record is invalid.
static bool count_modules(struct bytes rest, size_t *own, size_t *foreign)
{
    struct record record;
    for (*own = *foreign = 0; rest.length > 0;) {
        if (!take_record(&rest, &record)) {
            return false;
        }
        *(record.kind == FILE_OF_PACKAGE ? foreign : own) += is_module(&record);
    }
    return true;
}

bool frozen_add_guest(const struct bytes *records)
{
    size_t own, foreign;
    if (!count_modules(*records, &own, &foreign) || own == 0) {
        PyErr_Format(PyExc_ValueError,
                     "%zu bytes on standard input are not the modules of a guest package",
                     records->length);
        return false;
    }
    struct _frozen *table = calloc(own + STDLIB_MODULES + foreign + 1, sizeof *table);
    if (table == nullptr) {
        PyErr_NoMemory();
        return false;
    }
    // CPython searches linearly. The guest's modules come first, because it imports them most often,
    // and those of packages last: packages.py finds them by their path.
    struct _frozen *next_own = table, *next_foreign = table + own + STDLIB_MODULES;
    memcpy(table + own, stdlib_table, STDLIB_MODULES * sizeof *table);
    struct bytes rest = *records;
    struct record record;
    while (take_record(&rest, &record)) {
        bool is_file = record.kind == FILE_OF_PACKAGE;
        if ((is_file && !write_file(&record))
            || (is_module(&record)
                && !freeze_record(&record, is_file ? next_foreign++ : next_own++))) {
            free(table);
            return false;
        }
    }
    PyImport_FrozenModules = table;
    return true;
}
