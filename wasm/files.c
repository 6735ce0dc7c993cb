// The nodes of the in-memory file system. They live in the task's memory and end with it.

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 255, MAX_LINKS = 40 };

static struct node *root;
static uint64_t last_number;

uint32_t files_new_mode, files_changed_mode;

bool files_are_fixed;

uint64_t files_now(void)
{
    __wasi_timestamp_t now = 0;
    (void)__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &now);
    return now;
}

static uint32_t usual_mode(enum node_kind kind)
{
    return kind == REGULAR ? 0644 : kind == DIRECTORY ? 0755 : kind == LINK ? 0777 : 0666;
}

static struct node *new_node(enum node_kind kind)
{
    struct node *node = calloc(1, sizeof *node);
    if (node != nullptr) {
        node->kind = kind;
        node->mode = files_new_mode != 0 && kind != LINK ? files_new_mode & ~FILES_MODE_IS_SET
                                                         : usual_mode(kind);
        node->number = ++last_number;
        node->accessed = node->modified = node->changed = files_now();
    }
    return node;
}

bool files_is_fixed(const struct node *node)
{
    return files_are_fixed && node->is_fixed;
}

void files_release(struct node *node)
{
    if (node->names > 0 || node->users > 0) {
        return;
    }
    if (node->kind == REGULAR) {
        (void)files_resize(node, 0);
        free(node->pieces);
    } else if (node->kind == DIRECTORY) {
        free(node->entries);
    } else if (node->kind == LINK) {
        free(node->target);
    }
    free(node);
}

// Takes a name from a node.
static void lose_name(struct node *node)
{
    node->names--;
    node->changed = files_now();
    if (node->kind == DIRECTORY && node->names == 0) {
        // An open descriptor can outlive the parent.
        node->parent = node;
    }
    files_release(node);
}

// --- Directories ---------------------------------------------------------------------------------

// FNV-1a (https://www.rfc-editor.org/rfc/rfc9923).
static uint32_t hash_of(const char *name, size_t length)
{
    uint32_t hash = 2166136261;
    for (size_t index = 0; index < length; index++) {
        hash = (hash ^ (uint8_t)name[index]) * 16777619;
    }
    return hash;
}

static struct entry *find_entry(struct node *directory, const char *name, size_t length)
{
    uint32_t hash = hash_of(name, length);
    for (size_t index = 0; index < directory->entry_count; index++) {
        struct entry *entry = &directory->entries[index];
        if (entry->hash == hash && strncmp(entry->name, name, length) == 0
            && entry->name[length] == '\0') {
            return entry;
        }
    }
    return nullptr;
}

static bool reserve_entry(struct node *directory)
{
    if (directory->entry_count < directory->entry_capacity) {
        return true;
    }
    size_t capacity = directory->entry_capacity ? directory->entry_capacity * 2 : 8;
    struct entry *entries = realloc(directory->entries, capacity * sizeof *entries);
    if (entries == nullptr) {
        return false;
    }
    directory->entries = entries;
    directory->entry_capacity = capacity;
    return true;
}

// Sets the times of a directory that changes, and returns them. They always grow, even if the clock
// stands: Python's import system reads a directory again when they differ.
static uint64_t touch(struct node *directory)
{
    uint64_t now = files_now();
    now = now > directory->modified ? now : directory->modified + 1;
    return directory->modified = directory->changed = now;
}

