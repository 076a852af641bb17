// See address.h. One pass over the list; an item is read as words until a character tells what the
// words were: '<' a display name, ':' a group's name, ',' ';' or the end a bare address.
#include "common/mime/address.h"

#include "common/mime/lexer.h"

#include <algorithm>
#include <utility>

namespace tambo::mime {

namespace {

// How far behind "=?" an encoded word may end. RFC 2047 2 says 75, real mail does not.
constexpr size_t kEncodedWordBytes = 1024;

// Length of the encoded word that text begins with, 0 if there is none.
size_t encoded_word_length(std::string_view text) {
    Cursor in(text.substr(0, kEncodedWordBytes));
    const auto is_charset = [](char c) { return is_token(c); };
    const auto is_text = [](char c) { return c > ' ' && c < 0x7f && c != '?'; };
    if (!in.accept("=?") || in.take_while(is_charset).empty() || !in.accept('?')) return 0;
    const char encoding = lower(in.take());
    if ((encoding != 'b' && encoding != 'q') || !in.accept('?')) return 0;
    in.take_while(is_text);
    return in.accept("?=") ? in.position() : 0;
}

// Collects local@domain from words and dots.
struct Spec {
    std::string local, domain;
    bool at = false;
    bool local_seen = false; // a word, perhaps ""
    bool bad = false;        // two readers may disagree
    bool odd = false;        // dots that RFC 5322 does not allow; everybody reads them alike
    bool joined = true;      // the next word continues the last one: nothing or a dot before it

    // spaced: blanks or a comment stood before it. true: a new run of words begins with this one,
    // and what local had before it was something else (a display name).
    bool word(std::string_view text, bool spaced, bool is_quoted) {
        std::string& part = at ? domain : local;
        const bool restart = !part.empty() && !joined && spaced;
        if (!part.empty() && !joined && !spaced) bad = true; // a"b"
        if (at && (restart || is_quoted)) bad = true;
        if (restart && !at) local.clear();
        if (!at) local_seen = true;
        if (!restart || !at) part.append(text);
        joined = false;
        return restart && !at;
    }
    void dot() {
        if (joined) odd = true;
        (at ? domain : local).push_back('.');
        joined = true;
    }
    void at_sign() {
        if (at) {
            local.append(1, '@').append(domain);
            domain.clear();
        }
        if (at) bad = true;
        if (joined) odd = true;
        at = true;
        joined = true;
    }
    bool complete() const { return at && local_seen && !domain.empty(); }
    bool valid() const { return complete() && !bad && !odd && !joined; }
};

class ListParser {
  public:
    ListParser(std::string_view raw, size_t max) : in_(raw), max_(max) {
        list_.well_formed = is_utf8(raw) && raw.find('\0') == std::string_view::npos;
    }
    AddressList run() &&;

  private:
    // The words of one item.
    struct Words {
        std::string phrase;
        size_t run_begin = 0; // where in phrase the last run of joined words begins
        bool any = false;     // at least one word, perhaps ""
        Spec spec;
    };

    void item();
    bool cfws();
    void take_word(Words& words, bool spaced);
    void take_text(Words& words, std::string_view text, bool spaced, bool is_quoted);
    bool take_any_word(std::string& text);
    void bare(Words& words);
    void angle(std::string name);
    std::string take_route();
    void open_group(const Words& words);
    void close_group();
    void add(Address address);
    void bad() { list_.well_formed = false; }

