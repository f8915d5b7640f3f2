/*
 * Opcodes of pickles: one instruction at a time, out of bytes that nobody vouches for.
 *
 * Sources: CPython's Lib/pickletools.py for the opcodes and their arguments, Modules/_pickle.c and
 * Lib/pickle.py for what each unpickler makes of them.  Where the two differ, or where one accepts
 * what no pickler writes, the form that picklers write is the only one that is read here.
 *
 * Nothing here touches a Python object.
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_OPCODES_H
#define DSQ_PYTHON_SAFE_PICKLE_OPCODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * X(byte, name, form of the argument).  Forms: PLAIN none, REFUSED never read, U1 U2 U4 U8 unsigned
 * little-endian, S4 four bytes that are no index, F8 a double, LINE text up to a line feed, PAIR two
 * of them, N1 N4 N8 a length and so many bytes.
 */
#define DSQ_PICKLE_OPCODES(X)                                                                      \
    X('(', MARK, PLAIN)                                                                            \
    X('.', STOP, PLAIN)                                                                            \
    X('0', POP, PLAIN)                                                                             \
    X('1', POP_MARK, PLAIN)                                                                        \
    X('2', DUP, REFUSED)                                                                           \
    X('F', FLOAT, LINE)                                                                            \
    X('I', INT, LINE)                                                                              \
    X('J', BININT, S4)                                                                             \
    X('K', BININT1, U1)                                                                            \
    X('L', LONG, LINE)                                                                             \
    X('M', BININT2, U2)                                                                            \
    X('N', NONE, PLAIN)                                                                            \
    X('P', PERSID, REFUSED)                                                                        \
    X('Q', BINPERSID, REFUSED)                                                                     \
    X('R', REDUCE, PLAIN)                                                                          \
    X('S', STRING, REFUSED)                                                                        \
    X('T', BINSTRING, REFUSED)                                                                     \
    X('U', SHORT_BINSTRING, REFUSED)                                                               \
    X('V', UNICODE, LINE)                                                                          \
    X('X', BINUNICODE, N4)                                                                         \
    X('a', APPEND, PLAIN)                                                                          \
    X('b', BUILD, PLAIN)                                                                           \
    X('c', GLOBAL, PAIR)                                                                           \
    X('d', DICT, PLAIN)                                                                            \
    X('}', EMPTY_DICT, PLAIN)                                                                      \
    X('e', APPENDS, PLAIN)                                                                         \
    X('g', GET, LINE)                                                                              \
    X('h', BINGET, U1)                                                                             \
    X('i', INST, REFUSED)                                                                          \
    X('j', LONG_BINGET, U4)                                                                        \
    X('l', LIST, PLAIN)                                                                            \
    X(']', EMPTY_LIST, PLAIN)                                                                      \
    X('o', OBJ, REFUSED)                                                                           \
    X('p', PUT, LINE)                                                                              \
    X('q', BINPUT, U1)                                                                             \
    X('r', LONG_BINPUT, U4)                                                                        \
    X('s', SETITEM, PLAIN)                                                                         \
    X('t', TUPLE, PLAIN)                                                                           \
    X(')', EMPTY_TUPLE, PLAIN)                                                                     \
    X('u', SETITEMS, PLAIN)                                                                        \
    X('G', BINFLOAT, F8)                                                                           \
    X('B', BINBYTES, N4)                                                                           \
    X('C', SHORT_BINBYTES, N1)                                                                     \
    X(0x80, PROTO, U1)                                                                             \
    X(0x81, NEWOBJ, PLAIN)                                                                         \
    X(0x82, EXT1, REFUSED)                                                                         \
    X(0x83, EXT2, REFUSED)                                                                         \
    X(0x84, EXT4, REFUSED)                                                                         \
    X(0x85, TUPLE1, PLAIN)                                                                         \
    X(0x86, TUPLE2, PLAIN)                                                                         \
    X(0x87, TUPLE3, PLAIN)                                                                         \
    X(0x88, NEWTRUE, PLAIN)                                                                        \
    X(0x89, NEWFALSE, PLAIN)                                                                       \
    X(0x8a, LONG1, N1)                                                                             \
    X(0x8b, LONG4, N4)                                                                             \
    X(0x8c, SHORT_BINUNICODE, N1)                                                                  \
    X(0x8d, BINUNICODE8, N8)                                                                       \
    X(0x8e, BINBYTES8, N8)                                                                         \
    X(0x8f, EMPTY_SET, PLAIN)                                                                      \
    X(0x90, ADDITEMS, PLAIN)                                                                       \
    X(0x91, FROZENSET, PLAIN)                                                                      \
    X(0x92, NEWOBJ_EX, PLAIN)                                                                      \
    X(0x93, STACK_GLOBAL, PLAIN)                                                                   \
    X(0x94, MEMOIZE, PLAIN)                                                                        \
    X(0x95, FRAME, U8)                                                                             \
    X(0x96, BYTEARRAY8, N8)                                                                        \
    X(0x97, NEXT_BUFFER, REFUSED)                                                                  \
    X(0x98, READONLY_BUFFER, REFUSED)

enum dsq_pickle_opcode {
#define DSQ_PICKLE_ENUM(byte, name, form) DSQ_PICKLE_##name = (byte),
    DSQ_PICKLE_OPCODES(DSQ_PICKLE_ENUM)
#undef DSQ_PICKLE_ENUM
};

/* Bytes of the pickle, where they lie. */
struct dsq_pickle_span {
    const uint8_t *at;
    size_t size;
};

struct dsq_pickle_instruction {
    uint8_t opcode;
    uint64_t number;              /* U1 to U8 */
    struct dsq_pickle_span text;  /* LINE, N1 to N8; the first line of a PAIR */
    struct dsq_pickle_span other; /* the second */
};

struct dsq_pickle_reader {
    const uint8_t *data;
    size_t size;
    size_t position;
    size_t frame_end;   /* 0: outside frames */
    size_t offset;      /* of the instruction that was read last */
    unsigned protocol;  /* 0 until a PROTO says otherwise */
    const char *reason; /* why there is no instruction */
};

/* The name of an opcode, or NULL if the byte is none. */
const char *dsq_pickle_opcode_name(uint8_t opcode);

/*
 * Reads the next instruction.  PROTO (first, of 2 to 5) and FRAME (outside frames, within the
 * pickle) are obeyed here and returned like the rest; an argument lies within its frame.
 * False with reader->reason if there is none to be had or it is one that is never read.
 */
bool dsq_pickle_next(struct dsq_pickle_reader *reader, struct dsq_pickle_instruction *instruction);

#endif
