// C++ exceptions: the image has none, because WebAssembly engines need a further feature for them.
//
// The compiler keeps `throw` as a call and drops `catch`. A thrown exception ends the task: it says
// so on standard error, and traps. docs/decisions says which ones a task can reach.

#include <stdio.h>
#include <stdlib.h>

// The parts of C++'s type_info that are used (https://itanium-cxx-abi.github.io/cxx-abi/abi.html).
struct type_info {
    const void *functions;
    const char *name;
};

void *__cxa_allocate_exception(size_t size);
[[noreturn]] void __cxa_throw(void *thrown, struct type_info *type, void (*destroy)(void *));
void *__cxa_begin_catch(void *thrown);
void __cxa_end_catch(void);
[[noreturn]] void __cxa_rethrow(void);
void __cxa_free_exception(void *thrown);

// There is one at most: a throw does not return.
static _Alignas(16) char exception[512];

void *__cxa_allocate_exception(size_t size)
{
    if (size > sizeof exception) {
        abort();
    }
    return exception;
}

void __cxa_throw(void *, struct type_info *type, void (*)(void *))
{
    fprintf(stderr, "uncaught C++ exception: %s\n", type->name);
    fflush(stderr);
    abort();
}

void *__cxa_begin_catch(void *thrown)
{
    return thrown;
}

void __cxa_end_catch(void)
{
}

void __cxa_rethrow(void)
{
    abort();
}

void __cxa_free_exception(void *)
{
}
