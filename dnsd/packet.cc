// See packet.h.
#include "dnsd/packet.h"

#include "common/base/text.h"

namespace tambo::dnsd {

namespace {

constexpr size_t kNameOctetsMax = 255; // on the wire, RFC 1035 2.3.4
constexpr int kPointersMax = 128;

unsigned char octet(std::string_view from, size_t at) {
    return static_cast<unsigned char>(from[at]);
}

void append_octet(Name& name, unsigned char c) {
    const char as_char = static_cast<char>(c);
    if (is_alnum(as_char) || as_char == '-' || as_char == '_') {
        name.text.push_back(lower(as_char));
        return;
    }
    name.plain = false;
    cat_to(name.text, '\\');
    cat_to(name.text, static_cast<char>('0' + c / 100));
    cat_to(name.text, static_cast<char>('0' + c / 10 % 10));
    cat_to(name.text, static_cast<char>('0' + c % 10));
}

} // namespace

void PacketReader::seek(size_t position) {
    if (position > packet_.size()) good_ = false;
    if (good_) at_ = position;
}

std::string_view PacketReader::bytes(size_t count) {
    if (!good_ || packet_.size() - at_ < count) {
        good_ = false;
        return {};
    }
    const auto taken = packet_.substr(at_, count);
    at_ += count;
    return taken;
}

uint8_t PacketReader::u8() {
    const auto raw = bytes(1);
    return good_ ? octet(raw, 0) : uint8_t{0};
}

uint16_t PacketReader::u16() {
    const auto raw = bytes(2);
    if (!good_) return 0;
    return static_cast<uint16_t>(octet(raw, 0) << 8 | octet(raw, 1));
}

uint32_t PacketReader::u32() {
    const uint32_t high = u16();
    const uint32_t low = u16();
    return good_ ? high << 16 | low : 0;
}

// One label at `at`, which moves behind it. false: the name is malformed.
bool PacketReader::label(size_t& at, Name& into, size_t& length) {
    const size_t size = octet(packet_, at);
    if (packet_.size() - at - 1 < size) return false;
    length += size + 1;
    if (length + 1 > kNameOctetsMax) return false;
    if (!into.text.empty()) into.text.push_back('.');
    for (size_t i = 0; i < size; ++i)
        append_octet(into, octet(packet_, at + 1 + i));
    at += size + 1;
    return true;
}

Name PacketReader::name() {
    Name read;
    size_t at = at_, start = at_, length = 0, behind = 0;
    int pointers = 0;
    for (;;) {
        if (!good_ || at >= packet_.size()) break;
        const unsigned char first = octet(packet_, at);
        if (first == 0) {
            if (behind == 0) behind = at + 1;
            at_ = behind;
            if (read.text.empty()) read.text.push_back('.');
            return read;
        }
        if (first < 0x40) {
            if (!label(at, read, length)) break;
            continue;
        }
        // RFC 1035 4.1.4; RFC 9267 2: only to what stands before the part that points.
        if (first < 0xC0 || packet_.size() - at < 2 || ++pointers > kPointersMax) break;
        const size_t target = (size_t{first} & 0x3F) << 8 | octet(packet_, at + 1);
        if (target >= start) break;
        if (behind == 0) behind = at + 2;
        at = start = target;
    }
    good_ = false;
    return Name{};
}

RecordHead PacketReader::record_head() {
    RecordHead head;
    head.owner = name();
    head.type = u16();
    head.klass = u16();
    head.ttl_raw = u32();
    head.ttl_s = head.ttl_raw & 0x80000000u ? 0 : head.ttl_raw;
    head.data_bytes = u16();
    if (good_ && packet_.size() - at_ < head.data_bytes) good_ = false;
    head.data_end = at_ + head.data_bytes;
    return head;
}

} // namespace tambo::dnsd
