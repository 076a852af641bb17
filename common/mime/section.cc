// See section.h.
#include "common/mime/section.h"

#include "common/base/limits.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <array>

namespace tambo::mime {

namespace {

// A message's own content and a part in it are both "the part" when numbers are resolved; this
// tells which: of a message, numbers count inside its content.
struct Node {
    uint32_t part = kNoPart;    // whose header and body are meant
    uint32_t content = kNoPart; // of a message: its content; else kNoPart
};

Node node_of(const Structure& structure, uint32_t part) {
    const Part& p = structure.parts[part];
    return {part, p.kind == Part::Kind::message ? p.first_child : kNoPart};
}

// RFC 9051 6.4.5.1 "part numbers". part == kNoPart: there is no such part.
Node step(const Structure& structure, const Node& node, uint32_t number) {
    const bool inside = node.content != kNoPart;
    const uint32_t container = inside ? node.content : node.part;
    uint32_t found = kNoPart;
    if (structure.parts[container].kind == Part::Kind::multipart) {
        found = structure.child(container, number);
    } else if (inside && number == 1) {
        found = container; // a message that is no multipart has one part
    }
    return found == kNoPart ? Node{} : node_of(structure, found);
}

// A set of field names, any case. A client may ask for very many.
class Names {
  public:
    explicit Names(std::span<const std::string> names) : names_(names) {
        if (names.size() <= kFew) return;
        for (const auto& name : names)
            sorted_.push_back(to_lower(name));
        std::sort(sorted_.begin(), sorted_.end());
    }
    bool contains(std::string_view name) const {
        if (!sorted_.empty()) {
            return std::binary_search(sorted_.begin(), sorted_.end(), to_lower(name));
        }
        return std::any_of(names_.begin(), names_.end(),
                           [&](const std::string& n) { return iequals(n, name); });
    }

  private:
    static constexpr size_t kFew = 16;
    std::span<const std::string> names_;
    std::vector<std::string> sorted_;
};

std::optional<std::vector<std::string>> parse_field_names(Cursor& in) {
    std::vector<std::string> names;
    if (!in.accept(" (")) return std::nullopt;
    do {
        std::string name;
        if (in.accept('"')) {
            if (!take_quoted(in, name)) return std::nullopt;
        } else {
            name = in.take_while([](char c) {
                return is_atext(c) ||
                       std::string_view(".:[]<>@,;").find(c) != std::string_view::npos;
            });
        }
        if (name.empty()) return std::nullopt;
        names.push_back(std::move(name));
    } while (in.accept(' '));
    if (!in.accept(')')) return std::nullopt;
    return names;
}

struct Keyword {
    std::string_view text;
    Section::Kind kind;
};

constexpr std::array kKeywords{Keyword{"HEADER", Section::Kind::header},
                               Keyword{"HEADER.FIELDS", Section::Kind::header_fields},
                               Keyword{"HEADER.FIELDS.NOT", Section::Kind::header_fields_not},
                               Keyword{"TEXT", Section::Kind::text},
                               Keyword{"MIME", Section::Kind::mime}};

} // namespace

std::optional<Section> parse_section(std::string_view text) {
    constexpr size_t kPathMax = 2 * limits::mime_depth_max; // deeper there are no parts
    Section section;
    Cursor in(text);
    if (in.empty()) return section;
    while (is_digit(in.peek())) {
        const auto number = parse_uint(in.take_while(is_digit), UINT32_MAX);
        if (!number || *number == 0 || section.path.size() == kPathMax) return std::nullopt;
        section.path.push_back(static_cast<uint32_t>(*number));
        if (in.empty()) return section;
        if (!in.accept('.')) return std::nullopt;
    }
    const auto word = in.take_while([](char c) { return is_alpha(c) || c == '.'; });
    const auto keyword = std::find_if(kKeywords.begin(), kKeywords.end(),
                                      [&](const Keyword& k) { return iequals(k.text, word); });
    if (keyword == kKeywords.end()) return std::nullopt;
    section.kind = keyword->kind;
    if (section.kind == Section::Kind::mime && section.path.empty()) return std::nullopt;
    if (section.kind == Section::Kind::header_fields ||
        section.kind == Section::Kind::header_fields_not) {
        auto names = parse_field_names(in);
        if (!names) return std::nullopt;
        section.fields = std::move(*names);
    }
    if (!in.empty()) return std::nullopt;
    return section;
}

SectionBytes
find_section(const MessageView& message, const Structure& structure, const Section& section) {
    Node node{kNoPart, 0}; // the message itself: no part, but content
    for (const uint32_t number : section.path) {
        node = step(structure, node, number);
        if (node.part == kNoPart) return {};
    }
    SectionBytes found;
    if (section.kind == Section::Kind::all) {
        const bool whole = node.part == kNoPart;
        return {true, whole ? Range{0, message.size()} : structure.parts[node.part].body, false,
                ""};
    }
    if (section.kind == Section::Kind::mime) {
        return {true, structure.parts[node.part].header, false, ""};
    }
    if (node.content == kNoPart) return {}; // HEADER and TEXT are of messages only
    const Part& content = structure.parts[node.content];
    if (section.kind == Section::Kind::text) return {true, content.body, false, ""};
    if (section.kind == Section::Kind::header) return {true, content.header, false, ""};
    std::string scratch;
    const Header header = part_header(message, content, scratch);
    std::string copy;
    const auto text = message.slice(content.header, copy);
    const bool others = section.kind == Section::Kind::header_fields_not;
    return {true, {}, true, select_fields(header, text, section.fields, others)};
}

std::string select_fields(const Header& header,
                          std::string_view header_text,
                          std::span<const std::string> names,
                          bool others) {
    if (header.fields().empty()) return std::string(header_text);
    const size_t base = header.fields().front().range.begin;
    const Names wanted(names);
    std::string out;
    for (const Field& field : header.fields()) {
        if ((!field.name.empty() && wanted.contains(field.name)) == others) continue;
        out.append(header_text.substr(field.range.begin - base, field.range.size()));
    }
    if (header.has_blank_line()) out.append(header_text.ends_with("\r\n") ? "\r\n" : "\n");
    return out;
}

} // namespace tambo::mime
