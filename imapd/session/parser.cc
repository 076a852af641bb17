// See parser.h. Literals stand in the command as "{5}\r\nbytes"; their sizes were checked by the
// reader but are checked again here, because this code must be safe on any bytes.
#include "imapd/session/parser.h"

#include "common/base/text.h"
#include "imapd/session/mutf7.h"
#include "imapd/session/pattern.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tambo::imap {

namespace {

constexpr std::string_view kAtomSpecials = "(){ %*\"\\]";

struct FlagName {
    std::string_view name;
    store::Flag flag;
};

constexpr std::array<FlagName, 5> kFlagNames{{{"Seen", store::kSeen},
                                              {"Answered", store::kAnswered},
                                              {"Flagged", store::kFlagged},
                                              {"Deleted", store::kDeleted},
                                              {"Draft", store::kDraft}}};

bool is_list_char(char c) {
    return is_atom_char(c) || c == '%' || c == '*' || c == ']';
}

bool has_nul(std::string_view s) {
    return s.find('\0') != std::string_view::npos;
}

} // namespace

bool is_atom_char(char c) {
    return !is_ctl(c) && kAtomSpecials.find(c) == std::string_view::npos;
}

bool is_astring_char(char c) {
    return is_atom_char(c) || c == ']';
}

bool is_tag_char(char c) {
    return is_astring_char(c) && c != '+' && !is_8bit(c);
}

MailboxName decode_mailbox(std::string_view wire) {
    auto utf8 = mutf7_to_utf8(wire);
    if (!utf8) return {"", false};
    return {canonical_name(std::move(*utf8)), true};
}

bool Parser::accept_word(std::string_view word) {
    const auto start = in_.position();
    if (iequals(in_.take_while(is_atom_char), word)) return true;
    in_.rewind(start);
    return false;
}

void Parser::expect(char c, const char* why) {
    if (!in_.accept(c)) throw Bad(why);
}

void Parser::end() {
    if (!in_.empty()) throw Bad("unexpected text at the end of the command");
}

void Parser::enter() {
    if (nesting_left_ == 0) throw Bad("TOOBIG", "nested too deeply");
    --nesting_left_;
}

std::optional<std::string_view> Parser::try_tag() {
    const auto start = in_.position();
    const auto tag = in_.take_while(is_tag_char);
    if (!tag.empty() && tag.size() <= kTagBytes) return tag;
    in_.rewind(start);
    return std::nullopt;
}

std::string_view Parser::atom() {
    const auto atom = in_.take_while(is_atom_char);
    if (atom.empty()) throw Bad("a word is missing");
    return atom;
}

std::optional<std::string> Parser::try_quoted() {
    const auto start = in_.position();
    if (!in_.accept('"')) return std::nullopt;
    std::string out;
    for (;;) {
        cat_to(out, in_.take_while([](char c) {
            return c != '"' && c != '\\' && c != '\r' && c != '\n' && c != '\0';
        }));
        if (in_.accept('"')) return out;
        if (!in_.accept('\\') || (in_.peek() != '"' && in_.peek() != '\\')) break;
        out.push_back(in_.take());
    }
    in_.rewind(start);
    return std::nullopt;
}

std::optional<std::string> Parser::try_literal() {
    const auto start = in_.position();
    if (in_.accept('{')) {
        const auto size = parse_uint(in_.take_while(is_digit), in_.rest().size());
        in_.accept('+');
        if (size && in_.accept('}') && in_.accept("\r\n") && in_.rest().size() >= *size) {
            return std::string(in_.take_bytes(static_cast<size_t>(*size)));
        }
    }
    in_.rewind(start);
    return std::nullopt;
}

std::optional<std::string> Parser::try_astring() {
    if (in_.peek() == '"') return try_quoted();
    if (in_.peek() == '{') return try_literal();
    const auto atom = in_.take_while(is_astring_char);
    if (atom.empty()) return std::nullopt;
    return std::string(atom);
}

