#include "bindings/python/safe_pickle_machine.h"

static bool push_text(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind,
                      struct dsq_pickle_span text, size_t size, uint8_t flags)
{
    uint32_t node;
    if (!dsq_pickle_graph_passed(machine,
                                 dsq_pickle_graph_add_text(&machine->graph, kind,
                                                           (size_t)(text.at - machine->reader.data),
                                                           size, &node))) {
        return false;
    }
    machine->graph.nodes[node].flags = flags;
    return dsq_pickle_push(machine, node);
}

/* An int in two's complement. */
static bool push_long(struct dsq_pickle_machine *machine, struct dsq_pickle_span text, bool wide)
{
    /* The length of LONG4 has a sign. */
    if (wide && text.size > INT32_MAX) {
        return dsq_pickle_refuse(machine, "the length of an int is negative");
    }
    return push_text(machine, DSQ_PICKLE_IS_INT, text, text.size, 0);
}

/* An int of decimal digits, which take five twelfths of a byte each. */
static bool push_decimal(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    if (!dsq_pickle_is_decimal(text)) {
        return dsq_pickle_refuse(machine, "an int is not written as picklers do, or too long");
    }
    return push_text(machine, DSQ_PICKLE_IS_INT, text, (text.size * 5 + 11) / 12, 0);
}

static bool push_int_line(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    if (dsq_pickle_text_is(text, "00") || dsq_pickle_text_is(text, "01")) {
        return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_BOOL);
    }
    return push_decimal(machine, text);
}

static bool push_long_line(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    if (text.size == 0 || text.at[text.size - 1] != 'L') {
        return dsq_pickle_refuse(machine, "an int is not written as picklers do");
    }
    text.size--;
    return push_decimal(machine, text);
}

static bool push_float_line(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    if (!dsq_pickle_is_float(text)) {
        return dsq_pickle_refuse(machine, "a float is not written as picklers do");
    }
    /* The line feed ends the conversion; an overflow is an error for one of the unpicklers. */
    char *end;
    double value = PyOS_string_to_double((const char *)text.at, &end, PyExc_OverflowError);
    if (value == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return dsq_pickle_refuse(machine, "a float is too large");
    }
    return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_FLOAT);
}

static bool push_unicode_line(struct dsq_pickle_machine *machine, struct dsq_pickle_span text)
{
    if (!dsq_pickle_is_raw_unicode(text)) {
        return dsq_pickle_refuse(machine, "a string is not escaped as picklers do");
    }
    return push_text(machine, DSQ_PICKLE_IS_STR, text, text.size, DSQ_PICKLE_SPELLED_LATIN1);
}

/* Pushes what the marked items become part of. */
static bool push_holder(struct dsq_pickle_machine *machine, enum dsq_pickle_kind kind)
{
    const uint32_t *items;
    size_t count;
    if (!dsq_pickle_pop_mark(machine, &items, &count)) {
        return false;
    }
    uint32_t holder;
    if (!dsq_pickle_graph_passed(machine, dsq_pickle_graph_add(&machine->graph, kind, &holder))) {
        return false;
    }
    if (kind == DSQ_PICKLE_IS_DICT && count % 2 != 0) {
        return dsq_pickle_refuse(machine, "a key has no value");
    }
    for (size_t i = 0; i < count; i++) {
        bool put;
        if (kind == DSQ_PICKLE_IS_DICT) {
            put = dsq_pickle_put_item(machine, holder, items[i], items[i + 1]);
            i++;
        } else if (kind == DSQ_PICKLE_IS_FROZENSET) {
            put = dsq_pickle_put_member(machine, holder, items[i]);
        } else {
            put = dsq_pickle_put(machine, holder, items[i]);
        }
        if (!put) {
            return false;
        }
    }
    return dsq_pickle_push(machine, holder);
}

static bool push_tuple(struct dsq_pickle_machine *machine, size_t count)
{
    uint32_t items[3];
    for (size_t i = count; i-- > 0;) {
        if (!dsq_pickle_pop(machine, &items[i])) {
            return false;
        }
    }
    if (!dsq_pickle_push_new(machine, DSQ_PICKLE_IS_TUPLE)) {
        return false;
    }
    uint32_t tuple = machine->stack[machine->stack_size - 1];
    for (size_t i = 0; i < count; i++) {
        if (!dsq_pickle_put(machine, tuple, items[i])) {
            return false;
        }
    }
    return true;
}

