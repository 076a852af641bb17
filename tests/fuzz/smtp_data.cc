// DATA: the decoder against a byte-wise reference, split where the input says; the encoder against
// the decoder.
#include "common/base/check.h"
#include "common/smtp/data.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::smtp;

namespace {

struct Outcome {
    std::string body;
    size_t taken = 0;
    bool ended = false;
    unsigned flaws = 0;
};

// RFC 5321 4.5.2, as plainly as it can be written: search the end, then go line by line.
Outcome reference(std::string_view wire) {
    Outcome r;
    const size_t end = wire.starts_with(".\r\n") ? 0 : wire.find("\r\n.\r\n");
    r.ended = end != std::string_view::npos;
    r.taken = !r.ended ? wire.size() : wire.starts_with(".\r\n") ? 3 : end + 5;
    auto body = wire.substr(0, !r.ended ? wire.size() : wire.starts_with(".\r\n") ? 0 : end + 2);
    for (size_t i = 0; i < body.size(); ++i) {
        const bool cr_before = i > 0 && body[i - 1] == '\r';
        const bool at_start = i == 0 || (i >= 2 && body[i - 1] == '\n' && body[i - 2] == '\r');
        if (body[i] == '\0') r.flaws |= DataDecoder::nul;
        if (body[i] == '\n' && !cr_before) r.flaws |= DataDecoder::bare_lf;
        if (body[i] == '\r' && i + 1 < body.size() && body[i + 1] != '\n') {
            r.flaws |= DataDecoder::bare_cr;
        }
        if (!(at_start && body[i] == '.')) r.body.push_back(body[i]);
    }
    // Unfinished input: a ".\r" at its end may yet become the end and is held back.
    const bool held = !r.ended && (body == ".\r" || body.ends_with("\r\n.\r"));
    if (held) r.body.pop_back();
    return r;
}

Outcome decode(std::string_view wire, size_t step) {
    Outcome r;
    DataDecoder decoder;
    while (r.taken < wire.size() && !decoder.ended()) {
        r.taken += decoder.feed(wire.substr(r.taken, step), r.body);
    }
    r.ended = decoder.ended();
    r.flaws = decoder.flaws();
    return r;
}

void check_encoder(std::string_view body, size_t step) {
    DataEncoder encoder;
    std::string wire;
    for (size_t at = 0; at < body.size(); at += step) {
        if (!encoder.feed(body.substr(at, step), wire)) return;
    }
    if (!encoder.finish(wire)) return;
    const auto back = decode(wire, wire.size());
    check(back.ended && back.flaws == 0 && back.taken == wire.size(), "our own wire is clean");
    const bool whole = body.empty() || body.ends_with("\r\n");
    check(back.body == (whole ? std::string(body) : std::string(body) + "\r\n"), "bytes survive");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t step = data[0] % 32u + 1;
    const std::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto expected = reference(wire);
    for (const size_t n : {step, std::max<size_t>(1, wire.size())}) {
        const auto got = decode(wire, n);
        check(got.ended == expected.ended && got.taken == expected.taken, "same end");
        check(got.body == expected.body, "same bytes");
        check(got.flaws == expected.flaws, "same flaws");
    }
    check_encoder(wire, step);
    return 0;
}
