// The typed codec of messages between processes. A message is a plain struct that lists its fields
// once:
//
//     struct Lookup {
//         static constexpr uint16_t kType = 0x0701;
//         std::string name;
//         template <class V> void visit(V& v) { v(name); }
//     };
//
// Little-endian integers, 32-bit length before text and lists, descriptors beside the bytes. A
// reader never trusts a length and must end exactly at the end of the datagram.
#pragma once

#include "common/base/bytes.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tambo::ipc {

class Writer {
  public:
    template <class... Fields>
    void operator()(const Fields&... fields) {
        (put(fields), ...);
    }
    const std::string& bytes() const { return bytes_; }
    // Borrowed from the message that was written.
    std::span<const int> fds() const { return fds_; }

  private:
    template <std::integral I>
    void put(I number) {
        put_le(bytes_, number);
    }
    template <class E>
        requires std::is_enum_v<E>
    void put(E value) {
        put(static_cast<std::underlying_type_t<E>>(value));
    }
    void put(const std::string& text) {
        put(static_cast<uint32_t>(text.size()));
        bytes_.append(text);
    }
    void put(UtcTime time) { put(time.ms); }
    void put(const Id& id) {
        put(id.high);
        put(id.low);
    }
    void put(const UniqueFd& fd) {
        put(fd.valid());
        if (fd.valid()) fds_.push_back(fd.get());
    }
    template <class T>
    void put(const std::optional<T>& value) {
        put(value.has_value());
        if (value) put(*value);
    }
    template <class T>
    void put(const std::vector<T>& list) {
        put(static_cast<uint32_t>(list.size()));
        for (const auto& item : list) put(item);
    }
    template <class A, class B>
    void put(const std::pair<A, B>& both) {
        put(both.first);
        put(both.second);
    }
    template <class M>
        requires std::is_class_v<M> && requires(M& m, Writer& w) { m.visit(w); }
    void put(const M& message) {
        const_cast<M&>(message).visit(*this); // visit() lists fields for both directions
    }

    std::string bytes_;
    std::vector<int> fds_;
};

class Reader {
  public:
    Reader(std::string_view bytes, std::vector<UniqueFd>& fds) : rest_(bytes), fds_(fds) {}

    template <class... Fields>
    void operator()(Fields&... fields) {
        (take(fields), ...);
    }
    // Every byte and every descriptor was used, and nothing was missing.
    bool end() const { return good_ && rest_.empty() && next_fd_ == fds_.size(); }

  private:
    std::string_view bytes(size_t count) {
        if (!good_ || rest_.size() < count) {
            good_ = false;
            return {};
        }
        const auto taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    template <std::integral I>
    void take(I& number) {
        const auto raw = bytes(sizeof(I));
        if (!good_) return;
        if constexpr (std::same_as<I, bool>) {
            if (raw[0] != 0 && raw[0] != 1) good_ = false;
            number = raw[0] == 1;
        } else {
            number = get_le<I>(raw.data());
        }
    }
    // Enums list their last value as E::last_ so that no reader meets a value it does not know.
    template <class E>
        requires std::is_enum_v<E>
    void take(E& value) {
        std::underlying_type_t<E> number{};
        take(number);
        if (number > static_cast<std::underlying_type_t<E>>(E::last_)) good_ = false;
        if (good_) value = static_cast<E>(number);
    }
    void take(std::string& text) {
        uint32_t size = 0;
        take(size);
        text.assign(bytes(good_ ? size : 0));
    }
    void take(UtcTime& time) { take(time.ms); }
    void take(Id& id) {
        take(id.high);
        take(id.low);
    }
    void take(UniqueFd& fd) {
        bool present = false;
        take(present);
        if (!good_ || !present) return;
        if (next_fd_ >= fds_.size()) {
            good_ = false;
            return;
        }
        fd = std::move(fds_[next_fd_++]);
    }
    template <class T>
    void take(std::optional<T>& value) {
        bool present = false;
        take(present);
        if (good_ && present) take(value.emplace());
    }
    template <class T>
    void take(std::vector<T>& list) {
        uint32_t count = 0;
        take(count);
        if (count > rest_.size()) good_ = false; // each item takes at least a byte
        for (uint32_t i = 0; good_ && i < count; ++i) take(list.emplace_back());
    }
    template <class A, class B>
    void take(std::pair<A, B>& both) {
        take(both.first);
        take(both.second);
    }
    template <class M>
        requires std::is_class_v<M> && requires(M& m, Reader& r) { m.visit(r); }
    void take(M& message) {
        message.visit(*this);
    }

    std::string_view rest_;
    std::vector<UniqueFd>& fds_;
    size_t next_fd_ = 0;
    bool good_ = true;
};

// The bytes of a visitable struct that holds no descriptors (configurations, stored records).
template <class M>
std::string encode(const M& message) {
    Writer writer;
    writer(message);
    return writer.bytes();
}

// nullopt unless the bytes and descriptors are exactly one M.
template <class M>
std::optional<M> decode(std::string_view bytes, std::vector<UniqueFd>& fds) {
    M message{};
    Reader reader(bytes, fds);
    reader(message);
    if (!reader.end()) return std::nullopt;
    return message;
}

template <class M>
std::optional<M> decode(std::string_view bytes) {
    std::vector<UniqueFd> none;
    return decode<M>(bytes, none);
}

} // namespace tambo::ipc
