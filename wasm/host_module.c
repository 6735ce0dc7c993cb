// The built-in module `_host`, the only interface between Python code in the image and the host.
//
// Text crosses as UTF-8 in the guest's memory. The host keeps an answer until `take` fetches it:
// the guest learns the length, and so how much memory to allocate, only when the call returns.

#include "files.h"
#include "image.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST(name) [[clang::import_module("host"), clang::import_name(#name)]] extern
HOST(call) int32_t host_call(const char *name, uint32_t name_length, const char *params,
                             uint32_t params_length);
HOST(start) uint32_t host_start(const char *name, uint32_t name_length, const char *params,
                                uint32_t params_length);
HOST(wait) int32_t host_wait(double seconds, uint32_t *number);
HOST(take) void host_take(char *into, uint32_t length);
HOST(notify) void host_notify(const char *name, uint32_t name_length, const char *params,
                              uint32_t params_length);

// A str's UTF-8: the str's own memory for ASCII, the common case, and otherwise memory that `copy`
// owns. (PyUnicode_AsUTF8 would keep the copy alive as long as the str.)
struct utf8 {
    const char *data;
    size_t length;
    PyObject *copy;
};

static bool utf8_open(struct utf8 *utf8, PyObject *text)
{
    *utf8 = (struct utf8){};
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "expected str, got %.100s", Py_TYPE(text)->tp_name);
        return false;
    }
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        utf8->data = PyUnicode_DATA(text);
        utf8->length = (size_t)PyUnicode_GET_LENGTH(text);
        return true;
    }
    utf8->copy = PyUnicode_AsUTF8String(text);
    if (utf8->copy == nullptr) {
        return false;
    }
    utf8->data = PyBytes_AS_STRING(utf8->copy);
    utf8->length = (size_t)PyBytes_GET_SIZE(utf8->copy);
    return true;
}

static void utf8_close(struct utf8 *utf8)
{
    Py_CLEAR(utf8->copy);
}

static bool open_name_and_params(PyObject *const *args, Py_ssize_t count, const char *function,
                                 struct utf8 *name, struct utf8 *params)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes a name and parameters, got %zd arguments",
                     function, count);
        return false;
    }
    if (!utf8_open(name, args[0])) {
        return false;
    }
    if (!utf8_open(params, args[1])) {
        utf8_close(name);
        return false;
    }
    return true;
}

// Fetches an answer of `length` bytes and decodes it. ASCII, the common case, needs no second copy.
static PyObject *take_answer(uint32_t length, const char *errors)
{
    PyObject *text = PyUnicode_New((Py_ssize_t)length, 127);
    if (text == nullptr) {
        return nullptr;
    }
    char *data = PyUnicode_DATA(text);
    host_take(data, length);
    char all = 0;
    for (uint32_t i = 0; i < length; i++) {
        all |= data[i];
    }
    if ((all & 0x80) == 0) {
        return text;
    }
    PyObject *decoded = PyUnicode_DecodeUTF8(data, (Py_ssize_t)length, errors);
    Py_DECREF(text);
    return decoded;
}

// Fetches the answer that a call announced: `announced` bytes, or for a failure -(announced + 1)
// bytes of an error text. The offset tells an empty error text from an empty answer.
static PyObject *take_announced(int32_t announced)
{
    return announced >= 0 ? take_answer((uint32_t)announced, "strict")
                          : take_answer((uint32_t)(-(announced + 1)), "replace");
}

struct state {
    PyObject *call_error;
};

static struct state *state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

static PyObject *method_call(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    struct utf8 name, params;
    if (!open_name_and_params(args, count, "call", &name, &params)) {
        return nullptr;
    }
    int32_t answer =
        host_call(name.data, (uint32_t)name.length, params.data, (uint32_t)params.length);
    utf8_close(&params);
    utf8_close(&name);
    PyObject *text = take_announced(answer);
    if (answer >= 0 || text == nullptr) {
        return text;
    }
    PyErr_SetObject(state_of(module)->call_error, text);
    Py_DECREF(text);
    return nullptr;
}

static PyObject *method_start(PyObject *, PyObject *const *args, Py_ssize_t count)
{
    struct utf8 name, params;
    if (!open_name_and_params(args, count, "start", &name, &params)) {
        return nullptr;
    }
    uint32_t number =
        host_start(name.data, (uint32_t)name.length, params.data, (uint32_t)params.length);
    utf8_close(&params);
    utf8_close(&name);
    return PyLong_FromUnsignedLong(number);
}

