// See header.h.
#include "common/mime/header.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/lexer.h"

#include <algorithm>

namespace tambo::mime {

namespace {

// RFC 5322 3.6.8 ftext: printable ASCII except the colon.
constexpr bool is_ftext(char c) {
    return c > ' ' && c < 0x7f && c != ':';
}

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

bool is_blank(std::string_view line) {
    return line == "\n" || line == "\r\n";
}

// Offset behind the blank line, or text.size(). text begins at the start of a line.
size_t find_end(std::string_view text, bool& found) {
    size_t at = 0;
    while (at < text.size()) {
        const size_t line_end = text.find('\n', at);
        if (line_end == std::string_view::npos) return text.size();
        found = line_end == at || (line_end == at + 1 && text[at] == '\r');
        at = line_end + 1;
        if (found) return at;
    }
    return at;
}

} // namespace

Header Header::parse(std::string_view text, size_t base) {
    Header header;
    size_t at = 0;
    for (size_t lines = 0; at < text.size(); ++lines) {
        if (lines == limits::header_lines_max || at >= limits::header_bytes_max) {
            header.truncated_ = true;
            at += find_end(text.substr(at), header.has_blank_line_);
            break;
        }
        const size_t line_end = text.find('\n', at);
        const auto line = text.substr(at, line_end - at + (line_end != std::string_view::npos));
        at += line.size();
        if (is_blank(line)) {
            header.has_blank_line_ = true;
            break;
        }
        header.add_line(line, base + at - line.size());
    }
    header.end_ = base + at;
    return header;
}

void Header::add_line(std::string_view line, size_t offset) {
    if (is_wsp(line.front()) && !fields_.empty() && fields_.back().range.end == offset) {
        Field& field = fields_.back();
        field.range.end += line.size();
        const auto to = without_line_end(line);
        const auto* begin = field.value.data();
        const auto length = static_cast<size_t>(to.data() + to.size() - begin);
        field.value = std::string_view(begin, std::min(length, limits::header_field_bytes_max));
        return;
    }
    Field field;
    field.range = {offset, offset + line.size()};
    const auto content = without_line_end(line);
    field.value = content;
    size_t name_end = 0;
    while (name_end < content.size() && is_ftext(content[name_end]))
        ++name_end;
    size_t colon = name_end;
    while (colon < content.size() && is_wsp(content[colon]))
        ++colon;
    if (name_end > 0 && colon < content.size() && content[colon] == ':') {
        field.name = content.substr(0, name_end);
        field.obsolete = colon > name_end;
        field.value = content.substr(colon + 1);
    }
    field.value = field.value.substr(0, limits::header_field_bytes_max);
    fields_.push_back(field);
}

const Field* Header::find(std::string_view name) const {
    const auto found = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const Field& f) { return iequals(f.name, name); });
    return found == fields_.end() ? nullptr : &*found;
}

size_t Header::count(std::string_view name) const {
    return static_cast<size_t>(std::count_if(
        fields_.begin(), fields_.end(), [&](const Field& f) { return iequals(f.name, name); }));
}

std::string_view Header::value(std::string_view name) const {
    const Field* field = find(name);
    return field == nullptr ? std::string_view{} : field->value;
}

std::string header_text(const MessageView& message) {
    LineReader lines(message);
    Line line;
    while (lines.position() < limits::header_bytes_max && lines.next(line) && !line.blank()) {
    }
    return message.copy({0, std::min(lines.position(), limits::header_bytes_max)});
}

} // namespace tambo::mime
