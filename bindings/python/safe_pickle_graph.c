#include "bindings/python/safe_pickle_graph.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

enum { CAPACITY_MIN = 64, PLACE_BYTES = 8 };

_Static_assert(sizeof(struct dsq_pickle_node) == 24, "what the documentation says of memory");

bool dsq_pickle_grow(void *array, size_t *capacity, size_t count, size_t element_size)
{
    if (count < *capacity) {
        return true;
    }
    void *old;
    memcpy(&old, array, sizeof old);
    size_t larger = *capacity == 0 ? CAPACITY_MIN : *capacity + *capacity / 2;
    void *grown = PyMem_Realloc(old, larger * element_size);
    if (grown == NULL) {
        return false;
    }
    memcpy(array, &grown, sizeof grown);
    *capacity = larger;
    return true;
}

void dsq_pickle_graph_init(struct dsq_pickle_graph *graph, size_t pickle_size)
{
    *graph = (struct dsq_pickle_graph){
        .edge_count = 1,
        .copy_limit = DSQ_PICKLE_MAX_COPIED + 16 * (uint64_t)pickle_size,
        .expansion_limit = DSQ_PICKLE_MAX_EXPANSION + (uint32_t)pickle_size,
    };
}

void dsq_pickle_graph_fini(struct dsq_pickle_graph *graph)
{
    PyMem_Free(graph->nodes);
    PyMem_Free(graph->edges);
}

static bool refuse(struct dsq_pickle_graph *graph, const char *reason)
{
    graph->reason = reason;
    return false;
}

bool dsq_pickle_graph_add(struct dsq_pickle_graph *graph, enum dsq_pickle_kind kind,
                          uint32_t *index)
{
    if (!dsq_pickle_grow(&graph->nodes, &graph->node_capacity, graph->node_count,
                         sizeof *graph->nodes)) {
        return refuse(graph, NULL);
    }
    *index = (uint32_t)graph->node_count++;
    graph->nodes[*index] =
        (struct dsq_pickle_node){.kind = (uint8_t)kind, .hashed = 1, .weight = 1};
    return true;
}

bool dsq_pickle_graph_add_text(struct dsq_pickle_graph *graph, enum dsq_pickle_kind kind,
                               size_t offset, size_t size, uint32_t *index)
{
    if (!dsq_pickle_graph_add(graph, kind, index)) {
        return false;
    }
    struct dsq_pickle_node *node = &graph->nodes[*index];
    node->first = (uint32_t)offset;
    node->last = (uint32_t)size;
    node->weight += (uint32_t)(size / DSQ_PICKLE_WEIGHT_BYTES);
    if (kind == DSQ_PICKLE_IS_INT) {
        node->hashed = node->weight; /* an int does not keep its hash */
    }
    return true;
}

static bool holds_others(const struct dsq_pickle_node *node)
{
    return node->kind >= DSQ_PICKLE_IS_TUPLE && node->kind != DSQ_PICKLE_IS_GLOBAL;
}

/* Both are below 2^31: a limit, and what was within it. */
static bool add_bounded(struct dsq_pickle_graph *graph, uint32_t *sum, uint32_t more)
{
    if (*sum + more > graph->expansion_limit) {
        return refuse(graph, "the value unrolls to too many objects");
    }
    *sum += more;
    return true;
}

static bool is_unhashable(const struct dsq_pickle_node *node)
{
    return node->kind == DSQ_PICKLE_IS_LIST || node->kind == DSQ_PICKLE_IS_DICT ||
           node->kind == DSQ_PICKLE_IS_SET || node->kind == DSQ_PICKLE_IS_BYTEARRAY;
}

static bool add_hashed(struct dsq_pickle_graph *graph, struct dsq_pickle_node *parent,
                       const struct dsq_pickle_node *child)
{
    /* Hashing ends at what has no hash. */
    return add_bounded(graph, &parent->hashed, is_unhashable(child) ? 1 : child->hashed);
}