std::string Parser::astring() {
    auto text = try_astring();
    if (!text || has_nul(*text)) throw Bad("a string is missing or not well-formed");
    return std::move(*text);
}

std::string Parser::string() {
    if (in_.peek() != '"' && in_.peek() != '{') throw Bad("a quoted string or literal is missing");
    return astring();
}

std::optional<std::string> Parser::nstring() {
    if (accept_word("NIL")) return std::nullopt;
    return string();
}

uint64_t Parser::digits(uint64_t max) {
    const auto number = parse_uint(in_.take_while(is_digit), max);
    if (!number) throw Bad("a number is missing or too large");
    return *number;
}

uint32_t Parser::number() {
    return static_cast<uint32_t>(digits(UINT32_MAX));
}

uint32_t Parser::nz_number() {
    const uint32_t n = number();
    if (n == 0) throw Bad("a number must not be 0");
    return n;
}

uint64_t Parser::number64() {
    return digits(INT64_MAX);
}

MailboxName Parser::mailbox() {
    return decode_mailbox(astring());
}

std::string Parser::list_mailbox() {
    if (in_.peek() == '"' || in_.peek() == '{') return string();
    const auto text = in_.take_while(is_list_char);
    if (text.empty()) throw Bad("a mailbox pattern is missing");
    return std::string(text);
}

SequenceSet Parser::sequence_set() {
    auto set = SequenceSet::parse(in_);
    if (!set) throw Bad("a sequence set is missing or not well-formed");
    return std::move(*set);
}

// RFC 3501 9 flag; RFC 3501 2.3.2.
void Parser::flag(FlagList& list) {
    if (in_.accept('\\')) {
        const auto name = atom();
        for (const FlagName& known : kFlagNames) {
            if (!iequals(known.name, name)) continue;
            list.system = static_cast<store::Flags>(list.system | known.flag);
            return;
        }
        throw Bad("no such system flag, or not one that a client sets");
    }
    const auto word = atom();
    if (!is_ascii(word) || word.size() > store::Keywords::kNameBytesMax) {
        throw Bad("a keyword must be short and ASCII");
    }
    const auto same = [word](const std::string& other) { return iequals(word, other); };
    if (std::none_of(list.keywords.begin(), list.keywords.end(), same)) {
        if (list.keywords.size() >= limits::imap_keywords_max)
            throw Bad("TOOBIG", "too many flags");
        list.keywords.emplace_back(word);
    }
}

FlagList Parser::flag_list() {
    FlagList list;
    expect('(', "a list of flags is missing");
    if (accept(')')) return list;
    do {
        flag(list);
    } while (accept(' '));
    expect(')', "a list of flags does not end");
    return list;
}

FlagList Parser::flags_of_store() {
    if (in_.peek() == '(') return flag_list();
    FlagList list;
    do {
        flag(list);
    } while (accept(' '));
    return list;
}

UtcTime Parser::date() {
    const bool quoted = in_.accept('"');
    const auto date =
        parse_imap_date(in_.take_while([](char c) { return is_alnum(c) || c == '-'; }));
    if (!date || (quoted && !in_.accept('"'))) throw Bad("a date is missing or not well-formed");
    return *date;
}

UtcTime Parser::date_time() {
    const auto text = try_quoted();
    const auto time = text ? parse_imap_date_time(*text) : std::nullopt;
    if (!time) throw Bad("a date and time is missing or not well-formed");
    return *time;
}

LiteralHeader Parser::message_header() {
    LiteralHeader header;
    const auto end = in_.rest().find("\r\n");
    if (end == std::string_view::npos || in_.peek() != '{' ||
        !find_literal_header(in_.rest().substr(0, end), header)) {
        throw Bad("the message must be a literal");
    }
    in_.skip(end + 2);
    return header;
}

} // namespace tambo::imap
