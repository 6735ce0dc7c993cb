// Prepares the interpreter's memory for the snapshot that every task starts from.
//
// Instances share the snapshot's pages copy-on-write. Each written page costs a fault, a copy and a
// reset. Two kinds of writes dominate: reference counts of objects that never die, and small new
// objects in gaps of old pages. So all existing objects become immortal (PEP 683), and the gaps are
// filled: a task's objects come from adjacent fresh pages.
//
// Immortality is sound here. CPython never changes an immortal object's reference count, so never
// frees it. Nothing finalises the interpreter: the host discards the instance whole. Objects that
// this walk misses keep exact counts, which include the references of immortal objects. Code that
// changes an object in place only at a count of 1 sees a larger count, and copies.

#include "image.h"

#include <stdlib.h>

// Immortal objects whose references are still to be visited.
static struct {
    PyObject **items;
    size_t count;
    size_t capacity;
    bool failed;
} worklist;

// A `visitproc` that makes an object immortal and appends it to the worklist.
static int make_immortal(PyObject *object, void *)
{
    if (object == nullptr || _Py_IsImmortal(object)) {
        return 0;
    }
    if (worklist.count == worklist.capacity) {
        size_t capacity = worklist.capacity ? worklist.capacity * 2 : 64 * 1024;
        PyObject **items = realloc(worklist.items, capacity * sizeof *items);
        if (items == nullptr) {
            worklist.failed = true;
            return -1;
        }
        worklist.items = items;
        worklist.capacity = capacity;
    }
    object->ob_refcnt = _Py_IMMORTAL_REFCNT;
    if (PyUnicode_CheckExact(object)
        && PyUnicode_CHECK_INTERNED(object) == SSTATE_INTERNED_MORTAL) {
        ((PyASCIIObject *)object)->state.interned = SSTATE_INTERNED_IMMORTAL;
    }
    worklist.items[worklist.count++] = object;
    return 0;
}

// Visits a code object's references: code objects have no `tp_traverse`.
static void visit_code(PyCodeObject *code)
{
    PyObject *fields[] = {
        code->co_consts,          code->co_names,     code->co_localsplusnames,
        code->co_localspluskinds, code->co_filename,  code->co_name,
        code->co_qualname,        code->co_linetable, code->co_exceptiontable,
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        make_immortal(fields[i], nullptr);
    }
}

// Visits a type's references that its `tp_traverse` omits.
static void visit_type(PyTypeObject *type)
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

static void drain_worklist(void)
{
    while (worklist.count > 0) {
        PyObject *object = worklist.items[--worklist.count];
        if (PyCode_Check(object)) {
            visit_code((PyCodeObject *)object);
        } else if (PyType_Check(object)) {
            visit_type((PyTypeObject *)object);
        }
        // A static type is no GC object, and `type_traverse` aborts on one.
        if (PyObject_IS_GC(object) && Py_TYPE(object)->tp_traverse != nullptr) {
            Py_TYPE(object)->tp_traverse(object, make_immortal, nullptr);
        }
    }
}

static bool call_gc(PyObject *gc, const char *function)
{
    PyObject *result = PyObject_CallMethod(gc, function, nullptr);
    Py_XDECREF(result);
    return result != nullptr;
}

static bool make_all_immortal(PyObject *gc)
{
    // Garbage would become immortal too. A full collection also empties the free lists.
    if (!call_gc(gc, "unfreeze") || !call_gc(gc, "collect")) {
        return false;
    }
    PyObject *objects = PyObject_CallMethod(gc, "get_objects", nullptr);
    if (objects == nullptr) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++) {
        make_immortal(PyList_GET_ITEM(objects, i), nullptr);
        drain_worklist();
    }
    Py_DECREF(objects);
    free(worklist.items);
    if (worklist.failed) {
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

// Bytes. pymalloc serves requests up to 512 bytes, in size classes of 8 bytes, each from its own
// pools of 4 KiB (Objects/obmalloc.c).
#define SMALL_OBJECT 512
#define SMALL_OBJECT_STEP 8
#define SIZE_CLASSES (SMALL_OBJECT / SMALL_OBJECT_STEP)

// Bytes. The C library serves larger requests, and those of its own functions. Gaps of its heap are
// filled by blocks of LARGEST_BLOCK, then of smaller sizes that differ by at least FINE_STEP.
static const size_t LARGEST_BLOCK = 64 * 1024;
static const size_t FINE_STEP = 16;

// Bytes of free heap in the snapshot: a task that needs no more calls no `sbrk`.
static const size_t FREE_IN_HEAP = 128 * 1024;

// Allocates blocks of one size until one lies above `used_end`, and returns it. Leaks the others,
// which fill gaps. Returns null with an exception set if memory is short.
static void *allocate_above(void *allocate(size_t), size_t size, uintptr_t used_end)
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

// An eighth less, in whole FINE_STEPs: fine enough to leave no useful gap between two sizes.
static size_t next_smaller(size_t size)
{
    size_t less = size / 8 > FINE_STEP ? size / 8 / FINE_STEP * FINE_STEP : FINE_STEP;
    return size - less;
}

static bool fill_malloc_gaps(uintptr_t used_end)
{
    for (size_t size = LARGEST_BLOCK; size > 0; size = next_smaller(size)) {
        void *block = allocate_above(malloc, size, used_end);
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
        fresh[i] = allocate_above(PyObject_Malloc, (i + 1) * SMALL_OBJECT_STEP, used_end);
        if (fresh[i] == nullptr) {
            return false;
        }
    }
    // Frees the new pools, the lowest last: pymalloc hands out the last freed pool first, so tasks
    // use them in order of address. Keeps the first pool, without which their arena would be freed
    // too.
    for (size_t i = SIZE_CLASSES - 1; i > 0; i--) {
        PyObject_Free(fresh[i]);
    }
    return true;
}

bool snapshot_fill_heap_gaps(void)
{
    // The heap grows by single pages before the snapshot, so it ends within one page of this.
    uintptr_t used_end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    if (!fill_malloc_gaps(used_end) || !fill_pools(used_end)) {
        return false;
    }
    // Volatile: otherwise the compiler removes the pair of calls.
    void *volatile unused = malloc(FREE_IN_HEAP);
    free(unused);
    if (!heap_grow_in_steps()) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}
