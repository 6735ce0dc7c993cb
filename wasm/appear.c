// Files that appear when code looks for them: a function of Python may make what a path names.

#include "descriptors.h"
#include "image.h"

// The directory below which files appear, as the C library spells it: relative to the root.
static const char PLACE[] = "data";

// Null: no file appears.
static PyObject *maker;

// Whether the function runs. It looks paths up itself.
static bool is_making;

bool set_maker(PyObject *function)
{
    if (!PyCallable_Check(function)) {
        PyErr_SetString(PyExc_TypeError, "set_maker() takes a function");
        return false;
    }
    Py_XSETREF(maker, Py_NewRef(function));
    return true;
}

// Returns whether the function has made files, or -1 with a Python exception set.
static int make(const char *path)
{
    PyObject *text = PyUnicode_DecodeFSDefault(path);
    PyObject *answer = text != nullptr ? PyObject_CallOneArg(maker, text) : nullptr;
    int made = answer != nullptr ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    Py_XDECREF(text);
    return made;
}

// Makes the files that a missing path names. NOENT: there are none. IO: they cannot be made. Replaces
// the path by a copy, which lives until the next call.
static __wasi_errno_t appear(const char **path)
{
    size_t length = sizeof PLACE - 1;
    bool is_below =
        strncmp(*path, PLACE, length) == 0 && ((*path)[length] == '\0' || (*path)[length] == '/');
    if (maker == nullptr || is_making || !is_below) {
        return __WASI_ERRNO_NOENT;
    }
    // The C library has the path in a buffer that the next call on a path overwrites, or moves.
    static char kept[MAX_PATH + 1];
    (void)strncpy(kept, *path, MAX_PATH);
    *path = kept;
    is_making = true;
    // Callers may have released the interpreter, as around each call of the system, and may handle
    // an exception.
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *handled = PyErr_GetRaisedException();
    int made = make(kept);
    // The caller gets an error number: it cannot carry an exception.
    PyErr_SetRaisedException(handled);
    PyGILState_Release(state);
    is_making = false;
    return made > 0 ? __WASI_ERRNO_SUCCESS : made == 0 ? __WASI_ERRNO_NOENT : __WASI_ERRNO_IO;
}

// Looks up a path that must have a node.
static __wasi_errno_t find(__wasi_fd_t fd, const char *path, bool follow, struct place *place)
{
    __wasi_errno_t error = find_place(fd, path, follow, place);
    return error == __WASI_ERRNO_SUCCESS && place->node == nullptr ? __WASI_ERRNO_NOENT : error;
}

__wasi_errno_t find_node(__wasi_fd_t fd, const char *path, bool follow, struct place *place)
{
    __wasi_errno_t error = find(fd, path, follow, place);
    if (error == __WASI_ERRNO_NOENT && fd == ROOT_DIRECTORY) {
        error = appear(&path);
        error = error == __WASI_ERRNO_SUCCESS ? find(fd, path, follow, place) : error;
    }
    return error;
}
