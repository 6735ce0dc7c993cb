// Local time in the task's time zone.
//
// wasi-libc knows UTC only: `__secs_to_zone`, by which localtime and mktime learn the offset, always
// answers 0. The linker substitutes it (`--wrap`). The guest package names a source of zone data;
// the first use of local time reads it, so other tasks pay nothing.
//
// Zone data is a TZif file (RFC 9636), whose footer or which alone can be a POSIX rule
// (https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html, TZ).

#include "image.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t DAY = 24 * 60 * 60;

// Bytes of a header, and of a type of local time.
enum { HEADER = 44, TYPE = 6 };

// Bytes of a name in a rule, with its NUL. Longer ones are cut.
enum { NAME_SIZE = 16 };

// What holds in a part of a zone's time: seconds east of UTC, whether it is summer time, its name.
struct period {
    int32_t offset;
    bool is_summer;
    const char *name;
};

// A yearly moment: `form` is 'M' (month, week, day of the week), 'J' (day 1 to 365, never a leap
// day) or 'D' (day 0 to 365). `seconds` after midnight.
struct moment {
    char form;
    int month, week, day;
    int32_t seconds;
};

static struct {
    // Returns zone data, or None for UTC. Null: UTC.
    PyObject *source;
    bool is_loaded;
    // The data of a TZif file: a copy, and its parts. `count` transitions.
    unsigned char *data;
    const unsigned char *times, *indices, *types;
    const char *names;
    uint32_t count;
    // The rule that holds after the last transition.
    bool has_rule, has_summer;
    struct period standard, summer;
    struct moment begin, end;
    char standard_name[NAME_SIZE], summer_name[NAME_SIZE];
} zone;

// --- Reading rules --------------------------------------------------------------------------------

static bool take_number(const char **text, int *number)
{
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    for (*number = 0; isdigit((unsigned char)**text) && *number < 100'000; ++*text) {
        *number = *number * 10 + (**text - '0');
    }
    return true;
}

static bool take_name(const char **text, char *name)
{
    bool quoted = **text == '<';
    *text += quoted;
    size_t length = 0;
    for (; quoted ? **text != '>' && **text != '\0' : isalpha((unsigned char)**text); ++*text) {
        if (length < NAME_SIZE - 1) {
            name[length++] = **text;
        }
    }
    name[length] = '\0';
    if (quoted && *(*text)++ != '>') {
        return false;
    }
    return length >= 3;
}

// Hours, and optionally minutes and seconds, with a sign.
static bool take_time(const char **text, int32_t *seconds)
{
    bool negative = **text == '-';
    *text += **text == '-' || **text == '+';
    int parts[3] = {};
    for (int i = 0; i < 3; i++) {
        if (!take_number(text, &parts[i])) {
            return false;
        }
        if (**text != ':') {
            break;
        }
        ++*text;
    }
    *seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
    *seconds = negative ? -*seconds : *seconds;
    return parts[0] <= 167 && parts[1] < 60 && parts[2] < 60;
}

static bool take_moment(const char **text, struct moment *moment)
{
    moment->form = **text == 'M' || **text == 'J' ? *(*text)++ : 'D';
    moment->seconds = 2 * 3600;
    bool valid;
    if (moment->form == 'M') {
        valid = take_number(text, &moment->month) && *(*text)++ == '.'
                && take_number(text, &moment->week) && *(*text)++ == '.'
                && take_number(text, &moment->day) && moment->month >= 1 && moment->month <= 12
                && moment->week >= 1 && moment->week <= 5 && moment->day <= 6;
    } else {
        valid = take_number(text, &moment->day) && moment->day <= 365;
    }
    if (valid && **text == '/') {
        ++*text;
        valid = take_time(text, &moment->seconds);
    }
    return valid;
}

