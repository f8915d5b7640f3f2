/*
 * Text within pickles: numbers, strings and fields of dates, in the one form that picklers write.
 * Whatever both unpicklers of CPython would read alike, and nothing that only one of them reads.
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_TEXT_H
#define DSQ_PYTHON_SAFE_PICKLE_TEXT_H

#include "bindings/python/safe_pickle_opcodes.h"

/* CPython's own bound on the digits of an int in text; conversion takes quadratic time. */
#define DSQ_PICKLE_MAX_DIGITS 4300

/* 0 or -?[1-9][0-9]*, of at most DSQ_PICKLE_MAX_DIGITS digits. */
bool dsq_pickle_is_decimal(struct dsq_pickle_span text);

/* Digits alone, of at most nine; the index of a memo. */
bool dsq_pickle_index(struct dsq_pickle_span text, uint64_t *index);

/* What repr writes of a float: decimal with a point or an exponent or neither, nan, inf, -inf. */
bool dsq_pickle_is_float(struct dsq_pickle_span text);

/* A fraction as str writes it, -?digits or -?digits/digits: an exponent would be multiplied out. */
bool dsq_pickle_is_fraction(struct dsq_pickle_span text);

/*
 * The text of UNICODE: latin-1, where a backslash begins an escape of four or eight hexadecimal
 * digits of what cannot stand there by itself.  So no name has two spellings.
 */
bool dsq_pickle_is_raw_unicode(struct dsq_pickle_span text);

bool dsq_pickle_text_is(struct dsq_pickle_span text, const char *word);

/* A name like __this__. */
bool dsq_pickle_is_dunder(struct dsq_pickle_span text);

/* How bytes lie in a pickle: as they are, or as the characters of a string that encode to them. */
enum dsq_pickle_spelling { DSQ_PICKLE_RAW, DSQ_PICKLE_UTF8, DSQ_PICKLE_LATIN1 };

/* Up to capacity bytes that text spells; false if it spells more, or none of latin-1. */
bool dsq_pickle_spelled(struct dsq_pickle_span text, enum dsq_pickle_spelling spelling,
                        uint8_t *bytes, size_t capacity, size_t *count);

/* Whether the bytes are the state of a date (4), a time (6) or a datetime (10) that exists. */
bool dsq_pickle_is_date(const uint8_t *bytes, size_t size);
bool dsq_pickle_is_time(const uint8_t *bytes, size_t size);
bool dsq_pickle_is_datetime(const uint8_t *bytes, size_t size);

#endif
