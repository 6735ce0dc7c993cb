// What the definitions of WASI calls share.
#pragma once

#include <wasi/api.h>

// Defines a WASI call. The linker substitutes it for the import (`--wrap`). The declaration makes the
// compiler check the signature against wasi/api.h.
#define WRAP(name, ...) \
    typeof(__wasi_##name) __wrap___wasi_##name; \
    __wasi_errno_t __wrap___wasi_##name(__VA_ARGS__)

// Standard input, output and error have the descriptors below this one.
static const __wasi_fd_t STANDARD_OUTPUT = 1, STANDARD_ERROR = 2, FIRST_FILE = 3;

// True while the reply is written to standard output (descriptors.c).
extern bool reply_is_written;

static inline bool is_standard_stream(__wasi_fd_t fd)
{
    return fd < FIRST_FILE;
}
