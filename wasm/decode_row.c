// Rows: dicts that have the keys of one that was read before, in the same order.
//
// They share the table of their keys, as the `__dict__`s of a class's instances do, and have only values of their own: a row of
// six keys takes a third less memory so, and that much less is written and read again. A row to which more keys are added than the
// table has room for gets a table of its own; CPython sees to that, as it does for instances.

#include "decode.h"

#define Py_BUILD_CORE
#include <pycore_dict.h>

// Keys that can be added to rows before they get tables of their own.
enum { SPARE_KEYS = 3 };

static bool is_container(PyObject *value)
{
    return PyDict_CheckExact(value) || PyList_CheckExact(value);
}

// An empty dict, made the one with this table; the values are shared with nobody, or null where the table holds them.
static PyObject *dict_of(PyDictKeysObject *keys, PyDictValues *values, Py_ssize_t count, bool holds_container)
{
    PyObject *dict = PyDict_New();
    if (dict == nullptr) {
        return nullptr;
    }
    // The keys that an empty dict has are not counted.
    PyDictObject *inside = (PyDictObject *)dict;
    inside->ma_keys = keys;
    inside->ma_values = values;
    inside->ma_used = count;
    // As CPython has it: a dict without containers is none of the collector's business.
    if (holds_container) {
        PyObject_GC_Track(dict);
    }
    return dict;
}

static PyObject *row_with_shared_keys(PyDictKeysObject *keys, PyObject *const *values, int count)
{
    // As `new_values` of dictobject.c has it: the values, then a byte for each with its place in the order.
    int capacity = (int)(keys->dk_nentries + keys->dk_usable);
    size_t order_size = _Py_SIZE_ROUND_UP((size_t)capacity, sizeof(PyObject *));
    PyDictValues *own = PyMem_Malloc((size_t)(capacity + 1) * sizeof(PyObject *) + order_size);
    if (own == nullptr) {
        return PyErr_NoMemory();
    }
    own->capacity = (uint8_t)capacity;
    own->size = (uint8_t)count;
    own->embedded = 0;
    own->valid = 1;
    uint8_t *order = get_insertion_order_array(own);
    bool holds_container = false;
    for (int index = 0; index < count; index++) {
        own->values[index] = values[index];
        order[index] = (uint8_t)index;
        holds_container |= is_container(values[index]);
    }
    for (int index = count; index < capacity; index++) {
        own->values[index] = nullptr;
    }
    PyObject *dict = dict_of(keys, own, count, holds_container);
    if (dict == nullptr) {
        PyMem_Free(own);
        return nullptr;
    }
    keys->dk_refcnt++;
    return dict;
}

// For rows of more keys than can be shared. CPython's own copy would take each key and value in turn to what it is, three times
// as long.
static PyObject *row_with_own_keys(PyDictKeysObject *shape, PyObject *const *values, int count)
{
    PyDictKeysObject *keys = PyMem_Malloc(_PyDict_KeysSize(shape));
    if (keys == nullptr) {
        return PyErr_NoMemory();
    }
    PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(shape), *to;
    memcpy(keys, shape, (size_t)((char *)entry - (char *)shape));
    to = DK_UNICODE_ENTRIES(keys);
    bool holds_container = false;
    for (int index = 0; index < count; index++) {
        to[index] = (PyDictUnicodeEntry){entry[index].me_key, values[index]};
        holds_container |= is_container(values[index]);
    }
    for (int index = count; index < count + (int)shape->dk_usable; index++) {
        to[index] = (PyDictUnicodeEntry){};
    }
    PyObject *dict = dict_of(keys, nullptr, count, holds_container);
    if (dict == nullptr) {
        PyMem_Free(keys);
        return nullptr;
    }
    for (int index = 0; index < count; index++) {
        Py_INCREF(entry[index].me_key);
    }
    return dict;
}

PyObject *row_of(PyObject *shape, PyObject *const *values, int count)
{
    PyDictObject *inside = (PyDictObject *)shape;
    return inside->ma_values != nullptr ? row_with_shared_keys(inside->ma_keys, values, count)
                                        : row_with_own_keys(inside->ma_keys, values, count);
}

// The table of a dict without holes, to be shared.
static PyDictKeysObject *shared_keys(PyDictKeysObject *from)
{
    size_t size = _PyDict_KeysSize(from);
    PyDictKeysObject *keys = PyMem_Malloc(size);
    if (keys == nullptr) {
        return nullptr;
    }
    memcpy(keys, from, size);
    keys->dk_refcnt = 1;
    keys->dk_kind = DICT_KEYS_SPLIT;
    keys->dk_version = 0;
    if (keys->dk_usable > SPARE_KEYS) {
        keys->dk_usable = SPARE_KEYS;
    }
    PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t index = 0; index < keys->dk_nentries; index++) {
        Py_INCREF(entry[index].me_key);
        entry[index].me_value = nullptr;
    }
    return keys;
}

PyObject *shape_of(PyObject *dict)
{
    PyObject *values[SHARED_KEYS_MAX_SIZE];
    PyDictObject *inside = (PyDictObject *)dict;
    int count = (int)inside->ma_used;
    if (count + SPARE_KEYS > SHARED_KEYS_MAX_SIZE || inside->ma_values != nullptr || inside->ma_keys->dk_nentries != count) {
        PyObject *shape = PyDict_Copy(dict);
        for (int index = 0; shape != nullptr && index < count; index++) {
            Py_SETREF(DK_UNICODE_ENTRIES(((PyDictObject *)shape)->ma_keys)[index].me_value, Py_None);
        }
        if (shape != nullptr) {
            PyObject_GC_UnTrack(shape);
        }
        return shape;
    }
    PyDictKeysObject *keys = shared_keys(inside->ma_keys);
    if (keys == nullptr) {
        return PyErr_NoMemory();
    }
    for (int index = 0; index < count; index++) {
        values[index] = Py_None;
    }
    PyObject *shape = row_with_shared_keys(keys, values, count);
    if (shape != nullptr) {
        // The shape holds them now.
        keys->dk_refcnt--;
    }
    return shape;
}
