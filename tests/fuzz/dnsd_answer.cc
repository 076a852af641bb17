// DNS messages: as they come, and with a header and question that fit, so that the records are
// reached. What is accepted must keep the limits that everyone behind dnsd relies on.
#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/codec.h"
#include "dnsd/answer.h"
#include "dnsd/name.h"

#include <cstddef>
#include <cstdint>

using namespace tambo;
using namespace tambo::dnsd;

namespace {

constexpr std::string_view kAsked = "example.test";

void inspect(std::string_view packet, ipc::DnsType type) {
    const auto message = parse_message(packet, kAsked, type);
    if (!message) return;
    const auto& answer = message->answer;
    check(answer.records.size() <= 100, "records are bounded");
    check(ipc::encode(answer).size() < limits::ipc_message_bytes - 100, "an answer fits");
    check(answer.ttl_s <= 86'400, "ttl is bounded");
    if (type == ipc::DnsType::mx) check(answer.records.size() <= limits::dns_mx_max, "MX");
    for (const auto& record : answer.records) {
        if (type == ipc::DnsType::txt) continue;
        check(!record.text.empty() && record.text.size() <= 255, "names are bounded");
        if (type == ipc::DnsType::mx && record.text == ".") continue;
        if (type == ipc::DnsType::mx || type == ipc::DnsType::ptr) {
            check(is_host_name(record.text), "LDH");
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 6 || size > limits::ipc_message_bytes) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto type = static_cast<ipc::DnsType>(data[0] % 6);
    inspect(input.substr(1), type);
    const auto reverse = reverse_name(input.substr(1));
    if (reverse) check(question_name(*reverse) == reverse, "what is asked about an address");

    const unsigned code = type_code(type);
    std::string packet("\0\0", 2);
    packet += static_cast<char>((data[1] & 0x07) | 0x80);
    packet += input[2];
    packet += std::string("\0\1\0", 3) + input[3] + '\0' + input[4] + '\0' + input[5];
    packet += std::string("\7example\4test\0\0", 15) + static_cast<char>(code);
    packet += std::string("\0\1", 2);
    packet += input.substr(6);
    inspect(packet, type);
    return 0;
}
