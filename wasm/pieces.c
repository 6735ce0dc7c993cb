// The bytes of files: pieces of the same size, so that a file grows without a copy.

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096 };

// Bytes that files leave to Python, so that code can go on after ENOSPC. It is looked after each
// time that files have taken SPAN pieces, 1 MiB, so a task with small files does not pay for it.
enum { RESERVE = 16 << 20, SPAN = 256 };

bool files_leave_reserve;

// Pieces taken since the last look.
static unsigned taken;

// The most bytes of all files. At first more than a linear memory holds, and less than a size_t
// counts.
static uint64_t most = (uint64_t)1 << 31;

// Bytes of all files.
static uint64_t used;

void files_limit(uint64_t more)
{
    if (used < most && more < most - used) {
        most = used + more;
    }
}

size_t files_read(struct node *node, uint64_t offset, uint8_t *into, size_t length)
{
    if (node->kind == ZERO_DEVICE) {
        memset(into, 0, length);
        return length;
    }
    if (node->kind == RANDOM_DEVICE) {
        return __wasi_random_get(into, length) == __WASI_ERRNO_SUCCESS ? length : 0;
    }
    if (node->kind != REGULAR || offset >= node->size) {
        return 0;
    }
    if (length > node->size - offset) {
        length = (size_t)(node->size - offset);
    }
    for (size_t done = 0; done < length;) {
        size_t index = (size_t)((offset + done) / PIECE),
               within = (size_t)((offset + done) % PIECE);
        size_t part = PIECE - within < length - done ? PIECE - within : length - done;
        const uint8_t *piece = node->pieces[index];
        if (piece != nullptr) {
            memcpy(into + done, piece + within, part);
        } else {
            memset(into + done, 0, part);
        }
        done += part;
    }
    return length;
}

// Makes room for the numbers of `count` pieces.
static bool reserve_pieces(struct node *file, size_t count)
{
    if (count <= file->piece_count) {
        return true;
    }
    size_t capacity = file->piece_count * 2 > count ? file->piece_count * 2 : count;
    uint8_t **pieces = realloc(file->pieces, capacity * sizeof *pieces);
    if (pieces == nullptr) {
        return false;
    }
    memset(pieces + file->piece_count, 0, (capacity - file->piece_count) * sizeof *pieces);
    file->pieces = pieces;
    file->piece_count = capacity;
    return true;
}

// Frees what lies behind the end, so that a file that grows again reads zeros there.
static void cut(struct node *file, uint64_t size)
{
    size_t within = (size_t)(size % PIECE);
    size_t first = (size_t)(size / PIECE);
    if (within > 0) {
        if (first < file->piece_count && file->pieces[first] != nullptr) {
            memset(file->pieces[first] + within, 0, PIECE - within);
        }
        first++;
    }
    for (size_t index = first; index < file->piece_count; index++) {
        free(file->pieces[index]);
        file->pieces[index] = nullptr;
    }
}

__wasi_errno_t files_resize(struct node *file, uint64_t size)
{
    if (size > file->size && (size > most || used - file->size > most - size)) {
        return __WASI_ERRNO_NOSPC;
    }
    if (size < file->size) {
        cut(file, size);
    } else if (!reserve_pieces(file, (size_t)((size + PIECE - 1) / PIECE))) {
        return __WASI_ERRNO_NOSPC;
    }
    used += size - file->size;
    file->size = size;
    file->modified = file->changed = files_now();
    return __WASI_ERRNO_SUCCESS;
}

// Allocates a piece of zeros.
static uint8_t *new_piece(void)
{
    if (files_leave_reserve && ++taken >= SPAN) {
        // Volatile: compilers drop allocations that nothing uses.
        void *volatile reserve = malloc(RESERVE);
        if (reserve == nullptr) {
            return nullptr;
        }
        free(reserve);
        taken = 0;
    }
    return calloc(1, PIECE);
}

// Allocates the missing pieces of a range.
static bool fill(struct node *file, uint64_t offset, size_t length)
{
    size_t last = (size_t)((offset + length - 1) / PIECE);
    for (size_t index = (size_t)(offset / PIECE); index <= last; index++) {
        if (file->pieces[index] == nullptr && (file->pieces[index] = new_piece()) == nullptr) {
            return false;
        }
    }
    return true;
}

__wasi_errno_t files_write(struct node *node, uint64_t offset, const uint8_t *data, size_t length)
{
    if (node->kind != REGULAR || length == 0) {
        return __WASI_ERRNO_SUCCESS;
    }
    uint64_t before = node->size, end;
    if (__builtin_add_overflow(offset, length, &end)) {
        return __WASI_ERRNO_FBIG;
    }
    __wasi_errno_t error = files_resize(node, end > before ? end : before);
    if (error == __WASI_ERRNO_SUCCESS && !fill(node, offset, length)) {
        (void)files_resize(node, before);
        error = __WASI_ERRNO_NOSPC;
    }
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    for (size_t done = 0; done < length;) {
        size_t index = (size_t)((offset + done) / PIECE),
               within = (size_t)((offset + done) % PIECE);
        size_t part = PIECE - within < length - done ? PIECE - within : length - done;
        memcpy(node->pieces[index] + within, data + done, part);
        done += part;
    }
    return __WASI_ERRNO_SUCCESS;
}
