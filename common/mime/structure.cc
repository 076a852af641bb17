// See structure.h. The stack holds the open parts from the message to the innermost one. A line
// that begins with "--" is looked up once among all open boundaries, so that neither many
// boundaries nor deep nesting cost more than the line's length.
#include "common/mime/structure.h"

#include "common/base/limits.h"
#include "common/base/text.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

namespace tambo::mime {

namespace {

struct Delimiter {
    size_t depth = 0; // of its multipart in the stack
    bool closing = false;
};

class StructureParser {
  public:
    explicit StructureParser(const MessageView& message) : message_(message) {}
    Structure run() &&;

  private:
    struct Open {
        uint32_t part = 0;
        size_t first_line = 0;          // of the body
        std::string boundary;           // empty: no multipart, or closed
        std::optional<size_t> shadowed; // depth of an outer multipart with the same boundary
    };

    uint32_t add_part(uint32_t parent, size_t header_begin);
    void finish_header(size_t body_begin, size_t first_line);
    void read_type(Part& part);
    void decide(Part& part, const ContentField& content);
    void open_multipart(Part& part, const ContentField& content);
    std::optional<Delimiter> find_delimiter(const Line& line);
    std::optional<Delimiter> look_up(std::string_view text);
    void take_delimiter(const Delimiter& delimiter, const Line& line);
    void close_above(size_t depth, size_t body_end);
    void forget_boundary(size_t depth);

