// WASI preview 1 calls that the image answers itself
// (https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md).
//
// The C library imports all of preview 1. The image needs standard streams, clocks, sleep, random
// numbers and exit. These functions answer the rest (files, directories, sockets, the environment)
// as a host without them would: no host can grant by mistake a call that is not imported. The
// linker substitutes them for the imports (`--wrap`, with a list that the build takes from here).

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <time.h>
#include <wasi/api.h>

static const __wasi_fd_t LAST_STANDARD_STREAM = 2;

static bool is_standard_stream(__wasi_fd_t fd)
{
    return fd <= LAST_STANDARD_STREAM;
}

// The declaration makes the compiler check the definition's signature against wasi/api.h.
#define WRAP(name, ...) \
    typeof(__wasi_##name) __wrap___wasi_##name; \
    __wasi_errno_t __wrap___wasi_##name(__VA_ARGS__)

// A call on a file descriptor that only a file, directory or socket answers.
#define NO_SUCH_DESCRIPTOR(name, ...) \
    WRAP(name, __VA_ARGS__) \
    { \
        return __WASI_ERRNO_BADF; \
    }

// A call that names a path. Nothing is preopened, so the C library refuses paths before calling.
#define NO_FILE_SYSTEM(name, ...) \
    WRAP(name, __VA_ARGS__) \
    { \
        return __WASI_ERRNO_NOTCAPABLE; \
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

// --- Standard streams: neither files nor terminals, and always open ------------------------------

WRAP(fd_fdstat_get, __wasi_fd_t fd, __wasi_fdstat_t *status)
{
    if (!is_standard_stream(fd)) {
        return __WASI_ERRNO_BADF;
    }
    *status = (__wasi_fdstat_t){
        .fs_filetype = __WASI_FILETYPE_UNKNOWN,
        .fs_rights_base = fd == 0 ? __WASI_RIGHTS_FD_READ : __WASI_RIGHTS_FD_WRITE,
    };
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_filestat_get, __wasi_fd_t fd, __wasi_filestat_t *status)
{
    if (!is_standard_stream(fd)) {
        return __WASI_ERRNO_BADF;
    }
    *status = (__wasi_filestat_t){.filetype = __WASI_FILETYPE_UNKNOWN, .nlink = 1};
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_close, __wasi_fd_t fd)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SUCCESS : __WASI_ERRNO_BADF;
}

WRAP(fd_seek, __wasi_fd_t fd, __wasi_filedelta_t, __wasi_whence_t, __wasi_filesize_t *)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SPIPE : __WASI_ERRNO_BADF;
}

WRAP(fd_tell, __wasi_fd_t fd, __wasi_filesize_t *)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SPIPE : __WASI_ERRNO_BADF;
}

WRAP(fd_sync, __wasi_fd_t fd)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SUCCESS : __WASI_ERRNO_BADF;
}

WRAP(fd_datasync, __wasi_fd_t fd)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SUCCESS : __WASI_ERRNO_BADF;
}

// --- Files, directories and sockets: none exist --------------------------------------------------

NO_SUCH_DESCRIPTOR(fd_advise, __wasi_fd_t, __wasi_filesize_t, __wasi_filesize_t, __wasi_advice_t)
NO_SUCH_DESCRIPTOR(fd_allocate, __wasi_fd_t, __wasi_filesize_t, __wasi_filesize_t)
NO_SUCH_DESCRIPTOR(fd_fdstat_set_flags, __wasi_fd_t, __wasi_fdflags_t)
NO_SUCH_DESCRIPTOR(fd_fdstat_set_rights, __wasi_fd_t, __wasi_rights_t, __wasi_rights_t)
NO_SUCH_DESCRIPTOR(fd_filestat_set_size, __wasi_fd_t, __wasi_filesize_t)
NO_SUCH_DESCRIPTOR(fd_filestat_set_times, __wasi_fd_t, __wasi_timestamp_t, __wasi_timestamp_t,
                   __wasi_fstflags_t)
NO_SUCH_DESCRIPTOR(fd_pread, __wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_filesize_t,
                   __wasi_size_t *)
NO_SUCH_DESCRIPTOR(fd_prestat_dir_name, __wasi_fd_t, uint8_t *, __wasi_size_t)
NO_SUCH_DESCRIPTOR(fd_prestat_get, __wasi_fd_t, __wasi_prestat_t *)
NO_SUCH_DESCRIPTOR(fd_pwrite, __wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_filesize_t,
                   __wasi_size_t *)
NO_SUCH_DESCRIPTOR(fd_readdir, __wasi_fd_t, uint8_t *, __wasi_size_t, __wasi_dircookie_t,
                   __wasi_size_t *)
NO_SUCH_DESCRIPTOR(fd_renumber, __wasi_fd_t, __wasi_fd_t)
NO_SUCH_DESCRIPTOR(sock_accept, __wasi_fd_t, __wasi_fdflags_t, __wasi_fd_t *)
NO_SUCH_DESCRIPTOR(sock_recv, __wasi_fd_t, const __wasi_iovec_t *, size_t, __wasi_riflags_t,
                   __wasi_size_t *, __wasi_roflags_t *)
NO_SUCH_DESCRIPTOR(sock_send, __wasi_fd_t, const __wasi_ciovec_t *, size_t, __wasi_siflags_t,
                   __wasi_size_t *)
NO_SUCH_DESCRIPTOR(sock_shutdown, __wasi_fd_t, __wasi_sdflags_t)

NO_FILE_SYSTEM(path_create_directory, __wasi_fd_t, const char *)
NO_FILE_SYSTEM(path_filestat_get, __wasi_fd_t, __wasi_lookupflags_t, const char *,
               __wasi_filestat_t *)
NO_FILE_SYSTEM(path_filestat_set_times, __wasi_fd_t, __wasi_lookupflags_t, const char *,
               __wasi_timestamp_t, __wasi_timestamp_t, __wasi_fstflags_t)
NO_FILE_SYSTEM(path_link, __wasi_fd_t, __wasi_lookupflags_t, const char *, __wasi_fd_t,
               const char *)
NO_FILE_SYSTEM(path_open, __wasi_fd_t, __wasi_lookupflags_t, const char *, __wasi_oflags_t,
               __wasi_rights_t, __wasi_rights_t, __wasi_fdflags_t, __wasi_fd_t *)
NO_FILE_SYSTEM(path_readlink, __wasi_fd_t, const char *, uint8_t *, __wasi_size_t, __wasi_size_t *)
NO_FILE_SYSTEM(path_remove_directory, __wasi_fd_t, const char *)
NO_FILE_SYSTEM(path_rename, __wasi_fd_t, const char *, __wasi_fd_t, const char *)
NO_FILE_SYSTEM(path_symlink, const char *, __wasi_fd_t, const char *)
NO_FILE_SYSTEM(path_unlink_file, __wasi_fd_t, const char *)
