/*
 * The write-ahead log of a sealed store.
 *
 *     SQLite's        header 32 | frame header 24, page | frame header 24, page | ...
 *     in the file     header 32, seal | frame header 24, seal, page | ...
 *
 * A page brings the room for its seal along, the headers do not: so the file is longer than what
 * SQLite knows of, by 40 bytes for the header and for each frame.
 *
 * SQLite's checksum of a frame covers what it had in memory, the bytes that it leaves free at a page's
 * end included; they read as zeros later, so zeros they must be.
 */
#include <stdlib.h>
#include <string.h>

#include "persist/sealed_internal.h"

#define HEADER_BYTES 32
#define SALTS_AT 16 /* within the header */
#define FRAME_HEADER_BYTES 24
#define COMMIT_AT 4 /* within a frame's header: not zeros if the frame ends a transaction */
#define COMMIT_BYTES 4
#define FRAME_BYTES (FRAME_HEADER_BYTES + PAGE_BYTES)

#define SEALED_HEADER_BYTES (HEADER_BYTES + DSQ_SEAL_BYTES)
#define SEALED_FRAME_HEADER_BYTES (FRAME_HEADER_BYTES + DSQ_SEAL_BYTES)
#define SEALED_FRAME_BYTES (SEALED_FRAME_HEADER_BYTES + PAGE_BYTES)

_Static_assert(WAL_GATHER_BYTES % SEALED_FRAME_BYTES == 0, "whole frames are gathered");

/* Where in the file a frame is, counted from 0. */
static int64_t frame_at(int64_t frame)
{
    return SEALED_HEADER_BYTES + frame * SEALED_FRAME_BYTES;
}

/* A size that SQLite knows as a size of the file, and the other way round. */
static int64_t to_sealed(int64_t size)
{
    if (size < HEADER_BYTES) {
        return size;
    }
    int64_t frames = (size - HEADER_BYTES) / FRAME_BYTES;
    int64_t rest = (size - HEADER_BYTES) % FRAME_BYTES;
    return frame_at(frames) + (rest > FRAME_HEADER_BYTES ? rest + DSQ_SEAL_BYTES : rest);
}

static int64_t from_sealed(int64_t size)
{
    if (size < SEALED_HEADER_BYTES) {
        return size < HEADER_BYTES ? size : HEADER_BYTES - 1;
    }
    int64_t frames = (size - SEALED_HEADER_BYTES) / SEALED_FRAME_BYTES;
    int64_t rest = (size - SEALED_HEADER_BYTES) % SEALED_FRAME_BYTES;
    if (rest >= SEALED_FRAME_HEADER_BYTES) {
        rest -= DSQ_SEAL_BYTES;
    } else if (rest >= FRAME_HEADER_BYTES) {
        rest = FRAME_HEADER_BYTES - 1;
    }
    return HEADER_BYTES + frames * FRAME_BYTES + rest;
}

static struct dsq_seal_place place_of(struct sealed_file *file, enum dsq_seal_kind kind,
                                      int64_t frame)
{
    return (struct dsq_seal_place){
        .kind = kind,
        .generation = dsq_load_relaxed(&file->vfs->wal_generation),
        .number = (uint64_t)frame + 1,
    };
}

static bool open_at(struct sealed_file *file, const struct dsq_seal_place *place,
                    unsigned char *bytes, int size)
{
    return file->vfs->codec->open(file->vfs->codec, place, bytes, (size_t)size, bytes + size);
}

/* ---- gathering ---- */

static int write_gathered(struct sealed_file *file)
{
    int result = SQLITE_OK;
    if (file->gathered_bytes > 0) {
        result = dsq_sealed_write(file, file->gathered, file->gathered_bytes, file->gathered_at);
        file->gathered_bytes = 0;
    }
    return result;
}

/* Room for a part that goes to this place in the file, behind what is gathered. */
static int room_for(struct sealed_file *file, int64_t offset, int size, unsigned char **room)
{
    int result = SQLITE_OK;
    if (file->gathered == NULL) {
        file->gathered = malloc(WAL_GATHER_BYTES);
        if (file->gathered == NULL) {
            return SQLITE_IOERR_NOMEM;
        }
    }
    if (file->gathered_at + file->gathered_bytes != offset ||
        file->gathered_bytes + size > WAL_GATHER_BYTES) {
        result = write_gathered(file);
    }
    if (file->gathered_bytes == 0) {
        file->gathered_at = offset;
    }
    *room = file->gathered + file->gathered_bytes;
    return result;
}

/* ---- writing ---- */

static void note_generation(struct sealed_file *file, const unsigned char *header)
{
    uint64_t salts;
    memcpy(&salts, header + SALTS_AT, sizeof salts);
    dsq_store_relaxed(&file->vfs->wal_generation, salts);
}

