// The descriptors of open files and directories, for the WASI calls of descriptors.c and
// directories.c.
#pragma once

#include "files.h"
#include "wasi.h"

// The descriptor of the root directory, from which the C library looks paths up.
enum { ROOT_DIRECTORY = 3 };

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

// As `find_place`, for a path that must have a node. It may appear (appear.c): look such a path up
// before another one, because Python then runs, and overwrites buffers of the C library.
__wasi_errno_t find_node(__wasi_fd_t fd, const char *path, bool follow, struct place *place);

// Sets the times that `which` names.
__wasi_errno_t set_times(struct node *node, uint64_t accessed, uint64_t modified,
                         __wasi_fstflags_t which);