    const MessageView& message_;
    Structure structure_;
    std::vector<Open> stack_;
    std::map<std::string, size_t, std::less<>> boundaries_; // to depth, innermost of equal ones
    std::string scratch_;
    size_t line_number_ = 0;
    size_t last_line_end_ = 0; // bytes of the line end before the current line
    bool in_header_ = false;
    bool full_ = false; // no more parts: delimiters are text
};

Structure StructureParser::run() && {
    add_part(kNoPart, 0);
    LineReader lines(message_);
    for (Line line; lines.next(line); ++line_number_, last_line_end_ = line.line_end) {
        const auto delimiter = find_delimiter(line);
        if (delimiter) {
            take_delimiter(*delimiter, line);
        } else if (in_header_ && line.blank()) {
            finish_header(line.range.end, line_number_ + 1);
        }
    }
    while (in_header_)
        finish_header(message_.size(), line_number_);
    close_above(0, message_.size());
    for (const Part& part : structure_.parts)
        structure_.ambiguity |= part.ambiguity;
    return std::move(structure_);
}

uint32_t StructureParser::add_part(uint32_t parent, size_t header_begin) {
    auto& parts = structure_.parts;
    const auto index = static_cast<uint32_t>(parts.size());
    Part part;
    part.parent = parent;
    part.header = {header_begin, header_begin};
    parts.push_back(std::move(part));
    if (parent != kNoPart) {
        Part& above = parts[parent];
        if (above.first_child == kNoPart) {
            above.first_child = index;
        } else {
            parts[above.last_child].next = index;
        }
        above.last_child = index;
    }
    stack_.push_back({index, 0, {}, {}});
    in_header_ = true;
    if (parts.size() == limits::mime_parts_max) full_ = structure_.truncated = true;
    return index;
}

void StructureParser::finish_header(size_t body_begin, size_t first_line) {
    in_header_ = false;
    stack_.back().first_line = first_line;
    const uint32_t index = stack_.back().part;
    Part& part = structure_.parts[index];
    part.header.end = body_begin;
    part.body = {body_begin, body_begin};
    read_type(part); // may enter the part's boundary into the stack's top
    if (part.kind == Part::Kind::message) add_part(index, body_begin);
}

// What the header says about the part.
void StructureParser::read_type(Part& part) {
    const Header header = part_header(message_, part, scratch_);
    for (const auto name : {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}) {
        const Field* field = header.find(name);
        if (field != nullptr && field->obsolete) part.ambiguity |= kObsoleteName;
        if (field != nullptr && header.count(name) > 1) part.ambiguity |= kRepeatedField;
    }
    std::optional<std::string_view> raw_encoding;
    if (const Field* field = header.find("Content-Transfer-Encoding")) raw_encoding = field->value;
    TransferEncoding encoding = parse_transfer_encoding(raw_encoding);
    part.encoding = encoding.encoding;
    part.encoding_token = std::move(encoding.token);
    part.ambiguity |= encoding.ambiguity;

    ContentField content;
    if (const Field* field = header.find("Content-Type")) {
        content = parse_content_type(field->value);
        part.ambiguity |= content.ambiguity;
        part.has_type = !content.type.empty();
    }
    if (part.has_type) {
        part.type = content.type;
        part.subtype = content.subtype;
    } else { // RFC 2045 5.2, RFC 2046 5.1.5
        const bool digest =
            part.parent != kNoPart && structure_.parts[part.parent].is("multipart", "digest");
        const bool message = digest && header.find("Content-Type") == nullptr;
        part.type = message ? "message" : "text";
        part.subtype = message ? "rfc822" : "plain";
    }
    decide(part, content);
}

// Whether the part is looked into.
void StructureParser::decide(Part& part, const ContentField& content) {
    const bool message = part.is("message", "rfc822") || part.is("message", "global");
    const bool multipart = iequals(part.type, "multipart");
    if (!message && !multipart) return;
    const bool encoded = part.encoding != Encoding::identity;
    if (encoded) part.ambiguity |= kOddContainer; // RFC 2045 6.4
    if (full_ || stack_.size() >= limits::mime_depth_max) {
        part.opaque = structure_.truncated = true;
    } else if (multipart) {
        open_multipart(part, content);
    } else if (encoded) {
        part.opaque = true;
    } else {
        part.kind = Part::Kind::message;
    }
}

void StructureParser::open_multipart(Part& part, const ContentField& content) {
    const Parameter* parameter = content.find("boundary");
    std::string boundary = parameter == nullptr ? "" : parameter->value;
    if (parameter != nullptr && parameter->extended) boundary = parameter->decoded();
    while (!boundary.empty() && is_wsp(boundary.back()))
        boundary.pop_back();
    if (boundary.empty() || boundary.size() > limits::mime_boundary_bytes) {
        part.ambiguity |= kOddContainer; // what is in it is shown as text
        part.type = "text";
        part.subtype = "plain";
        part.has_type = false;
        return;
    }
    part.kind = Part::Kind::multipart;
    const size_t depth = stack_.size() - 1;
    const auto [entry, added] = boundaries_.try_emplace(boundary, depth);
    if (!added) {
        part.ambiguity |= kOddContainer; // inner and outer delimiters cannot be told apart
        stack_[depth].shadowed = entry->second;
        entry->second = depth;
    }
    stack_[depth].boundary = std::move(boundary);
}

// RFC 2046 5.1.1: "--" boundary, "--" if it is the last one, blanks. A line with anything else
// behind the boundary is text: else a boundary that begins like another one would end it.
std::optional<Delimiter> StructureParser::find_delimiter(const Line& line) {
    constexpr size_t kExtra = 4 + 64; // dashes and some blanks
    if (boundaries_.empty() || full_) return std::nullopt;
    const size_t length = line.content_end() - line.range.begin;
    if (length < 3 || message_.at(line.range.begin) != '-' ||
        message_.at(line.range.begin + 1) != '-' || length > limits::mime_boundary_bytes + kExtra) {
        return std::nullopt;
    }
    std::string_view text = message_.slice({line.range.begin + 2, line.content_end()}, scratch_);
    while (!text.empty() && is_wsp(text.back()))
        text.remove_suffix(1);
    return look_up(text);
}

std::optional<Delimiter> StructureParser::look_up(std::string_view text) {
    auto found = boundaries_.find(text);
    if (found != boundaries_.end()) return Delimiter{found->second, false};
    if (!text.ends_with("--")) return std::nullopt;
    found = boundaries_.find(text.substr(0, text.size() - 2));
    if (found == boundaries_.end()) return std::nullopt;
    return Delimiter{found->second, true};
}

void StructureParser::take_delimiter(const Delimiter& delimiter, const Line& line) {
    while (in_header_)
        finish_header(line.range.begin, line_number_);
    close_above(delimiter.depth + 1, line.range.begin - last_line_end_);
    if (delimiter.closing) {
        forget_boundary(delimiter.depth);
    } else {
        add_part(stack_[delimiter.depth].part, line.range.end);
    }
}

// Closes the open parts from depth inwards; body_end is where their bodies end.
void StructureParser::close_above(size_t depth, size_t body_end) {
    while (stack_.size() > depth) {
        forget_boundary(stack_.size() - 1);
        const Open& open = stack_.back();
        Part& part = structure_.parts[open.part];
        part.body.end = std::max(part.body.begin, body_end);
        if (part.body.size() > 0) {
            part.lines = line_number_ - open.first_line;
            const bool line_end_given_away = body_end < message_.size();
            if (line_end_given_away && message_.at(part.body.end - 1) == '\n') --part.lines;
        }
        stack_.pop_back();
    }
}

void StructureParser::forget_boundary(size_t depth) {
    Open& open = stack_[depth];
    if (open.boundary.empty()) return;
    const auto entry = boundaries_.find(open.boundary);
    if (open.shadowed) {
        entry->second = *open.shadowed;
    } else {
        boundaries_.erase(entry);
    }
    open.boundary.clear();
    open.shadowed.reset();
}

} // namespace

bool Part::is(std::string_view a_type, std::string_view a_subtype) const {
    return iequals(type, a_type) && iequals(subtype, a_subtype);
}

uint32_t Structure::child(uint32_t part, uint32_t n) const {
    uint32_t found = parts[part].first_child;
    while (found != kNoPart && --n > 0)
        found = parts[found].next;
    return found;
}

Structure parse_structure(const MessageView& message) {
    return StructureParser(message).run();
}

Header part_header(const MessageView& message, const Part& part, std::string& scratch) {
    // A little more than is indexed, so that Header::parse() notices the cut.
    const size_t end = std::min(part.header.end, part.header.begin + limits::header_bytes_max + 1);
    return Header::parse(message.slice({part.header.begin, end}, scratch), part.header.begin);
}

} // namespace tambo::mime