static bool add_depth(struct dsq_pickle_graph *graph, struct dsq_pickle_node *parent,
                      const struct dsq_pickle_node *child)
{
    if (child->depth >= DSQ_PICKLE_MAX_DEPTH) {
        return refuse(graph, "the nesting is too deep");
    }
    if ((child->kind == DSQ_PICKLE_IS_TUPLE || child->kind == DSQ_PICKLE_IS_INSTANCE) &&
        child->depth >= parent->depth) {
        parent->depth = (uint16_t)(child->depth + 1);
    }
    return true;
}

static bool add_edge(struct dsq_pickle_graph *graph, struct dsq_pickle_node *parent, uint32_t child)
{
    if (!dsq_pickle_grow(&graph->edges, &graph->edge_capacity, graph->edge_count,
                         sizeof *graph->edges)) {
        return refuse(graph, NULL);
    }
    uint32_t edge = (uint32_t)graph->edge_count++;
    graph->edges[edge] = (struct dsq_pickle_edge){.node = child};
    if (parent->first == 0) {
        parent->first = edge;
    } else {
        graph->edges[parent->last].next = edge;
    }
    parent->last = edge;
    return true;
}

bool dsq_pickle_graph_attach(struct dsq_pickle_graph *graph, uint32_t parent, uint32_t child)
{
    struct dsq_pickle_node *holder = &graph->nodes[parent];
    const struct dsq_pickle_node *held = &graph->nodes[child];
    if (holder->kind != DSQ_PICKLE_IS_INSTANCE) {
        holder->what++;
    }
    if (holder->kind == DSQ_PICKLE_IS_TUPLE && !add_depth(graph, holder, held)) {
        return false;
    }
    /* A frozenset keeps its hash, and those of its members. */
    if ((holder->kind == DSQ_PICKLE_IS_TUPLE || holder->kind == DSQ_PICKLE_IS_LIST ||
         holder->kind == DSQ_PICKLE_IS_DICT) &&
        !add_hashed(graph, holder, held)) {
        return false;
    }
    if (!holds_others(held)) {
        if (!add_bounded(graph, &holder->weight, held->weight)) {
            return false;
        }
        if (holder->kind != DSQ_PICKLE_IS_TUPLE) {
            return true;
        }
    }
    return add_edge(graph, holder, child);
}

bool dsq_pickle_graph_attach_argument(struct dsq_pickle_graph *graph, uint32_t instance,
                                      uint32_t argument)
{
    struct dsq_pickle_node *holder = &graph->nodes[instance];
    const struct dsq_pickle_node *held = &graph->nodes[argument];
    /* A Decimal does not keep its hash either: the weight stands for its text. */
    return add_depth(graph, holder, held) && add_hashed(graph, holder, held) &&
           add_bounded(graph, &holder->hashed, held->weight) &&
           dsq_pickle_graph_attach(graph, instance, argument);
}

bool dsq_pickle_graph_hash(struct dsq_pickle_graph *graph, uint32_t key)
{
    const struct dsq_pickle_node *node = &graph->nodes[key];
    if (is_unhashable(node)) {
        return refuse(graph, "a key or member of its type cannot be hashed");
    }
    return add_bounded(graph, &graph->hash_work, node->hashed);
}

bool dsq_pickle_graph_copy(struct dsq_pickle_graph *graph, uint32_t original)
{
    const struct dsq_pickle_node *node = &graph->nodes[original];
    graph->copied_bytes += PLACE_BYTES;
    if (node->kind == DSQ_PICKLE_IS_STR || node->kind == DSQ_PICKLE_IS_BYTES ||
        node->kind == DSQ_PICKLE_IS_INT) {
        graph->copied_bytes += node->last;
    } else if (holds_others(node) && node->kind != DSQ_PICKLE_IS_INSTANCE) {
        graph->copied_bytes += (uint64_t)PLACE_BYTES * node->what;
    }
    return graph->copied_bytes <= graph->copy_limit || refuse(graph, "too much is copied");
}