/* Whether a holder is of this kind, or an instance that takes the same. */
static bool takes(struct dsq_pickle_machine *machine, uint32_t holder, enum dsq_pickle_kind kind,
                  unsigned trait)
{
    const struct dsq_pickle_node *node = &machine->graph.nodes[holder];
    if (node->kind == kind) {
        return true;
    }
    if (node->kind != DSQ_PICKLE_IS_INSTANCE) {
        return dsq_pickle_refuse(machine, "something is put into what does not take it");
    }
    if (!(dsq_pickle_global_of(machine, holder)->traits & trait)) {
        return dsq_pickle_refuse_global(machine, holder, "its instances do not take this");
    }
    if (node->flags & (DSQ_PICKLE_BUILT | DSQ_PICKLE_OPAQUE)) {
        return dsq_pickle_refuse_global(machine, holder, "its instance may change no more");
    }
    return true;
}

static bool takes_items(struct dsq_pickle_machine *machine, uint32_t holder)
{
    return takes(machine, holder, DSQ_PICKLE_IS_DICT, DSQ_PICKLE_TAKES_ITEMS);
}

static bool takes_members(struct dsq_pickle_machine *machine, uint32_t holder)
{
    return takes(machine, holder, DSQ_PICKLE_IS_LIST, DSQ_PICKLE_TAKES_MEMBERS);
}

static bool append(struct dsq_pickle_machine *machine)
{
    uint32_t value;
    uint32_t holder;
    return dsq_pickle_pop(machine, &value) && dsq_pickle_top(machine, &holder) &&
           takes_members(machine, holder) && dsq_pickle_put(machine, holder, value);
}

static bool append_marked(struct dsq_pickle_machine *machine, bool to_set)
{
    const uint32_t *items;
    size_t count;
    uint32_t holder;
    if (!dsq_pickle_pop_mark(machine, &items, &count) || !dsq_pickle_top(machine, &holder) ||
        !(to_set ? takes(machine, holder, DSQ_PICKLE_IS_SET, 0) : takes_members(machine, holder))) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!(to_set ? dsq_pickle_put_member(machine, holder, items[i])
                     : dsq_pickle_put(machine, holder, items[i]))) {
            return false;
        }
    }
    return true;
}

static bool set_item(struct dsq_pickle_machine *machine)
{
    uint32_t key;
    uint32_t value;
    uint32_t holder;
    return dsq_pickle_pop(machine, &value) && dsq_pickle_pop(machine, &key) &&
           dsq_pickle_top(machine, &holder) && takes_items(machine, holder) &&
           dsq_pickle_put_item(machine, holder, key, value);
}

static bool set_marked(struct dsq_pickle_machine *machine)
{
    const uint32_t *items;
    size_t count;
    uint32_t holder;
    if (!dsq_pickle_pop_mark(machine, &items, &count) || !dsq_pickle_top(machine, &holder) ||
        !takes_items(machine, holder)) {
        return false;
    }
    if (count % 2 != 0) {
        return dsq_pickle_refuse(machine, "a key has no value");
    }
    for (size_t i = 0; i < count; i += 2) {
        if (!dsq_pickle_put_item(machine, holder, items[i], items[i + 1])) {
            return false;
        }
    }
    return true;
}

/* A pickler numbers what it remembers in order, and no number is used twice. */
static bool remember(struct dsq_pickle_machine *machine, uint64_t index)
{
    uint32_t node;
    if (!dsq_pickle_top(machine, &node)) {
        return false;
    }
    if (index != machine->memo_size) {
        return dsq_pickle_refuse(machine, "the memo is not filled in order");
    }
    if (!dsq_pickle_grow(&machine->memo, &machine->memo_capacity, machine->memo_size,
                         sizeof *machine->memo)) {
        PyErr_NoMemory();
        return dsq_pickle_refuse(machine, NULL);
    }
    machine->memo[machine->memo_size++] = node;
    return true;
}

static bool recall(struct dsq_pickle_machine *machine, uint64_t index)
{
    if (index >= machine->memo_size) {
        return dsq_pickle_refuse(machine, "nothing is in the memo at this index");
    }
    return dsq_pickle_push(machine, machine->memo[index]);
}

