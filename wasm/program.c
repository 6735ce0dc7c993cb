// Compiles a task's text as a program: a module that can return and await at its top level.
//
// Variables that only the module's own code sees are local ones (patch 0007), unless the code
// contains a name by which it can tell them from entries of the module's dict.

#include "image.h"

#include <string.h>

#define Py_BUILD_CORE
#include <pycore_ast.h>
#include <pycore_compile.h>
#include <pycore_parser.h>
#include <pycore_pyarena.h>

// U+FEFF in UTF-8. Some editors prepend it to a text.
static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

// Longest text constant that is looked up: a name in `revealing` is shorter.
enum { MAX_REVEALING = 32 };

static const int FLAGS =
    PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE | PyCF_ALLOW_TOP_LEVEL_AWAIT | PyCF_PROGRAM;

static int reveals(PyCodeObject *code, PyObject *revealing);

// As `reveals`, for a constant. `from … import *` has the constant `("*",)`.
static int constant_reveals(PyObject *constant, PyObject *revealing)
{
    if (PyCode_Check(constant)) {
        return reveals((PyCodeObject *)constant, revealing);
    }
    if (PyUnicode_CheckExact(constant)) {
        return PyUnicode_GET_LENGTH(constant) <= MAX_REVEALING ? PySet_Contains(revealing, constant)
                                                               : 0;
    }
    if (!PyTuple_CheckExact(constant)) {
        return 0;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(constant);
    if (count == 1 && PyUnicode_CheckExact(PyTuple_GET_ITEM(constant, 0))
        && PyUnicode_EqualToUTF8(PyTuple_GET_ITEM(constant, 0), "*")) {
        return 1;
    }
    int found = 0;
    for (Py_ssize_t index = 0; found == 0 && index < count; index++) {
        found = constant_reveals(PyTuple_GET_ITEM(constant, index), revealing);
    }
    return found;
}

// Returns 1 if code contains one of the names `revealing`, or annotations that are evaluated later;
// 0 if not, and -1 with a Python exception set on failure.
static int reveals(PyCodeObject *code, PyObject *revealing)
{
    int found = (code->co_flags & CO_FUTURE_ANNOTATIONS) != 0;
    for (Py_ssize_t index = 0; found == 0 && index < PyTuple_GET_SIZE(code->co_names); index++) {
        found = PySet_Contains(revealing, PyTuple_GET_ITEM(code->co_names, index));
    }
    for (Py_ssize_t index = 0; found == 0 && index < PyTuple_GET_SIZE(code->co_consts); index++) {
        found = constant_reveals(PyTuple_GET_ITEM(code->co_consts, index), revealing);
    }
    return found;
}

static PyObject *compile_program(mod_ty module, PyObject *filename, PyObject *revealing,
                                 PyArena *arena)
{
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    flags.cf_flags = FLAGS | PyCF_PROGRAM_LOCALS;
    PyCodeObject *code = _PyAST_Compile(module, filename, &flags, -1, arena);
    int is_revealed = code == nullptr ? 0 : reveals(code, revealing);
    if (is_revealed != 0) {
        Py_CLEAR(code);
    }
    if (is_revealed > 0) {
        flags.cf_flags = FLAGS;
        code = _PyAST_Compile(module, filename, &flags, -1, arena);
    }
    return (PyObject *)code;
}

static PyObject *compile_text(const char *text, PyObject *filename, PyObject *revealing)
{
    PyArena *arena = _PyArena_New();
    if (arena == nullptr) {
        return nullptr;
    }
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    flags.cf_flags = FLAGS;
    mod_ty module = _PyParser_ASTFromString(text, filename, Py_file_input, &flags, arena);
    PyObject *code =
        module != nullptr ? compile_program(module, filename, revealing, arena) : nullptr;
    _PyArena_Free(arena);
    return code;
}

// Returns the first line that is neither empty nor a comment.
static const char *first_line(const char *text)
{
    for (;;) {
        const char *first = text + strspn(text, " \t\f");
        if (*first == '#') {
            first += strcspn(first, "\r\n");
        }
        if (*first != '\r' && *first != '\n') {
            return text;
        }
        text = first + 1;
    }
}

// Returns false for texts that the guest package must change: with a NUL, or indented as a whole
// (pasted from within a block).
static bool is_simple(const char *text, size_t length)
{
    const char *line = first_line(text);
    return strlen(text) == length && *line != ' ' && *line != '\t';
}

PyObject *program_code(PyObject *text, PyObject *filename, PyObject *revealing)
{
    Py_ssize_t length;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &length);
    if (utf8 != nullptr && strncmp(utf8, BYTE_ORDER_MARK, sizeof BYTE_ORDER_MARK - 1) == 0) {
        utf8 += sizeof BYTE_ORDER_MARK - 1;
        length -= sizeof BYTE_ORDER_MARK - 1;
    }
    if (utf8 == nullptr || !is_simple(utf8, (size_t)length)) {
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    PyObject *code = compile_text(utf8, filename, revealing);
    if (code == nullptr) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return code;
}

PyObject *program_code_of_tree(PyObject *tree, PyObject *filename, PyObject *revealing)
{
    PyArena *arena = _PyArena_New();
    if (arena == nullptr) {
        return nullptr;
    }
    PyObject *code = nullptr;
    mod_ty module = PyAST_obj2mod(tree, arena, 0);
    if (module != nullptr && _PyAST_Validate(module)) {
        code = compile_program(module, filename, revealing, arena);
    }
    _PyArena_Free(arena);
    return code;
}
