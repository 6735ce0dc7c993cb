// JSON to Python values, straight from UTF-8: the way in for a task's settings and items.
//
// It is for JSON that the host has checked already, so it need not explain what is wrong: whatever it does not take
// (also what is rare: NaN, numbers of more than 64 characters, deep nesting) is left to Python's own `json`. No code of the user can
// run in here, and nothing made here can be garbage yet, so the collector rests meanwhile.

#include "decode.h"

#include <string.h>

#define Py_BUILD_CORE
#include <pycore_gc.h>
#include <pycore_interp.h>
#include <pycore_pystate.h>

static const int MAX_DEPTH = 200;

// Elements of a list that are read before the list is made.
enum { GATHERED = 32 };

static PyObject *read_literal(struct reader *reader, const char *name, size_t length, PyObject *value)
{
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, name, length) != 0) {
        return nullptr;
    }
    reader->at += length;
    return Py_NewRef(value);
}

// A list of elements, which go over to it.
static PyObject *make_list(PyObject *const *elements, int count)
{
    PyObject *list = PyList_New(count);
    for (int index = 0; index < count; index++) {
        if (list == nullptr) {
            Py_DECREF(elements[index]);
        } else {
            PyList_SET_ITEM(list, index, elements[index]);
        }
    }
    return list;
}

// The first elements are gathered, so that most lists are made at their right size at once.
static PyObject *read_list(struct reader *reader)
{
    PyObject *elements[GATHERED];
    int count = 0;
    skip_space(reader);
    bool ok = true, more = !take(reader, ']');
    while (ok && more && count < GATHERED) {
        elements[count] = read_value(reader);
        ok = elements[count] != nullptr;
        count += ok;
        ok = ok && read_separator(reader, ']', &more);
    }
    PyObject *list = make_list(elements, count);
    ok = ok && list != nullptr;
    while (ok && more) {
        PyObject *value = read_value(reader);
        ok = value != nullptr && PyList_Append(list, value) == 0 && read_separator(reader, ']', &more);
        Py_XDECREF(value);
    }
    if (!ok) {
        Py_CLEAR(list);
    }
    return list;
}

static PyObject *read_container(struct reader *reader, PyObject *(*read)(struct reader *))
{
    if (reader->depth == 0) {
        return nullptr;
    }
    reader->at++;
    reader->depth--;
    PyObject *container = read(reader);
    reader->depth++;
    return container;
}

PyObject *read_value(struct reader *reader)
{
    skip_space(reader);
    switch (peek(reader)) {
    case '"':
        reader->at++;
        return read_text(reader);
    case '{':
        return read_container(reader, read_dict);
    case '[':
        return read_container(reader, read_list);
    case 't':
        return read_literal(reader, "true", 4, Py_True);
    case 'f':
        return read_literal(reader, "false", 5, Py_False);
    case 'n':
        return read_literal(reader, "null", 4, Py_None);
    default:
        return read_number(reader);
    }
}

// Puts all young containers, those of the user as well, among the old ones, if they are enough to set the collector off: what was read is no garbage
// for a while, and to go through all of it would take longer than to read it.
static void make_old(void)
{
    struct _gc_runtime_state *gc = &_PyInterpreterState_GET()->gc;
    struct gc_generation *young = &gc->generations[0], *old = &gc->generations[NUM_GENERATIONS - 1];
    PyGC_Head *first = _PyGCHead_NEXT(&young->head), *last = _PyGCHead_PREV(&young->head);
    if (young->count <= young->threshold || first == &young->head) {
        return;
    }
    PyGC_Head *before = _PyGCHead_PREV(&old->head);
    _PyGCHead_SET_NEXT(before, first);
    _PyGCHead_SET_PREV(first, before);
    _PyGCHead_SET_NEXT(last, &old->head);
    _PyGCHead_SET_PREV(&old->head, last);
    _PyGCHead_SET_NEXT(&young->head, &young->head);
    _PyGCHead_SET_PREV(&young->head, &young->head);
    // The count of the young stays: it sets off a collection of the few that come next, and so counts towards those of the old.
    gc->long_lived_pending += young->count;
}

static void reader_close(struct reader *reader)
{
    for (int slot = 0; slot < KEYS; slot++) {
        Py_XDECREF(reader->known[slot].key);
        Py_XDECREF(reader->known[slot].shape);
    }
}

PyObject *decode_plain(const char *json, size_t length)
{
    struct reader reader = {.at = json, .end = json + length, .depth = MAX_DEPTH};
    int collecting = PyGC_Disable();
    PyObject *value = read_value(&reader);
    skip_space(&reader);
    if (value != nullptr && reader.at != reader.end) {
        Py_CLEAR(value);
    }
    reader_close(&reader);
    if (collecting) {
        make_old();
        PyGC_Enable();
    }
    if (value == nullptr) {
        PyErr_SetString(PyExc_ValueError, "not plain JSON");
    }
    return value;
}
