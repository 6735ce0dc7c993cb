// How the heap takes memory from the host.

#include "image.h"

#include <errno.h>
#include <unistd.h>

// Bytes that are taken at once, at most, beyond what is asked for.
static const size_t LARGEST_STEP = 16 << 20;

// Bytes of a large page of the host, if its processor is one of x86-64. Linux has the memory begin with one; if it does not, only
// time is lost.
static const size_t LARGE_PAGE = 2 << 20;

// Where the memory ended when steps began; 0 before.
static uintptr_t begin;
// Where the heap ends. Up to the end of the memory it grows without the host.
static uintptr_t top;

void heap_grow_in_steps(void)
{
    begin = top = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
}

static bool grow(size_t bytes)
{
    return __builtin_wasm_memory_grow(0, (bytes + WASM_PAGE - 1) / WASM_PAGE) != SIZE_MAX;
}

// A step from `end` on of so many bytes or some more: a large one ends where a large page does, which is given whole or not
// at all.
static size_t whole_pages(uintptr_t end, size_t step)
{
    return step < LARGE_PAGE ? step : (end + step + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE - end;
}

// In place of the C library's own, which asks the host for each piece: what has grown is doubled, so that a large heap grows
// in few large steps. The host gives those as large pages of memory, and each call of it takes time.
void *sbrk(intptr_t increment)
{
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    if (begin == 0) {
        top = end;
    }
    if (increment < 0) {
        errno = EINVAL;
        return (void *)-1;
    }
    size_t needed = (size_t)increment, room = end - top;
    if (needed > room) {
        size_t grown = begin == 0 ? 0 : end - begin, step = grown < LARGEST_STEP ? grown : LARGEST_STEP;
        size_t missing = needed - room;
        // Twice, also where both are the same: the host takes the second refusal in a row for one that matters.
        if (!grow(whole_pages(end, step > missing ? step : missing)) && !grow(missing)) {
            errno = ENOMEM;
            return (void *)-1;
        }
    }
    void *piece = (void *)top;
    top += needed;
    return piece;
}
