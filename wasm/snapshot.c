// Prepares the interpreter's memory for the snapshot that every task starts from.
//
// A task's instance shares the snapshot's pages until it writes to them; every page written is a fault, a copy, and a
// page to reset afterwards. Most of those writes would be reference counts of objects that never die, and small new
// objects scattered into the gaps of old pages. So: what exists now lives for ever and is never counted again, and
// what a task makes comes from fresh pages that lie side by side.
//
// Why immortality is sound here. No reference count of an immortal object is read or written again, so it is never
// freed; the interpreter is never finalised either (an instance is thrown away whole). Objects that this walk misses
// keep exact counts, because every reference that an immortal object holds to them stays counted. Code that asks
// "is mine the only reference?" before it changes an object in place sees a count that is not 1 and takes a copy.

#include "image.h"

#include <stdlib.h>

// Objects made immortal whose own references are still to be followed.
static struct {
    PyObject **items;
    size_t count;
    size_t capacity;
    bool failed;
} pending;

// Makes one object immortal and remembers to follow its references. Has the shape of a `visitproc`.
static int make_immortal(PyObject *object, void *)
{
    if (object == nullptr || _Py_IsImmortal(object)) {
        return 0;
    }
    if (pending.count == pending.capacity) {
        size_t capacity = pending.capacity ? pending.capacity * 2 : 64 * 1024;
        PyObject **items = realloc(pending.items, capacity * sizeof *items);
        if (items == nullptr) {
            pending.failed = true;
            return -1;
        }
        pending.items = items;
        pending.capacity = capacity;
    }
    object->ob_refcnt = _Py_IMMORTAL_REFCNT;
    if (PyUnicode_CheckExact(object) && PyUnicode_CHECK_INTERNED(object) == SSTATE_INTERNED_MORTAL) {
        ((PyASCIIObject *)object)->state.interned = SSTATE_INTERNED_IMMORTAL;
    }
    pending.items[pending.count++] = object;
    return 0;
}

// Code objects take no part in garbage collection, so they have no traversal of their own.
static void follow_code(PyCodeObject *code)
{
    PyObject *fields[] = {
        code->co_consts,   code->co_names,    code->co_localsplusnames, code->co_localspluskinds,  code->co_filename,
        code->co_name,     code->co_qualname, code->co_linetable,       code->co_exceptiontable,
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        make_immortal(fields[i], nullptr);
    }
}

// What a type holds besides what its traversal visits.
static void follow_type(PyTypeObject *type)
{
    PyObject *dict = PyType_GetDict(type);
    if (dict != nullptr) {
        make_immortal(dict, nullptr);
        Py_DECREF(dict);
    }
    make_immortal(type->tp_mro, nullptr);
    make_immortal(type->tp_bases, nullptr);
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        PyHeapTypeObject *heap_type = (PyHeapTypeObject *)type;
        make_immortal(heap_type->ht_name, nullptr);
        make_immortal(heap_type->ht_qualname, nullptr);
        make_immortal(heap_type->ht_slots, nullptr);
    }
}

static void follow_pending(void)
{
    while (pending.count > 0) {
        PyObject *object = pending.items[--pending.count];
        if (PyCode_Check(object)) {
            follow_code((PyCodeObject *)object);
        } else if (PyType_Check(object)) {
            follow_type((PyTypeObject *)object);
        }
        // A static type claims no part in garbage collection, and its traversal must not be called.
        if (PyObject_IS_GC(object) && Py_TYPE(object)->tp_traverse != nullptr) {
            Py_TYPE(object)->tp_traverse(object, make_immortal, nullptr);
        }
    }
}

// Calls a function of the module gc and drops its result.
static bool call_gc(PyObject *gc, const char *function)
{
    PyObject *result = PyObject_CallMethod(gc, function, nullptr);
    Py_XDECREF(result);
    return result != nullptr;
}

static bool make_all_immortal(PyObject *gc)
{
    // Collect first: garbage would live for ever too. It also empties the free lists.
    if (!call_gc(gc, "unfreeze") || !call_gc(gc, "collect")) {
        return false;
    }
    PyObject *objects = PyObject_CallMethod(gc, "get_objects", nullptr);
    if (objects == nullptr) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        make_immortal(PyList_GET_ITEM(objects, i), nullptr);
        follow_pending();
    }
    Py_DECREF(objects);
    free(pending.items);
    if (pending.failed) {
        PyErr_NoMemory();
        return false;
    }
    return call_gc(gc, "freeze");
}

bool snapshot_make_immortal(void)
{
    PyObject *gc = PyImport_ImportModule("gc");
    if (gc == nullptr) {
        return false;
    }
    bool done = make_all_immortal(gc);
    Py_DECREF(gc);
    return done;
}

// pymalloc serves sizes up to this in steps of 8 bytes, each from pools of 4 KiB of its own.
static const size_t SMALL_OBJECT = 512;
static const size_t SMALL_OBJECT_STEP = 8;
static const size_t POOL = 4 * 1024;

// The highest address that a run of small objects reaches when it has used up every free pool there is.
static uintptr_t use_up_free_pools(void)
{
    // A new arena is asked for when no pool is free. Arenas are 256 KiB: a run of so many pools without a gap is new.
    static const size_t ARENA_POOLS = 64;
    uintptr_t highest = 0;
    size_t run = 0;
    while (run < ARENA_POOLS / 2) {
        // One object of the largest size class fills no pool alone; every new pool shows as a step upwards.
        uintptr_t object = (uintptr_t)PyObject_Malloc(SMALL_OBJECT);
        if (object == 0) {
            return 0;
        }
        uintptr_t page = object / POOL;
        if (object > highest) {
            run += page != highest / POOL;
            highest = object;
        } else {
            run = 0;
        }
    }
    return highest;
}

bool snapshot_settle_memory(void)
{
    uintptr_t highest = use_up_free_pools();
    if (highest == 0) {
        PyErr_NoMemory();
        return false;
    }
    // Fill the half-used pools of every size class, until its objects come from above everything that was in use.
    for (size_t size = SMALL_OBJECT_STEP; size <= SMALL_OBJECT; size += SMALL_OBJECT_STEP) {
        uintptr_t object;
        do {
            object = (uintptr_t)PyObject_Malloc(size);
            if (object == 0) {
                PyErr_NoMemory();
                return false;
            }
        } while (object <= highest);
    }
    return true;
}
