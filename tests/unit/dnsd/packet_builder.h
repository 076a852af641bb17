// DNS messages for tests, byte by byte, the malformed ones included.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::test {

inline std::string be16(unsigned value) {
    return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline std::string be32(uint32_t value) {
    return be16(value >> 16) + be16(value & 0xffff);
}

// "mx.example.test" in labels, with the root's empty label at the end.
inline std::string wire_name(std::string_view name) {
    std::string wire;
    while (!name.empty()) {
        const auto dot = name.find('.');
        const auto label = name.substr(0, dot);
        wire += static_cast<char>(label.size());
        wire += label;
        name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
    }
    return wire + '\0';
}

inline const std::string kAskedName("\xC0\x0C", 2); // a pointer to the question's name

class Packet {
  public:
    // An answer to the query whose bytes are given: its id and its question.
    explicit Packet(std::string_view query) : id_(query.substr(0, 2)) {
        const auto end = query.find('\0', 12) + 5;
        question_ = query.substr(12, end - 12);
    }
    // An answer with id 7 to this question.
    Packet(std::string_view name, unsigned type)
        : id_("\0\7", 2), question_(wire_name(name) + be16(type) + be16(1)) {}

    Packet& flags(unsigned bits) {
        flags_ |= bits;
        return *this;
    }
    Packet& rcode(unsigned code) { return flags(code); }
    Packet& record(unsigned type,
                   std::string_view data,
                   uint32_t ttl = 300,
                   std::string_view owner = kAskedName,
                   unsigned klass = 1) {
        ++answers_;
        return raw(answer_section_, owner, type, klass, ttl, data);
    }
    Packet& mx(unsigned preference, std::string_view host, uint32_t ttl = 300) {
        return record(15, be16(preference) + wire_name(host), ttl);
    }
    Packet& cname(std::string_view owner, std::string_view target, uint32_t ttl = 300) {
        return record(5, wire_name(target), ttl, wire_name(owner));
    }
    Packet& soa(uint32_t ttl, uint32_t minimum) {
        ++authorities_;
        return raw(authority_section_, wire_name("test"), 6, 1, ttl,
                   wire_name("ns.test") + wire_name("hm.test") + be32(1) + be32(2) + be32(3) +
                       be32(4) + be32(minimum));
    }
    Packet& opt(uint32_t ttl) {
        ++additionals_;
        return raw(additional_section_, std::string(1, '\0'), 41, 1232, ttl, "");
    }
    Packet& tail(std::string_view bytes) {
        additional_section_ += bytes;
        return *this;
    }
    Packet& count_answers(unsigned count) {
        answers_ = count;
        return *this;
    }
    std::string bytes() const {
        return id_ + be16(0x8180 | flags_) + be16(1) + be16(answers_) + be16(authorities_) +
               be16(additionals_) + question_ + answer_section_ + authority_section_ +
               additional_section_;
    }

  private:
    Packet& raw(std::string& section,
                std::string_view owner,
                unsigned type,
                unsigned klass,
                uint32_t ttl,
                std::string_view data) {
        section += std::string(owner) + be16(type) + be16(klass) + be32(ttl) +
                   be16(static_cast<unsigned>(data.size())) + std::string(data);
        return *this;
    }
    std::string id_, question_, answer_section_, authority_section_, additional_section_;
    unsigned flags_ = 0, answers_ = 0, authorities_ = 0, additionals_ = 0;
};

} // namespace tambo::test
