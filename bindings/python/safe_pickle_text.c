#include "bindings/python/safe_pickle_text.h"

#include <string.h>

enum { INDEX_DIGITS = 9, FLOAT_CHARACTERS = 32 };

static size_t count_digits(struct dsq_pickle_span text)
{
    size_t count = 0;
    while (count < text.size && text.at[count] >= '0' && text.at[count] <= '9') {
        count++;
    }
    return count;
}

static void skip(struct dsq_pickle_span *text, size_t count)
{
    text->at += count;
    text->size -= count;
}

static bool skip_one_of(struct dsq_pickle_span *text, const char *characters)
{
    if (text->size == 0 || text->at[0] == '\0' || strchr(characters, text->at[0]) == NULL) {
        return false;
    }
    skip(text, 1);
    return true;
}

/* Digits without a leading zero. */
static bool skip_natural(struct dsq_pickle_span *text)
{
    size_t digits = count_digits(*text);
    if (digits == 0 || digits > DSQ_PICKLE_MAX_DIGITS || (digits > 1 && text->at[0] == '0')) {
        return false;
    }
    skip(text, digits);
    return true;
}

bool dsq_pickle_is_decimal(struct dsq_pickle_span text)
{
    /* The unpickler in C takes -0 for False. */
    if (skip_one_of(&text, "-") && dsq_pickle_text_is(text, "0")) {
        return false;
    }
    return skip_natural(&text) && text.size == 0;
}

bool dsq_pickle_index(struct dsq_pickle_span text, uint64_t *index)
{
    struct dsq_pickle_span rest = text;
    if (text.size > INDEX_DIGITS || !skip_natural(&rest) || rest.size != 0) {
        return false;
    }
    *index = 0;
    for (size_t i = 0; i < text.size; i++) {
        *index = *index * 10 + (uint64_t)(text.at[i] - '0');
    }
    return true;
}

bool dsq_pickle_is_float(struct dsq_pickle_span text)
{
    if (text.size > FLOAT_CHARACTERS) {
        return false;
    }
    if (dsq_pickle_text_is(text, "nan")) {
        return true;
    }
    skip_one_of(&text, "-");
    if (dsq_pickle_text_is(text, "inf")) {
        return true;
    }
    if (!skip_natural(&text)) {
        return false;
    }
    if (skip_one_of(&text, ".")) {
        size_t digits = count_digits(text);
        if (digits == 0) {
            return false;
        }
        skip(&text, digits);
    }
    if (skip_one_of(&text, "e")) {
        skip_one_of(&text, "+-");
        size_t digits = count_digits(text);
        if (digits == 0) {
            return false;
        }
        skip(&text, digits);
    }
    return text.size == 0;
}

bool dsq_pickle_is_fraction(struct dsq_pickle_span text)
{
    skip_one_of(&text, "-");
    if (!skip_natural(&text)) {
        return false;
    }
    if (skip_one_of(&text, "/") && !skip_natural(&text)) {
        return false;
    }
    return text.size == 0;
}

static int hexadecimal(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The value of an escape at the start of text and its length, 0 if it is none. */
static size_t read_escape(struct dsq_pickle_span text, uint32_t *value)
{
    if (text.size < 2 || (text.at[1] != 'u' && text.at[1] != 'U')) {
        return 0;
    }
    size_t size = text.at[1] == 'u' ? 6 : 10;
    if (text.size < size) {
        return 0;
    }
    *value = 0;
    for (size_t i = 2; i < size; i++) {
        int digit = hexadecimal(text.at[i]);
        if (digit < 0) {
            return 0;
        }
        *value = *value << 4 | (uint32_t)digit;
    }
    return size;
}

static bool must_be_escaped(uint32_t value)
{
    return (value > 0xff && value <= 0x10ffff) || value == '\\' || value == '\0' || value == '\n' ||
           value == '\r' || value == 0x1a;
}

bool dsq_pickle_is_raw_unicode(struct dsq_pickle_span text)
{
    for (;;) {
        const uint8_t *backslash = memchr(text.at, '\\', text.size);
        if (backslash == NULL) {
            return true;
        }
        skip(&text, (size_t)(backslash - text.at));
        uint32_t value;
        size_t size = read_escape(text, &value);
        if (size == 0 || !must_be_escaped(value)) {
            return false;
        }
        skip(&text, size);
    }
}

bool dsq_pickle_text_is(struct dsq_pickle_span text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.at, word, text.size) == 0;
}

bool dsq_pickle_is_dunder(struct dsq_pickle_span text)
{
    return text.size >= 4 && memcmp(text.at, "__", 2) == 0 &&
           memcmp(text.at + text.size - 2, "__", 2) == 0;
}

/* One latin-1 character off the front of text, or -1. */
static int take_character(struct dsq_pickle_span *text, enum dsq_pickle_spelling spelling)
{
    uint32_t value = text->at[0];
    size_t size = 1;
    if (spelling == DSQ_PICKLE_UTF8 && value >= 0x80) {
        if (text->size < 2 || (value != 0xc2 && value != 0xc3) || (text->at[1] & 0xc0) != 0x80) {
            return -1;
        }
        value = (value & 0x1f) << 6 | (text->at[1] & 0x3f);
        size = 2;
    } else if (spelling == DSQ_PICKLE_LATIN1 && value == '\\') {
        size = read_escape(*text, &value);
        if (size == 0 || value > UINT8_MAX) {
            return -1;
        }
    }
    skip(text, size);
    return (int)value;
}

bool dsq_pickle_spelled(struct dsq_pickle_span text, enum dsq_pickle_spelling spelling,
                        uint8_t *bytes, size_t capacity, size_t *count)
{
    for (*count = 0; text.size != 0; ++*count) {
        int value = take_character(&text, spelling);
        if (value < 0 || *count == capacity) {
            return false;
        }
        bytes[*count] = (uint8_t)value;
    }
    return true;
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

bool dsq_pickle_is_date(const uint8_t *bytes, size_t size)
{
    if (size != 4) {
        return false;
    }
    unsigned year = (unsigned)bytes[0] << 8 | bytes[1];
    unsigned month = bytes[2];
    return year >= 1 && year <= 9999 && month >= 1 && month <= 12 && bytes[3] >= 1 &&
           bytes[3] <= days_of(year, month);
}

bool dsq_pickle_is_time(const uint8_t *bytes, size_t size)
{
    /* The top bit of the hour is the fold. */
    return size == 6 && (bytes[0] & 0x7f) < 24 && bytes[1] < 60 && bytes[2] < 60 &&
           ((uint32_t)bytes[3] << 16 | (uint32_t)bytes[4] << 8 | bytes[5]) < 1000000;
}

bool dsq_pickle_is_datetime(const uint8_t *bytes, size_t size)
{
    if (size != 10) {
        return false;
    }
    /* The top bit of the month is the fold, and the hour has none. */
    const uint8_t date[] = {bytes[0], bytes[1], bytes[2] & 0x7f, bytes[3]};
    return dsq_pickle_is_date(date, 4) && bytes[4] < 24 && dsq_pickle_is_time(bytes + 4, 6);
}
