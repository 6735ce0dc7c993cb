// Permission bits, the empty path, and standard output as a file: what POSIX has and WASI lacks.
//
// The bits of a node reach `stat` in the upper half of the device number, because WASI's status has
// no field for them. Nothing checks them: a task is the only user of its files. Code that copies or
// packs files reads them. The linker substitutes these functions for those of the C library (`--wrap`).

#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <wasi/libc-find-relpath.h>

// Declares a function of the C library by both its names.
#define REPLACES(name) typeof(name) __real_##name, __wrap_##name;

REPLACES(stat)
REPLACES(lstat)
REPLACES(fstat)
REPLACES(fstatat)
REPLACES(open)
REPLACES(openat)
REPLACES(mkdir)
REPLACES(mkdirat)
REPLACES(chmod)
REPLACES(fchmod)
REPLACES(fchmodat)
REPLACES(__wasilibc_find_relpath_alloc)
mode_t umask(mode_t mask);

static const mode_t ALL_BITS = 07777;
// The user "nobody", which `os.getuid` names.
static const uid_t OWNER = 65534;

// Bytes of a block, and of the unit of `st_blocks`.
enum { BLOCK = 4096, SECTOR = 512 };

static mode_t mask = 022;

mode_t umask(mode_t new)
{
    mode_t old = mask;
    mask = new & 0777;
    return old;
}

// --- Status --------------------------------------------------------------------------------------

static int with_mode(int result, struct stat *status)
{
    if (result == 0) {
        status->st_mode |= (mode_t)(status->st_dev >> MODE_SHIFT);
        status->st_dev &= ((dev_t)1 << MODE_SHIFT) - 1;
        status->st_uid = status->st_gid = OWNER;
        status->st_blksize = BLOCK;
        status->st_blocks = (status->st_size + SECTOR - 1) / SECTOR;
    }
    return result;
}

int __wrap_stat(const char *restrict path, struct stat *restrict status)
{
    return with_mode(__real_stat(path, status), status);
}

int __wrap_lstat(const char *restrict path, struct stat *restrict status)
{
    return with_mode(__real_lstat(path, status), status);
}

int __wrap_fstat(int fd, struct stat *status)
{
    return with_mode(__real_fstat(fd, status), status);
}

int __wrap_fstatat(int fd, const char *restrict path, struct stat *restrict status, int flags)
{
    return with_mode(__real_fstatat(fd, path, status, flags), status);
}

// --- Making files --------------------------------------------------------------------------------

// Makes a file or directory with the bits `mode`. WASI's calls have no argument for them.
#define WITH_NEW_MODE(mode, call) \
    files_new_mode = FILES_MODE_IS_SET | ((mode) & ALL_BITS & ~mask); \
    int result = call; \
    files_new_mode = 0; \
    return result;

// Returns the mode that follows the flags, if there is one.
#define MODE_AFTER(flags) \
    ({ \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        mode; \
    })

int __wrap_open(const char *path, int flags, ...)
{
    mode_t given = MODE_AFTER(flags);
    WITH_NEW_MODE(given, __real_open(path, flags))
}

int __wrap_openat(int fd, const char *path, int flags, ...)
{
    mode_t given = MODE_AFTER(flags);
    WITH_NEW_MODE(given, __real_openat(fd, path, flags))
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    WITH_NEW_MODE(mode, __real_mkdir(path, mode))
}

int __wrap_mkdirat(int fd, const char *path, mode_t mode)
{
    WITH_NEW_MODE(mode, __real_mkdirat(fd, path, mode))
}

// --- Changing bits: they go with the call that sets times, of which none is set -------------------

static const struct timespec NO_TIMES[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

int __wrap_fchmodat(int fd, const char *path, mode_t mode, int flags)
{
    files_changed_mode = FILES_MODE_IS_SET | (mode & ALL_BITS);
    int result = utimensat(fd, path, NO_TIMES, flags);
    files_changed_mode = 0;
    return result;
}

int __wrap_chmod(const char *path, mode_t mode)
{
    return __wrap_fchmodat(AT_FDCWD, path, mode, 0);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    files_changed_mode = FILES_MODE_IS_SET | (mode & ALL_BITS);
    int result = futimens(fd, NO_TIMES);
    files_changed_mode = 0;
    return result;
}

// --- Paths ---------------------------------------------------------------------------------------

// The C library takes an empty path as the working directory. POSIX names nothing by it (4.16).
int __wrap___wasilibc_find_relpath_alloc(const char *path, const char **prefix, char **relative,
                                         size_t *length, int can_grow)
{
    if (*path == '\0') {
        errno = ENOENT;
        return -1;
    }
    return __real___wasilibc_find_relpath_alloc(path, prefix, relative, length, can_grow);
}
