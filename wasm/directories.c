// WASI's calls on directories, links and paths.

#include "descriptors.h"

#include <stdlib.h>
#include <string.h>

// As `find_place`, for a path that must be free.
static __wasi_errno_t find_free(__wasi_fd_t fd, const char *path, struct place *place)
{
    __wasi_errno_t error = find_place(fd, path, false, place);
    return error == __WASI_ERRNO_SUCCESS && place->node != nullptr ? __WASI_ERRNO_EXIST : error;
}

// As `find_node`, for a name that goes away.
static __wasi_errno_t find_removable(__wasi_fd_t fd, const char *path, struct place *place)
{
    __wasi_errno_t error = find_node(fd, path, false, place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    bool is_fixed = files_is_fixed(place->directory)
                    || (place->node->kind == DIRECTORY && files_is_fixed(place->node));
    return is_fixed ? __WASI_ERRNO_ROFS : __WASI_ERRNO_SUCCESS;
}

// --- Status --------------------------------------------------------------------------------------

WRAP(path_filestat_get, __wasi_fd_t fd, __wasi_lookupflags_t lookup, const char *path,
     __wasi_filestat_t *status)
{
    struct place place;
    __wasi_errno_t error = find_node(fd, path, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, &place);
    if (error == __WASI_ERRNO_SUCCESS) {
        *status = files_status(place.node);
    }
    return error;
}

WRAP(path_filestat_set_times, __wasi_fd_t fd, __wasi_lookupflags_t lookup, const char *path,
     __wasi_timestamp_t accessed, __wasi_timestamp_t modified, __wasi_fstflags_t which)
{
    struct place place;
    __wasi_errno_t error = find_node(fd, path, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, &place);
    return error == __WASI_ERRNO_SUCCESS ? set_times(place.node, accessed, modified, which) : error;
}

// --- Directories ---------------------------------------------------------------------------------

// Appends bytes to a listing, as many as fit.
static void append(uint8_t *buffer, size_t length, __wasi_size_t *used, const void *data,
                   size_t count)
{
    size_t part = count < length - *used ? count : length - *used;
    memcpy(buffer + *used, data, part);
    *used += part;
}

WRAP(fd_readdir, __wasi_fd_t fd, uint8_t *buffer, __wasi_size_t length, __wasi_dircookie_t cookie,
     __wasi_size_t *used)
{
    struct descriptor *open = opened(fd);
    if (open == nullptr || open->node->kind != DIRECTORY) {
        return open == nullptr ? __WASI_ERRNO_BADF : __WASI_ERRNO_NOTDIR;
    }
    *used = 0;
    const struct node *directory = open->node;
    for (size_t index = 0; index < directory->entry_count && *used < length; index++) {
        const struct entry *entry = &directory->entries[index];
        if (entry->cookie > cookie) {
            __wasi_dirent_t head = {
                .d_next = entry->cookie,
                .d_ino = entry->node->number,
                .d_namlen = (__wasi_dirnamlen_t)strlen(entry->name),
                .d_type = files_status(entry->node).filetype,
            };
            append(buffer, length, used, &head, sizeof head);
            append(buffer, length, used, entry->name, head.d_namlen);
        }
    }
    return __WASI_ERRNO_SUCCESS;
}

WRAP(path_create_directory, __wasi_fd_t fd, const char *path)
{
    struct place place;
    struct node *made;
    __wasi_errno_t error = find_free(fd, path, &place);
    return error == __WASI_ERRNO_SUCCESS ? files_make(&place, DIRECTORY, &made) : error;
}

WRAP(path_remove_directory, __wasi_fd_t fd, const char *path)
{
    struct place place;
    __wasi_errno_t error = find_removable(fd, path, &place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    if (place.node->kind != DIRECTORY) {
        return __WASI_ERRNO_NOTDIR;
    }
    if (place.length == 0) {
        return __WASI_ERRNO_INVAL;
    }
    if (place.node->entry_count > 0) {
        return __WASI_ERRNO_NOTEMPTY;
    }
    files_unlink(&place);
    return __WASI_ERRNO_SUCCESS;
}

WRAP(path_unlink_file, __wasi_fd_t fd, const char *path)
{
    struct place place;
    __wasi_errno_t error = find_removable(fd, path, &place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    if (place.node->kind == DIRECTORY) {
        return __WASI_ERRNO_ISDIR;
    }
    files_unlink(&place);
    return __WASI_ERRNO_SUCCESS;
}

// --- Links and names -----------------------------------------------------------------------------

WRAP(path_link, __wasi_fd_t old_fd, __wasi_lookupflags_t lookup, const char *old_path,
     __wasi_fd_t new_fd, const char *new_path)
{
    struct place from, to;
    __wasi_errno_t error =
        find_node(old_fd, old_path, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, &from);
    if (error == __WASI_ERRNO_SUCCESS) {
        error = find_free(new_fd, new_path, &to);
    }
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    return from.node->kind == DIRECTORY ? __WASI_ERRNO_PERM : files_link(&to, from.node);
}

WRAP(path_symlink, const char *target, __wasi_fd_t fd, const char *path)
{
    struct place place;
    __wasi_errno_t error = find_free(fd, path, &place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    char *copy = strdup(target);
    struct node *link;
    error = copy != nullptr ? files_make(&place, LINK, &link) : __WASI_ERRNO_NOMEM;
    if (error != __WASI_ERRNO_SUCCESS) {
        free(copy);
        return error;
    }
    link->target = copy;
    link->size = strlen(copy);
    return __WASI_ERRNO_SUCCESS;
}

WRAP(path_readlink, __wasi_fd_t fd, const char *path, uint8_t *buffer, __wasi_size_t length,
     __wasi_size_t *used)
{
    struct place place;
    __wasi_errno_t error = find_node(fd, path, false, &place);
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    if (place.node->kind != LINK) {
        return __WASI_ERRNO_INVAL;
    }
    *used = 0;
    append(buffer, length, used, place.node->target, (size_t)place.node->size);
    return __WASI_ERRNO_SUCCESS;
}

// Whether a node may take the place of another.
static __wasi_errno_t check_replaced(const struct node *node, const struct node *replaced)
{
    if (replaced->kind == DIRECTORY) {
        return node->kind != DIRECTORY     ? __WASI_ERRNO_ISDIR
               : replaced->entry_count > 0 ? __WASI_ERRNO_NOTEMPTY
                                           : __WASI_ERRNO_SUCCESS;
    }
    return node->kind == DIRECTORY ? __WASI_ERRNO_NOTDIR : __WASI_ERRNO_SUCCESS;
}

WRAP(path_rename, __wasi_fd_t old_fd, const char *old_path, __wasi_fd_t new_fd,
     const char *new_path)
{
    struct place from, to;
    __wasi_errno_t error = find_removable(old_fd, old_path, &from);
    if (error == __WASI_ERRNO_SUCCESS) {
        error = find_place(new_fd, new_path, false, &to);
    }
    if (error != __WASI_ERRNO_SUCCESS || to.node == from.node) {
        return error;
    }
    if (from.length == 0 || (to.node != nullptr && to.length == 0)) {
        return __WASI_ERRNO_INVAL;
    }
    for (struct node *above = to.directory; from.node->kind == DIRECTORY;) {
        if (above == from.node) {
            return __WASI_ERRNO_INVAL;
        }
        if (above == above->parent) {
            break;
        }
        above = above->parent;
    }
    if (to.node != nullptr) {
        error =
            files_is_fixed(to.directory) ? __WASI_ERRNO_ROFS : check_replaced(from.node, to.node);
        if (error != __WASI_ERRNO_SUCCESS) {
            return error;
        }
        files_replace(&to, from.node);
    } else {
        error = files_link(&to, from.node);
    }
    if (error == __WASI_ERRNO_SUCCESS) {
        files_unlink(&from);
    }
    return error;
}