static bool memo_line(struct dsq_pickle_machine *machine, struct dsq_pickle_span text, bool put)
{
    uint64_t index;
    if (!dsq_pickle_index(text, &index)) {
        return dsq_pickle_refuse(machine, "an index is not written as picklers do");
    }
    return put ? remember(machine, index) : recall(machine, index);
}

/* Picklers pop what they have written of a tuple that turns out to hold itself. */
static bool discard(struct dsq_pickle_machine *machine)
{
    if (machine->mark_count != 0 &&
        machine->marks[machine->mark_count - 1] == machine->stack_size) {
        machine->mark_count--;
        return true;
    }
    uint32_t node;
    return dsq_pickle_pop(machine, &node);
}

static bool discard_marked(struct dsq_pickle_machine *machine)
{
    const uint32_t *items;
    size_t count;
    return dsq_pickle_pop_mark(machine, &items, &count);
}

static bool stop(struct dsq_pickle_machine *machine)
{
    uint32_t value;
    if (!dsq_pickle_top(machine, &value)) {
        return false;
    }
    if (machine->stack_size != 1 || machine->mark_count != 0) {
        return dsq_pickle_refuse(machine, "values are left over on the stack");
    }
    if (machine->reader.position != machine->reader.size) {
        return dsq_pickle_refuse(machine, "something follows the end of the pickle");
    }
    return dsq_pickle_check_value(machine, value) &&
           dsq_pickle_graph_passed(machine, dsq_pickle_graph_settle(&machine->graph, value));
}

static bool step_scalar(struct dsq_pickle_machine *machine, const struct dsq_pickle_instruction *i)
{
    switch (i->opcode) {
    case DSQ_PICKLE_NONE:
        return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_NONE);
    case DSQ_PICKLE_NEWTRUE:
    case DSQ_PICKLE_NEWFALSE:
        return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_BOOL);
    case DSQ_PICKLE_BININT:
    case DSQ_PICKLE_BININT1:
    case DSQ_PICKLE_BININT2:
        return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_INT);
    case DSQ_PICKLE_LONG1:
        return push_long(machine, i->text, false);
    case DSQ_PICKLE_LONG4:
        return push_long(machine, i->text, true);
    case DSQ_PICKLE_INT:
        return push_int_line(machine, i->text);
    case DSQ_PICKLE_LONG:
        return push_long_line(machine, i->text);
    case DSQ_PICKLE_FLOAT:
        return push_float_line(machine, i->text);
    case DSQ_PICKLE_BINFLOAT:
        return dsq_pickle_push_atom(machine, DSQ_PICKLE_IS_FLOAT);
    case DSQ_PICKLE_UNICODE:
        return push_unicode_line(machine, i->text);
    case DSQ_PICKLE_SHORT_BINUNICODE:
    case DSQ_PICKLE_BINUNICODE:
    case DSQ_PICKLE_BINUNICODE8:
        return push_text(machine, DSQ_PICKLE_IS_STR, i->text, i->text.size,
                         DSQ_PICKLE_SPELLED_UTF8);
    case DSQ_PICKLE_SHORT_BINBYTES:
    case DSQ_PICKLE_BINBYTES:
    case DSQ_PICKLE_BINBYTES8:
        return push_text(machine, DSQ_PICKLE_IS_BYTES, i->text, i->text.size, 0);
    case DSQ_PICKLE_BYTEARRAY8:
        return push_text(machine, DSQ_PICKLE_IS_BYTEARRAY, i->text, i->text.size, 0);
    default:
        return dsq_pickle_refuse(machine, "this opcode is not understood");
    }
}

