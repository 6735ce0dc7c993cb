// Encodes characters of a JSON string (RFC 8259, section 7) in UTF-8.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

// Returns the letter of a character's escape sequence, 'u' for a numeric one, or 0 for none. The
// character is below 0x80.
static inline char escape_of(unsigned char character)
{
    switch (character) {
    case '"':
    case '\\':
        return (char)character;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return character < 0x20 ? 'u' : 0;
    }
}

// Writes at most six characters.
static char *write_escaped(char *to, unsigned char character, char escape)
{
    static const char DIGITS[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = escape;
    if (escape == 'u') {
        memcpy(to, (char[]){'0', '0', DIGITS[character >> 4], DIGITS[character & 15]}, 4);
        to += 4;
    }
    return to;
}

// Writes at most six bytes. Returns null for a surrogate, which UTF-8 cannot encode.
static char *write_code_point(char *to, Py_UCS4 point)
{
    if (point < 0x80) {
        char escape = escape_of((unsigned char)point);
        if (escape) {
            return write_escaped(to, (unsigned char)point, escape);
        }
        *to++ = (char)point;
        return to;
    }
    if (Py_UNICODE_IS_SURROGATE(point)) {
        return nullptr;
    }
    if (point < 0x800) {
        *to++ = (char)(0xC0 | point >> 6);
    } else {
        if (point < 0x10000) {
            *to++ = (char)(0xE0 | point >> 12);
        } else {
            *to++ = (char)(0xF0 | point >> 18);
            *to++ = (char)(0x80 | (point >> 12 & 63));
        }
        *to++ = (char)(0x80 | (point >> 6 & 63));
    }
    *to++ = (char)(0x80 | (point & 63));
    return to;
}
