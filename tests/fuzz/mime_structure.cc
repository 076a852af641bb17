// Whole messages: the tree covers the message, IMAP's texts are well-formed, sections and search
// and downgrade read every part. The first two bytes say where the seam of prefix and body lies.
#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/downgrade.h"
#include "common/mime/imap_text.h"
#include "common/mime/report.h"
#include "common/mime/search_text.h"
#include "common/mime/section.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::mime;

namespace {

void check_tree(const MessageView& message, const Structure& structure) {
    check(structure.parts.size() <= limits::mime_parts_max, "parts are bounded");
    size_t at = 0;
    for (const Part& part : structure.parts) {
        check(part.header.begin >= at, "parts come in order");
        check(part.header.begin <= part.header.end && part.header.end <= part.body.begin &&
                  part.body.begin <= part.body.end && part.body.end <= message.size(),
              "header, body, end");
        if (part.parent != kNoPart) {
            const Part& parent = structure.parts[part.parent];
            check(parent.body.begin <= part.header.begin, "a part begins in its parent");
            check(part.body.end <= parent.body.end || part.body.size() == 0, "and ends in it");
        }
        const bool leaf = part.kind == Part::Kind::leaf;
        check(leaf == (part.first_child == kNoPart) || part.kind == Part::Kind::multipart,
              "a message in a part has one");
        at = leaf ? part.body.end : part.body.begin;
    }
}

// The length of the IMAP value at text; 0: it is none.
size_t value_length(std::string_view text) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                if (text[i] == '\r' || text[i] == '\n') return 0;
                if (text[i] == '\\') ++i;
            }
        } else if (c == '{') {
            const size_t close = text.find("}\r\n", i);
            if (close == std::string_view::npos) return 0;
            const auto size = parse_uint(text.substr(i + 1, close - i - 1));
            if (!size || *size > text.size() - close - 3) return 0;
            i = close + 2 + *size;
        } else if (c == '(') {
            ++depth;
        } else if (c == ')') {
            if (--depth == 0) return i + 1;
        } else if (!is_alnum(c) && c != ' ') {
            return 0;
        }
    }
    return 0;
}

void check_texts(const MessageView& message, const Structure& structure) {
    for (const bool utf8 : {false, true}) {
        const ImapForm form{utf8, utf8};
        std::string scratch;
        const Header header = part_header(message, structure.root(), scratch);
        for (const std::string& text :
             {envelope_text(header, form), body_text(message, structure, form),
              bodystructure_text(message, structure, form)}) {
            check(value_length(text) == text.size(), "one list");
            check(text.find('\0') == std::string::npos, "without NUL");
            check(utf8 ? is_utf8(text) : is_ascii(text), "in its charset");
        }
    }
}

void check_downgrade(const MessageView& message, const Structure& structure) {
    for (const NextHop hop : {NextHop{false, false}, NextHop{true, false}, NextHop{false, true}}) {
        Downgrade work(message, structure, hop);
        if (work.verdict() != Downgrade::Verdict::possible) continue;
        std::string out;
        for (std::string chunk; work.next(chunk);)
            out += chunk;
        const MessageView converted(out);
        const MessageNeeds needs = message_needs(converted, parse_structure(converted));
        if (!hop.smtp_utf8 && !hop.eight_bit_mime) check(is_ascii(out), "7-bit");
        if (!hop.smtp_utf8) check(!needs.smtp_utf8, "no 8-bit header");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    const size_t seam = std::min<size_t>(text.size(), data[0] * 256u + data[1]);
    const MessageView message(text.substr(0, seam), text.substr(seam));
    const Structure structure = parse_structure(message);
    check_tree(message, structure);
    check_texts(message, structure);
    search_text(message, structure, SearchScope::text, [](std::string_view piece) {
        check(is_utf8(piece), "search text is UTF-8");
        return true;
    });
    for (const auto* name : {"", "1", "TEXT", "HEADER", "1.1", "2.MIME", "1.HEADER", "2.1.TEXT",
                             "1.HEADER.FIELDS (Subject From)", "HEADER.FIELDS.NOT (To)"}) {
        const auto section = parse_section(name);
        check(section.has_value(), "a section");
        const SectionBytes found = find_section(message, structure, *section);
        if (found.exists) check(found.range.end <= message.size(), "inside of the message");
    }
    check_downgrade(message, structure);
    Report report;
    report.text = text.substr(0, 2000);
    report.subject = text.substr(0, 200);
    report.recipients.push_back(
        {"a@b", "", ReportAction::failed, "5.0.0", "x", std::string(text.substr(0, 1000)), {}, {}});
    report.include_message = true;
    const std::string bounce = compose_report(report, message);
    const Structure parts = parse_structure(MessageView(bounce));
    check(parts.child(0, 3) != kNoPart && parts.child(0, 4) == kNoPart, "a report has three parts");
    return 0;
}