// Reads a rule, for example CET-1CEST,M3.5.0,M10.5.0/3. Its offsets count westwards.
static bool read_rule(const char *text)
{
    int32_t west;
    if (!take_name(&text, zone.standard_name) || !take_time(&text, &west)) {
        return false;
    }
    zone.standard = (struct period){-west, false, zone.standard_name};
    zone.has_summer = *text != '\0';
    if (!zone.has_summer) {
        return true;
    }
    if (!take_name(&text, zone.summer_name)) {
        return false;
    }
    west -= 3600;
    if (*text != ',' && *text != '\0' && !take_time(&text, &west)) {
        return false;
    }
    zone.summer = (struct period){-west, true, zone.summer_name};
    // POSIX leaves the dates to the system; these are the usual default.
    text = *text == '\0' ? ",M3.2.0,M11.1.0" : text;
    return *text++ == ',' && take_moment(&text, &zone.begin) && *text++ == ','
           && take_moment(&text, &zone.end) && *text == '\0';
}

// --- Reading TZif files ---------------------------------------------------------------------------

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t time_of(uint32_t transition)
{
    const unsigned char *at = zone.times + (size_t)transition * 8;
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

// Bytes of a data block whose times have `width` bytes. Counts of a header: UTC and standard
// indicators, leap seconds, transitions, types, characters.
static uint64_t block_size(const unsigned char *header, unsigned width)
{
    const unsigned char *count = header + 20;
    return (uint64_t)read_u32(count) + read_u32(count + 4)
           + (uint64_t)read_u32(count + 8) * (width + 4)
           + (uint64_t)read_u32(count + 12) * (width + 1) + (uint64_t)read_u32(count + 16) * TYPE
           + read_u32(count + 20);
}

// Reads the second block, whose times have 64 bits, and the footer. `data` ends with a NUL.
static bool read_file(unsigned char *data, size_t length)
{
    uint64_t header = length < HEADER ? length : HEADER + block_size(data, 4);
    if (length < HEADER || data[4] < '2' || header + HEADER > length) {
        return false;
    }
    const unsigned char *second = data + header;
    uint64_t end = header + HEADER + block_size(second, 8);
    if (end > length || read_u32(second + 36) == 0 || read_u32(second + 40) == 0) {
        return false;
    }
    zone.count = read_u32(second + 32);
    zone.times = second + HEADER;
    zone.indices = zone.times + (size_t)zone.count * 8;
    zone.types = zone.indices + zone.count;
    zone.names = (const char *)zone.types + (size_t)read_u32(second + 36) * TYPE;
    if (end + 2 < length && data[end] == '\n' && data[length - 1] == '\n') {
        data[length - 1] = '\0';
        zone.has_rule = read_rule((const char *)data + end + 1);
    }
    return true;
}

static bool read_data(PyObject *bytes)
{
    size_t length = (size_t)PyBytes_GET_SIZE(bytes);
    zone.data = malloc(length + 1);
    if (zone.data == nullptr) {
        return false;
    }
    memcpy(zone.data, PyBytes_AS_STRING(bytes), length + 1);
    if (length > 4 && memcmp(zone.data, "TZif", 4) == 0) {
        return read_file(zone.data, length);
    }
    zone.has_rule = read_rule((const char *)zone.data);
    return zone.has_rule;
}

static void forget_data(void)
{
    free(zone.data);
    zone.data = nullptr;
    zone.count = 0;
    zone.types = nullptr;
    zone.has_rule = false;
}

// Local time is UTC if the source fails.
static void load(void)
{
    zone.is_loaded = true;
    forget_data();
    PyObject *bytes = PyObject_CallNoArgs(zone.source);
    if (bytes != nullptr && PyBytes_Check(bytes) && !read_data(bytes)) {
        forget_data();
    }
    PyErr_Clear();
    Py_XDECREF(bytes);
}

bool set_zone(PyObject *source)
{
    if (source != Py_None && !PyCallable_Check(source)) {
        PyErr_SetString(PyExc_TypeError, "set_zone() takes a function or None");
        return false;
    }
    forget_data();
    zone.is_loaded = source == Py_None;
    Py_XSETREF(zone.source, source == Py_None ? nullptr : Py_NewRef(source));
    return true;
}

// --- Finding the period of a moment ---------------------------------------------------------------

// Days from 1970-01-01 to 1 January of a year of the Gregorian calendar.
static int64_t days_to_year(int64_t year)
{
    int64_t before = year - 1, cycle = before >= 0 ? before / 400 : (before - 399) / 400;
    int64_t rest = before - cycle * 400;
    return cycle * 146'097 + rest * 365 + rest / 4 - rest / 100 - 719'162;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t year_of(int64_t seconds)
{
    // The mean year has 31,556,952 seconds. The estimate is off by one at most.
    int64_t year = 1970 + seconds / 31'556'952 - (seconds < 0);
    while (days_to_year(year + 1) * DAY <= seconds) {
        year++;
    }
    while (days_to_year(year) * DAY > seconds) {
        year--;
    }
    return year;
}

// Seconds from 1970 to a rule's moment in a year, by the clock that holds before it.
static int64_t seconds_to(const struct moment *moment, int64_t year)
{
    static const int BEFORE_MONTH[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int64_t days = days_to_year(year);
    bool leap = is_leap(year);
    if (moment->form == 'J') {
        days += moment->day - 1 + (leap && moment->day >= 60);
    } else if (moment->form == 'D') {
        days += moment->day;
    } else {
        int month = moment->month;
        int length = BEFORE_MONTH[month] - BEFORE_MONTH[month - 1] + (leap && month == 2);
        days += BEFORE_MONTH[month - 1] + (leap && month > 2);
        // 1970-01-01 was a Thursday, day 4.
        int weekday = (int)(((days + 4) % 7 + 7) % 7);
        int day = (moment->day - weekday + 7) % 7 + 7 * (moment->week - 1);
        days += day < length ? day : day - 7;
    }
    return days * DAY + moment->seconds;
}

static struct period by_rule(int64_t seconds)
{
    if (!zone.has_summer) {
        return zone.standard;
    }
    int64_t year = year_of(seconds + zone.standard.offset);
    int64_t begin = seconds_to(&zone.begin, year) - zone.standard.offset;
    int64_t end = seconds_to(&zone.end, year) - zone.summer.offset;
    bool is_summer =
        begin < end ? seconds >= begin && seconds < end : !(seconds >= end && seconds < begin);
    return is_summer ? zone.summer : zone.standard;
}

static struct period type_at(uint32_t index)
{
    const unsigned char *type = zone.types + (size_t)index * TYPE;
    return (struct period){(int32_t)read_u32(type), type[4] != 0, zone.names + type[5]};
}

static struct period period_at(int64_t seconds)
{
    static const struct period UTC = {0, false, "UTC"};
    // Counts the transitions up to the moment.
    uint32_t low = 0, high = zone.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_of(middle) <= seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (zone.has_rule && low == zone.count) {
        return by_rule(seconds);
    }
    if (zone.types == nullptr) {
        return UTC;
    }
    return type_at(low == 0 ? 0 : zone.indices[low - 1]);
}

// The period of a local time. In a gap and in a fold it is the one before the transition, as for
// Python's datetime with fold=0.
static struct period period_of_local(int64_t local)
{
    struct period before = period_at(local - DAY);
    struct period found = period_at(local - before.offset);
    bool is_gap = period_at(local - found.offset).offset != found.offset;
    return is_gap ? before : found;
}

// The nearest period, within a year, that differs in being summer time.
static struct period opposite(int64_t seconds, struct period period)
{
    for (int64_t days = 30; days < 390; days += 30) {
        for (int side = -1; side <= 1; side += 2) {
            struct period other = period_at(seconds + side * days * DAY);
            if (other.is_summer != period.is_summer) {
                return other;
            }
        }
    }
    return period;
}

void __wrap___secs_to_zone(long long seconds, int is_local, int *is_summer, int *offset,
                           long *opposite_offset, const char **name);

// `seconds` count from 1970, by the local clock if `is_local`. `opposite_offset` can be null.
void __wrap___secs_to_zone(long long seconds, int is_local, int *is_summer, int *offset,
                           long *opposite_offset, const char **name)
{
    if (!zone.is_loaded && zone.source != nullptr) {
        load();
    }
    struct period period = is_local ? period_of_local(seconds) : period_at(seconds);
    *is_summer = period.is_summer;
    *offset = period.offset;
    *name = period.name;
    if (opposite_offset != nullptr) {
        *opposite_offset = opposite(seconds, period).offset;
    }
}
