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
#define SMALL_OBJECT 512
#define SMALL_OBJECT_STEP 8
#define SIZE_CLASSES (SMALL_OBJECT / SMALL_OBJECT_STEP)

// Blocks above SMALL_OBJECT come from the C library. Gaps are looked for in these steps, from large to small.
static const size_t LARGEST_GAP = 1024 * 1024;
static const size_t FINE_STEP = 16;

// Memory that is there already does not have to be asked for: enough for a small task.
static const size_t ROOM_TO_GROW = 1024 * 1024;


// Takes blocks of one size for good until one lies above everything that was in use, and returns that one.
// Returns null with an exception set if there is no memory.
static void *use_up(void *allocate(size_t), size_t size, uintptr_t used_end)
{
    void *block;
    do {
        block = allocate(size);
        if (block == nullptr) {
            PyErr_NoMemory();
        }
    } while (block != nullptr && (uintptr_t)block < used_end);
    return block;
}

// An eighth less, in whole steps: close enough together that no gap worth having is left between two sizes.
static size_t next_smaller(size_t size)
{
    size_t less = size / 8 > FINE_STEP ? size / 8 / FINE_STEP * FINE_STEP : FINE_STEP;
    return size - less;
}

static bool fill_large_gaps(uintptr_t used_end)
{
    for (size_t size = LARGEST_GAP; size > SMALL_OBJECT; size = next_smaller(size)) {
        void *block = use_up(malloc, size, used_end);
        if (block == nullptr) {
            return false;
        }
        free(block);
    }
    return true;
}

static bool fill_pools(uintptr_t used_end)
{
    void *fresh[SIZE_CLASSES];
    for (size_t i = 0; i < SIZE_CLASSES; i++) {
        fresh[i] = use_up(PyObject_Malloc, (i + 1) * SMALL_OBJECT_STEP, used_end);
        if (fresh[i] == nullptr) {
            return false;
        }
    }
    // Give the new pools back, the lowest last, so that a task gets it first and the others in order. The very first
    // stays taken: without it, their arena would be given back too.
    for (size_t i = SIZE_CLASSES - 1; i > 0; i--) {
        PyObject_Free(fresh[i]);
    }
    return true;
}

bool snapshot_settle_memory(void)
{
    // The heap grows by pages as it needs them, so this is where it ends, give or take one.
    uintptr_t used_end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    if (!fill_large_gaps(used_end) || !fill_pools(used_end)) {
        return false;
    }
    // Volatile, or the compiler would see that nothing comes of it.
    void *volatile room = malloc(ROOM_TO_GROW);
    free(room);
    heap_grow_in_steps();
    return true;
}
