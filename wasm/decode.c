// JSON to Python values, straight from UTF-8: the way in for a task's settings and items.
//
// It need not explain what is wrong: whatever it does not take (what is no JSON, and what is rare: numbers of more than 64
// characters, deep nesting) is left to Python's own `json`. No code of the user can run in here, and nothing made here can be
// garbage yet, so the collector rests meanwhile.

#include "decode.h"

#define Py_BUILD_CORE
#include <pycore_gc.h>
#include <pycore_interp.h>
#include <pycore_list.h>
#include <pycore_pystate.h>

static const int MAX_DEPTH = 200;

// Elements of a list that are read before the list is made.
enum { GATHERED = 32 };

const char *skip_spaces(const char *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') {
        at++;
    }
    return at;
}

// The place behind `length` characters of which the last four are `last`.
static inline const char *read_literal(const struct reader *reader, const char *at, const char *last, size_t length)
{
    return (size_t)(reader->end - at) >= length && same_4(at + length - 4, last) ? at + length : nullptr;
}

// Reads the elements of a list that were not gathered.
static const char *read_more(struct reader *reader, const char *at, PyObject *list)
{
    bool more = true;
    while (at != nullptr && more) {
        PyObject *value;
        at = read_value(reader, at, &value);
        if (at != nullptr) {
            at = PyList_Append(list, value) == 0 ? read_separator(at, ']', &more) : nullptr;
            Py_DECREF(value);
        }
    }
    return at;
}

// The first elements are gathered, so that most lists are made at their right size at once.
static const char *read_list(struct reader *reader, const char *at, PyObject **value)
{
    PyObject *elements[GATHERED];
    int count = 0;
    at = skip_space(at);
    bool more = *at != ']';
    at += !more;
    while (at != nullptr && more && count < GATHERED) {
        at = read_value(reader, at, &elements[count]);
        if (at != nullptr) {
            count++;
            at = read_separator(at, ']', &more);
        }
    }
    PyObject *list = _PyList_FromArraySteal(elements, count);
    if (at != nullptr && list != nullptr && more) {
        at = read_more(reader, at, list);
    }
    if (at == nullptr || list == nullptr) {
        Py_XDECREF(list);
        return nullptr;
    }
    *value = list;
    return at;
}

// Reads by one of these what begins behind a bracket.
static inline const char *read_container(struct reader *reader, const char *at, PyObject **value,
                                         const char *(*read)(struct reader *, const char *, PyObject **))
{
    if (reader->depth == 0) {
        return nullptr;
    }
    reader->depth--;
    at = read(reader, at + 1, value);
    reader->depth++;
    return at;
}

const char *read_value(struct reader *reader, const char *at, PyObject **value)
{
    at = skip_space(at);
    switch (*at) {
    case '"':
        return read_text(reader, at + 1, value);
    case '{':
        return read_container(reader, at, value, read_dict);
    case '[':
        return read_container(reader, at, value, read_list);
    case 't':
        *value = Py_True;
        return read_literal(reader, at, "true", 4);
    case 'f':
        *value = Py_False;
        return read_literal(reader, at, "alse", 5);
    case 'n':
        *value = Py_None;
        return read_literal(reader, at, "null", 4);
    default:
        return read_number(reader, at, value);
    }
}

// Puts all young containers, those of the user as well, among the old ones, if they are enough to set the collector off: what
// was read is no garbage for a while, and to go through all of it would take longer than to read it.
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
    struct reader reader = {.end = json + length, .depth = MAX_DEPTH};
    int collecting = PyGC_Disable();
    PyObject *value = nullptr;
    const char *at = read_value(&reader, json, &value);
    if (at != nullptr && skip_space(at) != reader.end) {
        Py_DECREF(value);
        at = nullptr;
    }
    reader_close(&reader);
    if (collecting) {
        make_old();
        PyGC_Enable();
    }
    if (at == nullptr) {
        PyErr_SetString(PyExc_ValueError, "not plain JSON");
        return nullptr;
    }
    return value;
}
