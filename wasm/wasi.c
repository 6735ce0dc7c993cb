// WASI preview 1 calls that the image answers itself
// (https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md).
//
// The C library imports all of preview 1. The image needs standard streams, clocks, sleep, random
// numbers and exit. These functions answer the rest (sockets, the environment) as a host without
// them would, and descriptors.c and directories.c those on files: no host can grant by mistake a
// call that is not imported. The linker substitutes them for the imports (`--wrap`, with a list that
// the build takes from the three files).

#include "wasi.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>

// A call on a descriptor that only a socket answers.
#define NO_SUCH_DESCRIPTOR(name, ...) \
    WRAP(name, __VA_ARGS__) \
    { \
        return __WASI_ERRNO_BADF; \
    }

// --- The process: no arguments, no environment, no other thread ----------------------------------

WRAP(args_sizes_get, __wasi_size_t *count, __wasi_size_t *size)
{
    *count = *size = 0;
    return __WASI_ERRNO_SUCCESS;
}

WRAP(args_get, uint8_t **, uint8_t *)
{
    return __WASI_ERRNO_SUCCESS;
}

WRAP(environ_sizes_get, __wasi_size_t *count, __wasi_size_t *size)
{
    *count = *size = 0;
    return __WASI_ERRNO_SUCCESS;
}

WRAP(environ_get, uint8_t **, uint8_t *)
{
    return __WASI_ERRNO_SUCCESS;
}

WRAP(sched_yield)
{
    return __WASI_ERRNO_SUCCESS;
}

WRAP(clock_res_get, __wasi_clockid_t, __wasi_timestamp_t *resolution)
{
    *resolution = 1;
    return __WASI_ERRNO_SUCCESS;
}

// --- Processor time: preview 1 has no such clock, so the monotonic clock replaces it -------------
//
// The C library's replacement counts from the program's start, which lies before the snapshot, on
// the clock of the machine that built it.

static const uint64_t NANOSECONDS_PER_SECOND = 1'000'000'000;
static const uint64_t NANOSECONDS_PER_MICROSECOND = 1'000;

clock_t clock(void)
{
    __wasi_timestamp_t now;
    return __wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &now) == __WASI_ERRNO_SUCCESS
               ? (clock_t)now
               : -1;
}

clock_t times(struct tms *buffer)
{
    clock_t now = clock();
    *buffer = (struct tms){.tms_utime = now};
    return now;
}

int getrusage(int who, struct rusage *usage)
{
    if (who != RUSAGE_SELF) {
        errno = EINVAL;
        return -1;
    }
    uint64_t now = (uint64_t)clock();
    *usage = (struct rusage){
        .ru_utime.tv_sec = (time_t)(now / NANOSECONDS_PER_SECOND),
        .ru_utime.tv_usec =
            (suseconds_t)(now % NANOSECONDS_PER_SECOND / NANOSECONDS_PER_MICROSECOND),
    };
    return 0;
}

// --- Sockets: none exist -------------------------------------------------------------------------

NO_SUCH_DESCRIPTOR(sock_accept, __wasi_fd_t, __wasi_fdflags_t, __wasi_fd_t *)
NO_SUCH_DESCRIPTOR(sock_recv, __wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_riflags_t,
                   __wasi_size_t *, __wasi_roflags_t *)
NO_SUCH_DESCRIPTOR(sock_send, __wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_siflags_t,
                   __wasi_size_t *)
NO_SUCH_DESCRIPTOR(sock_shutdown, __wasi_fd_t, __wasi_sdflags_t)