    Cursor in_;
    size_t max_;
    AddressList list_;
    std::string comment_;
    bool in_group_ = false;
    bool after_angle_ = false; // the text before the next separator follows a complete address
};

AddressList ListParser::run() && {
    while (!in_.empty() && !list_.truncated)
        item();
    if (in_group_) {
        bad(); // RFC 5322 3.4: a group ends with ';'
        close_group();
    }
    return std::move(list_);
}

bool ListParser::cfws() {
    const Skipped skipped = skip_cfws(in_, &comment_);
    if (!skipped.closed) bad();
    return skipped.any;
}

void ListParser::item() {
    Words words;
    comment_.clear();
    for (;;) {
        const bool spaced = cfws();
        if (in_.empty()) return bare(words);
        switch (in_.peek()) {
        case ',':
            in_.take();
            bare(words);
            after_angle_ = false;
            return;
        case ';':
            in_.take();
            bare(words);
            after_angle_ = false;
            if (!in_group_) bad(); // lists separated by semicolons exist
            return close_group();
        case '<':
            in_.take();
            if (after_angle_) bad();  // <a@b> <c@d>
            if (words.spec.at) bad(); // a@b <c@d>, unquoted
            return angle(std::move(words.phrase));
        case ':':
            in_.take();
            if (!in_group_ && !words.spec.at) return open_group(words);
            bad();
            break;
        default:
            take_word(words, spaced);
        }
    }
}

// One word, dot, at-sign or stray character of an item outside of angle brackets.
void ListParser::take_word(Words& words, bool spaced) {
    const char c = in_.peek();
    if (c == '@') {
        in_.take();
        words.spec.at_sign();
        words.phrase.push_back('@');
    } else if (c == '.') {
        in_.take();
        words.spec.dot();
        words.phrase.push_back('.');
    } else {
        std::string text;
        const bool is_quoted = take_any_word(text);
        take_text(words, text, spaced, is_quoted);
    }
    words.any = true;
}

void ListParser::take_text(Words& words, std::string_view text, bool spaced, bool is_quoted) {
    const bool glue = words.spec.at && words.spec.joined; // "a @ b" reads a@b
    if (spaced && !words.phrase.empty() && !glue) words.phrase.push_back(' ');
    const size_t begin = words.phrase.size();
    if (words.spec.word(text, spaced, is_quoted)) words.run_begin = begin;
    words.phrase.append(text);
}

// A quoted string, domain literal, encoded word or atom; a character that can begin none is taken
// too. true: it was quoted.
bool ListParser::take_any_word(std::string& text) {
    if (in_.accept('"')) {
        if (!take_quoted(in_, text)) bad();
        return true;
    }
    if (in_.peek() == '[') {
        text = in_.take_while([](char c) { return c != ']' && c != ',' && !is_fws(c); });
        if (in_.accept(']')) {
            text.push_back(']');
        } else {
            bad();
        }
        return false;
    }
    if (const size_t length = encoded_word_length(in_.rest()); length > 0) {
        text = in_.take_bytes(length);
        if (!std::all_of(text.begin(), text.end(), is_atext)) bad(); // RFC 2047 5 (3)
        return false;
    }
    text = in_.take_while(is_atext);
    if (text.empty()) {
        bad(); // a control, or a special out of place
        text.push_back(in_.take());
    }
    return false;
}

// The item ended without angle brackets.
void ListParser::bare(Words& words) {
    if (!words.any) return;                           // empty elements: RFC 5322 4.4
    if (after_angle_ && !words.spec.at) return bad(); // <a@b> text
    if (after_angle_) bad();
    Address address;
    if (words.spec.at) {
        address.valid = words.spec.valid() && words.run_begin == 0;
        if (words.spec.bad || words.run_begin > 0) bad();
        address.name = words.run_begin > 0
                           ? trim(std::string_view(words.phrase).substr(0, words.run_begin))
                           : std::string_view(comment_);
        address.local = std::move(words.spec.local);
        address.domain = std::move(words.spec.domain);
    } else {
        address.local = std::move(words.phrase);
        address.name = comment_;
    }
    add(std::move(address));
}

// "@a,@b:" of <@a,@b:c@d>; in_ stands at the first '@'. Empty, and in_ as before, if it is none.
std::string ListParser::take_route() {
    const size_t start = in_.position();
    std::string route;
    for (;;) {
        cfws();
        if (in_.accept(':') && !route.empty()) return route;
        if (in_.accept(',')) continue;
        if (!in_.accept('@')) break;
        cfws();
        if (!route.empty()) route.push_back(',');
        route.push_back('@');
        route.append(in_.take_while([](char c) { return is_atext(c) || c == '.'; }));
    }
    in_.rewind(start);
    return {};
}

// in_ stands behind '<'.
void ListParser::angle(std::string name) {
    Spec spec;
    Address address;
    bool closed = false;
    cfws();
    if (in_.peek() == '@') address.route = take_route();
    while (!closed && !in_.empty()) {
        const bool spaced = cfws();
        const char c = in_.peek();
        if (in_.empty() || c == ',' || (c == ';' && in_group_)) break;
        if (c == '>') {
            in_.take();
            closed = true;
        } else if (c == '@') {
            in_.take();
            spec.at_sign();
        } else if (c == '.') {
            in_.take();
            spec.dot();
        } else {
            std::string text;
            const bool is_quoted = take_any_word(text);
            if (spec.word(text, spaced, is_quoted)) spec.bad = true;
        }
    }
    if (!closed || spec.bad) bad();
    cfws();
    address.valid = closed && spec.valid();
    address.name = name.empty() ? comment_ : std::move(name);
    address.local = std::move(spec.local);
    address.domain = std::move(spec.domain);
    add(std::move(address));
    after_angle_ = true;
}

void ListParser::open_group(const Words& words) {
    Address group;
    group.kind = Address::Kind::group_begin;
    group.name = words.phrase;
    if (after_angle_) bad();
    add(std::move(group));
    in_group_ = !list_.truncated; // there is none to end if it found no room
}

void ListParser::close_group() {
    after_angle_ = false;
    if (!std::exchange(in_group_, false)) return;
    Address end;
    end.kind = Address::Kind::group_end;
    list_.items.push_back(std::move(end)); // also where the list is full: begin and end are a pair
}

void ListParser::add(Address address) {
    if (list_.items.size() >= max_) {
        list_.truncated = true;
        return;
    }
    list_.items.push_back(std::move(address));
}

} // namespace

std::string Address::spec() const {
    std::string text = is_dot_atom(local) ? local : quoted(local);
    if (!domain.empty()) text.append(1, '@').append(domain);
    return text;
}

AddressList parse_addresses(std::string_view raw, size_t max) {
    return ListParser(raw, max).run();
}

Author check_author(std::span<const std::string_view> values) {
    Author author;
    bool groups = false, clear = true, complete = true;
    for (const auto value : values) {
        auto list = parse_addresses(value);
        clear = clear && list.well_formed && !list.truncated;
        for (Address& address : list.items) {
            if (address.kind == Address::Kind::mailbox) {
                complete = complete && !address.local.empty() && !address.domain.empty();
                author.mailboxes.push_back(std::move(address));
            } else {
                groups = true;
            }
        }
    }
    using enum Author::Verdict;
    if (values.size() > 1) {
        author.verdict = repeated;
    } else if (!clear) {
        author.verdict = malformed;
    } else if (groups) {
        author.verdict = group;
    } else if (author.mailboxes.empty()) {
        author.verdict = missing;
    } else if (!complete) {
        author.verdict = incomplete;
    } else {
        author.verdict = author.mailboxes.size() > 1 ? several : ok;
    }
    return author;
}

} // namespace tambo::mime