static PyObject *method_wait(PyObject *, PyObject *limit)
{
    double seconds = PyFloat_AsDouble(limit);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return nullptr;
    }
    if (isnan(seconds)) {
        PyErr_SetString(PyExc_ValueError, "wait() takes a number of seconds, not NaN");
        return nullptr;
    }
    uint32_t number = 0;
    int32_t answer = host_wait(seconds, &number);
    if (number != 0) {
        PyObject *text = take_announced(answer);
        PyObject *ok = PyBool_FromLong(answer >= 0);
        return text == nullptr ? nullptr : Py_BuildValue("(kNN)", (unsigned long)number, ok, text);
    }
    if (answer == 0) {
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_ValueError,
                    "wait() without a limit would never return: no call is pending");
    return nullptr;
}

static PyObject *method_notify(PyObject *, PyObject *const *args, Py_ssize_t count)
{
    struct utf8 name, params;
    if (!open_name_and_params(args, count, "notify", &name, &params)) {
        return nullptr;
    }
    host_notify(name.data, (uint32_t)name.length, params.data, (uint32_t)params.length);
    utf8_close(&params);
    utf8_close(&name);
    Py_RETURN_NONE;
}

static PyObject *method_read_input(PyObject *, PyObject *)
{
    return read_input();
}

static PyObject *method_decode_plain(PyObject *, PyObject *json)
{
    if (PyUnicode_Check(json)) {
        struct utf8 utf8;
        if (!utf8_open(&utf8, json)) {
            return nullptr;
        }
        PyObject *value = decode_plain(utf8.data, utf8.length);
        utf8_close(&utf8);
        return value;
    }
    char *text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(json, &text, &length) < 0) {
        return nullptr;
    }
    return decode_plain(text, (size_t)length);
}

static PyObject *method_encode_plain(PyObject *, PyObject *value)
{
    return encode_plain(value);
}

static PyObject *method_program_code(PyObject *, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyUnicode_CheckExact(args[1]) || !PyFrozenSet_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError,
                        "program_code() takes a str or an ast.Module, a str and a frozenset");
        return nullptr;
    }
    return PyUnicode_CheckExact(args[0]) ? program_code(args[0], args[1], args[2])
                                         : program_code_of_tree(args[0], args[1], args[2]);
}

static PyObject *method_buffer_to_json(PyObject *, PyObject *data)
{
    return buffer_to_json(data);
}

static PyObject *method_buffer_from_json(PyObject *, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_Format(PyExc_TypeError,
                     "buffer_from_json() takes a str and an index, got %zd arguments", count);
        return nullptr;
    }
    Py_ssize_t start = PyLong_AsSsize_t(args[1]);
    return start == -1 && PyErr_Occurred() ? nullptr : buffer_from_json(args[0], start);
}

static PyObject *method_write_output(PyObject *, PyObject *text)
{
    struct utf8 output = {};
    if (PyBytes_Check(text)) {
        output.data = PyBytes_AS_STRING(text);
        output.length = (size_t)PyBytes_GET_SIZE(text);
    } else if (!utf8_open(&output, text)) {
        return nullptr;
    }
    bool written = write_standard_output(output.data, output.length);
    if (!written) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    utf8_close(&output);
    return written ? Py_NewRef(Py_None) : nullptr;
}

static PyObject *method_set_zone(PyObject *, PyObject *source)
{
    return set_zone(source) ? Py_NewRef(Py_None) : nullptr;
}

static PyObject *method_set_maker(PyObject *, PyObject *function)
{
    return set_maker(function) ? Py_NewRef(Py_None) : nullptr;
}

// For sqlite3 (wasm/patches/0017).
extern unsigned long _PySqlite_running_thread;

static PyObject *method_set_thread(PyObject *, PyObject *number)
{
    unsigned long running = PyLong_AsUnsignedLong(number);
    if (running == (unsigned long)-1 && PyErr_Occurred()) {
        return nullptr;
    }
    _PySqlite_running_thread = running;
    Py_RETURN_NONE;
}

static PyObject *method_fix_files(PyObject *, PyObject *fixed)
{
    int are_fixed = PyObject_IsTrue(fixed);
    if (are_fixed < 0) {
        return nullptr;
    }
    files_are_fixed = are_fixed;
    Py_RETURN_NONE;
}

