// An in-memory file system: nodes, directories and the bytes of files. descriptors.c answers WASI's
// calls with it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <wasi/api.h>

enum node_kind { REGULAR, DIRECTORY, LINK, NULL_DEVICE, ZERO_DEVICE, RANDOM_DEVICE, ERROR_DEVICE };

// The permission bits of a node are this many bits up in the device number of its status (modes.c).
enum { MODE_SHIFT = 32 };

// The bits of the node that is made next, and those that the next call on times sets. 0: none.
extern uint32_t files_new_mode, files_changed_mode;
// Marks such bits as given, because 0 is a mode.
enum { FILES_MODE_IS_SET = 1 << 16 };

// Lets files take this many bytes more than they have now. Only lowers the limit.
void files_limit(uint64_t more);

// Whether files leave a reserve of memory to Python. Not before the snapshot, which would hold it.
extern bool files_leave_reserve;
// Whether fixed files stay as they are. Not before the snapshot, nor while files come with a task.
extern bool files_are_fixed;

// Bytes of the longest path.
enum { MAX_PATH = 4096 };

struct node;

// An entry of a directory. Cookies grow, so a listing goes on where it was while entries leave.
struct entry {
    uint64_t cookie;
    struct node *node;
    char *name;
    // Of the name. Most comparisons end with it.
    uint32_t hash;
};

// A file, directory, link or device. Times are nanoseconds since 1970.
struct node {
    enum node_kind kind;
    // Entries that name the node, and open descriptors. A node without both is freed.
    uint32_t names, users;
    uint64_t number;
    uint64_t accessed, modified, changed;
    // Permission bits.
    uint32_t mode;
    // The node is /usr or below it.
    bool is_fixed;
    // Bytes of a regular file or of a link's target.
    uint64_t size;
    union {
        // A regular file: pieces of 4 KiB (pieces.c); a missing one is zeros.
        struct {
            uint8_t **pieces;
            size_t piece_count;
        };
        struct {
            struct entry *entries;
            size_t entry_count, entry_capacity;
            uint64_t next_cookie;
            struct node *parent;
        };
        char *target;
    };
};

// A path that was looked up: its directory, last name, and the node if there is one.
struct place {
    struct node *directory;
    // Points into the path, without an end. Empty: the path names a directory by `.`, `..` or `/`.
    const char *name;
    size_t length;
    struct node *node;
};

// Returns the root directory, which has /tmp, /dev and the home directory. Null: out of memory.
struct node *files_root(void);

// Looks a path up, from a directory. `follow`: follow a link that the path ends with.
__wasi_errno_t files_find(struct node *from, const char *path, bool follow, struct place *place);

// Adds a new node at a place that has none.
__wasi_errno_t files_make(struct place *place, enum node_kind kind, struct node **made);

// Adds a name for a node, at a place that has none.
__wasi_errno_t files_link(struct place *place, struct node *node);

// Removes the name at a place that has a node.
void files_unlink(struct place *place);

// Puts a node in the place of another, which loses this name.
void files_replace(struct place *place, struct node *node);

// Whether a task may not change a node.
bool files_is_fixed(const struct node *node);

// Frees a node that has neither names nor users.
void files_release(struct node *node);

// Reads bytes of a regular file or device. Returns how many.
size_t files_read(struct node *node, uint64_t offset, uint8_t *into, size_t length);

// Writes bytes of a regular file or device, all or none.
__wasi_errno_t files_write(struct node *node, uint64_t offset, const uint8_t *data, size_t length);

__wasi_errno_t files_resize(struct node *file, uint64_t size);

__wasi_filestat_t files_status(const struct node *node);

uint64_t files_now(void);