static int write_header(struct sealed_file *file, const unsigned char *header)
{
    const struct dsq_seal_place place = {.kind = DSQ_SEAL_WAL_HEADER};
    unsigned char sealed[SEALED_HEADER_BYTES];
    int result = write_gathered(file);
    if (result != SQLITE_OK) {
        return result;
    }
    if (!file->vfs->codec->seal(file->vfs->codec, &place, header, HEADER_BYTES, sealed,
                                sealed + HEADER_BYTES)) {
        return SQLITE_IOERR_WRITE;
    }
    note_generation(file, header);
    return dsq_sealed_write(file, sealed, sizeof sealed, 0);
}

static int write_frame_header(struct sealed_file *file, const unsigned char *header, int64_t frame)
{
    struct dsq_seal_place place = place_of(file, DSQ_SEAL_FRAME_HEADER, frame);
    unsigned char *room;
    int result = room_for(file, frame_at(frame), SEALED_FRAME_HEADER_BYTES, &room);
    if (result != SQLITE_OK) {
        return result;
    }
    if (!file->vfs->codec->seal(file->vfs->codec, &place, header, FRAME_HEADER_BYTES, room,
                                room + FRAME_HEADER_BYTES)) {
        return SQLITE_IOERR_WRITE;
    }
    file->gathered_bytes += SEALED_FRAME_HEADER_BYTES;
    file->ends_transaction = !dsq_bytes_are_zeros(header + COMMIT_AT, COMMIT_BYTES);
    return SQLITE_OK;
}

static int write_frame_page(struct sealed_file *file, const unsigned char *page, int64_t frame)
{
    struct dsq_seal_place place = place_of(file, DSQ_SEAL_FRAME_PAGE, frame);
    int64_t offset = frame_at(frame) + SEALED_FRAME_HEADER_BYTES;
    unsigned char *room;
    int result = room_for(file, offset, PAGE_BYTES, &room);
    if (result != SQLITE_OK) {
        return result;
    }
    if (!dsq_bytes_are_zeros(page + CONTENT_BYTES, DSQ_SEAL_BYTES) ||
        !file->vfs->codec->seal(file->vfs->codec, &place, page, CONTENT_BYTES, room,
                                room + CONTENT_BYTES)) {
        return SQLITE_IOERR_WRITE;
    }
    file->gathered_bytes += PAGE_BYTES;
    if (file->ends_transaction) {
        file->ends_transaction = false;
        return write_gathered(file);
    }
    return SQLITE_OK;
}

static int wal_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    struct sealed_file *file = sealed_file_of(base);
    if (offset == 0 && size == HEADER_BYTES) {
        return write_header(file, bytes);
    }
    int64_t frame = (offset - HEADER_BYTES) / FRAME_BYTES;
    int64_t within = (offset - HEADER_BYTES) % FRAME_BYTES;
    if (offset >= HEADER_BYTES && within == 0 && size == FRAME_HEADER_BYTES) {
        return write_frame_header(file, bytes, frame);
    }
    if (offset >= HEADER_BYTES && within == FRAME_HEADER_BYTES && size == PAGE_BYTES) {
        return write_frame_page(file, bytes, frame);
    }
    return SQLITE_IOERR_WRITE; /* SQLite writes its log in these three parts */
}

/* ---- reading ---- */

static int read_header(struct sealed_file *file, unsigned char *header)
{
    const struct dsq_seal_place place = {.kind = DSQ_SEAL_WAL_HEADER};
    unsigned char sealed[SEALED_HEADER_BYTES];
    int result = dsq_sealed_read(file, sealed, sizeof sealed, 0);
    if (result == SQLITE_OK && !dsq_bytes_are_zeros(sealed, sizeof sealed)) {
        if (!open_at(file, &place, sealed, HEADER_BYTES)) {
            return dsq_sealed_fail(file, &place);
        }
        note_generation(file, sealed);
    }
    memcpy(header, sealed, HEADER_BYTES);
    return result;
}

/* One part of a frame, opened. */
static int read_sealed(struct sealed_file *file, enum dsq_seal_kind kind, int64_t frame,
                       int64_t offset, unsigned char *bytes, int size)
{
    struct dsq_seal_place place = place_of(file, kind, frame);
    int result = dsq_sealed_read(file, bytes, size + DSQ_SEAL_BYTES, offset);
    if (result == SQLITE_OK && !open_at(file, &place, bytes, size)) {
        result = dsq_sealed_fail(file, &place);
    }
    return result;
}

