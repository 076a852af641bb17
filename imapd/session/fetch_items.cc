#include "imapd/session/fetch_items.h"

#include "common/base/text.h"
#include "imapd/session/response.h"

#include <array>

namespace tambo::imap {

namespace {

using Kind = FetchItem::Kind;
using What = mime::Section::Kind;

struct ItemName {
    std::string_view name;
    Kind kind;
    bool peek;
};

constexpr std::array<ItemName, 10> kItems{{{"UID", Kind::uid, true},
                                           {"FLAGS", Kind::flags, true},
                                           {"INTERNALDATE", Kind::internal_date, true},
                                           {"RFC822.SIZE", Kind::rfc822_size, true},
                                           {"ENVELOPE", Kind::envelope, true},
                                           {"BODY", Kind::body, true},
                                           {"BODYSTRUCTURE", Kind::body_structure, true},
                                           {"RFC822", Kind::rfc822, false},
                                           {"RFC822.HEADER", Kind::rfc822_header, true},
                                           {"RFC822.TEXT", Kind::rfc822_text, false}}};

struct WhatName {
    std::string_view name;
    What what;
};

constexpr std::array<WhatName, 5> kWhats{{{"HEADER", What::header},
                                          {"HEADER.FIELDS", What::header_fields},
                                          {"HEADER.FIELDS.NOT", What::header_fields_not},
                                          {"TEXT", What::text},
                                          {"MIME", What::mime}}};

std::string_view item_word(Parser& in) {
    return in.take_while([](char c) { return is_alnum(c) || c == '.'; });
}

FetchItem plain(Kind kind) {
    FetchItem item;
    item.kind = kind;
    return item;
}

// ALL, FAST and FULL, alone only. RFC 3501 6.4.5.
std::vector<FetchItem> macro(std::string_view word) {
    std::vector<FetchItem> items{plain(Kind::flags), plain(Kind::internal_date),
                                 plain(Kind::rfc822_size)};
    if (iequals(word, "FAST")) return items;
    items.push_back(plain(Kind::envelope));
    if (iequals(word, "ALL")) return items;
    items.push_back(plain(Kind::body));
    if (iequals(word, "FULL")) return items;
    return {};
}

void header_list(Parser& in, std::vector<std::string>& fields) {
    in.space();
    in.expect('(', "a list of header fields is missing");
    do {
        fields.push_back(in.astring());
        if (fields.size() > limits::imap_fetch_fields_max) throw Bad("TOOBIG", "too many fields");
    } while (in.accept(' '));
    in.expect(')', "a list of header fields does not end");
}

// section-spec without the brackets.
mime::Section section(Parser& in) {
    mime::Section out;
    while (is_digit(in.peek())) {
        out.path.push_back(in.nz_number());
        if (out.path.size() > limits::mime_depth_max) throw Bad("TOOBIG", "part nested too deeply");
        if (!in.accept('.')) return out;
        if (in.peek() == ']') throw Bad("a part number is missing");
    }
    const auto word = item_word(in);
    if (word.empty() && out.path.empty()) return out;
    for (const WhatName& known : kWhats) {
        if (!iequals(known.name, word)) continue;
        if (known.what == What::mime && out.path.empty()) break;
        out.kind = known.what;
        if (known.what == What::header_fields || known.what == What::header_fields_not) {
            header_list(in, out.fields);
        }
        return out;
    }
    throw Bad("no such section");
}

// "<0.2048>" behind the brackets.
std::optional<Partial> partial(Parser& in) {
    if (!in.accept('<')) return std::nullopt;
    Partial out;
    out.offset = in.number();
    in.expect('.', "a partial range lacks its length");
    out.count = in.nz_number();
    in.expect('>', "a partial range does not end");
    return out;
}

FetchItem bracketed(Parser& in, bool peek) {
    FetchItem item = plain(Kind::section);
    item.peek = peek;
    item.section = section(in);
    in.expect(']', "a section does not end");
    item.partial = partial(in);
    return item;
}

FetchItem item_named(Parser& in, std::string_view word) {
    if (in.peek() == '[' && (iequals(word, "BODY") || iequals(word, "BODY.PEEK"))) {
        in.accept('[');
        return bracketed(in, word.size() != 4);
    }
    for (const ItemName& known : kItems) {
        if (!iequals(known.name, word)) continue;
        FetchItem item = plain(known.kind);
        item.peek = known.peek;
        return item;
    }
    throw Bad("no such FETCH item");
}

} // namespace

std::vector<FetchItem> parse_fetch_items(Parser& in) {
    std::vector<FetchItem> items;
    if (!in.accept('(')) {
        const auto word = item_word(in);
        items = macro(word);
        if (items.empty()) items.push_back(item_named(in, word));
        return items;
    }
    do {
        if (items.size() >= limits::imap_fetch_items_max) throw Bad("TOOBIG", "too many items");
        const auto word = item_word(in);
        items.push_back(item_named(in, word));
    } while (in.accept(' '));
    in.expect(')', "a list of FETCH items does not end");
    return items;
}

std::string fetch_label(const FetchItem& item) {
    if (item.kind != Kind::section) {
        for (const ItemName& known : kItems) {
            if (known.kind == item.kind) return std::string(known.name);
        }
    }
    std::string out = "BODY[";
    const mime::Section& s = item.section;
    for (size_t i = 0; i < s.path.size(); ++i) {
        if (i > 0) out.push_back('.');
        cat_to(out, s.path[i]);
    }
    for (const WhatName& known : kWhats) {
        if (known.what != s.kind) continue;
        if (!s.path.empty()) out.push_back('.');
        out.append(known.name);
    }
    if (!s.fields.empty()) {
        out.append(" (");
        for (size_t i = 0; i < s.fields.size(); ++i) {
            if (i > 0) out.push_back(' ');
            put_astring(out, s.fields[i]);
        }
        out.push_back(')');
    }
    out.push_back(']');
    if (item.partial) cat_to(out, cat('<', item.partial->offset, '>'));
    return out;
}

} // namespace tambo::imap
