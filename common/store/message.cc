// Large messages are mapped in one piece with their prefix in front: an anonymous mapping holds the
// end of the prefix right before the page where the file begins. Body files are immutable and the
// account sandbox has no way to shorten one, so that a mapping cannot lose its pages; one that is
// too short already (a damaged disk, a bad copy of the store) is not mapped: SIGBUS would end the
// process of the account.
#include "common/store/message.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace tambo::store {

namespace {

constexpr uint64_t kMapAbove = 256 * 1024; // below, one pread is cheaper than page faults

constexpr const char* kTooShort = "message body shorter than recorded";

[[noreturn]] void fail(int error, const char* doing) {
    throw std::system_error(error, std::generic_category(), doing);
}

} // namespace

struct MessageReader::Mapping {
    void* address = nullptr;
    size_t bytes = 0, start = 0;

    ~Mapping() {
        if (address) ::munmap(address, bytes);
    }
};

bool is_cached_header(std::string_view field_name) {
    return std::any_of(kCachedHeaders.begin(), kCachedHeaders.end(),
                       [&](std::string_view name) { return iequals(name, field_name); });
}

MessageReader::MessageReader(std::string prefix, UniqueFd body, uint64_t body_bytes)
    : prefix_(std::move(prefix)), body_(std::move(body)), body_bytes_(body_bytes) {}

MessageReader::~MessageReader() = default;
MessageReader::MessageReader(MessageReader&&) noexcept = default;
MessageReader& MessageReader::operator=(MessageReader&&) noexcept = default;

size_t MessageReader::read(uint64_t offset, char* out, size_t count) const {
    if (offset >= size()) return 0;
    count = static_cast<size_t>(std::min<uint64_t>(count, size() - offset));
    size_t done = 0;
    if (offset < prefix_.size()) {
        done = std::min(count, prefix_.size() - static_cast<size_t>(offset));
        std::memcpy(out, prefix_.data() + offset, done);
    }
    while (done < count) {
        const auto at = static_cast<off_t>(offset + done - prefix_.size());
        const ssize_t got = ::pread(body_.get(), out + done, count - done, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(errno, "read of a message body");
        if (got == 0) fail(EIO, kTooShort);
        done += static_cast<size_t>(got);
    }
    return done;
}

void MessageReader::append_to(std::string& out, uint64_t offset, uint64_t count) const {
    if (offset >= size()) return;
    const auto bytes = static_cast<size_t>(std::min(count, size() - offset));
    const size_t before = out.size();
    out.resize(before + bytes);
    read(offset, out.data() + before, bytes);
}

std::string_view MessageReader::text() {
    if (mapping_) {
        return {static_cast<const char*>(mapping_->address) + mapping_->start,
                static_cast<size_t>(size())};
    }
    if (read_) return whole_;
    if (body_bytes_ <= kMapAbove) {
        append_to(whole_, 0, size());
        read_ = true;
        return whole_;
    }
    struct stat status {};
    if (::fstat(body_.get(), &status) != 0) fail(errno, "status of a message body");
    if (static_cast<uint64_t>(status.st_size) < body_bytes_) fail(EIO, kTooShort);
    auto mapping = std::make_unique<Mapping>();
    const auto page = static_cast<size_t>(::getpagesize());
    const size_t front = (prefix_.size() + page - 1) / page * page;
    const auto body_bytes = static_cast<size_t>(body_bytes_);
    void* base = ::mmap(nullptr, front + body_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) fail(errno, "mapping of a message");
    mapping->address = base;
    mapping->bytes = front + body_bytes;
    mapping->start = front - prefix_.size();
    char* file_at = static_cast<char*>(base) + front;
    if (::mmap(file_at, body_bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, body_.get(), 0) ==
        MAP_FAILED) {
        fail(errno, "mapping of a message body");
    }
    std::memcpy(file_at - prefix_.size(), prefix_.data(), prefix_.size());
    mapping_ = std::move(mapping);
    return text();
}

} // namespace tambo::store
