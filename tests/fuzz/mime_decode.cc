// Codecs: the result does not depend on how the input is cut; encoders are undone by decoders.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/mime/decode.h"
#include "common/mime/search_text.h"

#include <algorithm>
#include <array>

using namespace tambo;
using namespace tambo::mime;

namespace {

constexpr std::array<std::string_view, 8> kCharsets{
    "utf-8", "", "windows-1252", "iso-2022-jp", "gb18030", "utf-16le", "shift_jis", "utf-7"};

template <class Codec>
std::string in_steps(Codec codec, std::string_view in, size_t step) {
    std::string out;
    for (size_t at = 0; at < in.size(); at += step)
        codec.feed(in.substr(at, step), out);
    codec.finish(out);
    return out;
}

template <class Codec>
std::string both(std::string_view in, size_t step) {
    const std::string whole = in_steps(Codec(), in, in.size() + 1);
    check(in_steps(Codec(), in, step) == whole, "cuts change nothing");
    return whole;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t step = data[0] % 80 + 1u;
    const auto charset = kCharsets[data[1] % kCharsets.size()];
    const std::string_view in(reinterpret_cast<const char*>(data) + 2, size - 2);
    both<QuotedPrintableDecoder>(in, step);
    both<Base64Decoder>(in, step);
    const std::string base64 = both<Base64Encoder>(in, step);
    check(decode_body(Encoding::base64, base64) == in, "base64 is undone");
    const std::string quoted = both<QuotedPrintableEncoder>(in, step);
    check(is_ascii(quoted), "quoted-printable is ASCII");
    for (const auto line : split(quoted, '\n'))
        check(line.size() <= 77, "in short lines");
    // Equal but for line ends, which become CR LF.
    std::string with_lf, decoded = decode_body(Encoding::quoted_printable, quoted);
    std::string original(in);
    // "\r\r\n" becomes "\n", too: all at once, so that the target itself takes linear time.
    const auto to_lf = [](std::string& text) {
        std::string out;
        for (const char c : text) {
            while (c == '\n' && out.ends_with('\r'))
                out.pop_back();
            out.push_back(c);
        }
        text = std::move(out);
    };
    to_lf(decoded);
    to_lf(original);
    check(decoded == original, "quoted-printable is undone");

    for (const Encoding encoding : {Encoding::identity, Encoding::quoted_printable}) {
        const std::string text = in_steps(TextDecoder(encoding, charset), in, in.size() + 1);
        check(is_utf8(text), "text is UTF-8");
        check(in_steps(TextDecoder(encoding, charset), in, step) == text, "whatever the cuts");
        // Some whole characters of it.
        const auto inside = [&](size_t at) {
            return at < text.size() && (text[at] & 0xC0) == 0x80;
        };
        size_t begin = text.size() / 2, end = std::min(text.size(), begin + 40);
        while (inside(begin))
            ++begin;
        while (end > begin && inside(end))
            --end;
        const std::string needle = folded(text.substr(begin, end - begin));
        check(contains_folded(text, needle), "folded text is found");
        check(folded(folded(text)) == folded(text), "folding is done once");
    }
    return 0;
}