static PyObject *method_limit_files(PyObject *, PyObject *more)
{
    unsigned long long bytes = PyLong_AsUnsignedLongLong(more);
    if (bytes == (unsigned long long)-1 && PyErr_Occurred()) {
        return nullptr;
    }
    files_limit(bytes);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"call", _PyCFunction_CAST(method_call), METH_FASTCALL,
     "call(name: str, params: str) -> str\n\n"
     "Call the host and wait for its answer. Raises CallError."},
    {"start", _PyCFunction_CAST(method_start), METH_FASTCALL,
     "start(name: str, params: str) -> int\n\n"
     "Start a call without waiting. Returns its number, from 1."},
    {"wait", method_wait, METH_O,
     "wait(seconds: float) -> tuple[int, bool, str] | None\n\n"
     "Wait for the first completed call: its number, whether it succeeded, its answer or error.\n"
     "Returns None after that many seconds; negative means no limit. Raises ValueError if no call\n"
     "is pending and no limit is set."},
    {"notify", _PyCFunction_CAST(method_notify), METH_FASTCALL,
     "notify(name: str, params: str) -> None\n\n"
     "Notify the host, which does not answer."},
    {"read_input", method_read_input, METH_NOARGS,
     "read_input() -> bytes\n\n"
     "Read all of the task's input."},
    {"decode_plain", method_decode_plain, METH_O,
     "decode_plain(json: bytes | str) -> object\n\n"
     "Decode a JSON text. Raises ValueError for texts that Python's json must read or refuse."},
    {"program_code", _PyCFunction_CAST(method_program_code), METH_FASTCALL,
     "program_code(text: str | ast.Module, filename: str, revealing: frozenset[str])\n"
     "-> CodeType | None | False\n\n"
     "Compile a module that can return and await. For a text, returns None if it does not compile\n"
     "unchanged, and False if it needs the guest package. For a tree, raises SyntaxError."},
    {"encode_plain", method_encode_plain, METH_O,
     "encode_plain(value: object) -> bytes | None\n\n"
     "Encode a value as JSON. Returns None if it is not made of plain values."},
    {"buffer_to_json", method_buffer_to_json, METH_O,
     "buffer_to_json(data: bytes-like) -> str\n\n"
     "Encode bytes in n8n's form, {\"type\":\"Buffer\",\"data\":[...]}."},
    {"buffer_from_json", _PyCFunction_CAST(method_buffer_from_json), METH_FASTCALL,
     "buffer_from_json(text: str, start: int) -> tuple[bytes, int]\n\n"
     "Decode that form from the index `start`. Returns the bytes and the end index. Raises\n"
     "ValueError if the form does not start there."},
    {"fix_files", method_fix_files, METH_O,
     "fix_files(fixed: bool) -> None\n\n"
     "Set whether the files below /usr stay as they are."},
    {"limit_files", method_limit_files, METH_O,
     "limit_files(more: int) -> None\n\n"
     "Let files take this many bytes more than they have. Only lowers the limit."},
    {"set_maker", method_set_maker, METH_O,
     "set_maker(function: Callable[[str], bool]) -> None\n\n"
     "Set the function that makes files when code looks for a missing path below /data. The path "
     "is\n"
     "relative to the root. Returns whether it made any."},
    {"set_thread", method_set_thread, METH_O,
     "set_thread(number: int) -> None\n\n"
     "Set the number of the running thread, for modules that compare threads."},
    {"set_zone", method_set_zone, METH_O,
     "set_zone(source: Callable[[], bytes | None] | None) -> None\n\n"
     "Set the source of the local time zone, which is UTC without one. The first use of local "
     "time\n"
     "calls it: TZif data or a POSIX rule, or None for UTC."},
    {"write_output", method_write_output, METH_O,
     "write_output(text: str | bytes) -> None\n\n"
     "Append to the task's output. Bytes are UTF-8."},
    {},
};

static int module_exec(PyObject *module)
{
    struct state *state = state_of(module);
    state->call_error = PyErr_NewExceptionWithDoc(
        "_host.CallError", "The host refused a call or could not answer it.", nullptr, nullptr);
    return PyModule_AddObjectRef(module, "CallError", state->call_error);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(state_of(module)->call_error);
    return 0;
}

static int module_clear(PyObject *module)
{
    Py_CLEAR(state_of(module)->call_error);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_host",
    .m_doc = "The interface to the sandbox's host.",
    .m_size = sizeof(struct state),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyObject *host_module_init(void)
{
    return PyModuleDef_Init(&definition);
}
