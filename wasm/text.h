// Scans, compares and copies short text inline. A call into the C library costs more than most JSON
// strings need.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

// A run of bytes that need no escape in a JSON string.
struct run {
    size_t length;
    // True if all are below 0x80.
    bool ascii;
};

// Returns true for a character that a JSON string must escape (RFC 8259, section 7).
static inline bool is_special(unsigned char character)
{
    return character < 0x20 || character == '"' || character == '\\';
}

// `is_special` for 16 bytes: 0xFF for each special one.
static inline v128_t specials(v128_t block)
{
    return wasm_v128_or(wasm_u8x16_lt(block, wasm_i8x16_splat(0x20)),
                        wasm_v128_or(wasm_i8x16_eq(block, wasm_i8x16_splat('"')),
                                     wasm_i8x16_eq(block, wasm_i8x16_splat('\\'))));
}

// Returns the run at the start of `text`, which has `length` bytes.
static inline struct run run_of(const char *text, size_t length)
{
    size_t at = 0;
    uint32_t high = 0;
    for (; length - at >= 16; at += 16) {
        v128_t block = wasm_v128_load(text + at);
        uint32_t stops = wasm_i8x16_bitmask(specials(block));
        high |= wasm_i8x16_bitmask(block) & (stops - 1) & ~stops;
        if (stops != 0) {
            return (struct run){at + (size_t)__builtin_ctz(stops), high == 0};
        }
    }
    unsigned char seen = 0;
    for (; at < length && !is_special((unsigned char)text[at]); at++) {
        seen |= (unsigned char)text[at];
    }
    return (struct run){at, high == 0 && seen < 0x80};
}

// Compare 8, 4, 2 or 16 bytes at unaligned addresses.
static inline bool same_8(const char *one, const char *other)
{
    uint64_t a, b;
    memcpy(&a, one, sizeof a);
    memcpy(&b, other, sizeof b);
    return a == b;
}

static inline bool same_4(const char *one, const char *other)
{
    uint32_t a, b;
    memcpy(&a, one, sizeof a);
    memcpy(&b, other, sizeof b);
    return a == b;
}

static inline bool same_2(const char *one, const char *other)
{
    uint16_t a, b;
    memcpy(&a, one, sizeof a);
    memcpy(&b, other, sizeof b);
    return a == b;
}

static inline bool same_16(const char *one, const char *other)
{
    return wasm_i8x16_all_true(wasm_i8x16_eq(wasm_v128_load(one), wasm_v128_load(other)));
}

// Compares two texts of `length` bytes. The last block may overlap the one before it.
static inline bool same_text(const char *one, const char *other, size_t length)
{
    if (length > 32) {
        return memcmp(one, other, length) == 0;
    }
    if (length >= 16) {
        return same_16(one, other) && same_16(one + length - 16, other + length - 16);
    }
    if (length >= 8) {
        return same_8(one, other) && same_8(one + length - 8, other + length - 8);
    }
    if (length >= 4) {
        return same_4(one, other) && same_4(one + length - 4, other + length - 4);
    }
    return length == 0
           || (one[0] == other[0] && one[length / 2] == other[length / 2]
               && one[length - 1] == other[length - 1]);
}

// `same_text` for texts with at least 16 readable bytes before them, such as a str's header.
// Compares up to 16 bytes, the common case, with one load of each.
static inline bool same_in_objects(const char *one, const char *other, size_t length)
{
    if (length > 16) {
        return same_text(one, other, length);
    }
    uint32_t same = wasm_i8x16_bitmask(
        wasm_i8x16_eq(wasm_v128_load(one + length - 16), wasm_v128_load(other + length - 16)));
    return (same | 0xFFFF >> length) == 0xFFFF;
}

static inline void copy_16(char *to, const char *from)
{
    wasm_v128_store(to, wasm_v128_load(from));
}

// Copies to memory that does not overlap. The last block may overlap the one before it.
static inline void copy_text(char *to, const char *from, size_t length)
{
    if (length > 64) {
        memcpy(to, from, length);
    } else if (length >= 16) {
        copy_16(to, from);
        if (length > 32) {
            copy_16(to + 16, from + 16);
        }
        if (length > 48) {
            copy_16(to + 32, from + 32);
        }
        copy_16(to + length - 16, from + length - 16);
    } else if (length >= 8) {
        memcpy(to, from, 8);
        memcpy(to + length - 8, from + length - 8, 8);
    } else if (length >= 4) {
        memcpy(to, from, 4);
        memcpy(to + length - 4, from + length - 4, 4);
    } else if (length > 0) {
        to[0] = from[0];
        to[length / 2] = from[length / 2];
        to[length - 1] = from[length - 1];
    }
}

// Copies the run at the start of `text`, the last `length` characters of an ASCII str. Returns the
// run's length. Writes up to 16 bytes beyond the run.
static inline size_t copy_run(char *to, const char *text, size_t length)
{
    size_t at = 0;
    for (; length - at >= 16; at += 16) {
        v128_t block = wasm_v128_load(text + at);
        wasm_v128_store(to + at, block);
        uint32_t stops = wasm_i8x16_bitmask(specials(block));
        if (stops != 0) {
            return at + (size_t)__builtin_ctz(stops);
        }
    }
    size_t rest = length - at;
    if (rest == 0) {
        return length;
    }
    // Loads the 16 bytes before the end, so never reads past the str. Bytes before its text belong
    // to its header.
    v128_t order =
        wasm_i8x16_add(wasm_u8x16_const(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                       wasm_u8x16_splat((uint8_t)(16 - rest)));
    v128_t block = wasm_i8x16_swizzle(wasm_v128_load(text + length - 16), order);
    wasm_v128_store(to + at, block);
    uint32_t stops = wasm_i8x16_bitmask(specials(block)) & ((1U << rest) - 1);
    return stops != 0 ? at + (size_t)__builtin_ctz(stops) : length;
}
