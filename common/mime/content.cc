// See content.h. Parameters are read as pieces (one for each "name*N*=value"), then sorted by name
// and section and joined: n log n of at most mime_parameters_max pieces.
#include "common/mime/content.h"

#include "common/base/limits.h"
#include "common/mime/charset.h"
#include "common/mime/encoded_word.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <array>

namespace tambo::mime {

namespace {

constexpr int kWhole = -1; // not a section

struct Piece {
    std::string name, value;
    int section = kWhole;
    bool extended = false;
    size_t order = 0;
};

// "filename*0*" into name, section and extended. false: not of that form; then it is all name.
void split_name(std::string_view text, Piece& piece) {
    const auto [base, marks] = split_once(text, '*');
    piece.name = to_lower(base.empty() ? text : base);
    if (base.empty() || base.size() == text.size()) return;
    std::string_view digits = marks;
    piece.extended = digits.empty() || digits.ends_with('*');
    if (digits.ends_with('*')) digits.remove_suffix(1);
    if (digits.empty()) return;
    const auto section = parse_uint(digits, limits::mime_parameters_max);
    const bool canonical = digits.size() == 1 || digits.front() != '0'; // RFC 2231 7
    if (section && canonical) {
        piece.section = static_cast<int>(*section);
    } else {
        piece.name = to_lower(text);
        piece.extended = false;
    }
}

// Reads "; name=value; ..." leniently.
class ParameterParser {
  public:
    ParameterParser(Cursor& in, unsigned& ambiguity) : in_(in), ambiguity_(ambiguity) {}
    std::vector<Piece> run();

  private:
    void value(Piece& piece);
    void unquoted(Piece& piece);
    void odd() { ambiguity_ |= kOddParameter; }
    void blanks() {
        if (!skip_cfws(in_).closed) odd();
    }

    Cursor& in_;
    unsigned& ambiguity_;
};

std::vector<Piece> ParameterParser::run() {
    std::vector<Piece> pieces;
    for (bool separated = false;;) {
        blanks();
        if (in_.empty()) return pieces;
        if (in_.accept(';')) {
            separated = true;
            continue;
        }
        const auto name = in_.take_while(
            [](char c) { return c != '=' && c != ';' && c != '"' && c != '(' && !is_fws(c); });
        blanks();
        if (!in_.accept('=')) {
            odd(); // a stray word
            if (name.empty()) in_.skip(1);
            continue;
        }
        if (pieces.size() == limits::mime_parameters_max) {
            odd();
            return pieces;
        }
        if (!separated || name.empty()) odd();
        Piece piece;
        split_name(name, piece);
        value(piece);
        piece.order = pieces.size();
        if (!name.empty()) pieces.push_back(std::move(piece));
        separated = false;
    }
}

void ParameterParser::value(Piece& piece) {
    blanks();
    if (in_.accept('"')) {
        if (!take_quoted(in_, piece.value)) odd();
        return;
    }
    unquoted(piece);
}

// A token, or what stands there instead of one: blanks are kept (filename=my file.pdf) unless what
// follows them looks like the next parameter.
void ParameterParser::unquoted(Piece& piece) {
    const auto is_value = [](char c) { return c != ';' && c != '"' && !is_fws(c) && c != '('; };
    piece.value = in_.take_while(is_value);
    for (;;) {
        const size_t before = in_.position();
        blanks();
        if (in_.empty() || in_.peek() == ';') return;
        odd();
        const auto more = in_.take_while(is_value);
        if (more.empty() || more.find('=') != std::string_view::npos) {
            in_.rewind(before);
            blanks();
            return;
        }
        piece.value.append(1, ' ').append(more);
    }
}

void append_percent_encoded(std::string& out, std::string_view text) {
    for (const char c : text) {
        // RFC 2231 7 attribute-char.
        if (is_token(c) && c != '*' && c != '\'' && c != '%') {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.append(to_upper(to_hex(std::string_view(&c, 1))));
        }
    }
}

std::string percent_decode(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto byte = text[0] == '%' ? from_hex(text.substr(1, 2)) : std::nullopt;
        if (byte && byte->size() == 1) {
            out.append(*byte);
            text.remove_prefix(3);
        } else {
            out.push_back(text[0]);
            text.remove_prefix(1);
        }
    }
    return out;
}

struct Joined {
    Parameter parameter;
    size_t order;
};

// pieces[begin, end) are the sections of one name in order: joins 0, 1, 2, ... without gaps.
Joined join_sections(std::vector<Piece>& pieces, size_t begin, size_t end, unsigned& ambiguity) {
    Joined joined{{pieces[begin].name, "", pieces[begin].extended}, pieces[begin].order};
    int next = 0;
    for (size_t i = begin; i < end; ++i) {
        const Piece& piece = pieces[i];
        joined.order = std::min(joined.order, piece.order);
        if (piece.section < next) {
            ambiguity |= kRepeatedParameter;
            continue;
        }
        if (piece.section > next) {
            ambiguity |= kOddParameter;
            break;
        }
        ++next;
        if (piece.extended == joined.parameter.extended) {
            joined.parameter.value.append(piece.value);
        } else if (piece.extended) {
            joined.parameter.value.append(percent_decode(piece.value));
        } else {
            append_percent_encoded(joined.parameter.value, piece.value);
        }
    }
    return joined;
}

std::vector<Parameter> join(std::vector<Piece> pieces, unsigned& ambiguity) {
    // Of one name: "name", then "name*", then the sections.
    const auto key = [](const Piece& p) {
        return std::tuple<const std::string&, bool, bool, int, size_t>(
            p.name, p.section != kWhole, p.section == kWhole && p.extended, p.section, p.order);
    };
    std::sort(pieces.begin(), pieces.end(),
              [&](const Piece& a, const Piece& b) { return key(a) < key(b); });
    const auto same = [&](const Piece& a, const Piece& b) {
        if (a.name != b.name || (a.section == kWhole) != (b.section == kWhole)) return false;
        return a.section != kWhole || a.extended == b.extended;
    };
    std::vector<Joined> all;
    for (size_t begin = 0, end = 0; begin < pieces.size(); begin = end) {
        while (end < pieces.size() && same(pieces[begin], pieces[end]))
            ++end;
        Piece& first = pieces[begin];
        if (first.section != kWhole) {
            if (first.section != 0) {
                ambiguity |= kOddParameter;
                continue;
            }
            all.push_back(join_sections(pieces, begin, end, ambiguity));
            continue;
        }
        if (end - begin > 1) ambiguity |= kRepeatedParameter;
        all.push_back({{first.name, std::move(first.value), first.extended}, first.order});
    }
    std::sort(all.begin(), all.end(),
              [](const Joined& a, const Joined& b) { return a.order < b.order; });
    std::vector<Parameter> parameters;
    for (Joined& joined : all)
        parameters.push_back(std::move(joined.parameter));
    return parameters;
}

std::string_view take_token(Cursor& in) {
    return in.take_while([](char c) { return is_token(c); });
}

} // namespace

