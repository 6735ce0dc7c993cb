// `sbrk`, by which the C library's heap grows the linear memory.

#include "image.h"

#include <errno.h>
#include <unistd.h>

// Bytes: the most that one step adds beyond the request. A task's peak of memory counts them even
// if unused.
static const size_t LARGEST_STEP = 16 << 20;

// Bytes beyond the heap of the snapshot, all zero, so that no file holds them: enough for a small
// task, which then never grows its memory.
static const size_t FREE_AT_START = 768 << 10;

// Bytes of a huge page of the host on x86-64. Linux aligns the linear memory to one. With another
// size or alignment, steps get fewer huge pages, and nothing else changes.
static const size_t HUGE_PAGE = 2 << 20;

// End of the linear memory when steps began, or 0 before. Without steps the heap grows exactly, so
// the snapshot holds no unused memory.
static uintptr_t steps_begin;
// End of the heap. The heap grows up to the end of the linear memory without a call to the host.
static uintptr_t top;

static uintptr_t memory_end(void)
{
    return (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
}

static bool grow(size_t bytes)
{
    return __builtin_wasm_memory_grow(0, (bytes + WASM_PAGE - 1) / WASM_PAGE) != SIZE_MAX;
}

bool heap_grow_in_steps(void)
{
    top = memory_end();
    bool grown = grow(FREE_AT_START);
    steps_begin = memory_end();
    return grown;
}

// Extends a step that holds a huge page to the next boundary of one: the kernel backs only whole
// huge pages.
static size_t round_to_huge_page(uintptr_t end, size_t step)
{
    return step < HUGE_PAGE ? step : (end + step + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE - end;
}

// Replaces the C library's `sbrk`, which grows by exactly the request. Doubles the heap with each
// step: few calls to the host, and steps large enough for transparent huge pages
// (https://docs.kernel.org/admin-guide/mm/transhuge.html).
void *sbrk(intptr_t increment)
{
    uintptr_t end = memory_end();
    if (steps_begin == 0) {
        top = end;
    }
    if (increment < 0) {
        errno = EINVAL;
        return (void *)-1;
    }
    size_t needed = (size_t)increment, available = end - top;
    if (needed > available) {
        size_t grown = steps_begin == 0 ? 0 : end - steps_begin,
               step = grown < LARGEST_STEP ? grown : LARGEST_STEP;
        size_t missing = needed - available;
        // Retries with the exact need, even if it equals the step: the host reports exhausted
        // memory only at the second refusal in a row.
        if (!grow(round_to_huge_page(end, step > missing ? step : missing)) && !grow(missing)) {
            errno = ENOMEM;
            return (void *)-1;
        }
    }
    void *piece = (void *)top;
    top += needed;
    return piece;
}
