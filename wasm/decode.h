// What the parts of the JSON reader share: decode.c (values and lists), decode_dict.c, decode_number.c, decode_row.c, decode_text.c.
//
// Each part takes the place where it begins and returns the place behind what it has read, or null where the text is not
// understood, or memory is short (a Python exception may be set then). The place is handed on from part to part, so that it
// stays in a register, and a NUL behind the text ends every part, so that a look at the next character needs no check.
#pragma once

#include "image.h"
#include "text.h"

// A call costs as much as what these do for most values, and the compiler does not know how often they are called.
#define HOT [[clang::always_inline]]

// Items have the same keys over and over: each is made once, as far as it finds a place.
enum { KEYS = 128 };

// How many containers inside of each other have a place for what the last dict there began with.
enum { BEFORE = 8 };

// A key that was read, and what is known of the dicts that begin with it.
struct known_key {
    PyObject *key;
    // A dict with the keys of such a dict, in their order, each with None. Null where there is none yet.
    PyObject *shape;
    // Whether such a dict was made that did not fit the shape.
    bool missed;
};

// All zero but for the end and the depth is a valid beginning; `reader_close` lets go of what it holds.
struct reader {
    // Where the NUL stands.
    const char *end;
    // How many containers may still begin inside of the one that is read.
    int depth;
    struct known_key known[KEYS];
    // What the last dict so deep inside began with, or null.
    struct known_key *before[BEFORE];
};

const char *skip_spaces(const char *at);

// Mostly there is none: a loop, even one that is not gone round, counts fuel.
static inline const char *skip_space(const char *at)
{
    return (unsigned char)*at > ' ' ? at : skip_spaces(at);
}

static inline bool is_digit(char character)
{
    return (unsigned char)(character - '0') < 10;
}

// What stands between two parts of a container and after the last; `more` says whether another part follows.
static inline const char *read_separator(const char *at, char close, bool *more)
{
    at = skip_space(at);
    *more = *at == ',';
    return *more || *at == close ? at + 1 : nullptr;
}

// A dict, a key or a text is read from behind its first character on. `value` is set where the text is understood.
const char *read_value(struct reader *reader, const char *at, PyObject **value);
const char *read_dict(struct reader *reader, const char *at, PyObject **value);
const char *read_number(const struct reader *reader, const char *at, PyObject **value);
HOT const char *read_text(const struct reader *reader, const char *at, PyObject **value);

// As `read_text`; `known` becomes the key's place, or null where it has none.
const char *read_key(struct reader *reader, const char *at, PyObject **key, struct known_key **known);

// Reads a key with its quotation marks and the colon, if it is this one and nothing else stands there.
HOT static inline const char *take_key(const struct reader *reader, const char *at, PyObject *key)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(key);
    if (!PyUnicode_IS_COMPACT_ASCII(key) || (size_t)(reader->end - at) < length + 3 || at[0] != '"'
        || !same_2(at + length + 1, "\":") || !same_in_objects(PyUnicode_DATA(key), at + 1, length)) {
        return nullptr;
    }
    return at + length + 3;
}
