// The nodes of the in-memory file system. They live in the task's memory and end with it.

#include "files.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096, MAX_NAME = 255, MAX_PATH = 4096, MAX_LINKS = 40 };

// More than a linear memory holds, and less than a size_t counts.
static const uint64_t MOST_BYTES = (uint64_t)1 << 31;

static struct node *root;
static uint64_t last_number;
static uint64_t used, limit = MOST_BYTES;

uint64_t files_now(void)
{
    __wasi_timestamp_t now = 0;
    (void)__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 0, &now);
    return now;
}

void files_limit(uint64_t bytes)
{
    limit = bytes < MOST_BYTES ? bytes : MOST_BYTES;
}

static struct node *new_node(enum node_kind kind)
{
    struct node *node = calloc(1, sizeof *node);
    if (node != nullptr) {
        node->kind = kind;
        node->number = ++last_number;
        node->accessed = node->modified = node->changed = files_now();
    }
    return node;
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

static struct entry *find_entry(struct node *directory, const char *name, size_t length)
{
    for (size_t index = 0; index < directory->entry_count; index++) {
        struct entry *entry = &directory->entries[index];
        if (strncmp(entry->name, name, length) == 0 && entry->name[length] == '\0') {
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

__wasi_errno_t files_link(struct place *place, struct node *node)
{
    struct node *directory = place->directory;
    if (directory->names == 0) {
        return __WASI_ERRNO_NOENT;
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
    };
    if (node->kind == DIRECTORY) {
        node->parent = directory;
    }
    node->names++;
    directory->modified = directory->changed = node->changed = files_now();
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
    directory->modified = directory->changed = files_now();
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
    place->directory->modified = node->changed = files_now();
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
               && make("dev/urandom", RANDOM_DEVICE));
    }
    return root;
}

// --- Bytes ---------------------------------------------------------------------------------------

size_t files_read(struct node *node, uint64_t offset, uint8_t *into, size_t length)
{
    if (node->kind == ZERO_DEVICE) {
        memset(into, 0, length);
        return length;
    }
    if (node->kind == RANDOM_DEVICE) {
        return __wasi_random_get(into, length) == __WASI_ERRNO_SUCCESS ? length : 0;
    }
    if (node->kind != REGULAR || offset >= node->size) {
        return 0;
    }
    if (length > node->size - offset) {
        length = (size_t)(node->size - offset);
    }
    for (size_t done = 0; done < length;) {
        size_t index = (size_t)((offset + done) / PIECE),
               within = (size_t)((offset + done) % PIECE);
        size_t part = PIECE - within < length - done ? PIECE - within : length - done;
        const uint8_t *piece = node->pieces[index];
        if (piece != nullptr) {
            memcpy(into + done, piece + within, part);
        } else {
            memset(into + done, 0, part);
        }
        done += part;
    }
    return length;
}

// Makes room for the numbers of `count` pieces.
static bool reserve_pieces(struct node *file, size_t count)
{
    if (count <= file->piece_count) {
        return true;
    }
    size_t capacity = file->piece_count * 2 > count ? file->piece_count * 2 : count;
    uint8_t **pieces = realloc(file->pieces, capacity * sizeof *pieces);
    if (pieces == nullptr) {
        return false;
    }
    memset(pieces + file->piece_count, 0, (capacity - file->piece_count) * sizeof *pieces);
    file->pieces = pieces;
    file->piece_count = capacity;
    return true;
}

// Frees what lies behind the end, so that a file that grows again reads zeros there.
static void cut(struct node *file, uint64_t size)
{
    size_t within = (size_t)(size % PIECE);
    size_t first = (size_t)(size / PIECE);
    if (within > 0) {
        if (first < file->piece_count && file->pieces[first] != nullptr) {
            memset(file->pieces[first] + within, 0, PIECE - within);
        }
        first++;
    }
    for (size_t index = first; index < file->piece_count; index++) {
        free(file->pieces[index]);
        file->pieces[index] = nullptr;
    }
}

__wasi_errno_t files_resize(struct node *file, uint64_t size)
{
    if (size > file->size && (size > limit || used - file->size > limit - size)) {
        return __WASI_ERRNO_NOSPC;
    }
    if (size < file->size) {
        cut(file, size);
    } else if (!reserve_pieces(file, (size_t)((size + PIECE - 1) / PIECE))) {
        return __WASI_ERRNO_NOSPC;
    }
    used += size - file->size;
    file->size = size;
    file->modified = file->changed = files_now();
    return __WASI_ERRNO_SUCCESS;
}

// Allocates the missing pieces of a range.
static bool fill(struct node *file, uint64_t offset, size_t length)
{
    size_t last = (size_t)((offset + length - 1) / PIECE);
    for (size_t index = (size_t)(offset / PIECE); index <= last; index++) {
        if (file->pieces[index] == nullptr && (file->pieces[index] = calloc(1, PIECE)) == nullptr) {
            return false;
        }
    }
    return true;
}

__wasi_errno_t files_write(struct node *node, uint64_t offset, const uint8_t *data, size_t length)
{
    if (node->kind != REGULAR || length == 0) {
        return __WASI_ERRNO_SUCCESS;
    }
    uint64_t before = node->size, end;
    if (__builtin_add_overflow(offset, length, &end)) {
        return __WASI_ERRNO_FBIG;
    }
    __wasi_errno_t error = files_resize(node, end > before ? end : before);
    if (error == __WASI_ERRNO_SUCCESS && !fill(node, offset, length)) {
        (void)files_resize(node, before);
        error = __WASI_ERRNO_NOSPC;
    }
    if (error != __WASI_ERRNO_SUCCESS) {
        return error;
    }
    for (size_t done = 0; done < length;) {
        size_t index = (size_t)((offset + done) / PIECE),
               within = (size_t)((offset + done) % PIECE);
        size_t part = PIECE - within < length - done ? PIECE - within : length - done;
        memcpy(node->pieces[index] + within, data + done, part);
        done += part;
    }
    return __WASI_ERRNO_SUCCESS;
}

__wasi_filestat_t files_status(const struct node *node)
{
    static const __wasi_filetype_t TYPES[] = {
        [REGULAR] = __WASI_FILETYPE_REGULAR_FILE,
        [DIRECTORY] = __WASI_FILETYPE_DIRECTORY,
        [LINK] = __WASI_FILETYPE_SYMBOLIC_LINK,
        [NULL_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
        [ZERO_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
        [RANDOM_DEVICE] = __WASI_FILETYPE_CHARACTER_DEVICE,
    };
    return (__wasi_filestat_t){
        .dev = 1,
        .ino = node->number,
        .filetype = TYPES[node->kind],
        .nlink = node->names,
        .size = node->size,
        .atim = node->accessed,
        .mtim = node->modified,
        .ctim = node->changed,
    };
}
