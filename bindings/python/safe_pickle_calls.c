#include "bindings/python/safe_pickle_machine.h"

/* Bytes of an int that is reduced to lowest terms, which takes quadratic time. */
enum { FRACTION_INT_BYTES = 4096, DATETIME_BYTES = 10 };

static bool is_kind(const struct dsq_pickle_machine *machine, uint32_t node,
                    enum dsq_pickle_kind kind)
{
    return machine->graph.nodes[node].kind == kind;
}

static bool is_instance_of(const struct dsq_pickle_machine *machine, uint32_t node,
                           const char *module, const char *name)
{
    if (!is_kind(machine, node, DSQ_PICKLE_IS_INSTANCE)) {
        return false;
    }
    const struct dsq_pickle_builtin *builtin = dsq_pickle_global_of(machine, node)->builtin;
    return builtin != NULL && strcmp(builtin->name, name) == 0 &&
           strcmp(builtin->module, module) == 0;
}

static bool is_class(const struct dsq_pickle_machine *machine, uint32_t node)
{
    return is_kind(machine, node, DSQ_PICKLE_IS_GLOBAL) &&
           (dsq_pickle_global_of(machine, node)->traits & DSQ_PICKLE_CLASS);
}

static bool is_text(const struct dsq_pickle_machine *machine, uint32_t node, const char *word)
{
    return is_kind(machine, node, DSQ_PICKLE_IS_STR) &&
           dsq_pickle_text_is(dsq_pickle_text_of(machine, node), word);
}

static bool is_scalar(const struct dsq_pickle_machine *machine, uint32_t node)
{
    return machine->graph.nodes[node].kind <= DSQ_PICKLE_IS_STR;
}

static bool is_state(const struct dsq_pickle_machine *machine, uint32_t node,
                     bool (*is_valid)(const uint8_t *bytes, size_t size))
{
    const struct dsq_pickle_node *text = &machine->graph.nodes[node];
    uint8_t bytes[DATETIME_BYTES];
    size_t count;
    enum dsq_pickle_spelling spelling = text->flags & DSQ_PICKLE_SPELLED_UTF8 ? DSQ_PICKLE_UTF8
                                        : text->flags & DSQ_PICKLE_SPELLED_LATIN1
                                            ? DSQ_PICKLE_LATIN1
                                            : DSQ_PICKLE_RAW;
    return text->kind == DSQ_PICKLE_IS_BYTES &&
           dsq_pickle_spelled(dsq_pickle_text_of(machine, node), spelling, bytes, sizeof bytes,
                              &count) &&
           is_valid(bytes, count);
}

static bool is_timezone(const struct dsq_pickle_machine *machine, uint32_t node)
{
    return is_instance_of(machine, node, "datetime", "timezone") ||
           (is_kind(machine, node, DSQ_PICKLE_IS_INSTANCE) &&
            (dsq_pickle_global_of(machine, node)->traits & DSQ_PICKLE_LISTED));
}

static bool fits(const struct dsq_pickle_machine *machine, uint32_t node, char letter)
{
    const struct dsq_pickle_node *argument = &machine->graph.nodes[node];
    switch (letter) {
    case 'n':
        return argument->kind == DSQ_PICKLE_IS_NONE;
    case 'i':
        return argument->kind == DSQ_PICKLE_IS_INT;
    case 'j':
        return argument->kind == DSQ_PICKLE_IS_INT && argument->last <= FRACTION_INT_BYTES;
    case 'f':
        return argument->kind == DSQ_PICKLE_IS_FLOAT || argument->kind == DSQ_PICKLE_IS_INT;
    case 's':
        return argument->kind == DSQ_PICKLE_IS_STR;
    case 'y':
        return argument->kind == DSQ_PICKLE_IS_BYTES;
    case 'L':
        return argument->kind == DSQ_PICKLE_IS_LIST;
    case 'M':
        return argument->kind == DSQ_PICKLE_IS_DICT;
    case 'e':
        return argument->kind == DSQ_PICKLE_IS_TUPLE && argument->first == 0;
    case 'c':
        return is_class(machine, node);
    case 'a':
        return true;
    case 'v':
        return is_scalar(machine, node);
    case '1':
        return is_text(machine, node, "latin1");
    case '2':
        return is_text(machine, node, "latin-1");
    case 'q':
        return argument->kind == DSQ_PICKLE_IS_STR &&
               dsq_pickle_is_fraction(dsq_pickle_text_of(machine, node));
    case 'D':
        return is_state(machine, node, dsq_pickle_is_date);
    case 'T':
        return is_state(machine, node, dsq_pickle_is_time);
    case 'P':
        return is_state(machine, node, dsq_pickle_is_datetime);
    case 'm':
        return is_instance_of(machine, node, "datetime", "timedelta");
    case 'z':
        return is_timezone(machine, node);
    default:
        return false;
    }
}