bool dsq_pickle_graph_hash_all(struct dsq_pickle_graph *graph, uint32_t container)
{
    return add_bounded(graph, &graph->hash_work, graph->nodes[container].hashed);
}

struct walk {
    struct dsq_pickle_graph *graph;
    size_t depth;
    uint32_t path[DSQ_PICKLE_MAX_DEPTH]; /* the node walked, and those that led to it */
};

static bool enter(struct walk *walk, uint32_t index)
{
    if (walk->depth == DSQ_PICKLE_MAX_DEPTH) {
        return refuse(walk->graph, "the nesting is too deep");
    }
    struct dsq_pickle_node *node = &walk->graph->nodes[index];
    node->flags |= DSQ_PICKLE_OPEN;
    /* Nothing is attached any more: this is where the walk stands. */
    node->last = node->first;
    walk->path[walk->depth++] = index;
    return true;
}

/* The next child of the node at the end of the path; false if there is none left. */
static bool next_child(struct walk *walk, uint32_t *child)
{
    struct dsq_pickle_node *node = &walk->graph->nodes[walk->path[walk->depth - 1]];
    if (node->last == 0) {
        return false;
    }
    *child = walk->graph->edges[node->last].node;
    node->last = walk->graph->edges[node->last].next;
    return true;
}

/* Counts what a child comes to; what leads back to the path counts once. */
static bool count(struct walk *walk, const struct dsq_pickle_node *child)
{
    bool whole = (child->flags & DSQ_PICKLE_DONE) && !(child->flags & DSQ_PICKLE_LEAF);
    return add_bounded(walk->graph, &walk->graph->nodes[walk->path[walk->depth - 1]].weight,
                       whole ? child->weight : 1);
}

static bool is_fresh(const struct dsq_pickle_node *node)
{
    return (node->flags & (DSQ_PICKLE_OPEN | DSQ_PICKLE_DONE)) == 0;
}

static bool visit(struct walk *walk, uint32_t index)
{
    struct dsq_pickle_node *child = &walk->graph->nodes[index];
    if (!holds_others(child)) {
        return true; /* of a tuple, and counted when it was attached */
    }
    if (is_fresh(child) &&
        !(child->kind == DSQ_PICKLE_IS_INSTANCE && (child->flags & DSQ_PICKLE_LEAF))) {
        return enter(walk, index);
    }
    return count(walk, child);
}

static bool leave(struct walk *walk)
{
    struct dsq_pickle_node *node = &walk->graph->nodes[walk->path[--walk->depth]];
    node->flags = (uint8_t)((node->flags & ~DSQ_PICKLE_OPEN) | DSQ_PICKLE_DONE);
    return walk->depth == 0 || count(walk, node);
}

static bool walk_from(struct walk *walk, uint32_t index)
{
    if (!enter(walk, index)) {
        return false;
    }
    while (walk->depth != 0) {
        uint32_t child;
        if (next_child(walk, &child) ? !visit(walk, child) : !leave(walk)) {
            return false;
        }
    }
    return true;
}

static bool walk_if_fresh(struct walk *walk, uint32_t index)
{
    const struct dsq_pickle_node *node = &walk->graph->nodes[index];
    return !holds_others(node) || node->first == 0 || !is_fresh(node) || walk_from(walk, index);
}

bool dsq_pickle_graph_settle(struct dsq_pickle_graph *graph, uint32_t root)
{
    if (graph->edge_count == 1) {
        return true;
    }
    struct walk walk = {.graph = graph};
    bool bounded = walk_if_fresh(&walk, root);
    for (size_t i = 0; i < graph->node_count && bounded; i++) {
        bounded = walk_if_fresh(&walk, (uint32_t)i);
    }
    return bounded;
}
