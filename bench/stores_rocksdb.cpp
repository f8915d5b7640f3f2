// RocksDB, set up as its tuning guide advises for point look-ups in memory on local disks.
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "bench/stores_interval.h"
#include "bench/stores_ops.h"

namespace
{

constexpr double filter_bits_per_key = 10;
constexpr double memtable_filter_ratio = 0.02;
constexpr int memtables = 4;
constexpr size_t block_bytes = 4096;
constexpr auto settle_poll = std::chrono::milliseconds(1);

struct rocks {
    std::unique_ptr<rocksdb::DB> db;
    rocksdb::WriteOptions writing;
    store_interval *interval = nullptr;
};

void require(const char *call, const rocksdb::Status &status)
{
    if (!status.ok()) {
        store_fail("rocksdb", call, status.ToString().c_str());
    }
}

rocks *of(void *store)
{
    return static_cast<rocks *>(store);
}

rocksdb::Slice slice(const void *bytes, size_t size)
{
    return {static_cast<const char *>(bytes), size};
}

rocksdb::BlockBasedTableOptions table_options(const store_config *config)
{
    rocksdb::BlockBasedTableOptions table;
    table.block_cache =
        rocksdb::HyperClockCacheOptions(config->read_bytes, block_bytes).MakeSharedCache();
    table.block_size = block_bytes;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(filter_bits_per_key));
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    return table;
}

rocksdb::Options options_of(const store_config *config)
{
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = config->write_bytes / memtables;
    options.db_write_buffer_size = config->write_bytes;
    options.max_write_buffer_number = memtables;
    options.memtable_prefix_bloom_size_ratio = memtable_filter_ratio;
    options.memtable_whole_key_filtering = true;
    options.IncreaseParallelism(static_cast<int>(std::thread::hardware_concurrency()));
    options.manual_wal_flush = config->durability == STORE_INTERVAL;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(config)));
    return options;
}

void flush(void *store)
{
    require("FlushWAL", of(store)->db->FlushWAL(true));
}

void *open_store(const store_config *config)
{
    char path[STORE_PATH_BYTES];
    rocksdb::DB *db = nullptr;
    auto *self = new rocks;
    store_path(config->folder, "rocksdb", path);
    require(path, rocksdb::DB::Open(options_of(config), path, &db));
    self->db.reset(db);
    self->writing.sync = config->durability == STORE_POWER;
    if (config->durability == STORE_INTERVAL) {
        self->interval = store_interval_start(flush, self);
    }
    return self;
}

void close_store(void *store)
{
    store_interval_stop(of(store)->interval);
    require("Close", of(store)->db->Close());
    delete of(store);
}

bool is_busy(rocksdb::DB *db)
{
    static const char *const properties[] = {
        "rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes",
        "rocksdb.compaction-pending", "rocksdb.num-running-compactions"};
    for (const char *property : properties) {
        uint64_t value = 0;
        if (!db->GetIntProperty(property, &value)) {
            store_fail("rocksdb", property, "is not known");
        }
        if (value != 0) {
            return true;
        }
    }
    return false;
}

void settle(void *store)
{
    flush(store);
    while (is_busy(of(store)->db.get())) {
        std::this_thread::sleep_for(settle_poll);
    }
}

// Ends with all records in one sorted run, where a look-up has the least to do.
void load(void *store, const store_source *source)
{
    rocksdb::DB *db = of(store)->db.get();
    rocksdb::WriteBatch batch;
    char key[STORE_KEY_BYTES];
    std::string value(source->value_bytes, '\0');
    for (uint64_t i = 0; i < source->count; i++) {
        source->record(source->context, i, key, value.data());
        require("Put", batch.Put(slice(key, sizeof key), value));
        if (batch.Count() == STORE_LOAD_BATCH || i + 1 == source->count) {
            require("Write", db->Write(of(store)->writing, &batch));
            batch.Clear();
        }
    }
    require("Flush", db->Flush(rocksdb::FlushOptions()));
    require("CompactRange", db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
    settle(store);
}

// Threads share the handle.
void *enter(void *store)
{
    return store;
}

void leave(void *)
{
}

size_t get(void *session, const void *key, void *value, size_t capacity)
{
    rocksdb::DB *db = of(session)->db.get();
    rocksdb::PinnableSlice found;
    rocksdb::Status status = db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(),
                                     slice(key, STORE_KEY_BYTES), &found);
    if (status.IsNotFound()) {
        return STORE_ABSENT;
    }
    require("Get", status);
    std::memcpy(value, found.data(), found.size() < capacity ? found.size() : capacity);
    return found.size();
}

void put(void *session, const void *key, const void *value, size_t value_size)
{
    require("Put", of(session)->db->Put(of(session)->writing, slice(key, STORE_KEY_BYTES),
                                        slice(value, value_size)));
}

size_t scan(void *session, const void *key, size_t count, store_visitor visitor, void *context)
{
    std::unique_ptr<rocksdb::Iterator> iterator(
        of(session)->db->NewIterator(rocksdb::ReadOptions()));
    size_t visited = 0;
    for (iterator->Seek(slice(key, STORE_KEY_BYTES)); visited < count && iterator->Valid();
         iterator->Next()) {
        visitor(context, iterator->key().data(), iterator->key().size(), iterator->value().data(),
                iterator->value().size());
        visited++;
    }
    require("Iterator", iterator->status());
    return visited;
}

store_ops described()
{
    store_ops ops{};
    ops.name = "rocksdb";
    ops.survives[STORE_INTERVAL] = "manual_wal_flush, FlushWAL(true) every 100 ms: a crash of "
                                   "process or machine loses the last "
                                   "interval; what survives is a prefix";
    ops.survives[STORE_PROCESS] =
        "write-ahead log, no sync: nothing is lost when the process dies; a "
        "loss of power takes what the system has not written yet";
    ops.survives[STORE_POWER] = "WriteOptions.sync: nothing is lost";
    ops.settings =
        "HyperClockCache over blocks of 4 KiB with hash indices, Bloom filters of 10 bits, "
        "also for memtables; indices and filters in memory besides the budget; no "
        "compression; compacted after loading; a background thread a core";
    ops.open = open_store;
    ops.close = close_store;
    ops.load = load;
    ops.enter = enter;
    ops.leave = leave;
    ops.get = get;
    ops.put = put;
    ops.scan = scan;
    ops.flush = flush;
    ops.settle = settle;
    return ops;
}

} // namespace

const store_ops store_rocksdb = described();