/* Whether this is a tuple of the shape that begins here, up to a '|' or the end. */
static bool matches(const struct dsq_pickle_machine *machine, uint32_t arguments, const char *shape)
{
    if (!is_kind(machine, arguments, DSQ_PICKLE_IS_TUPLE)) {
        return false;
    }
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    uint32_t edge = machine->graph.nodes[arguments].first;
    while (*shape != '\0' && *shape != '|') {
        bool any = shape[1] == '*';
        if (edge != 0 && fits(machine, edges[edge].node, *shape)) {
            edge = edges[edge].next;
            shape += any ? 0 : 1;
        } else if (any) {
            shape += 2;
        } else {
            return false;
        }
    }
    return edge == 0;
}

/* The first of the shapes that the arguments have, or NULL. */
static const char *matching_shape(const struct dsq_pickle_machine *machine, uint32_t arguments,
                                  const char *shapes)
{
    while (shapes != NULL && !matches(machine, arguments, shapes)) {
        shapes = strchr(shapes, '|');
        shapes = shapes != NULL ? shapes + 1 : NULL;
    }
    return shapes;
}

static bool copy(struct dsq_pickle_machine *machine, uint32_t node)
{
    return dsq_pickle_graph_passed(machine, dsq_pickle_graph_copy(&machine->graph, node));
}

/* Accounts for what a call of this shape, which the arguments have, does with them. */
static bool copy_arguments(struct dsq_pickle_machine *machine, uint32_t arguments,
                           const char *shape)
{
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    for (uint32_t edge = machine->graph.nodes[arguments].first; edge != 0;
         edge = edges[edge].next) {
        uint32_t node = edges[edge].node;
        bool hashed = *shape == 'L' || *shape == 'M';
        if (!copy(machine, node) ||
            (hashed &&
             !dsq_pickle_graph_passed(machine, dsq_pickle_graph_hash_all(&machine->graph, node)))) {
            return false;
        }
        shape += shape[1] == '*' ? 0 : 1;
    }
    return true;
}

/* Pushes an instance of callee, made with what arguments hold. */
static bool push_instance(struct dsq_pickle_machine *machine, uint32_t callee, uint32_t arguments)
{
    const struct dsq_pickle_global *global = dsq_pickle_global_of(machine, callee);
    if (!dsq_pickle_push_new(machine, DSQ_PICKLE_IS_INSTANCE)) {
        return false;
    }
    uint32_t made = machine->stack[machine->stack_size - 1];
    struct dsq_pickle_node *node = &machine->graph.nodes[made];
    node->what = machine->graph.nodes[callee].what;
    if (global->traits & (DSQ_PICKLE_FUNCTION | DSQ_PICKLE_ENUM_CLASS)) {
        node->flags |= DSQ_PICKLE_OPAQUE;
    }
    if ((global->traits & DSQ_PICKLE_LISTED) && !(global->traits & DSQ_PICKLE_CONTAINER)) {
        node->flags |= DSQ_PICKLE_LEAF;
    }
    return dsq_pickle_graph_passed(
        machine, dsq_pickle_graph_attach_argument(&machine->graph, made, arguments));
}

/* The kind of what a class of the built-in list makes, where that is no instance of its own. */
static enum dsq_pickle_kind kind_made(const struct dsq_pickle_builtin *builtin)
{
    static const struct {
        const char *name;
        enum dsq_pickle_kind kind;
    } kinds[] = {
        {"bytes", DSQ_PICKLE_IS_BYTES},  {"bytearray", DSQ_PICKLE_IS_BYTEARRAY},
        {"encode", DSQ_PICKLE_IS_BYTES}, {"frozenset", DSQ_PICKLE_IS_FROZENSET},
        {"set", DSQ_PICKLE_IS_SET},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, builtin->name) == 0) {
            return kinds[i].kind;
        }
    }
    return DSQ_PICKLE_IS_INSTANCE;
}

