// A dictionary in a file, in C++: example.cpp FILE
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <dictsqlite.h>

namespace
{

class Dictionary
{
  public:
    explicit Dictionary(const char *path)
    {
        dsq_error error{};
        dsq_options options{};
        options.persist_mode = DSQ_MODE_LAZY;
        options.error = &error;
        if (dsq_open(path, &options, &db_) != DSQ_OK) {
            throw std::runtime_error(error.message);
        }
    }

    Dictionary(const Dictionary &) = delete;
    Dictionary &operator=(const Dictionary &) = delete;

    ~Dictionary()
    {
        if (dsq_close(db_) != DSQ_OK) {
            dsq_abandon(db_);
        }
    }

    void put(std::string_view key, std::string_view value)
    {
        check(dsq_put(db_, key.data(), key.size(), value.data(), value.size()));
    }

    std::optional<std::string> get(std::string_view key) const
    {
        struct dsq_view view = {};
        int status = dsq_view(db_, key.data(), key.size(), &view);
        if (status == DSQ_ABSENT) {
            return std::nullopt;
        }
        check(status);
        std::string value(static_cast<const char *>(view.data), view.size);
        dsq_view_release(db_, &view);
        return value;
    }

    bool remove(std::string_view key)
    {
        int status = dsq_delete(db_, key.data(), key.size());
        if (status != DSQ_ABSENT) {
            check(status);
        }
        return status == DSQ_OK;
    }

    // On return everything stored so far is on disk.
    void flush()
    {
        check(dsq_flush(db_, -1));
    }

    template <typename Visitor> void each(std::string_view prefix, Visitor visitor) const
    {
        dsq_range range{};
        range.prefix = prefix.data();
        range.prefix_size = prefix.size();
        dsq_cursor *opened = nullptr;
        check(dsq_cursor_open(db_, &range, &opened));
        std::unique_ptr<dsq_cursor, decltype(&dsq_cursor_close)> cursor(opened, dsq_cursor_close);
        const void *key;
        const void *value;
        size_t key_size;
        size_t value_size;
        int status;
        while ((status = dsq_cursor_next(cursor.get(), &key, &key_size, &value, &value_size)) ==
               DSQ_OK) {
            visitor(std::string_view(static_cast<const char *>(key), key_size),
                    std::string_view(static_cast<const char *>(value), value_size));
        }
        if (status != DSQ_ABSENT) {
            check(status);
        }
    }

  private:
    void check(int status) const
    {
        if (status != DSQ_OK) {
            dsq_error error{};
            dsq_last_error(db_, &error);
            throw std::runtime_error(std::string(dsq_strerror(status)) + ": " + error.message);
        }
    }

    dsq_db *db_ = nullptr;
};

void run(const char *path)
{
    Dictionary dictionary(path);
    dictionary.put("fruit/apple", "red");
    dictionary.put("fruit/banana", "yellow");
    dictionary.put("stone", "grey");
    dictionary.remove("stone");
    dictionary.flush();
    std::printf("an apple is %s\n", dictionary.get("fruit/apple").value().c_str());
    std::printf("a stone is %s\n", dictionary.get("stone").value_or("gone").c_str());
    dictionary.each("fruit/", [](std::string_view key, std::string_view value) {
        std::printf("%.*s: %.*s\n", static_cast<int>(key.size()), key.data(),
                    static_cast<int>(value.size()), value.data());
    });
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    try {
        run(argv[1]);
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
    return 0;
}