static bool step_container(struct dsq_pickle_machine *machine,
                           const struct dsq_pickle_instruction *i)
{
    switch (i->opcode) {
    case DSQ_PICKLE_EMPTY_TUPLE:
        return push_tuple(machine, 0);
    case DSQ_PICKLE_TUPLE1:
        return push_tuple(machine, 1);
    case DSQ_PICKLE_TUPLE2:
        return push_tuple(machine, 2);
    case DSQ_PICKLE_TUPLE3:
        return push_tuple(machine, 3);
    case DSQ_PICKLE_TUPLE:
        return push_holder(machine, DSQ_PICKLE_IS_TUPLE);
    case DSQ_PICKLE_EMPTY_LIST:
        return dsq_pickle_push_new(machine, DSQ_PICKLE_IS_LIST);
    case DSQ_PICKLE_LIST:
        return push_holder(machine, DSQ_PICKLE_IS_LIST);
    case DSQ_PICKLE_APPEND:
        return append(machine);
    case DSQ_PICKLE_APPENDS:
        return append_marked(machine, false);
    case DSQ_PICKLE_EMPTY_DICT:
        return dsq_pickle_push_new(machine, DSQ_PICKLE_IS_DICT);
    case DSQ_PICKLE_DICT:
        return push_holder(machine, DSQ_PICKLE_IS_DICT);
    case DSQ_PICKLE_SETITEM:
        return set_item(machine);
    case DSQ_PICKLE_SETITEMS:
        return set_marked(machine);
    case DSQ_PICKLE_EMPTY_SET:
        return dsq_pickle_push_new(machine, DSQ_PICKLE_IS_SET);
    case DSQ_PICKLE_ADDITEMS:
        return append_marked(machine, true);
    case DSQ_PICKLE_FROZENSET:
        return push_holder(machine, DSQ_PICKLE_IS_FROZENSET);
    default:
        return step_scalar(machine, i);
    }
}

static bool step_object(struct dsq_pickle_machine *machine, const struct dsq_pickle_instruction *i)
{
    switch (i->opcode) {
    case DSQ_PICKLE_GLOBAL:
        return dsq_pickle_push_global(machine, i->text, i->other);
    case DSQ_PICKLE_STACK_GLOBAL:
        return dsq_pickle_stack_global(machine);
    case DSQ_PICKLE_REDUCE:
        return dsq_pickle_reduce(machine);
    case DSQ_PICKLE_NEWOBJ:
        return dsq_pickle_new_object(machine, false);
    case DSQ_PICKLE_NEWOBJ_EX:
        return dsq_pickle_new_object(machine, true);
    case DSQ_PICKLE_BUILD:
        return dsq_pickle_build(machine);
    default:
        return step_container(machine, i);
    }
}

static bool step(struct dsq_pickle_machine *machine, const struct dsq_pickle_instruction *i)
{
    switch (i->opcode) {
    case DSQ_PICKLE_PROTO:
    case DSQ_PICKLE_FRAME:
        return true;
    case DSQ_PICKLE_MARK:
        return dsq_pickle_mark(machine);
    case DSQ_PICKLE_POP:
        return discard(machine);
    case DSQ_PICKLE_POP_MARK:
        return discard_marked(machine);
    case DSQ_PICKLE_MEMOIZE:
        return remember(machine, machine->memo_size);
    case DSQ_PICKLE_PUT:
        return memo_line(machine, i->text, true);
    case DSQ_PICKLE_BINPUT:
    case DSQ_PICKLE_LONG_BINPUT:
        return remember(machine, i->number);
    case DSQ_PICKLE_GET:
        return memo_line(machine, i->text, false);
    case DSQ_PICKLE_BINGET:
    case DSQ_PICKLE_LONG_BINGET:
        return recall(machine, i->number);
    case DSQ_PICKLE_STOP:
        return stop(machine);
    default:
        return step_object(machine, i);
    }
}

bool dsq_pickle_run(struct dsq_pickle_machine *machine)
{
    if (machine->reader.size > DSQ_PICKLE_MAX_BYTES) {
        return dsq_pickle_refuse(machine, "the pickle is too large");
    }
    if (!dsq_pickle_add_atoms(machine)) {
        return false;
    }
    for (size_t count = 0; count < DSQ_PICKLE_MAX_OPCODES; count++) {
        struct dsq_pickle_instruction instruction;
        if (!dsq_pickle_next(&machine->reader, &instruction)) {
            return dsq_pickle_refuse(machine, machine->reader.reason);
        }
        if (!step(machine, &instruction)) {
            return false;
        }
        if (instruction.opcode == DSQ_PICKLE_STOP) {
            return true;
        }
    }
    return dsq_pickle_refuse(machine, "the pickle has too many opcodes");
}
