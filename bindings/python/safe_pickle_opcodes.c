#include "bindings/python/safe_pickle_opcodes.h"

#include <string.h>

enum { PROTOCOL_MIN = 2, PROTOCOL_MAX = 5 };

enum form {
    FORM_UNKNOWN,
    FORM_PLAIN,
    FORM_REFUSED,
    FORM_U1,
    FORM_U2,
    FORM_U4,
    FORM_U8,
    FORM_S4,
    FORM_F8,
    FORM_LINE,
    FORM_PAIR,
    FORM_N1,
    FORM_N4,
    FORM_N8
};

static const struct {
    const char *name;
    enum form form;
} opcodes[UINT8_MAX + 1] = {
#define OPCODE_ROW(byte, name, form) [byte] = {#name, FORM_##form},
    DSQ_PICKLE_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
};

const char *dsq_pickle_opcode_name(uint8_t opcode)
{
    return opcodes[opcode].name;
}

static bool refuse(struct dsq_pickle_reader *reader, const char *reason)
{
    reader->reason = reason;
    return false;
}

static size_t end_of(const struct dsq_pickle_reader *reader)
{
    return reader->frame_end != 0 ? reader->frame_end : reader->size;
}

static bool past_end(struct dsq_pickle_reader *reader)
{
    return refuse(reader, end_of(reader) < reader->size ? "an argument runs past its frame"
                                                        : "the pickle is cut short");
}

static bool take(struct dsq_pickle_reader *reader, uint64_t size, struct dsq_pickle_span *span)
{
    if (size > end_of(reader) - reader->position) {
        return past_end(reader);
    }
    *span = (struct dsq_pickle_span){reader->data + reader->position, (size_t)size};
    reader->position += (size_t)size;
    return true;
}

static bool take_number(struct dsq_pickle_reader *reader, size_t size, uint64_t *number)
{
    struct dsq_pickle_span span;
    if (!take(reader, size, &span)) {
        return false;
    }
    *number = 0;
    for (size_t i = size; i-- > 0;) {
        *number = *number << 8 | span.at[i];
    }
    return true;
}

static bool take_line(struct dsq_pickle_reader *reader, struct dsq_pickle_span *line)
{
    const uint8_t *start = reader->data + reader->position;
    const uint8_t *end = memchr(start, '\n', end_of(reader) - reader->position);
    if (end == NULL) {
        return past_end(reader);
    }
    *line = (struct dsq_pickle_span){start, (size_t)(end - start)};
    reader->position += line->size + 1;
    return true;
}

static bool take_counted(struct dsq_pickle_reader *reader, size_t width,
                         struct dsq_pickle_span *text)
{
    uint64_t size;
    return take_number(reader, width, &size) && take(reader, size, text);
}

static bool take_argument(struct dsq_pickle_reader *reader, enum form form,
                          struct dsq_pickle_instruction *instruction)
{
    switch (form) {
    case FORM_PLAIN:
        return true;
    case FORM_U1:
        return take_number(reader, 1, &instruction->number);
    case FORM_U2:
        return take_number(reader, 2, &instruction->number);
    case FORM_U4:
        return take_number(reader, 4, &instruction->number);
    case FORM_U8:
        return take_number(reader, 8, &instruction->number);
    case FORM_S4:
        return take(reader, 4, &instruction->text);
    case FORM_F8:
        return take(reader, 8, &instruction->text);
    case FORM_LINE:
        return take_line(reader, &instruction->text);
    case FORM_PAIR:
        return take_line(reader, &instruction->text) && take_line(reader, &instruction->other);
    case FORM_N1:
        return take_counted(reader, 1, &instruction->text);
    case FORM_N4:
        return take_counted(reader, 4, &instruction->text);
    case FORM_N8:
        return take_counted(reader, 8, &instruction->text);
    case FORM_REFUSED:
        return refuse(reader, "this opcode is never allowed");
    case FORM_UNKNOWN:
    default:
        return refuse(reader, "this byte is no opcode");
    }
}

static bool set_protocol(struct dsq_pickle_reader *reader, uint64_t protocol)
{
    if (reader->offset != 0) {
        return refuse(reader, "the protocol is stated in the middle");
    }
    if (protocol < PROTOCOL_MIN || protocol > PROTOCOL_MAX) {
        return refuse(reader, "the protocol is unknown");
    }
    reader->protocol = (unsigned)protocol;
    return true;
}

static bool enter_frame(struct dsq_pickle_reader *reader, uint64_t size)
{
    if (reader->frame_end != 0) {
        return refuse(reader, "a frame begins within a frame");
    }
    if (size == 0 || size > reader->size - reader->position) {
        return refuse(reader, "a frame is empty or runs past the end");
    }
    reader->frame_end = reader->position + (size_t)size;
    return true;
}

bool dsq_pickle_next(struct dsq_pickle_reader *reader, struct dsq_pickle_instruction *instruction)
{
    reader->offset = reader->position;
    if (reader->position == reader->size) {
        return refuse(reader, "the pickle ends without a STOP");
    }
    if (reader->position == reader->frame_end) {
        reader->frame_end = 0;
    }
    instruction->opcode = reader->data[reader->position++];
    if (!take_argument(reader, opcodes[instruction->opcode].form, instruction)) {
        return false;
    }
    switch (instruction->opcode) {
    case DSQ_PICKLE_PROTO:
        return set_protocol(reader, instruction->number);
    case DSQ_PICKLE_FRAME:
        return enter_frame(reader, instruction->number);
    default:
        return true;
    }
}
