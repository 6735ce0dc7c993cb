// Decodes JSON objects to dicts.
//
// Items are rows: consecutive dicts with the same keys in the same order. A row copies the key
// table of a shape, a template dict, and gets its own values, which saves a hash look-up for each
// key.

#include "decode.h"

#define Py_BUILD_CORE
#include <pycore_dict.h>

// Members that are buffered on the C stack before the dict is allocated.
enum { STACK_MEMBERS = 64 };

// The first members of a dict.
struct members {
    // The cache slot of the first key, or null.
    struct key_slot *slot;
    // The predicted shape, or null.
    PyObject *shape;
    // The number of leading keys that match the shape. The shape owns these keys.
    int matched;
    int count;
    PyObject *keys[STACK_MEMBERS];
    PyObject *values[STACK_MEMBERS];
};

// Starts a dict whose first key is predicted to be the slot's. The slot may be null.
static void begin(struct members *members, struct key_slot *slot)
{
    members->slot = slot;
    members->shape = slot == nullptr ? nullptr : Py_XNewRef(slot->shape);
    members->matched = members->count = 0;
}

static PyDictUnicodeEntry *entries_of(PyObject *dict)
{
    return DK_UNICODE_ENTRIES(((PyDictObject *)dict)->ma_keys);
}

// Returns the next key of the predicted shape, or null.
static PyObject *expected_key(const struct members *members)
{
    int index = members->count;
    bool expected = members->shape != nullptr && members->matched == index
                    && index < PyDict_GET_SIZE(members->shape);
    return expected ? entries_of(members->shape)[index].me_key : nullptr;
}

// Reads a key for which `take_key` failed. The key may still be the expected one, in another JSON
// form, and the first key selects the shape.
[[clang::noinline]] static const char *read_other_key(struct reader *reader, const char *at,
                                                      struct members *members)
{
    PyObject **key = &members->keys[members->count];
    struct key_slot *slot;
    at = *at == '"' ? read_key(reader, at + 1, key, &slot) : nullptr;
    if (at == nullptr) {
        return nullptr;
    }
    if (members->count == 0) {
        Py_XDECREF(members->shape);
        begin(members, slot);
    }
    PyObject *expected = expected_key(members);
    if (expected != nullptr && (*key == expected || PyUnicode_Compare(*key, expected) == 0)) {
        Py_SETREF(*key, expected);
        members->matched++;
    }
    return at;
}

// Reads a key and its colon.
HOT static inline const char *read_member_key(struct reader *reader, const char *at,
                                              struct members *members)
{
    PyObject *expected = expected_key(members);
    const char *behind = expected == nullptr ? nullptr : take_key(reader, at, expected);
    if (behind != nullptr) {
        members->keys[members->count] = expected;
        members->matched++;
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
    if (members->matched <= members->count) {
        Py_DECREF(members->keys[members->count]);
    }
    return nullptr;
}

HOT static inline const char *read_member(struct reader *reader, const char *at,
                                          struct members *members)
{
    at = read_member_key(reader, at, members);
    if (at == nullptr) {
        return nullptr;
    }
    at = read_value(reader, at, &members->values[members->count]);
    if (at == nullptr && members->matched <= members->count) {
        Py_DECREF(members->keys[members->count]);
    }
    members->count += at != nullptr;
    return at;
}

static void release(struct members *members)
{
    for (int index = 0; index < members->count; index++) {
        if (index >= members->matched) {
            Py_DECREF(members->keys[index]);
        }
        Py_DECREF(members->values[index]);
    }
    Py_XDECREF(members->shape);
}

// Returns true if no ASCII key needs an escape in JSON, as `take_key` requires.
static bool has_plain_keys(const struct members *members)
{
    for (int index = 0; index < members->count; index++) {
        PyObject *key = members->keys[index];
        size_t length = (size_t)PyUnicode_GET_LENGTH(key);
        if (PyUnicode_IS_COMPACT_ASCII(key)
            && run_of(PyUnicode_DATA(key), length).length != length) {
            return false;
        }
    }
    return true;
}

// Makes `dict` the shape for its first key if the last two dicts with that key did not match. The
// old shape stays if this fails.
static void remember(const struct members *members, PyObject *dict)
{
    struct key_slot *slot = members->slot;
    if (members->count == 0 || slot == nullptr || slot->key != members->keys[0]
        || PyDict_GET_SIZE(dict) != members->count) {
        return;
    }
    if (!slot->missed) {
        slot->missed = true;
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
    Py_XSETREF(slot->shape, shape);
    slot->missed = false;
}

// Returns a copy of a shape's key table with these values, which it steals. PyDict_Copy and a
// replacement of each value take three times as long.
static PyDictKeysObject *copy_key_table(PyDictKeysObject *shape, PyObject *const *values, int count,
                                        bool *holds_container)
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

// Returns a dict with the shape's keys and these values. Steals the values, unless it returns null
// with a Python exception set.
static PyObject *new_row(PyObject *shape, PyObject *const *values, int count)
{
    PyObject *row = PyDict_New();
    if (row == nullptr) {
        return nullptr;
    }
    bool holds_container;
    PyDictKeysObject *keys =
        copy_key_table(((PyDictObject *)shape)->ma_keys, values, count, &holds_container);
    if (keys == nullptr) {
        Py_DECREF(row);
        return PyErr_NoMemory();
    }
    // The empty dict's key table is static and not reference-counted.
    ((PyDictObject *)row)->ma_keys = keys;
    ((PyDictObject *)row)->ma_used = count;
    // Like CPython, leaves a dict without containers untracked by the garbage collector.
    if (holds_container) {
        PyObject_GC_Track(row);
    }
    return row;
}

static PyObject *make_dict(struct members *members, bool whole)
{
    if (whole && members->shape != nullptr && members->matched == members->count
        && members->count == PyDict_GET_SIZE(members->shape)) {
        members->slot->missed = false;
        PyObject *row = new_row(members->shape, members->values, members->count);
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

// Adds the members beyond STACK_MEMBERS.
static const char *read_remaining_members(struct reader *reader, const char *at, PyObject *dict)
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
    // Predicts that the dict begins like the previous one at the same depth.
    struct key_slot **previous = &reader->previous[reader->depth % PREDICTED_DEPTHS];
    struct members members;
    begin(&members, *previous);
    at = skip_space(at);
    bool more = *at != '}';
    at += !more;
    while (at != nullptr && more && members.count < STACK_MEMBERS) {
        at = read_member(reader, at, &members);
        if (at != nullptr) {
            at = read_separator(at, '}', &more);
        }
    }
    PyObject *dict = at != nullptr ? make_dict(&members, !more) : nullptr;
    *previous = members.slot;
    release(&members);
    if (dict != nullptr && more) {
        at = read_remaining_members(reader, at, dict);
    }
    if (at == nullptr || dict == nullptr) {
        Py_XDECREF(dict);
        return nullptr;
    }
    *value = dict;
    return at;
}
