/*
 * The objects that a pickle would make, as nodes of a graph: what kind of object each is, and what
 * it holds.  Nothing is made; a node is 24 bytes, whatever it stands for.
 *
 * Limits.  Hashing goes through tuples and what was called with them, in C and without a check of
 * the stack: how deep and how large those are is known when they are made, and bounded at once
 * (depth, hashed), and so is the sum of what is hashed for the keys of dicts and the members of sets.
 * What a walk of containers comes to, shared parts counted each time they are met, is bounded by
 * dsq_pickle_graph_settle, when all is there.
 */
#ifndef DSQ_PYTHON_SAFE_PICKLE_GRAPH_H
#define DSQ_PYTHON_SAFE_PICKLE_GRAPH_H

#include "bindings/python/safe_pickle_text.h"

/* Levels of containers within containers. */
#define DSQ_PICKLE_MAX_DEPTH 1000
/* What a value may come to with its shared parts written out, above the bytes of its pickle. */
#define DSQ_PICKLE_MAX_EXPANSION (1U << 24)
/* Bytes that calls and states may copy, above sixteen times those of the pickle. */
#define DSQ_PICKLE_MAX_COPIED (64U << 20)
/* Bytes of a string that count like one object. */
#define DSQ_PICKLE_WEIGHT_BYTES 64

enum dsq_pickle_kind {
    DSQ_PICKLE_IS_NONE,
    DSQ_PICKLE_IS_BOOL,
    DSQ_PICKLE_IS_INT,
    DSQ_PICKLE_IS_FLOAT,
    DSQ_PICKLE_IS_STR,
    DSQ_PICKLE_IS_BYTES,
    DSQ_PICKLE_IS_BYTEARRAY,
    DSQ_PICKLE_IS_TUPLE,
    DSQ_PICKLE_IS_LIST,
    DSQ_PICKLE_IS_DICT,
    DSQ_PICKLE_IS_SET,
    DSQ_PICKLE_IS_FROZENSET,
    DSQ_PICKLE_IS_GLOBAL,   /* a class or a function */
    DSQ_PICKLE_IS_INSTANCE, /* what came of calling one */
};

enum dsq_pickle_flag {
    /* of a str, or of bytes that are a str's encoding: how it is spelled, see text.h */
    DSQ_PICKLE_SPELLED_UTF8 = 1,
    DSQ_PICKLE_SPELLED_LATIN1 = 2,
    /* of a dict, about its items so far */
    DSQ_PICKLE_ODD_KEY = 1,    /* a key is no str */
    DSQ_PICKLE_DUNDER_KEY = 2, /* a key is like __this__ */
    DSQ_PICKLE_ODD_VALUE = 4,  /* a value is no int of up to 17 bytes */
    /* of an instance */
    DSQ_PICKLE_BUILT = 1,  /* its state is set: it changes no more */
    DSQ_PICKLE_OPAQUE = 2, /* may not change at all */
    DSQ_PICKLE_LEAF = 32,  /* a walk does not go through it */
    /* of a global */
    DSQ_PICKLE_NO_VALUE = 1, /* may be called, not stored */
    /* of any, while and after it is walked */
    DSQ_PICKLE_OPEN = 64,
    DSQ_PICKLE_DONE = 128,
};

struct dsq_pickle_node {
    uint8_t kind;
    uint8_t flags;
    uint16_t depth;  /* of what is hashed through it */
    uint32_t hashed; /* objects that hashing it visits; of what has no hash, its members */
    uint32_t weight; /* objects that a walk visits */
    uint32_t what;   /* which global, of a global and its instances; else how many it holds */
    uint32_t first;  /* its first edge, 0: none; the offset of a text */
    uint32_t last;   /* its last edge; the size of a text or of an int */
};

struct dsq_pickle_edge {
    uint32_t node, next;
};

struct dsq_pickle_graph {
    struct dsq_pickle_node *nodes;
    size_t node_count, node_capacity;
    struct dsq_pickle_edge *edges; /* the first is not used */
    size_t edge_count, edge_capacity;
    uint32_t expansion_limit;
    uint64_t copy_limit, copied_bytes;
    uint32_t hash_work; /* objects that are hashed while the pickle is loaded */
    const char *reason; /* why the last call failed; NULL: for want of memory */
};

/* Makes room for one element more; false for want of memory. */
bool dsq_pickle_grow(void *array, size_t *capacity, size_t count, size_t element_size);

/* Zeroes a graph for a pickle of so many bytes. */
void dsq_pickle_graph_init(struct dsq_pickle_graph *graph, size_t pickle_size);
void dsq_pickle_graph_fini(struct dsq_pickle_graph *graph);

/* A new node of a kind that holds nothing; false for want of memory. */
bool dsq_pickle_graph_add(struct dsq_pickle_graph *graph, enum dsq_pickle_kind kind,
                          uint32_t *index);

/* The same of bytes or a str at offset, so many of the pickle's bytes long. */
bool dsq_pickle_graph_add_text(struct dsq_pickle_graph *graph, enum dsq_pickle_kind kind,
                               size_t offset, size_t size, uint32_t *index);

/*
 * Puts a child into a parent.  Children of tuples stay in order and can be walked by their edges; of
 * other parents those that hold nothing are only counted.  False with graph->reason.
 */
bool dsq_pickle_graph_attach(struct dsq_pickle_graph *graph, uint32_t parent, uint32_t child);

/* The same of what an instance was made with, through which it may be hashed. */
bool dsq_pickle_graph_attach_argument(struct dsq_pickle_graph *graph, uint32_t instance,
                                      uint32_t argument);

/* Accounts for hashing a key or member.  False with graph->reason, also if none of its kind can. */
bool dsq_pickle_graph_hash(struct dsq_pickle_graph *graph, uint32_t key);

/*
 * Accounts for a call that reads or copies a str, bytes or an int, or what a container holds, eight
 * bytes for each.  False with graph->reason: with the memo, a few bytes of a pickle could have the
 * same copied as often as one likes.
 */
bool dsq_pickle_graph_copy(struct dsq_pickle_graph *graph, uint32_t original);

/* Accounts for hashing all that a list or dict holds. */
bool dsq_pickle_graph_hash_all(struct dsq_pickle_graph *graph, uint32_t container);

/*
 * Ends it: what each node comes to is bounded, and how deep root nests, walked in the order in which
 * picklers write.  False with graph->reason.  Nothing is added later.
 */
bool dsq_pickle_graph_settle(struct dsq_pickle_graph *graph, uint32_t root);

#endif
