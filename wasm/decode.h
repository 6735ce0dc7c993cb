// Interface between the files of the JSON decoder: decode.c (values and lists), decode_dict.c,
// decode_number.c and decode_text.c.
//
// Each function takes the read position and returns the new one, so that it stays in a register. It
// returns null if it does not accept the text or memory is short; a Python exception may then be
// set. A NUL follows the text and ends every token, so a look at the next byte needs no bounds
// check.
#pragma once

#include "image.h"
#include "text.h"

// Forces inlining. A call costs as much as these functions do for most values, and the compiler has
// no profile of these files.
#define HOT [[clang::always_inline]]

// Slots of the key cache, a hash table without chaining: several times the keys of a typical item.
// Items repeat their keys, so interning saves an allocation for each.
enum { KEY_SLOTS = 128 };

// Depths of nesting that predict the first key of the next dict.
enum { PREDICTED_DEPTHS = 8 };

// An interned key, and the prediction for dicts that begin with it.
struct key_slot {
    PyObject *key;
    // A dict with the predicted keys, in order, and None as every value. Null without a prediction.
    PyObject *shape;
    // True if the last such dict did not match the shape.
    bool missed;
};

// The state of one decoding. Starts as zero except for `end` and `depth`; `reader_close` releases
// it.
struct reader {
    // The NUL behind the text.
    const char *end;
    // Containers that may still be nested in the current one.
    int depth;
    struct key_slot slots[KEY_SLOTS];
    // The first key of the previous dict at each depth, or null.
    struct key_slot *previous[PREDICTED_DEPTHS];
};

const char *skip_spaces(const char *at);

// Avoids entering the loop in `skip_spaces`, which costs fuel even without an iteration: most JSON
// has no white space.
static inline const char *skip_space(const char *at)
{
    return (unsigned char)*at > ' ' ? at : skip_spaces(at);
}

static inline bool is_digit(char character)
{
    return (unsigned char)(character - '0') < 10;
}

// Reads the comma or the closing bracket after an element. Sets `more` if a comma was read.
static inline const char *read_separator(const char *at, char close, bool *more)
{
    at = skip_space(at);
    *more = *at == ',';
    return *more || *at == close ? at + 1 : nullptr;
}

// Set `value` unless they return null. `read_dict` and `read_text` start after the opening bracket
// or quotation mark.
const char *read_value(struct reader *reader, const char *at, PyObject **value);
const char *read_dict(struct reader *reader, const char *at, PyObject **value);
const char *read_number(const struct reader *reader, const char *at, PyObject **value);
HOT const char *read_text(const struct reader *reader, const char *at, PyObject **value);

// `read_text` for a key, which is interned if it fits the cache. Sets `slot` to its slot or null.
const char *read_key(struct reader *reader, const char *at, PyObject **key, struct key_slot **slot);

// Reads `key` with its quotation marks and the colon, without white space. Returns null for any
// other text.
HOT static inline const char *take_key(const struct reader *reader, const char *at, PyObject *key)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(key);
    if (!PyUnicode_IS_COMPACT_ASCII(key) || (size_t)(reader->end - at) < length + 3 || at[0] != '"'
        || !same_2(at + length + 1, "\":")
        || !same_in_objects(PyUnicode_DATA(key), at + 1, length)) {
        return nullptr;
    }
    return at + length + 3;
}
