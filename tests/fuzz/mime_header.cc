// Headers: the scanner sees the same however the bytes are cut, and agrees with Header::parse().
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/mime/header.h"
#include "common/mime/header_scanner.h"
#include "common/mime/section.h"

using namespace tambo;
using namespace tambo::mime;

namespace {

HeaderScanner scan(std::string_view text, size_t step, size_t& taken) {
    HeaderScanner scanner;
    taken = 0;
    for (size_t at = 0; at < text.size(); at += step)
        taken += scanner.feed(text.substr(at, step));
    scanner.finish();
    return scanner;
}

void check_equal(const HeaderScanner& a, const HeaderScanner& b) {
    check(a.status() == b.status() && a.bytes() == b.bytes() && a.lines() == b.lines(), "counts");
    check(a.flags().nul == b.flags().nul && a.flags().bare_cr == b.flags().bare_cr &&
              a.flags().bare_lf == b.flags().bare_lf &&
              a.flags().malformed_line == b.flags().malformed_line &&
              a.flags().obsolete_name == b.flags().obsolete_name &&
              a.flags().eight_bit == b.flags().eight_bit,
          "flags");
    check(a.fields().size() == b.fields().size(), "number of fields");
    for (size_t i = 0; i < a.fields().size(); ++i) {
        check(a.fields()[i].value == b.fields()[i].value, "value");
        check(a.fields()[i].end == b.fields()[i].end, "end");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t step = data[0] % 64 + 1u;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    size_t taken = 0, taken_whole = 0;
    const HeaderScanner scanner = scan(text, step, taken);
    const HeaderScanner whole = scan(text, text.size() + 1, taken_whole);
    check(taken == taken_whole, "where the header ends");
    check_equal(scanner, whole);

    const Header header = Header::parse(text);
    // What SMTP refuses ends nowhere; in the store the end is looked for behind the limit, too.
    const bool too_large = scanner.status() == HeaderScanner::Status::too_large;
    check(header.truncated() == too_large, "scanner and parser have one limit");
    check(header.end() == taken || too_large, "scanner and parser agree on the end");
    check(header.count("From") == scanner.count(Watched::from), "and on the fields");
    check(header.count("Received") == scanner.count(Watched::received), "of every kind");
    if (too_large) return 0; // to the scanner the rest is body, and no field of it is indexed
    size_t at = 0;
    for (const Field& field : header.fields()) {
        check(field.range.begin == at && field.range.end > at, "fields cover the header");
        at = field.range.end;
    }
    const std::string seam =
        header_text(MessageView(text.substr(0, text.size() / 2), text.substr(text.size() / 2)));
    check(seam == text.substr(0, taken), "the seam changes nothing");
    check(select_fields(header, seam, {}, true) == seam, "all fields are the header");
    return 0;
}