/* The bytes that the only or first argument, a str or bytes, is turned into. */
static bool push_bytes(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind,
                       uint32_t arguments)
{
    if (!dsq_pickle_push_new(machine, kind)) {
        return false;
    }
    uint32_t edge = machine->graph.nodes[arguments].first;
    if (edge == 0) {
        return true;
    }
    const struct dsq_pickle_node *text = &machine->graph.nodes[machine->graph.edges[edge].node];
    struct dsq_pickle_node *made = &machine->graph.nodes[machine->graph.node_count - 1];
    made->flags = text->flags & (DSQ_PICKLE_SPELLED_UTF8 | DSQ_PICKLE_SPELLED_LATIN1);
    made->weight = text->weight;
    made->first = text->first;
    made->last = text->last;
    return true;
}

static bool push_made(struct dsq_pickle_machine *machine, uint32_t callee, uint32_t arguments)
{
    enum dsq_pickle_kind kind = kind_made(dsq_pickle_global_of(machine, callee)->builtin);
    switch (kind) {
    case DSQ_PICKLE_IS_BYTES:
    case DSQ_PICKLE_IS_BYTEARRAY:
        return push_bytes(machine, kind, arguments);
    case DSQ_PICKLE_IS_SET:
    case DSQ_PICKLE_IS_FROZENSET:
        return dsq_pickle_push_new(machine, kind) &&
               dsq_pickle_put(machine, machine->stack[machine->stack_size - 1], arguments);
    default:
        return push_instance(machine, callee, arguments);
    }
}

/* The types that copyreg._reconstructor may start an instance of a subclass from, with its state. */
static bool is_base_of(const struct dsq_pickle_machine *machine, PyObject *derived, uint32_t base,
                       uint32_t value)
{
    static const struct {
        const char *name;
        PyTypeObject *type;
        enum dsq_pickle_kind kind;
    } bases[] = {
        {"bytes", &PyBytes_Type, DSQ_PICKLE_IS_BYTES}, {"dict", &PyDict_Type, DSQ_PICKLE_IS_DICT},
        {"float", &PyFloat_Type, DSQ_PICKLE_IS_FLOAT}, {"int", &PyLong_Type, DSQ_PICKLE_IS_INT},
        {"list", &PyList_Type, DSQ_PICKLE_IS_LIST},    {"str", &PyUnicode_Type, DSQ_PICKLE_IS_STR},
        {"tuple", &PyTuple_Type, DSQ_PICKLE_IS_TUPLE},
    };
    const struct dsq_pickle_builtin *builtin = dsq_pickle_global_of(machine, base)->builtin;
    for (size_t i = 0; builtin != NULL && i < sizeof bases / sizeof bases[0]; i++) {
        if (strcmp(builtin->name, bases[i].name) == 0 && strcmp(builtin->module, "builtins") == 0) {
            return is_kind(machine, value, bases[i].kind) &&
                   PyType_IsSubtype((PyTypeObject *)derived, bases[i].type);
        }
    }
    return false;
}

/* copyreg._reconstructor(class, object, None), or a listed class, its base and the base's value. */
static bool reconstruct(struct dsq_pickle_machine *machine, uint32_t callee, uint32_t arguments)
{
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    if (!matches(machine, arguments, "cca")) {
        return dsq_pickle_refuse_global(machine, callee, "it is called with other arguments");
    }
    uint32_t edge = machine->graph.nodes[arguments].first;
    uint32_t class = edges[edge].node;
    uint32_t base = edges[edges[edge].next].node;
    uint32_t value = edges[edges[edges[edge].next].next].node;
    const struct dsq_pickle_global *derived = dsq_pickle_global_of(machine, class);
    bool listed =
        (derived->traits & DSQ_PICKLE_LISTED) && !(derived->traits & DSQ_PICKLE_ENUM_CLASS);
    if (is_kind(machine, value, DSQ_PICKLE_IS_NONE)) {
        const struct dsq_pickle_builtin *root = dsq_pickle_global_of(machine, base)->builtin;
        if (root != NULL && strcmp(root->name, "object") == 0 &&
            (listed || (derived->traits & DSQ_PICKLE_NEW))) {
            return push_instance(machine, class, arguments);
        }
    } else if (listed && is_base_of(machine, derived->object, base, value)) {
        return copy(machine, value) && push_instance(machine, class, arguments);
    }
    return dsq_pickle_refuse_global(machine, class, "it is not made in this way");
}

