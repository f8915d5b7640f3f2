#include "stress/power_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stress/verdict.h"

#define SECTOR_BYTES 512

static const char *const suffixes[FAULT_FILES] = {[FAULT_MAIN] = "", [FAULT_WAL] = "-wal"};

struct content {
    unsigned char *bytes;
    size_t size;
    size_t capacity;
};

static void content_resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = 2 * size;
        content->bytes = realloc(content->bytes, content->capacity);
        if (content->bytes == NULL) {
            abort();
        }
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, size - content->size);
    }
    content->size = size;
}

static void content_write(struct content *content, size_t offset, const unsigned char *data,
                          size_t size)
{
    if (size == 0) {
        return;
    }
    if (content->size < offset + size) {
        content_resize(content, offset + size);
    }
    memcpy(content->bytes + offset, data, size);
}

bool power_base_read(struct power_base *base, const char *path)
{
    *base = (struct power_base){{NULL}, {0}};
    for (int i = 0; i < FAULT_FILES; i++) {
        char name[600];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        FILE *file = fopen(name, "rb");
        if (file == NULL) {
            continue;
        }
        fseek(file, 0, SEEK_END);
        base->size[i] = (size_t)ftell(file);
        rewind(file);
        base->bytes[i] = malloc(base->size[i] + 1);
        bool good = base->bytes[i] != NULL &&
                    fread(base->bytes[i], 1, base->size[i], file) == base->size[i];
        fclose(file);
        if (!good) {
            stress_violation("cannot read %s", name);
            return false;
        }
    }
    return true;
}

void power_base_fini(struct power_base *base)
{
    for (int i = 0; i < FAULT_FILES; i++) {
        free(base->bytes[i]);
    }
}

/* Each sector of a write by itself: on disk or not. */
static void write_torn(struct content *content, const struct fault_event *event,
                       struct stress_random *random)
{
    size_t offset = event->offset;
    size_t end = offset + event->size;
    while (offset < end) {
        size_t next = (offset / SECTOR_BYTES + 1) * SECTOR_BYTES;
        next = next < end ? next : end;
        if (stress_random_below(random, 2) == 0) {
            content_write(content, offset, event->data + (offset - event->offset), next - offset);
        }
        offset = next;
    }
}

static void apply(struct content *content, const struct fault_event *event)
{
    if (event->kind == FAULT_EVENT_WRITE) {
        content_write(content, event->offset, event->data, event->size);
    } else if (event->kind == FAULT_EVENT_TRUNCATE) {
        content_resize(content, event->offset);
    }
}

static void apply_unsynced(struct content *content, const struct fault_event *event,
                           enum power_subset subset, struct stress_random *random)
{
    if (subset == POWER_ALL) {
        apply(content, event);
    } else if (subset == POWER_SOME) {
        uint64_t draw = stress_random_below(random, 4);
        if (draw == 0 && event->kind == FAULT_EVENT_WRITE) {
            write_torn(content, event, random);
        } else if (draw <= 2) {
            apply(content, event);
        }
    }
}

/* The number of events before the cut that the last sync of the file covers. */
static size_t synced_until(const struct fault_log *log, size_t cut, enum fault_file file)
{
    while (cut > 0 &&
           (log->events[cut - 1].file != file || log->events[cut - 1].kind != FAULT_EVENT_SYNC)) {
        cut--;
    }
    return cut;
}

static bool content_store(const struct content *content, const char *path, const char *suffix)
{
    char name[600];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    if (content->size == 0) {
        unlink(name);
        return true;
    }
    FILE *file = fopen(name, "wb");
    bool good = file != NULL && fwrite(content->bytes, 1, content->size, file) == content->size;
    good = (file == NULL || fclose(file) == 0) && good;
    if (!good) {
        stress_violation("cannot write %s", name);
    }
    return good;
}

bool power_image_write(const struct power_base *base, const struct fault_log *log, size_t cut,
                       enum power_subset subset, struct stress_random *random, const char *path)
{
    char shm[600];
    bool good = true;
    for (int file = 0; good && file < FAULT_FILES; file++) {
        struct content content = {NULL, 0, 0};
        size_t synced = synced_until(log, cut, (enum fault_file)file);
        content_write(&content, 0, base->bytes[file], base->size[file]);
        for (size_t i = 0; i < cut; i++) {
            const struct fault_event *event = &log->events[i];
            if ((int)event->file != file) {
                continue;
            }
            if (i < synced) {
                apply(&content, event);
            } else {
                apply_unsynced(&content, event, subset, random);
            }
        }
        good = content_store(&content, path, suffixes[file]);
        free(content.bytes);
    }
    snprintf(shm, sizeof shm, "%s-shm", path);
    unlink(shm);
    return good;
}
