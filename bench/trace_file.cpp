// Traces from files: each distinct line is a key and gets the next number.
#include "bench/trace.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#ifdef BENCH_HAVE_ZLIB
#include <zlib.h>
#else
#include <fstream>
#endif

namespace
{

[[noreturn]] void give_up(const char *path, const char *why)
{
    std::fprintf(stderr, "trace %s: %s\n", path, why);
    std::exit(2);
}

#ifdef BENCH_HAVE_ZLIB
// zlib reads plain files as they are.
class lines
{
  public:
    explicit lines(const char *path) : path_(path), file_(gzopen(path, "rb"))
    {
        if (file_ == nullptr) {
            give_up(path, "cannot be opened");
        }
    }
    lines(const lines &) = delete;
    lines &operator=(const lines &) = delete;
    ~lines()
    {
        gzclose(file_);
    }

    bool next(std::string &line)
    {
        line.clear();
        char piece[4096];
        while (gzgets(file_, piece, sizeof piece) != nullptr) {
            line += piece;
            if (line.back() == '\n') {
                line.pop_back();
                return true;
            }
        }
        int status;
        const char *message = gzerror(file_, &status);
        if (status != Z_OK && status != Z_STREAM_END) {
            give_up(path_, message);
        }
        return !line.empty();
    }

  private:
    const char *path_;
    gzFile file_;
};
#else
class lines
{
  public:
    explicit lines(const char *path) : path_(path), file_(path, std::ios::binary)
    {
        if (!file_) {
            give_up(path, "cannot be opened");
        }
        if (file_.get() == 0x1f && file_.get() == 0x8b) {
            give_up(path, "is compressed, and this program was built without zlib");
        }
        file_.clear();
        file_.seekg(0);
    }

    bool next(std::string &line)
    {
        bool got = static_cast<bool>(std::getline(file_, line));
        if (file_.bad()) {
            give_up(path_, "cannot be read");
        }
        return got;
    }

  private:
    const char *path_;
    std::ifstream file_;
};
#endif

} // namespace

bench_trace bench_trace_read(const char *path)
{
    std::unordered_map<std::string, std::uint32_t> numbers;
    std::vector<std::uint32_t> requests;
    std::string line;
    lines input(path);

    while (input.next(line)) {
        auto [place, added] = numbers.try_emplace(line, static_cast<std::uint32_t>(numbers.size()));
        requests.push_back(place->second);
    }
    if (requests.empty()) {
        give_up(path, "has no keys");
    }
    bench_trace trace{};
    const char *slash = std::strrchr(path, '/');
    std::snprintf(trace.name, sizeof trace.name, "%s", slash != nullptr ? slash + 1 : path);
    trace.count = requests.size();
    trace.distinct = static_cast<std::uint32_t>(numbers.size());
    trace.keys = static_cast<std::uint32_t *>(std::malloc(trace.count * sizeof(std::uint32_t)));
    if (trace.keys == nullptr) {
        give_up(path, "does not fit in memory");
    }
    std::memcpy(trace.keys, requests.data(), trace.count * sizeof(std::uint32_t));
    return trace;
}