__wasi_errno_t files_link(struct place *place, struct node *node)
{
    struct node *directory = place->directory;
    if (directory->names == 0) {
        return __WASI_ERRNO_NOENT;
    }
    if (files_is_fixed(directory)) {
        return __WASI_ERRNO_ROFS;
    }
    char *name = reserve_entry(directory) ? malloc(place->length + 1) : nullptr;
    if (name == nullptr) {
        return __WASI_ERRNO_NOMEM;
    }
    memcpy(name, place->name, place->length);
    name[place->length] = '\0';
    directory->entries[directory->entry_count++] = (struct entry){
        .cookie = ++directory->next_cookie,
        .node = node,
        .name = name,
        .hash = hash_of(name, place->length),
    };
    if (node->kind == DIRECTORY) {
        node->parent = directory;
    }
    node->names++;
    node->is_fixed |= directory->is_fixed;
    node->changed = touch(directory);
    place->node = node;
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t files_make(struct place *place, enum node_kind kind, struct node **made)
{
    struct node *node = new_node(kind);
    if (node == nullptr) {
        return __WASI_ERRNO_NOMEM;
    }
    __wasi_errno_t error = files_link(place, node);
    if (error != __WASI_ERRNO_SUCCESS) {
        files_release(node);
        return error;
    }
    *made = node;
    return __WASI_ERRNO_SUCCESS;
}

void files_unlink(struct place *place)
{
    struct node *directory = place->directory;
    struct entry *entry = find_entry(directory, place->name, place->length);
    free(entry->name);
    size_t index = (size_t)(entry - directory->entries);
    memmove(entry, entry + 1, (directory->entry_count - index - 1) * sizeof *entry);
    directory->entry_count--;
    (void)touch(directory);
    lose_name(place->node);
    place->node = nullptr;
}

void files_replace(struct place *place, struct node *node)
{
    struct node *replaced = place->node;
    find_entry(place->directory, place->name, place->length)->node = node;
    node->names++;
    if (node->kind == DIRECTORY) {
        node->parent = place->directory;
    }
    node->changed = touch(place->directory);
    place->node = node;
    lose_name(replaced);
}

// --- Paths ---------------------------------------------------------------------------------------

static __wasi_errno_t find(struct node *from, const char *path, bool follow, unsigned links,
                           struct place *place);

// Looks up one name of a path in the directory of `place`.
static __wasi_errno_t step(struct place *place, const char *name, size_t length)
{
    if (length > MAX_NAME) {
        return __WASI_ERRNO_NAMETOOLONG;
    }
    if (length == 1 && name[0] == '.') {
        length = 0;
        place->node = place->directory;
    } else if (length == 2 && name[0] == '.' && name[1] == '.') {
        length = 0;
        place->node = place->directory->parent;
        place->directory = place->node;
    } else {
        struct entry *entry = find_entry(place->directory, name, length);
        place->node = entry != nullptr ? entry->node : nullptr;
    }
    place->name = name;
    place->length = length;
    return __WASI_ERRNO_SUCCESS;
}

static __wasi_errno_t follow_link(struct place *place, unsigned links)
{
    struct node *link = place->node;
    if (links == MAX_LINKS) {
        return __WASI_ERRNO_LOOP;
    }
    // A link stays alive while its own path is looked up: nothing else runs.
    return find(place->directory, link->target, true, links + 1, place);
}

static __wasi_errno_t find(struct node *from, const char *path, bool follow, unsigned links,
                           struct place *place)
{
    *place = (struct place){.directory = *path == '/' ? root : from, .name = path};
    place->node = place->directory;
    if (*path == '\0') {
        return __WASI_ERRNO_NOENT;
    }
    for (const char *name = path + strspn(path, "/"); *name != '\0';) {
        size_t length = strcspn(name, "/");
        const char *next = name + length + strspn(name + length, "/");
        if (place->node == nullptr) {
            return __WASI_ERRNO_NOENT;
        }
        if (place->node->kind != DIRECTORY) {
            return __WASI_ERRNO_NOTDIR;
        }
        place->directory = place->node;
        __wasi_errno_t error = step(place, name, length);
        bool is_last = *next == '\0', names_directory = name[length] == '/';
        if (error == __WASI_ERRNO_SUCCESS && place->node != nullptr && place->node->kind == LINK
            && (!is_last || follow || names_directory)) {
            error = follow_link(place, links);
        }
        if (error == __WASI_ERRNO_SUCCESS && is_last && names_directory && place->node != nullptr
            && place->node->kind != DIRECTORY) {
            error = __WASI_ERRNO_NOTDIR;
        }
        if (error != __WASI_ERRNO_SUCCESS) {
            return error;
        }
        name = next;
    }
    return __WASI_ERRNO_SUCCESS;
}

__wasi_errno_t files_find(struct node *from, const char *path, bool follow, struct place *place)
{
    return strlen(path) > MAX_PATH ? __WASI_ERRNO_NAMETOOLONG : find(from, path, follow, 0, place);
}

static bool make(const char *path, enum node_kind kind)
{
    struct place place;
    struct node *made;
    return find(root, path, true, 0, &place) == __WASI_ERRNO_SUCCESS
           && files_make(&place, kind, &made) == __WASI_ERRNO_SUCCESS;
}

struct node *files_root(void)
{
    if (root == nullptr && (root = new_node(DIRECTORY)) != nullptr) {
        root->names = 1;
        root->parent = root;
        (void)(make("tmp", DIRECTORY) && make("home", DIRECTORY) && make("home/task", DIRECTORY)
               && make("dev", DIRECTORY) && make("dev/null", NULL_DEVICE)
               && make("dev/zero", ZERO_DEVICE) && make("dev/random", RANDOM_DEVICE)
               && make("dev/urandom", RANDOM_DEVICE) && make("dev/stdin", NULL_DEVICE)
               && make("dev/stdout", ERROR_DEVICE) && make("dev/stderr", ERROR_DEVICE)
               && make("usr", DIRECTORY));
        struct place usr;
        if (find(root, "usr", true, 0, &usr) == __WASI_ERRNO_SUCCESS && usr.node != nullptr) {
            usr.node->is_fixed = true;
            (void)(make("usr/lib", DIRECTORY) && make("usr/lib/python3.13", DIRECTORY));
        }
    }
    return root;
}

// --- Status --------------------------------------------------------------------------------------

__wasi_filestat_t files_status(const struct node *node)
{
    static const __wasi_filetype_t TYPES[] = {
        [REGULAR] = __WASI_FILETYPE_REGULAR_FILE,
        [DIRECTORY] = __WASI_FILETYPE_DIRECTORY,
        [LINK] = __WASI_FILETYPE_SYMBOLIC_LINK,
        [NULL_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
        [ZERO_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
        [RANDOM_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
        [ERROR_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
    };
    return (__wasi_filestat_t){
        .dev = 1 | (uint64_t)node->mode << MODE_SHIFT,
        .ino = node->number,
        .filetype = TYPES[node->kind],
        .nlink = node->names,
        .size = node->size,
        .atim = node->accessed,
        .mtim = node->modified,
        .ctim = node->changed,
    };
}