static bool pop_call(struct dsq_pickle_machine *machine, uint32_t *callee, uint32_t *arguments)
{
    if (!dsq_pickle_pop(machine, arguments) || !dsq_pickle_pop(machine, callee)) {
        return false;
    }
    if (!is_kind(machine, *arguments, DSQ_PICKLE_IS_TUPLE)) {
        return dsq_pickle_refuse(machine, "the arguments of a call are no tuple");
    }
    if (!is_kind(machine, *callee, DSQ_PICKLE_IS_GLOBAL)) {
        return dsq_pickle_refuse(machine, "what is called is no global");
    }
    return copy(machine, *arguments);
}

/* Whether a global may be called with these: a listed one that says nothing of them, with any. */
static bool takes_arguments(struct dsq_pickle_machine *machine, uint32_t callee, uint32_t arguments)
{
    const struct dsq_pickle_global *global = dsq_pickle_global_of(machine, callee);
    if ((global->traits & DSQ_PICKLE_ENUM_CLASS) && !matches(machine, arguments, "a")) {
        return dsq_pickle_refuse_global(machine, callee, "a member has one value");
    }
    if (global->calls == NULL) {
        return true;
    }
    const char *shape = matching_shape(machine, arguments, global->calls);
    if (shape == NULL) {
        return dsq_pickle_refuse_global(machine, callee, "it is called with other arguments");
    }
    return copy_arguments(machine, arguments, shape);
}

bool dsq_pickle_reduce(struct dsq_pickle_machine *machine)
{
    uint32_t callee;
    uint32_t arguments;
    if (!pop_call(machine, &callee, &arguments)) {
        return false;
    }
    const struct dsq_pickle_global *global = dsq_pickle_global_of(machine, callee);
    if (global->builtin == NULL) {
        return takes_arguments(machine, callee, arguments) &&
               push_instance(machine, callee, arguments);
    }
    if (strcmp(global->builtin->name, "_reconstructor") == 0) {
        return reconstruct(machine, callee, arguments);
    }
    if (global->calls == NULL) {
        return dsq_pickle_refuse_global(machine, callee, "it may not be called");
    }
    return takes_arguments(machine, callee, arguments) && push_made(machine, callee, arguments);
}

bool dsq_pickle_new_object(struct dsq_pickle_machine *machine, bool keywords)
{
    uint32_t named = 0;
    uint32_t callee;
    uint32_t arguments;
    if ((keywords && !dsq_pickle_pop(machine, &named)) || !pop_call(machine, &callee, &arguments)) {
        return false;
    }
    const struct dsq_pickle_global *global = dsq_pickle_global_of(machine, callee);
    bool listed = (global->traits & DSQ_PICKLE_LISTED) &&
                  !(global->traits & (DSQ_PICKLE_FUNCTION | DSQ_PICKLE_ENUM_CLASS));
    bool bare = (global->traits & DSQ_PICKLE_NEW) && !keywords && matches(machine, arguments, "");
    if (!listed && !bare) {
        return dsq_pickle_refuse_global(machine, callee, "it is not made in this way");
    }
    if (keywords && (!is_kind(machine, named, DSQ_PICKLE_IS_DICT) ||
                     (machine->graph.nodes[named].flags & DSQ_PICKLE_ODD_KEY))) {
        return dsq_pickle_refuse(machine, "keyword arguments are no dict of str");
    }
    if (keywords && global->calls != NULL) {
        return dsq_pickle_refuse_global(machine, callee, "it takes no keyword arguments");
    }
    if ((listed && !takes_arguments(machine, callee, arguments)) ||
        (keywords && !copy(machine, named))) {
        return false;
    }
    return push_instance(machine, callee, arguments) &&
           (!keywords || dsq_pickle_put(machine, machine->stack[machine->stack_size - 1], named));
}

