// See answer.h.
#include "dnsd/answer.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "dnsd/name.h"
#include "dnsd/packet.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

namespace tambo::dnsd {

namespace {

using ipc::DnsAnswer;
using ipc::DnsRecord;
using ipc::DnsStatus;
using ipc::DnsType;

constexpr uint16_t kClassIn = 1;
constexpr uint16_t kTypeA = 1, kTypeCname = 5, kTypeSoa = 6, kTypePtr = 12, kTypeMx = 15,
                   kTypeTxt = 16, kTypeAaaa = 28, kTypeOpt = 41;
constexpr int kAliasesMax = 8; // RULES.md N3
constexpr size_t kPtrMax = 10;
constexpr size_t kTxtMax = 100;
constexpr size_t kTxtBytesMax = 48 * 1024; // of all records: an answer fits one IPC message
constexpr uint32_t kPositiveTtlMaxS = 86'400;
constexpr uint32_t kNegativeTtlMaxS = 3'600; // RFC 2308 5 proposes one to three hours

struct Found {
    std::string owner;
    uint32_t ttl_s;
    DnsRecord record;
    bool usable;
};
struct Alias {
    std::string owner, target;
    uint32_t ttl_s;
};

class MessageParser {
  public:
    MessageParser(std::string_view packet, std::string_view name, DnsType type)
        : in_(packet), name_(name), type_(type) {}
    std::optional<Message> parse();

  private:
    bool question();
    bool answers(unsigned count);
    bool authority(unsigned count);
    bool additional(unsigned count);
    bool record(const RecordHead& head);
    bool address(const RecordHead& head, int family, DnsRecord& into);
    bool text(const RecordHead& head, DnsRecord& into);
    bool follow_aliases();
    void collect();

    PacketReader in_;
    std::string_view name_;
    DnsType type_;
    Message message_;
    std::vector<Alias> aliases_;
    std::vector<Found> found_;
    size_t txt_bytes_ = 0;
    std::string final_name_;
    uint32_t ttl_s_ = kPositiveTtlMaxS;
    std::optional<uint32_t> negative_ttl_s_;
};

// RFC 1035 4.1.1 and 4.1.2.
std::optional<Message> MessageParser::parse() {
    in_.u16(); // the id was compared by whoever received the packet
    const unsigned flags = in_.u16();
    const unsigned questions = in_.u16(), answers_count = in_.u16(), authority_count = in_.u16(),
                   additional_count = in_.u16();
    const bool response = flags & 0x8000;
    const bool query = (flags & 0x7800) == 0; // opcode
    if (!in_.good() || !response || !query || questions != 1) return std::nullopt;
    message_.truncated = flags & 0x0200;
    message_.authentic = flags & 0x0020;
    message_.rcode = flags & 0x000F;
    if (!question()) return std::nullopt;
    if (message_.truncated) return message_; // what is cut is not worth reading
    if (!answers(answers_count) || !authority(authority_count) || !additional(additional_count)) {
        return std::nullopt;
    }
    if (message_.rcode != 0 && message_.rcode != kRcodeNoName) return message_;
    if (!follow_aliases()) return std::nullopt;
    collect();
    return message_;
}

bool MessageParser::question() {
    const Name asked = in_.name();
    const uint16_t type = in_.u16(), klass = in_.u16();
    return in_.good() && asked.text == name_ && type == type_code(type_) && klass == kClassIn;
}

bool MessageParser::answers(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        const RecordHead head = in_.record_head();
        if (!in_.good()) return false;
        if (head.klass == kClassIn && !record(head)) return false;
        in_.seek(head.data_end);
    }
    return in_.good();
}

// One record of the answer section; in_ stands at its data. false: malformed.
bool MessageParser::record(const RecordHead& head) {
    if (head.type == kTypeCname) {
        const Name target = in_.name();
        if (!in_.good() || in_.position() != head.data_end) return false;
        aliases_.push_back({head.owner.text, target.text, head.ttl_s});
        if (type_ != DnsType::cname) return true;
        found_.push_back({head.owner.text, head.ttl_s, {target.text, 0}, target.plain});
        return true;
    }
    if (head.type != type_code(type_)) return true;
    Found one{head.owner.text, head.ttl_s, {}, true};
    switch (head.type) {
    case kTypeA:
        if (!address(head, AF_INET, one.record)) return false;
        break;
    case kTypeAaaa:
        if (!address(head, AF_INET6, one.record)) return false;
        break;
    case kTypeTxt:
        if (!text(head, one.record)) return false;
        break;
    default: { // MX, PTR
        if (head.type == kTypeMx) one.record.preference = in_.u16();
        const Name target = in_.name();
        if (!in_.good() || in_.position() != head.data_end) return false;
        one.record.text = target.text;
        // RULES.md N5: what is no host name never reaches a log line, a header or another question.
        one.usable = target.plain && target.text != "." && is_host_name(target.text);
        if (head.type == kTypeMx && target.text == ".") one.usable = true; // RFC 7505
    }
    }
    found_.push_back(std::move(one));
    return true;
}

bool MessageParser::address(const RecordHead& head, int family, DnsRecord& into) {
    const size_t size = family == AF_INET ? 4 : 16;
    if (head.data_bytes != size) return false;
    const auto raw = in_.bytes(size);
    std::array<char, INET6_ADDRSTRLEN> printed{};
    inet_ntop(family, raw.data(), printed.data(), printed.size());
    into.text = printed.data();
    return true;
}

// <character-string>s one behind the other (RFC 1035 3.3.14), joined as RFC 7208 3.3 has it.
bool MessageParser::text(const RecordHead& head, DnsRecord& into) {
    if (head.data_bytes == 0) return false;
    while (in_.good() && in_.position() < head.data_end) {
        const size_t size = in_.u8();
        if (head.data_end - in_.position() < size) return false;
        into.text.append(in_.bytes(size));
    }
    txt_bytes_ += into.text.size();
    return in_.good() && txt_bytes_ <= kTxtBytesMax && found_.size() < kTxtMax;
}

// RFC 2308 5: how long "there is none" may be kept. The SOA's mailbox and numbers must be there.
bool MessageParser::authority(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        const RecordHead head = in_.record_head();
        if (!in_.good()) return false;
        if (head.type == kTypeSoa && head.klass == kClassIn) {
            in_.name();
            in_.name();
            for (int number = 0; number < 4; ++number)
                in_.u32();
            const uint32_t minimum = in_.u32();
            if (!in_.good() || in_.position() != head.data_end) return false;
            negative_ttl_s_ = std::min({head.ttl_s, minimum, kNegativeTtlMaxS});
        }
        in_.seek(head.data_end);
    }
    return in_.good();
}

