// Finds where plain text ends in JSON: sixteen characters at a time, for both directions.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

// What is known of a run of characters that stand for themselves inside of a JSON string.
struct run {
    // How many there are.
    size_t length;
    // Whether all of them are below 0x80.
    bool ascii;
};

// Whether a character cannot stand for itself inside of a JSON string.
static inline bool is_special(unsigned char character)
{
    return character < 0x20 || character == '"' || character == '\\';
}

// The run of plain characters at `text`, which has `length` characters.
static inline struct run run_of(const char *text, size_t length)
{
    size_t at = 0;
    uint32_t high = 0;
    for (; length - at >= 16; at += 16) {
        v128_t block = wasm_v128_load(text + at);
        v128_t special = wasm_v128_or(
            wasm_u8x16_lt(block, wasm_i8x16_splat(0x20)),
            wasm_v128_or(wasm_i8x16_eq(block, wasm_i8x16_splat('"')), wasm_i8x16_eq(block, wasm_i8x16_splat('\\'))));
        uint32_t stops = wasm_i8x16_bitmask(special);
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
