// Decodes JSON to Python values, straight from UTF-8: a task's settings and items.
//
// Gives no reason for a refusal: the guest then calls Python's `json`, which raises the error or
// reads the rare valid cases refused here (numbers of more than 64 characters, deep nesting).
// No user code runs during decoding and nothing decoded is garbage yet, so the cyclic garbage
// collector is off meanwhile.

#include "decode.h"

#define Py_BUILD_CORE
#include <pycore_gc.h>
#include <pycore_interp.h>
#include <pycore_list.h>
#include <pycore_pystate.h>

// Nested containers. Bounds the C stack that recursion uses; Python's `json` reads deeper text.
static const int MAX_DEPTH = 200;

// List elements that are buffered on the C stack. Most lists have fewer, and so are allocated once,
// at their final size.
enum { STACK_ELEMENTS = 32 };

const char *skip_spaces(const char *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') {
        at++;
    }
    return at;
}

// Skips a literal of `length` characters that ends with the four in `tail`. The caller has checked
// its first character.
static inline const char *read_literal(const struct reader *reader, const char *at,
                                       const char *tail, size_t length)
{
    return (size_t)(reader->end - at) >= length && same_4(at + length - 4, tail) ? at + length
                                                                                 : nullptr;
}

// Appends the elements beyond STACK_ELEMENTS.
static const char *read_remaining_elements(struct reader *reader, const char *at, PyObject *list)
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

static const char *read_list(struct reader *reader, const char *at, PyObject **value)
{
    PyObject *elements[STACK_ELEMENTS];
    int count = 0;
    at = skip_space(at);
    bool more = *at != ']';
    at += !more;
    while (at != nullptr && more && count < STACK_ELEMENTS) {
        at = read_value(reader, at, &elements[count]);
        if (at != nullptr) {
            count++;
            at = read_separator(at, ']', &more);
        }
    }
    PyObject *list = _PyList_FromArraySteal(elements, count);
    if (at != nullptr && list != nullptr && more) {
        at = read_remaining_elements(reader, at, list);
    }
    if (at == nullptr || list == nullptr) {
        Py_XDECREF(list);
        return nullptr;
    }
    *value = list;
    return at;
}

// Reads a container's content with `read`, within the depth limit.
static inline const char *read_container(struct reader *reader, const char *at, PyObject **value,
                                         const char *(*read)(struct reader *, const char *,
                                                             PyObject **))
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

// Moves every young container, the user's too, to the oldest generation if they exceed the young
// threshold. Decoded data stays alive for a while, and a traversal would take longer than decoding.
static void promote_young(void)
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
    // young->count stays: it triggers a collection of the few next containers, which counts towards
    // collections of the older generations.
    gc->long_lived_pending += young->count;
}

static void reader_close(struct reader *reader)
{
    for (int slot = 0; slot < KEY_SLOTS; slot++) {
        Py_XDECREF(reader->slots[slot].key);
        Py_XDECREF(reader->slots[slot].shape);
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
        promote_young();
        PyGC_Enable();
    }
    if (at == nullptr) {
        PyErr_SetString(PyExc_ValueError, "not plain JSON");
        return nullptr;
    }
    return value;
}