static bool holds_attributes(const struct dsq_pickle_machine *machine, uint32_t node)
{
    const struct dsq_pickle_node *state = &machine->graph.nodes[node];
    return state->kind == DSQ_PICKLE_IS_DICT &&
           !(state->flags & (DSQ_PICKLE_ODD_KEY | DSQ_PICKLE_DUNDER_KEY));
}

/* For the dict of an instance, or a pair of such a dict or None and one for its slots. */
static bool is_state_of_attributes(const struct dsq_pickle_machine *machine, uint32_t state,
                                   bool has_dict)
{
    if (!matches(machine, state, "aa")) {
        return has_dict && holds_attributes(machine, state);
    }
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    const struct dsq_pickle_edge *first = &edges[machine->graph.nodes[state].first];
    return (is_kind(machine, first->node, DSQ_PICKLE_IS_NONE) ||
            (has_dict && holds_attributes(machine, first->node))) &&
           holds_attributes(machine, edges[first->next].node);
}

/* Whether a state, or a part of it, is a dict with such a key: it might be set as an attribute. */
static bool names_dunder(const struct dsq_pickle_machine *machine, uint32_t state)
{
    const struct dsq_pickle_node *nodes = machine->graph.nodes;
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    bool named =
        nodes[state].kind == DSQ_PICKLE_IS_DICT && (nodes[state].flags & DSQ_PICKLE_DUNDER_KEY);
    if (nodes[state].kind == DSQ_PICKLE_IS_TUPLE) {
        for (uint32_t edge = nodes[state].first; edge != 0 && !named; edge = edges[edge].next) {
            const struct dsq_pickle_node *part = &nodes[edges[edge].node];
            named = part->kind == DSQ_PICKLE_IS_DICT && (part->flags & DSQ_PICKLE_DUNDER_KEY);
        }
    }
    return named;
}

static bool takes_state(const struct dsq_pickle_machine *machine, uint32_t instance, uint32_t state)
{
    const struct dsq_pickle_node *node = &machine->graph.nodes[state];
    unsigned traits = dsq_pickle_global_of(machine, instance)->traits;
    if (traits & DSQ_PICKLE_INT_STATE) {
        return holds_attributes(machine, state) && !(node->flags & DSQ_PICKLE_ODD_VALUE);
    }
    if (!(traits & DSQ_PICKLE_LISTED)) {
        return false;
    }
    if (traits & DSQ_PICKLE_SETSTATE) {
        return !names_dunder(machine, state);
    }
    return is_state_of_attributes(machine, state, traits & DSQ_PICKLE_HAS_DICT);
}

/* Accounts for a state, or for the parts of a pair. */
static bool copy_state(struct dsq_pickle_machine *machine, uint32_t state)
{
    if (!copy(machine, state)) {
        return false;
    }
    if (!matches(machine, state, "aa")) {
        return true;
    }
    const struct dsq_pickle_edge *edges = machine->graph.edges;
    const struct dsq_pickle_edge *first = &edges[machine->graph.nodes[state].first];
    return copy(machine, first->node) && copy(machine, edges[first->next].node);
}

bool dsq_pickle_build(struct dsq_pickle_machine *machine)
{
    uint32_t state;
    uint32_t instance;
    if (!dsq_pickle_pop(machine, &state) || !dsq_pickle_top(machine, &instance)) {
        return false;
    }
    struct dsq_pickle_node *node = &machine->graph.nodes[instance];
    if (node->kind != DSQ_PICKLE_IS_INSTANCE) {
        return dsq_pickle_refuse(machine, "state is set on what is no instance");
    }
    if (node->flags & (DSQ_PICKLE_BUILT | DSQ_PICKLE_OPAQUE)) {
        return dsq_pickle_refuse_global(machine, instance, "its instance may change no more");
    }
    if (!copy_state(machine, state)) {
        return false;
    }
    if (!takes_state(machine, instance, state)) {
        return dsq_pickle_refuse_global(machine, instance, "its instances take no such state");
    }
    node->flags |= DSQ_PICKLE_BUILT;
    return dsq_pickle_put(machine, instance, state);
}
