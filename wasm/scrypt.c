// The built-in module `_scrypt`: the part of hashlib.scrypt that needs speed, scryptROMix
// (https://www.rfc-editor.org/rfc/rfc7914#section-5). hashlib checks the parameters and does the
// rest (wasm/patches/0016).

#include "image.h"

#include <stdlib.h>
#include <string.h>

// 32-bit words of a block of Salsa20.
enum { WORDS = 16, ROUNDS = 8, BLOCK_BYTES = 64 };

typedef uint32_t words[WORDS];

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the words of the RFC are little-endian");

static inline void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[b] ^= __builtin_rotateleft32(x[a] + x[d], 7);
    x[c] ^= __builtin_rotateleft32(x[b] + x[a], 9);
    x[d] ^= __builtin_rotateleft32(x[c] + x[b], 13);
    x[a] ^= __builtin_rotateleft32(x[d] + x[c], 18);
}

// Salsa20/8 (section 3): columns, then rows.
static void salsa(words block)
{
    words x;
    memcpy(x, block, sizeof x);
    for (int round = 0; round < ROUNDS; round += 2) {
        quarter(x, 0, 4, 8, 12);
        quarter(x, 5, 9, 13, 1);
        quarter(x, 10, 14, 2, 6);
        quarter(x, 15, 3, 7, 11);
        quarter(x, 0, 1, 2, 3);
        quarter(x, 5, 6, 7, 4);
        quarter(x, 10, 11, 8, 9);
        quarter(x, 15, 12, 13, 14);
    }
    for (int at = 0; at < WORDS; at++) {
        block[at] += x[at];
    }
}

// scryptBlockMix (section 4). Results of even steps come first.
static void mix_block(const words *from, words *into, size_t r)
{
    words last;
    memcpy(last, from[2 * r - 1], sizeof last);
    for (size_t step = 0; step < 2 * r; step++) {
        for (int at = 0; at < WORDS; at++) {
            last[at] ^= from[step][at];
        }
        salsa(last);
        memcpy(into[step / 2 + (step % 2) * r], last, sizeof last);
    }
}

// scryptROMix (section 5). `table` has n + 2 blocks: the last two are the state and its successor.
static void mix(words *block, words *table, size_t n, size_t r)
{
    const size_t size = 2 * r;
    words *state = table + n * size, *next = state + size;
    memcpy(state, block, size * sizeof *state);
    for (size_t step = 0; step < n; step++) {
        memcpy(table + step * size, state, size * sizeof *state);
        mix_block(state, next, r);
        words *swapped = state;
        state = next;
        next = swapped;
    }
    for (size_t step = 0; step < n; step++) {
        // n is a power of two, at most 2^32.
        const words *other = table + (state[size - 1][0] & (n - 1)) * size;
        for (size_t at = 0; at < size; at++) {
            for (int word = 0; word < WORDS; word++) {
                state[at][word] ^= other[at][word];
            }
        }
        mix_block(state, next, r);
        words *swapped = state;
        state = next;
        next = swapped;
    }
    memcpy(block, state, size * sizeof *state);
}

static PyObject *method_mix(PyObject *, PyObject *args)
{
    PyObject *given;
    Py_ssize_t n, r, blocks, bytes;
    if (!PyArg_ParseTuple(args, "O!nn:mix", &PyBytes_Type, &given, &n, &r)) {
        return nullptr;
    }
    if (n < 2 || (n & (n - 1)) != 0 || r < 1) {
        PyErr_SetString(PyExc_ValueError, "mix() takes a power of two and a positive block size");
        return nullptr;
    }
    if (__builtin_mul_overflow(n + 2, 2, &blocks) || __builtin_mul_overflow(blocks, r, &blocks)
        || __builtin_mul_overflow(blocks, BLOCK_BYTES, &bytes)) {
        return PyErr_NoMemory();
    }
    if (PyBytes_GET_SIZE(given) / (2 * BLOCK_BYTES) != r
        || PyBytes_GET_SIZE(given) % (2 * BLOCK_BYTES) != 0) {
        PyErr_SetString(PyExc_ValueError, "mix() takes 128 bytes for each unit of block size");
        return nullptr;
    }
    words *table = PyMem_RawMalloc((size_t)bytes);
    words *block = table != nullptr ? PyMem_RawMalloc((size_t)PyBytes_GET_SIZE(given)) : nullptr;
    if (block == nullptr) {
        PyMem_RawFree(table);
        return PyErr_NoMemory();
    }
    memcpy(block, PyBytes_AS_STRING(given), (size_t)PyBytes_GET_SIZE(given));
    mix(block, table, (size_t)n, (size_t)r);
    PyObject *mixed = PyBytes_FromStringAndSize((const char *)block, PyBytes_GET_SIZE(given));
    PyMem_RawFree(block);
    PyMem_RawFree(table);
    return mixed;
}

static PyMethodDef methods[] = {
    {"mix", method_mix, METH_VARARGS,
     "mix(block: bytes, n: int, r: int) -> bytes\n\n"
     "scryptROMix of RFC 7914 for a block of 128 r bytes."},
    {},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_scrypt",
    .m_methods = methods,
};

PyObject *scrypt_module_init(void)
{
    return PyModuleDef_Init(&definition);
}
