// WASI's calls on files and directories, answered with the in-memory file system of files.c.
//
// Descriptor 3 is the root directory, the only one that is open at the start. The rights of a
// descriptor say whether it reads or writes; the C library derives them from the flags of `open`.

#include "descriptors.h"

// The root directory, and how many descriptors there are.
enum { FIRST = ROOT_DIRECTORY, MAX_DESCRIPTORS = 1024 };

static struct descriptor descriptors[MAX_DESCRIPTORS];

// Calls that the host answers for standard streams.
typeof(__wasi_fd_read) __real___wasi_fd_read;
typeof(__wasi_fd_write) __real___wasi_fd_write;

// The root opens at the first call.
struct descriptor *opened(__wasi_fd_t fd)
{
    if (fd == FIRST && descriptors[0].node == nullptr) {
        struct node *root = files_root();
        if (root != nullptr) {
            root->users++;
            descriptors[0] = (struct descriptor){.node = root, .rights = UINT64_MAX};
        }
    }
    if (fd < FIRST || fd >= MAX_DESCRIPTORS || descriptors[fd - FIRST].node == nullptr) {
        return nullptr;
    }
    return &descriptors[fd - FIRST];
}

__wasi_errno_t find_place(__wasi_fd_t fd, const char *path, bool follow, struct place *place)
{
    struct descriptor *from = opened(fd);
    if (from == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    return from->node->kind == DIRECTORY ? files_find(from->node, path, follow, place)
                                         : __WASI_ERRNO_NOTDIR;
}

// --- Opening and closing -------------------------------------------------------------------------

static __wasi_errno_t open_node(struct place *place, __wasi_oflags_t how, __wasi_rights_t rights)
{
    if (place->node == nullptr) {
        if (!(how & __WASI_OFLAGS_CREAT)) {
            return __WASI_ERRNO_NOENT;
        }
        if (place->name[place->length] == '/') {
            return __WASI_ERRNO_ISDIR;
        }
        return files_make(place, REGULAR, &place->node);
    }
    if ((how & __WASI_OFLAGS_CREAT) && (how & __WASI_OFLAGS_EXCL)) {
        return __WASI_ERRNO_EXIST;
    }
    if (place->node->kind == LINK) {
        return __WASI_ERRNO_LOOP;
    }
    bool is_directory = place->node->kind == DIRECTORY;
    if ((how & __WASI_OFLAGS_DIRECTORY) && !is_directory) {
        return __WASI_ERRNO_NOTDIR;
    }
    if (is_directory && ((rights & __WASI_RIGHTS_FD_WRITE) || (how & __WASI_OFLAGS_CREAT))) {
        return __WASI_ERRNO_ISDIR;
    }
    if (files_is_fixed(place->node)
        && ((rights & __WASI_RIGHTS_FD_WRITE) || (how & __WASI_OFLAGS_TRUNC))) {
        return __WASI_ERRNO_ROFS;
    }
    bool empties = (how & __WASI_OFLAGS_TRUNC) && place->node->kind == REGULAR;
    return empties ? files_resize(place->node, 0) : __WASI_ERRNO_SUCCESS;
}

WRAP(path_open, __wasi_fd_t fd, __wasi_lookupflags_t lookup, const char *path, __wasi_oflags_t how,
     __wasi_rights_t rights, __wasi_rights_t, __wasi_fdflags_t flags, __wasi_fd_t *got)
{
    struct place place;
    bool follow = (lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW)
                  && !((how & __WASI_OFLAGS_CREAT) && (how & __WASI_OFLAGS_EXCL));
    __wasi_errno_t error = how & __WASI_OFLAGS_CREAT ? find_place(fd, path, follow, &place)
                                                     : find_node(fd, path, follow, &place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    // After the look-up, in which Python may run and open files.
    size_t free_one = 1;
    while (free_one < MAX_DESCRIPTORS - FIRST && descriptors[free_one].node != nullptr) {
        free_one++;
    }
    if (free_one == MAX_DESCRIPTORS - FIRST) {
        return __WASI_ERRNO_MFILE;
    }
    error = open_node(&place, how, rights);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    place.node->users++;
    descriptors[free_one] =
        (struct descriptor){.node = place.node, .rights = rights, .flags = flags};
    *got = (__wasi_fd_t)free_one + FIRST;
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_close, __wasi_fd_t fd)
{
    if (is_standard_stream(fd)) {
        return __WASI_ERRNO_SUCCESS;
    }
    struct descriptor *closed = opened(fd);
    if (closed == nullptr || fd == FIRST) {
        return __WASI_ERRNO_BADF;
    }
    struct node *node = closed->node;
    *closed = (struct descriptor){};
    node->users--;
    files_release(node);
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_renumber, __wasi_fd_t from, __wasi_fd_t to)
{
    if (opened(from) == nullptr || opened(to) == nullptr || from == FIRST || to == FIRST) {
        return __WASI_ERRNO_BADF;
    }
    if (from != to) {
        (void)__wrap___wasi_fd_close(to);
        descriptors[to - FIRST] = descriptors[from - FIRST];
        descriptors[from - FIRST] = (struct descriptor){};
    }
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_prestat_get, __wasi_fd_t fd, __wasi_prestat_t *prestat)
{
    if (fd != FIRST || opened(fd) == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    *prestat = (__wasi_prestat_t){.tag = __WASI_PREOPENTYPE_DIR, .u.dir.pr_name_len = 1};
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_prestat_dir_name, __wasi_fd_t fd, uint8_t *name, __wasi_size_t length)
{
    if (fd != FIRST || length < 1) {
        return __WASI_ERRNO_BADF;
    }
    name[0] = '/';
    return __WASI_ERRNO_SUCCESS;
}

// --- Reading and writing -------------------------------------------------------------------------

static __wasi_errno_t read_at(struct descriptor *open, const __wasi_iovec_t *into, size_t count,
                              uint64_t offset, __wasi_size_t *got)
{
    if (open == nullptr || !(open->rights & __WASI_RIGHTS_FD_READ)) {
        return __WASI_ERRNO_BADF;
    }
    if (open->node->kind == DIRECTORY) {
        return __WASI_ERRNO_ISDIR;
    }
    *got = 0;
    for (size_t index = 0; index < count; index++) {
        size_t part = files_read(open->node, offset + *got, into[index].buf, into[index].buf_len);
        *got += part;
        if (part < into[index].buf_len) {
            break;
        }
    }
    return __WASI_ERRNO_SUCCESS;
}

static __wasi_errno_t write_at(struct descriptor *open, const __wasi_ciovec_t *data, size_t count,
                               uint64_t offset, __wasi_size_t *done)
{
    if (open == nullptr || !(open->rights & __WASI_RIGHTS_FD_WRITE)) {
        return __WASI_ERRNO_BADF;
    }
    *done = 0;
    for (size_t index = 0; index < count; index++) {
        __wasi_errno_t error =
            files_write(open->node, offset + *done, data[index].buf, data[index].buf_len);
        if (error != __WASI_ERRNO_SUCCESS) {
            // A later part: the call succeeds with fewer bytes.
            return *done > 0 ? __WASI_ERRNO_SUCCESS : error;
        }
        *done += data[index].buf_len;
    }
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_read, __wasi_fd_t fd, const __wasi_iovec_t *into, size_t count, __wasi_size_t *got)
{
    if (is_standard_stream(fd)) {
        return __real___wasi_fd_read(fd, into, count, got);
    }
    struct descriptor *open = opened(fd);
    __wasi_errno_t error = read_at(open, into, count, open != nullptr ? open->offset : 0, got);
    if (error == __WASI_ERRNO_SUCCESS) {
        open->offset += *got;
    }
    return error;
}

bool reply_is_written;

// Returns the stream of the host that gets what is written to a descriptor, or FIRST_FILE if none
// does. Standard output belongs to the reply: what a task writes there by itself is no part of it.
static __wasi_fd_t stream_behind(__wasi_fd_t fd)
{
    if (is_standard_stream(fd)) {
        return fd == STANDARD_OUTPUT && !reply_is_written ? STANDARD_ERROR : fd;
    }
    const struct descriptor *open = opened(fd);
    return open != nullptr && open->node->kind == ERROR_DEVICE ? STANDARD_ERROR : FIRST_FILE;
}

WRAP(fd_write, __wasi_fd_t fd, const __wasi_ciovec_t *data, size_t count, __wasi_size_t *done)
{
    __wasi_fd_t stream = stream_behind(fd);
    if (is_standard_stream(stream)) {
        return __real___wasi_fd_write(stream, data, count, done);
    }
    struct descriptor *open = opened(fd);
    if (open != nullptr && (open->flags & __WASI_FDFLAGS_APPEND)) {
        open->offset = open->node->size;
    }
    __wasi_errno_t error = write_at(open, data, count, open != nullptr ? open->offset : 0, done);
    if (error == __WASI_ERRNO_SUCCESS) {
        open->offset += *done;
    }
    return error;
}

WRAP(fd_pread, __wasi_fd_t fd, const __wasi_iovec_t *into, size_t count, __wasi_filesize_t offset,
     __wasi_size_t *got)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SPIPE
                                  : read_at(opened(fd), into, count, offset, got);
}

WRAP(fd_pwrite, __wasi_fd_t fd, const __wasi_ciovec_t *data, size_t count, __wasi_filesize_t offset,
     __wasi_size_t *done)
{
    return is_standard_stream(fd) ? __WASI_ERRNO_SPIPE
                                  : write_at(opened(fd), data, count, offset, done);
}

WRAP(fd_seek, __wasi_fd_t fd, __wasi_filedelta_t delta, __wasi_whence_t whence,
     __wasi_filesize_t *offset)
{
    if (is_standard_stream(fd)) {
        return __WASI_ERRNO_SPIPE;
    }
    struct descriptor *open = opened(fd);
    if (open == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    int64_t from = whence == __WASI_WHENCE_SET   ? 0
                   : whence == __WASI_WHENCE_CUR ? (int64_t)open->offset
                                                 : (int64_t)open->node->size;
    int64_t to;
    if (__builtin_add_overflow(from, delta, &to) || to < 0) {
        return __WASI_ERRNO_INVAL;
    }
    *offset = open->offset = (uint64_t)to;
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_tell, __wasi_fd_t fd, __wasi_filesize_t *offset)
{
    return __wrap___wasi_fd_seek(fd, 0, __WASI_WHENCE_CUR, offset);
}

static __wasi_errno_t resize(__wasi_fd_t fd, uint64_t size, bool shrinks)
{
    struct descriptor *open = opened(fd);
    if (open == nullptr || !(open->rights & __WASI_RIGHTS_FD_WRITE)) {
        return __WASI_ERRNO_BADF;
    }
    if (open->node->kind != REGULAR) {
        return __WASI_ERRNO_INVAL;
    }
    return shrinks || size > open->node->size ? files_resize(open->node, size)
                                              : __WASI_ERRNO_SUCCESS;
}

WRAP(fd_filestat_set_size, __wasi_fd_t fd, __wasi_filesize_t size)
{
    return resize(fd, size, true);
}

WRAP(fd_allocate, __wasi_fd_t fd, __wasi_filesize_t offset, __wasi_filesize_t length)
{
    uint64_t end;
    return __builtin_add_overflow(offset, length, &end) ? __WASI_ERRNO_FBIG
                                                        : resize(fd, end, false);
}

// Nothing is behind the memory, so everything is written at once.
#define WRITTEN(name, ...) \
    WRAP(name, __wasi_fd_t fd __VA_OPT__(, ) __VA_ARGS__) \
    { \
        return is_standard_stream(fd) || opened(fd) != nullptr ? __WASI_ERRNO_SUCCESS \
                                                               : __WASI_ERRNO_BADF; \
    }

WRITTEN(fd_sync)
WRITTEN(fd_datasync)
WRITTEN(fd_advise, __wasi_filesize_t, __wasi_filesize_t, __wasi_advice_t)
WRITTEN(fd_fdstat_set_rights, __wasi_rights_t, __wasi_rights_t)

// --- Status --------------------------------------------------------------------------------------

WRAP(fd_fdstat_get, __wasi_fd_t fd, __wasi_fdstat_t *status)
{
    if (is_standard_stream(fd)) {
        *status = (__wasi_fdstat_t){
            .fs_filetype = __WASI_FILETYPE_UNKNOWN,
            .fs_rights_base = fd == 0 ? __WASI_RIGHTS_FD_READ : __WASI_RIGHTS_FD_WRITE,
        };
        return __WASI_ERRNO_SUCCESS;
    }
    struct descriptor *open = opened(fd);
    if (open == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    *status = (__wasi_fdstat_t){
        .fs_filetype = files_status(open->node).filetype,
        .fs_flags = open->flags,
        .fs_rights_base = open->rights,
        .fs_rights_inheriting = UINT64_MAX,
    };
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_fdstat_set_flags, __wasi_fd_t fd, __wasi_fdflags_t flags)
{
    struct descriptor *open = opened(fd);
    if (open == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    open->flags = flags;
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_filestat_get, __wasi_fd_t fd, __wasi_filestat_t *status)
{
    if (is_standard_stream(fd)) {
        *status = (__wasi_filestat_t){.filetype = __WASI_FILETYPE_UNKNOWN, .nlink = 1};
        return __WASI_ERRNO_SUCCESS;
    }
    struct descriptor *open = opened(fd);
    if (open == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    *status = files_status(open->node);
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t set_times(struct node *node, uint64_t accessed, uint64_t modified,
                         __wasi_fstflags_t which)
{
    if (files_is_fixed(node)) {
        return __WASI_ERRNO_ROFS;
    }
    node->changed = files_now();
    if (files_changed_mode != 0) {
        node->mode = files_changed_mode & ~FILES_MODE_IS_SET;
    }
    if (which & (__WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW)) {
        node->accessed = which & __WASI_FSTFLAGS_ATIM ? accessed : node->changed;
    }
    if (which & (__WASI_FSTFLAGS_MTIM | __WASI_FSTFLAGS_MTIM_NOW)) {
        node->modified = which & __WASI_FSTFLAGS_MTIM ? modified : node->changed;
    }
    return __WASI_ERRNO_SUCCESS;
}

WRAP(fd_filestat_set_times, __wasi_fd_t fd, __wasi_timestamp_t accessed,
     __wasi_timestamp_t modified, __wasi_fstflags_t which)
{
    struct descriptor *open = opened(fd);
    if (open == nullptr) {
        return __WASI_ERRNO_BADF;
    }
    return set_times(open->node, accessed, modified, which);
}
