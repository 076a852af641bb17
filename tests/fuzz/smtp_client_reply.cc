// Replies of remote servers: any bytes, any pieces; the result is bounded printable text.
#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/client_reply.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::smtp;

namespace {

struct Outcome {
    ReplyParser::State state;
    size_t taken = 0;
    int code = 0;
    std::string enhanced, text;
    bool operator==(const Outcome&) const = default;
};

Outcome parse(std::string_view wire, size_t step) {
    ReplyParser parser;
    size_t at = 0;
    while (at < wire.size() && parser.state() == ReplyParser::State::wanting) {
        at += parser.feed(wire.substr(at, step));
    }
    const auto& r = parser.reply();
    check(r.lines.size() <= limits::relay_reply_lines, "too many lines");
    for (const auto& line : r.lines) {
        check(line.size() <= limits::relay_reply_line_bytes && is_utf8(line), "bad line");
        check(std::none_of(line.begin(), line.end(), is_ctl), "control character");
    }
    if (parser.state() == ReplyParser::State::complete) static_cast<void>(parse_offer(r));
    return {parser.state(), at, r.code, r.enhanced, r.text()};
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
    check(parse(wire, data[0] % 32u + 1) == parse(wire, size), "pieces do not matter");
    return 0;
}
