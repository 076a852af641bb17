// A bounds-checked reader of DNS messages (RFC 1035 4.1). Pure; never throws, never reads outside
// its packet, never loops: a compression pointer must go strictly backwards (RFC 9267).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::dnsd {

// A domain name as text in lower case, without final dot; "." for the root. Bytes that are not
// letters, digits, '-' or '_' stand as "\DDD" (RFC 1035 5.1), so that they equal no other name.
struct Name {
    std::string text;
    bool plain = true; // no such byte in it
};

// A resource record without its data's meaning.
struct RecordHead {
    Name owner;
    uint16_t type = 0, klass = 0;
    uint32_t ttl_s = 0;   // 0 if the top bit was set (RFC 2181 8)
    uint32_t ttl_raw = 0; // as sent: OPT keeps its extended rcode there
    size_t data_end = 0;  // position behind the data
    size_t data_bytes = 0;
};

// After the first failure good() is false and everything read is zero or empty.
class PacketReader {
  public:
    explicit PacketReader(std::string_view packet) : packet_(packet) {}

    bool good() const { return good_; }
    size_t position() const { return at_; }
    // To a position at or before the end.
    void seek(size_t position);

    uint8_t u8();
    uint16_t u16();
    uint32_t u32();
    std::string_view bytes(size_t count);
    Name name();
    // Up to the data, which lies within the packet.
    RecordHead record_head();

  private:
    bool label(size_t& at, Name& into, size_t& length);

    std::string_view packet_;
    size_t at_ = 0;
    bool good_ = true;
};

} // namespace tambo::dnsd
