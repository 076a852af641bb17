// What a client unstuffs is the message; nothing in it ends the response; pieces make no
// difference. The first bytes say where the pieces end and how many lines TOP wants.
#include "pop3d/session/multiline.h"

#include <cstdint>
#include <cstdlib>

using namespace tambo::pop3;

namespace {

std::string response(std::string_view text, size_t piece_bytes) {
    DotStuffer stuffer;
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece_bytes)
        stuffer.feed(text.substr(at, piece_bytes), out);
    stuffer.finish(out);
    return out;
}

// As a client that takes a bare LF for a line end reads it. The end must be where it should.
std::string unstuffed(std::string_view wire) {
    std::string text;
    while (!wire.empty()) {
        const size_t end = wire.find('\n');
        if (end == std::string_view::npos) std::abort();
        auto line = wire.substr(0, end + 1);
        wire.remove_prefix(end + 1);
        if (line == ".\r\n" || line == ".\n") {
            if (!wire.empty()) std::abort();
            return text;
        }
        if (line.front() == '.') line.remove_prefix(1);
        text.append(line);
    }
    std::abort();
}

std::string top(std::string_view text, uint64_t lines, size_t piece_bytes) {
    TopCut cut(lines);
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece_bytes)
        out += cut.take(text.substr(at, piece_bytes));
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size < 2) return 0;
    const size_t piece_bytes = bytes[0] + 1u;
    const uint64_t lines = bytes[1];
    const std::string text(reinterpret_cast<const char*>(bytes + 2), size - 2);
    const std::string wire = response(text, piece_bytes);
    const bool ends = text.empty() || text.back() == '\n';
    if (unstuffed(wire) != (ends ? text : text + "\r\n")) std::abort();
    if (wire != response(text, text.size() + 1)) std::abort();
    const std::string head = top(text, lines, piece_bytes);
    if (!text.starts_with(head) || head != top(text, lines, text.size() + 1)) std::abort();
    return 0;
}