bool MessageParser::additional(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        const RecordHead head = in_.record_head();
        if (!in_.good()) return false;
        if (head.type == kTypeOpt) message_.rcode |= static_cast<int>(head.ttl_raw >> 24) << 4;
        in_.seek(head.data_end);
    }
    return in_.good();
}

// RFC 1034 3.6.2. false: too many or a loop.
bool MessageParser::follow_aliases() {
    final_name_ = name_;
    if (type_ == DnsType::cname) return true;
    for (int steps = 0;; ++steps) {
        const auto next = std::find_if(aliases_.begin(), aliases_.end(), [&](const Alias& alias) {
            return alias.owner == final_name_;
        });
        if (next == aliases_.end()) return true;
        if (steps == kAliasesMax) return false;
        final_name_ = next->target;
        ttl_s_ = std::min(ttl_s_, next->ttl_s);
    }
}

size_t records_max(DnsType type) {
    switch (type) {
    case DnsType::mx:
        return limits::dns_mx_max;
    case DnsType::ptr:
        return kPtrMax;
    case DnsType::cname:
        return 1;
    case DnsType::txt:
        return kTxtMax;
    default:
        return limits::dns_addresses_max;
    }
}

void MessageParser::collect() {
    DnsAnswer& answer = message_.answer;
    answer.canonical_name = question_name(final_name_).value_or("");
    answer.status = DnsStatus::no_data;
    if (message_.rcode == kRcodeNoName) answer.status = DnsStatus::no_name;
    for (auto& one : found_) {
        if (one.owner != final_name_ || answer.status == DnsStatus::no_name) continue;
        answer.status = DnsStatus::found;
        ttl_s_ = std::min(ttl_s_, one.ttl_s);
        if (one.usable) answer.records.push_back(std::move(one.record));
    }
    auto& records = answer.records;
    if (type_ == DnsType::mx) { // the best ones are kept
        std::stable_sort(records.begin(), records.end(),
                         [](const auto& a, const auto& b) { return a.preference < b.preference; });
    }
    if (records.size() > records_max(type_)) records.resize(records_max(type_));
    answer.ttl_s = ttl_s_;
    if (answer.status != DnsStatus::found) {
        answer.ttl_s = std::min(ttl_s_, negative_ttl_s_.value_or(0));
    }
}

} // namespace

uint16_t type_code(DnsType type) {
    switch (type) {
    case DnsType::a:
        return kTypeA;
    case DnsType::aaaa:
        return kTypeAaaa;
    case DnsType::mx:
        return kTypeMx;
    case DnsType::ptr:
        return kTypePtr;
    case DnsType::txt:
        return kTypeTxt;
    case DnsType::cname:
        return kTypeCname;
    }
    return 0;
}

std::optional<Message> parse_message(std::string_view packet, std::string_view name, DnsType type) {
    return MessageParser(packet, name, type).parse();
}

} // namespace tambo::dnsd
