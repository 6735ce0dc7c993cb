// The descriptors of open files and directories, for the WASI calls of descriptors.c and
// directories.c.
#pragma once

#include "files.h"
#include "wasi.h"

struct descriptor {
    // Null: the descriptor is not open.
    struct node *node;
    uint64_t offset;
    __wasi_rights_t rights;
    __wasi_fdflags_t flags;
};

// Returns an open descriptor other than a standard stream, or null.
struct descriptor *opened(__wasi_fd_t fd);

// Looks a path up, from the directory of a descriptor (`files_find`).
__wasi_errno_t find_place(__wasi_fd_t fd, const char *path, bool follow, struct place *place);

// As `find_place`, for a path that must have a node. Such paths may appear (appear.c), so look them up
// first: Python then runs, and another path may be in a buffer that it uses.
__wasi_errno_t find_node(__wasi_fd_t fd, const char *path, bool follow, struct place *place);

// Makes the files that a missing path below the root names, if they are such as appear when code
// looks for them (appear.c). NOENT: there are none. IO: they cannot be made. Replaces the path by a
// copy, which lives until the next call.
__wasi_errno_t appear(const char **path);

// Sets the times that `which` names.
__wasi_errno_t set_times(struct node *node, uint64_t accessed, uint64_t modified,
                         __wasi_fstflags_t which);
