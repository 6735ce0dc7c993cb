// Fast path of the guest's `compile_body`: compiles a Code node's text as the body of a function,
// without a Python object for each AST node.
//
// `compile_body` itself handles the rest: texts without a statement, `__future__` imports, and
// texts that do not compile unchanged (syntax errors, `await` at the top level).

#include "image.h"

#include <string.h>

#define Py_BUILD_CORE
#include <pycore_ast.h>
#include <pycore_compile.h>
#include <pycore_parser.h>
#include <pycore_pyarena.h>

// U+FEFF in UTF-8. Some editors prepend it to a text.
static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";

// Returns a module whose only statement is the function.
static mod_ty module_of(asdl_stmt_seq *body, PyObject *name, PyArena *arena)
{
    arguments_ty none =
        _PyAST_arguments(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, arena);
    asdl_stmt_seq *statements = _Py_asdl_stmt_seq_new(1, arena);
    if (none == nullptr || statements == nullptr) {
        return nullptr;
    }
    stmt_ty function =
        _PyAST_FunctionDef(name, none, body, nullptr, nullptr, nullptr, nullptr, 1, 0, 1, 0, arena);
    asdl_seq_SET(statements, 0, function);
    return function != nullptr ? _PyAST_Module(statements, nullptr, arena) : nullptr;
}

static PyObject *compile_function(const char *text, PyObject *filename, PyObject *name)
{
    PyArena *arena = _PyArena_New();
    if (arena == nullptr) {
        return nullptr;
    }
    PyCompilerFlags flags = _PyCompilerFlags_INIT;
    flags.cf_flags = PyCF_SOURCE_IS_UTF8 | PyCF_IGNORE_COOKIE;
    PyObject *function = nullptr;
    mod_ty written = _PyParser_ASTFromString(text, filename, Py_file_input, &flags, arena);
    if (written != nullptr && asdl_seq_LEN(written->v.Module.body) > 0) {
        mod_ty module = module_of(written->v.Module.body, name, arena);
        if (module != nullptr) {
            function = (PyObject *)_PyAST_CompileFunction(module, filename, &flags, arena);
        }
    }
    _PyArena_Free(arena);
    return function;
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

// Returns false for texts that need `compile_body`: with a NUL, indented as a whole (pasted from
// within a block), or with `__future__`.
static bool is_simple(const char *text, size_t length)
{
    const char *line = first_line(text);
    return strlen(text) == length && *line != ' ' && *line != '\t'
           && strstr(text, "__future__") == nullptr;
}

PyObject *function_code(PyObject *text, PyObject *filename, PyObject *name)
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
    PyObject *code = compile_function(utf8, filename, name);
    if (code == nullptr
        || (((PyCodeObject *)code)->co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)) != 0) {
        PyErr_Clear();
        Py_XDECREF(code);
        Py_RETURN_NONE;
    }
    return code;
}
