// JSON objects to dicts.
//
// Items are rows: one dict after the other has the same keys in the same order. Such a dict is a copy of one that was made
// before, with its own values put in, which saves the look for each key's place.

#include "decode.h"
#include "text.h"

#define Py_BUILD_CORE
#include <pycore_dict.h>

// Members that are read before the dict is made.
enum { GATHERED = 64 };

// The first members of a dict that is read.
struct members {
    // The place of the first key, or null.
    struct known_key *known;
    // What the dict is thought to look like, or null.
    PyObject *shape;
    // So many keys, from the first on, are those of the shape; they are held by it.
    int fitting;
    int count;
    PyObject *keys[GATHERED];
    PyObject *values[GATHERED];
};

static void begin(struct members *members)
{
    members->known = nullptr;
    members->shape = nullptr;
    members->fitting = members->count = 0;
}

static PyDictUnicodeEntry *entries_of(PyObject *dict)
{
    return DK_UNICODE_ENTRIES(((PyDictObject *)dict)->ma_keys);
}

// The key that comes next if the dict looks as it is thought to, or null.
static PyObject *expected_key(const struct members *members)
{
    int index = members->count;
    bool expected = members->shape != nullptr && members->fitting == index && index < PyDict_GET_SIZE(members->shape);
    return expected ? entries_of(members->shape)[index].me_key : nullptr;
}

static bool read_member_key(struct reader *reader, struct members *members)
{
    skip_space(reader);
    PyObject **key = &members->keys[members->count], *expected = expected_key(members);
    if (expected != nullptr && PyUnicode_IS_COMPACT_ASCII(expected) && take_key(reader, expected)) {
        *key = expected;
        members->fitting++;
        return true;
    }
    struct known_key *known;
    *key = take(reader, '"') ? read_key(reader, &known) : nullptr;
    if (*key == nullptr) {
        return false;
    }
    if (members->count == 0 && known != nullptr) {
        members->known = known;
        members->shape = Py_XNewRef(known->shape);
        expected = expected_key(members);
    }
    if (expected != nullptr && (*key == expected || PyUnicode_Compare(*key, expected) == 0)) {
        Py_SETREF(*key, expected);
        members->fitting++;
    }
    return true;
}

static bool read_member(struct reader *reader, struct members *members)
{
    if (!read_member_key(reader, members)) {
        return false;
    }
    skip_space(reader);
    PyObject *value = take(reader, ':') ? read_value(reader) : nullptr;
    members->values[members->count] = value;
    if (value == nullptr && members->fitting <= members->count) {
        Py_DECREF(members->keys[members->count]);
    }
    members->count += value != nullptr;
    return value != nullptr;
}

static void release(struct members *members)
{
    for (int index = 0; index < members->count; index++) {
        if (index >= members->fitting) {
            Py_DECREF(members->keys[index]);
        }
        Py_DECREF(members->values[index]);
    }
    Py_XDECREF(members->shape);
}

// A copy of the shape with the members' values, which go over to it.
static PyObject *filled_shape(struct members *members)
{
    PyObject *dict = PyDict_Copy(members->shape);
    if (dict == nullptr) {
        return nullptr;
    }
    PyDictUnicodeEntry *entries = entries_of(dict);
    bool holds_container = false;
    for (int index = 0; index < members->count; index++) {
        PyObject *value = members->values[index];
        entries[index].me_value = value;
        holds_container |= PyDict_CheckExact(value) || PyList_CheckExact(value);
    }
    members->count = 0;
    // As CPython has it: a dict without containers is none of the collector's business.
    if (holds_container) {
        PyObject_GC_Track(dict);
    }
    return dict;
}

// Whether the text of every key is the same in JSON, but for what is not ASCII.
static bool has_plain_keys(const struct members *members)
{
    for (int index = 0; index < members->count; index++) {
        PyObject *key = members->keys[index];
        size_t length = (size_t)PyUnicode_GET_LENGTH(key);
        if (PyUnicode_IS_COMPACT_ASCII(key) && run_of(PyUnicode_DATA(key), length).length != length) {
            return false;
        }
    }
    return true;
}

// Makes a new dict the shape of those that begin with the same key, where the last two did not fit the one there was. Where
// that cannot be done, the old one stays.
static void remember(const struct members *members, PyObject *dict)
{
    struct known_key *known = members->known;
    if (known == nullptr || known->key != members->keys[0] || PyDict_GET_SIZE(dict) != members->count) {
        return;
    }
    if (!known->missed) {
        known->missed = true;
        return;
    }
    PyObject *shape = has_plain_keys(members) ? PyDict_Copy(dict) : nullptr;
    if (shape == nullptr) {
        PyErr_Clear();
        return;
    }
    for (int index = 0; index < members->count; index++) {
        Py_SETREF(entries_of(shape)[index].me_value, Py_None);
    }
    PyObject_GC_UnTrack(shape);
    Py_XSETREF(known->shape, shape);
    known->missed = false;
}

static PyObject *make_dict(struct members *members, bool whole)
{
    if (whole && members->shape != nullptr && members->fitting == members->count
        && members->count == PyDict_GET_SIZE(members->shape)) {
        members->known->missed = false;
        return filled_shape(members);
    }
    PyObject *dict = _PyDict_FromItems(members->keys, 1, members->values, 1, members->count);
    if (whole && dict != nullptr) {
        remember(members, dict);
    }
    return dict;
}

// Adds the members that were not gathered.
static bool read_rest(struct reader *reader, PyObject *dict)
{
    bool ok = true, more = true;
    while (ok && more) {
        struct members member;
        begin(&member);
        ok = read_member(reader, &member) && PyDict_SetItem(dict, member.keys[0], member.values[0]) == 0
             && read_separator(reader, '}', &more);
        release(&member);
    }
    return ok;
}

PyObject *read_dict(struct reader *reader)
{
    struct members members;
    begin(&members);
    skip_space(reader);
    bool ok = true, more = !take(reader, '}');
    while (ok && more && members.count < GATHERED) {
        ok = read_member(reader, &members) && read_separator(reader, '}', &more);
    }
    PyObject *dict = ok ? make_dict(&members, !more) : nullptr;
    release(&members);
    if (dict != nullptr && more && !read_rest(reader, dict)) {
        Py_CLEAR(dict);
    }
    return dict;
}
