// JSON objects to dicts.
//
// Items are rows: one dict after the other has the same keys in the same order. Such a dict is made after one that was made
// before (decode_row.c), which saves the look for each key's place.

#include "decode.h"

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

// Begins with what the dict is thought to begin with: a known key, or null.
static void begin(struct members *members, struct known_key *known)
{
    members->known = known;
    members->shape = known == nullptr ? nullptr : Py_XNewRef(known->shape);
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

// Reads a key that is not the expected one as it stands there; it may still be the same, or none may be expected yet.
[[clang::noinline]] static const char *read_other_key(struct reader *reader, const char *at, struct members *members)
{
    PyObject **key = &members->keys[members->count];
    struct known_key *known;
    at = *at == '"' ? read_key(reader, at + 1, key, &known) : nullptr;
    if (at == nullptr) {
        return nullptr;
    }
    if (members->count == 0) {
        Py_XDECREF(members->shape);
        begin(members, known);
    }
    PyObject *expected = expected_key(members);
    if (expected != nullptr && (*key == expected || PyUnicode_Compare(*key, expected) == 0)) {
        Py_SETREF(*key, expected);
        members->fitting++;
    }
    return at;
}

// Reads the key that comes next, and the colon; a key that fits is held by the shape.
HOT static inline const char *read_member_key(struct reader *reader, const char *at, struct members *members)
{
    PyObject *expected = expected_key(members);
    const char *behind = expected == nullptr ? nullptr : take_key(reader, at, expected);
    if (behind != nullptr) {
        members->keys[members->count] = expected;
        members->fitting++;
        return behind;
    }
    at = read_other_key(reader, skip_space(at), members);
    if (at == nullptr) {
        return nullptr;
    }
    at = skip_space(at);
    if (*at == ':') {
        return at + 1;
    }
    if (members->fitting <= members->count) {
        Py_DECREF(members->keys[members->count]);
    }
    return nullptr;
}

HOT static inline const char *read_member(struct reader *reader, const char *at, struct members *members)
{
    at = read_member_key(reader, at, members);
    if (at == nullptr) {
        return nullptr;
    }
    at = read_value(reader, at, &members->values[members->count]);
    if (at == nullptr && members->fitting <= members->count) {
        Py_DECREF(members->keys[members->count]);
    }
    members->count += at != nullptr;
    return at;
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
    if (members->count == 0 || known == nullptr || known->key != members->keys[0]
        || PyDict_GET_SIZE(dict) != members->count) {
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

static PyDictKeysObject *row_keys(PyDictKeysObject *shape, PyObject *const *values, int count, bool *holds_container)
{
    PyDictKeysObject *keys = PyMem_Malloc(_PyDict_KeysSize(shape));
    if (keys == nullptr) {
        return nullptr;
    }
    PyDictUnicodeEntry *from = DK_UNICODE_ENTRIES(shape), *to;
    copy_text((char *)keys, (const char *)shape, (size_t)((char *)from - (char *)shape));
    to = DK_UNICODE_ENTRIES(keys);
    *holds_container = false;
    for (int index = 0; index < count; index++) {
        to[index] = (PyDictUnicodeEntry){Py_NewRef(from[index].me_key), values[index]};
        *holds_container |= PyDict_CheckExact(values[index]) || PyList_CheckExact(values[index]);
    }
    for (int index = count; index < count + (int)shape->dk_usable; index++) {
        to[index] = (PyDictUnicodeEntry){};
    }
    return keys;
}

static PyObject *row_of(PyObject *shape, PyObject *const *values, int count)
{
    PyObject *row = PyDict_New();
    if (row == nullptr) {
        return nullptr;
    }
    bool holds_container;
    PyDictKeysObject *keys = row_keys(((PyDictObject *)shape)->ma_keys, values, count, &holds_container);
    if (keys == nullptr) {
        Py_DECREF(row);
        return PyErr_NoMemory();
    }
    ((PyDictObject *)row)->ma_keys = keys;
    ((PyDictObject *)row)->ma_used = count;
    if (holds_container) {
        PyObject_GC_Track(row);
    }
    return row;
}

static PyObject *make_dict(struct members *members, bool whole)
{
    if (whole && members->shape != nullptr && members->fitting == members->count
        && members->count == PyDict_GET_SIZE(members->shape)) {
        members->known->missed = false;
        PyObject *row = row_of(members->shape, members->values, members->count);
        if (row != nullptr) {
            members->count = 0;
        }
        return row;
    }
    PyObject *dict = _PyDict_FromItems(members->keys, 1, members->values, 1, members->count);
    if (whole && dict != nullptr) {
        remember(members, dict);
    }
    return dict;
}

// Adds the members that were not gathered.
static const char *read_rest(struct reader *reader, const char *at, PyObject *dict)
{
    bool more = true;
    while (at != nullptr && more) {
        struct members member;
        begin(&member, nullptr);
        at = read_member(reader, at, &member);
        if (at != nullptr) {
            bool set = PyDict_SetItem(dict, member.keys[0], member.values[0]) == 0;
            at = set ? read_separator(at, '}', &more) : nullptr;
        }
        release(&member);
    }
    return at;
}

const char *read_dict(struct reader *reader, const char *at, PyObject **value)
{
    // One of a list's dicts looks like the next.
    struct known_key **before = &reader->before[reader->depth % BEFORE];
    struct members members;
    begin(&members, *before);
    at = skip_space(at);
    bool more = *at != '}';
    at += !more;
    while (at != nullptr && more && members.count < GATHERED) {
        at = read_member(reader, at, &members);
        if (at != nullptr) {
            at = read_separator(at, '}', &more);
        }
    }
    PyObject *dict = at != nullptr ? make_dict(&members, !more) : nullptr;
    *before = members.known;
    release(&members);
    if (dict != nullptr && more) {
        at = read_rest(reader, at, dict);
    }
    if (at == nullptr || dict == nullptr) {
        Py_XDECREF(dict);
        return nullptr;
    }
    *value = dict;
    return at;
}