std::string Parameter::decoded() const {
    if (!extended) return decode_words(value);
    const auto [charset, rest] = split_once(value, '\'');
    if (rest.empty() && charset.size() == value.size()) return guess_utf8(percent_decode(value));
    const auto [language, text] = split_once(rest, '\'');
    return to_utf8(charset, percent_decode(text));
}

std::string encode_parameter(std::string_view utf8) {
    std::string out = "utf-8''";
    append_percent_encoded(out, utf8);
    return out;
}

bool ContentField::is(std::string_view a_type, std::string_view a_subtype) const {
    return iequals(type, a_type) && iequals(subtype, a_subtype);
}

const Parameter* ContentField::find(std::string_view name) const {
    const Parameter* found = nullptr;
    for (const Parameter& parameter : parameters) {
        if (parameter.name != name) continue;
        if (parameter.extended) return &parameter;
        if (found == nullptr) found = &parameter;
    }
    return found;
}

ContentField parse_content_type(std::string_view raw) {
    ContentField field;
    Cursor in(raw);
    skip_cfws(in);
    field.type = take_token(in);
    skip_cfws(in);
    if (in.accept('/')) {
        skip_cfws(in);
        field.subtype = take_token(in);
    }
    if (field.type.empty() || field.subtype.empty()) {
        field.ambiguity |= kOddType;
        field.type.clear();
        field.subtype.clear();
    }
    skip_cfws(in);
    if (!in.empty() && in.peek() != ';') field.ambiguity |= kOddType;
    field.parameters = join(ParameterParser(in, field.ambiguity).run(), field.ambiguity);
    // "boundary" beside "boundary*" or "boundary*0": which one counts is anybody's guess.
    for (const std::string_view name : {"boundary", "charset"}) {
        const auto named = [&](const Parameter& p) { return p.name == name; };
        const auto count = std::count_if(field.parameters.begin(), field.parameters.end(), named);
        if (count > 1) field.ambiguity |= kRepeatedParameter;
    }
    return field;
}

ContentField parse_content_disposition(std::string_view raw) {
    ContentField field;
    Cursor in(raw);
    skip_cfws(in);
    field.type = take_token(in);
    field.parameters = join(ParameterParser(in, field.ambiguity).run(), field.ambiguity);
    return field;
}

TransferEncoding parse_transfer_encoding(std::optional<std::string_view> raw) {
    struct Known {
        std::string_view token;
        Encoding encoding;
    };
    constexpr std::array kKnown{
        Known{"7bit", Encoding::identity}, Known{"8bit", Encoding::identity},
        Known{"binary", Encoding::identity}, Known{"quoted-printable", Encoding::quoted_printable},
        Known{"base64", Encoding::base64}};
    TransferEncoding result;
    if (!raw) {
        result.token = "7bit";
        return result;
    }
    Cursor in(*raw);
    skip_cfws(in);
    result.token = take_token(in);
    result.encoding = Encoding::unknown;
    for (const Known& known : kKnown) {
        if (iequals(known.token, result.token)) result.encoding = known.encoding;
    }
    // Anything besides one blank, the word and the line end is read in more than one way.
    std::string_view rest = *raw;
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    if (result.encoding == Encoding::unknown || rest != result.token)
        result.ambiguity = kOddEncoding;
    if (result.token.empty()) result.token = "7bit";
    return result;
}

} // namespace tambo::mime