static int read_frame_header(struct sealed_file *file, int64_t frame, unsigned char *header)
{
    unsigned char sealed[SEALED_FRAME_HEADER_BYTES];
    int result = read_sealed(file, DSQ_SEAL_FRAME_HEADER, frame, frame_at(frame), sealed,
                             FRAME_HEADER_BYTES);
    memcpy(header, sealed, FRAME_HEADER_BYTES);
    return result;
}

static int read_frame_page(struct sealed_file *file, int64_t frame, unsigned char *bytes, int size)
{
    unsigned char *page = size == PAGE_BYTES ? bytes : file->page;
    int result = read_sealed(file, DSQ_SEAL_FRAME_PAGE, frame,
                             frame_at(frame) + SEALED_FRAME_HEADER_BYTES, page, CONTENT_BYTES);
    memset(page + CONTENT_BYTES, 0, DSQ_SEAL_BYTES);
    if (page != bytes) {
        memcpy(bytes, page, (size_t)size);
    }
    return result;
}

/*
 * While SQLite recovers the log, a frame that does not open is all zeros: no frame has page number 0, so
 * that the log ends before it.  Zeros for its page alone would not do: where they are what the page
 * held, as the last one of a value that ends with many, SQLite's checksum agrees with them.
 */
static int read_frame(struct sealed_file *file, unsigned char *bytes, int size, int64_t frame,
                      int64_t within)
{
    int header_size = within == 0 ? FRAME_HEADER_BYTES : 0;
    int result = within == 0 ? read_frame_header(file, frame, bytes) : SQLITE_OK;
    if (result == SQLITE_OK && size > header_size) {
        result = read_frame_page(file, frame, bytes + header_size, size - header_size);
    }
    if (result == SQLITE_IOERR_DATA && dsq_sealed_shm_recovers(&file->vfs->shm)) {
        memset(bytes, 0, (size_t)size);
        result = SQLITE_OK;
    }
    return result;
}

static int wal_read(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = write_gathered(file);
    if (result != SQLITE_OK) {
        return result;
    }
    if (offset == 0 && size == HEADER_BYTES) {
        return read_header(file, bytes);
    }
    int64_t frame = (offset - HEADER_BYTES) / FRAME_BYTES;
    int64_t within = (offset - HEADER_BYTES) % FRAME_BYTES;
    if (offset >= HEADER_BYTES && within + size <= FRAME_BYTES &&
        ((within == 0 && size >= FRAME_HEADER_BYTES) || within == FRAME_HEADER_BYTES)) {
        return read_frame(file, bytes, size, frame, within);
    }
    return SQLITE_IOERR_READ; /* SQLite reads its log in these parts */
}

/* ---- the rest ---- */

static int wal_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = write_gathered(file);
    return result == SQLITE_OK ? file->real->pMethods->xTruncate(file->real, to_sealed(size))
                               : result;
}

static int wal_sync(sqlite3_file *base, int flags)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = write_gathered(file);
    return result == SQLITE_OK ? file->real->pMethods->xSync(file->real, flags) : result;
}

static int wal_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct sealed_file *file = sealed_file_of(base);
    int result = write_gathered(file);
    if (result == SQLITE_OK) {
        result = file->real->pMethods->xFileSize(file->real, size);
        *size = from_sealed(*size);
    }
    return result;
}

static int wal_control(sqlite3_file *base, int operation, void *argument)
{
    struct sealed_file *file = sealed_file_of(base);
    if (operation == SQLITE_FCNTL_SIZE_HINT) {
        return SQLITE_OK;
    }
    return file->real->pMethods->xFileControl(file->real, operation, argument);
}

static int wal_close(sqlite3_file *base)
{
    int written = write_gathered(sealed_file_of(base));
    int closed = dsq_sealed_close(base);
    return written != SQLITE_OK ? written : closed;
}

const sqlite3_io_methods dsq_sealed_wal_methods = {
    .iVersion = 1,
    .xClose = wal_close,
    .xRead = wal_read,
    .xWrite = wal_write,
    .xTruncate = wal_truncate,
    .xSync = wal_sync,
    .xFileSize = wal_size,
    .xLock = dsq_sealed_lock,
    .xUnlock = dsq_sealed_unlock,
    .xCheckReservedLock = dsq_sealed_check_reserved_lock,
    .xFileControl = wal_control,
    .xSectorSize = dsq_sealed_sector_size,
    .xDeviceCharacteristics = dsq_sealed_device_characteristics,
};

int dsq_sealed_wal_beneath(struct sqlite3_file **wal, int64_t *size)
{
    struct sealed_file *file = sealed_file_of(*wal);
    int result = write_gathered(file);
    *wal = file->real;
    *size = to_sealed(*size);
    return result;
}
