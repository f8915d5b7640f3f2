/* The arguments of DictSQLite(...). */
#ifndef DSQ_PYTHON_OPTIONS_H
#define DSQ_PYTHON_OPTIONS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dictsqlite.h>
#include <stdbool.h>

#include "bindings/python/codec_choice.h"
#include "bindings/python/password.h"

/* The signature in the words of inspect; kept beside the parser so that they cannot part. */
extern const char dsq_py_options_doc[];

/* 16 MiB: some 100,000 values of 64 bytes. */
#define DSQ_PY_DEFAULT_VALUE_CACHE_BYTES 16777216

struct dsq_py_options {
    PyObject *path;    /* owned: as given */
    PyObject *encoded; /* owned: bytes in the encoding of the file system, without a NUL */
    struct dsq_py_password password; /* what native.password points to */
    struct dsq_py_codec_choice values;
    struct dsq_py_codec *codec;                       /* the caller's, who makes and frees it */
    char value_format[DSQ_VALUE_FORMAT_SIZE_MAX + 1]; /* what native.value_format points to */
    uint64_t value_cache_bytes;
    struct dsq_options native;
};

/*
 * Reads the arguments of the constructor, which must outlive options->values.  False with TypeError or
 * ValueError (both name the argument); then nothing needs to be released.
 */
bool dsq_py_options_parse(PyObject *args, PyObject *kwargs, struct dsq_py_options *options);
void dsq_py_options_release(struct dsq_py_options *options);

#endif
