// What the parts of the JSON reader share: decode.c (values and lists), decode_dict.c, decode_number.c, decode_text.c.
#pragma once

#include "image.h"

// Items have the same keys over and over: each is made once, as far as it finds a place.
enum { KEYS = 128 };

// A key that was read, and what is known of the dicts that begin with it.
struct known_key {
    PyObject *key;
    // A dict with the keys of such a dict, in their order, each with None. Null where there is none yet.
    PyObject *shape;
    // Whether such a dict was made that did not fit the shape.
    bool missed;
};

// All zero but for the text is a valid beginning; `reader_close` lets go of what it holds.
struct reader {
    const char *at;
    const char *end;
    // How many containers may still begin inside of the one that is read.
    int depth;
    struct known_key known[KEYS];
};

static inline char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static inline bool take(struct reader *reader, char expected)
{
    if (peek(reader) != expected) {
        return false;
    }
    reader->at++;
    return true;
}

static inline void skip_space(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && *at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    reader->at = at;
}

// What stands between two parts of a container and after the last; `more` says whether another part follows.
static inline bool read_separator(struct reader *reader, char close, bool *more)
{
    skip_space(reader);
    *more = take(reader, ',');
    return *more || take(reader, close);
}

// Each reads what begins at `reader->at`, which is behind the first character of a dict, a key or a text. Null where the
// text is not understood, or memory is short (a Python exception may be set then).
PyObject *read_value(struct reader *reader);
PyObject *read_dict(struct reader *reader);
PyObject *read_number(struct reader *reader);
PyObject *read_text(struct reader *reader);

// As `read_text`; `known` becomes the key's place, or null where it has none.
PyObject *read_key(struct reader *reader, struct known_key **known);

// Reads a key with its quotation marks, if it is this one. It must be of plain ASCII characters.
bool take_key(struct reader *reader, PyObject *key);
