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

#include <errno.h>
#include <marshal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

// One record. Both texts end with a NUL. The name of a file is its path.
struct record {
    char *name;
    uint32_t name_length;
    enum kind kind;
    char *content;
    uint32_t content_length;
};

// Reads all `length` bytes of standard input. On failure returns false with errno set. `ended`: the
// input had ended before, which is no failure.
static bool read_bytes(void *into, size_t length, bool *ended)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(STDIN_FILENO, (char *)into + done, length - done);
        if (got == 0 && done == 0 && ended != nullptr) {
            return *ended = true;
        }
        if (got == 0) {
            errno = EBADMSG;
        }
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) {
            return false;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static uint32_t number(const uint8_t bytes[4])
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// Reads `length` bytes into memory of their own, and a NUL.
static char *read_text(uint32_t length)
{
    char *text = malloc((size_t)length + 1);
    if (text != nullptr) {
        text[length] = '\0';
        if (!read_bytes(text, length, nullptr)) {
            free(text);
            text = nullptr;
        }
    }
    return text;
}

static void record_free(struct record *record)
{
    free(record->name);
    free(record->content);
    *record = (struct record){};
}

// Reads the next record: u32le name length, name, u8 kind, u32le content length, content. One by
// one, so that the snapshot does not hold them all. Returns false with errno set if it is truncated.
static bool read_record(struct record *record, bool *ended)
{
    uint8_t length[4], head[5];
    *ended = false;
    if (!read_bytes(length, sizeof length, ended) || *ended) {
        return *ended;
    }
    record->name_length = number(length);
    record->name = read_text(record->name_length);
    if (record->name != nullptr && read_bytes(head, sizeof head, nullptr)) {
        record->kind = (enum kind)head[0];
        record->content_length = number(head + 1);
        record->content = read_text(record->content_length);
    }
    if (record->content == nullptr) {
        record_free(record);
        return false;
    }
    return true;
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

// Adds the code of a record to the table.
static bool freeze_record(struct record *record, struct _frozen *into)
{
    PyObject *code = record->kind == FILE_OF_PACKAGE
                         ? compile_foreign(record->name, record->content)
                         : compile_own(record->name, record->content);
    if (code == nullptr) {
        return false;
    }
    PyObject *marshalled = PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION);
    Py_DECREF(code);
    if (marshalled == nullptr) {
        return false;
    }
    size_t size = (size_t)PyBytes_GET_SIZE(marshalled);
    char *name = keep_text(record->name, record->name_length);
    char *kept = name == nullptr ? nullptr : keep_text(PyBytes_AS_STRING(marshalled), size);
    Py_DECREF(marshalled);
    if (kept == nullptr) {
        free(name);
        return false;
    }
    *into = (struct _frozen){name, (const unsigned char *)kept, (int)size, record->kind == PACKAGE};
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
static bool write_file(struct record *record)
{
    char *path = record->name;
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
    return done;
}

// A growing table of modules.
struct table {
    struct _frozen *modules;
    size_t count, capacity;
};

static struct _frozen *next_module(struct table *table)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        struct _frozen *modules = realloc(table->modules, capacity * sizeof *modules);
        if (modules == nullptr) {
            PyErr_NoMemory();
            return nullptr;
        }
        *table = (struct table){modules, table->count, capacity};
    }
    return &table->modules[table->count++];
}

static bool add_record(struct record *record, struct table *own, struct table *foreign)
{
    bool is_file = record->kind == FILE_OF_PACKAGE;
    if (is_file && !write_file(record)) {
        return false;
    }
    if (!is_module(record)) {
        return true;
    }
    struct _frozen *into = next_module(is_file ? foreign : own);
    return into != nullptr && freeze_record(record, into);
}

static bool read_records(struct table *own, struct table *foreign)
{
    for (;;) {
        bool ended;
        struct record record = {};
        if (!read_record(&record, &ended)) {
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
        if (ended) {
            return true;
        }
        bool added = add_record(&record, own, foreign);
        record_free(&record);
        if (!added) {
            return false;
        }
    }
}

bool frozen_add_guest(void)
{
    struct table own = {}, foreign = {};
    struct _frozen *all = nullptr;
    if (read_records(&own, &foreign)) {
        all = calloc(own.count + STDLIB_MODULES + foreign.count + 1, sizeof *all);
        if (all == nullptr) {
            PyErr_NoMemory();
        } else {
            // CPython searches linearly. The guest's modules come first, because it imports them
            // most often, and those of packages last: packages.py finds them by their path.
            memcpy(all, own.modules, own.count * sizeof *all);
            memcpy(all + own.count, stdlib_table, STDLIB_MODULES * sizeof *all);
            memcpy(all + own.count + STDLIB_MODULES, foreign.modules, foreign.count * sizeof *all);
            PyImport_FrozenModules = all;
        }
    }
    free(own.modules);
    free(foreign.modules);
    return all != nullptr;
}
