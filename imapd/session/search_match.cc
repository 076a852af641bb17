#include "imapd/session/search_match.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/charset.h"
#include "common/mime/date.h"
#include "common/mime/header.h"
#include "common/mime/search_text.h"
#include "imapd/session/error.h"

#include <algorithm>
#include <array>

namespace tambo::imap {

namespace {

using Kind = SearchKey::Kind;
using Truth = SearchMatch::Truth;

constexpr int64_t kDaySeconds = 86'400;
constexpr std::array<std::string_view, 6> kCharsets{"US-ASCII",    "UTF-8",        "ISO-8859-1",
                                                    "ISO-8859-15", "WINDOWS-1252", "ISO-2022-JP"};

// What a key can be decided from.
enum Cost { kEntry, kFacts, kText };

Truth truth(bool is) {
    return is ? Truth::yes : Truth::no;
}

int64_t day_of(int64_t seconds) {
    return seconds / kDaySeconds - (seconds % kDaySeconds < 0 ? 1 : 0);
}

// The fields that the facts have as folded text. nullptr for all others.
std::string_view store::FactsView::*folded_field(std::string_view name) {
    if (iequals(name, "FROM")) return &store::FactsView::from;
    if (iequals(name, "TO")) return &store::FactsView::to;
    if (iequals(name, "CC")) return &store::FactsView::cc;
    if (iequals(name, "BCC")) return &store::FactsView::bcc;
    if (iequals(name, "SUBJECT")) return &store::FactsView::subject;
    return nullptr;
}

bool header_contains(std::string_view text, std::string_view name, std::string_view folded) {
    const auto header = mime::Header::parse(text);
    return std::any_of(header.fields().begin(), header.fields().end(), [&](const auto& field) {
        return iequals(field.name, name) &&
               mime::folded(mime::field_text(field)).find(folded) != std::string::npos;
    });
}

Cost cost_of(Kind kind, std::string_view field) {
    switch (kind) {
    case Kind::body:
    case Kind::text:
        return kText;
    case Kind::header:
        return store::is_cached_header(field) ? kFacts : kText;
    case Kind::sent_before:
    case Kind::sent_on:
    case Kind::sent_since:
        return kFacts;
    default:
        return kEntry;
    }
}

} // namespace

struct SearchMatch::Node {
    Kind kind = Kind::all;
    Cost cost = kEntry;
    std::string field;
    std::string needle; // UTF-8
    std::string folded;
    uint64_t number = 0; // of the key; the bit of a keyword, 0 if the mailbox does not have it
    int64_t day = 0;
    std::vector<NumberRange> ranges;
    size_t text_index = 0; // of a key that needs the text
    std::vector<std::unique_ptr<Node>> children; // cheap ones first

    bool by_flags(const store::Entry& entry, bool recent) const;
    bool by_day(int64_t other) const;
    Truth by_entry(const SearchSubject& subject) const;
    Truth by_header(SearchSubject& subject) const;
    Truth by_sent_date(const SearchSubject& subject) const;
    Truth by_text(SearchSubject& subject) const;
    bool is_in(SearchSubject& subject) const;
};

SearchMatch::SearchMatch(const SearchProgram& program, const store::View& view) {
    const auto known = [&](std::string_view name) { return iequals(name, program.charset); };
    if (!program.charset.empty() && std::none_of(kCharsets.begin(), kCharsets.end(), known)) {
        std::string names;
        for (const auto name : kCharsets)
            cat_to(names, cat(names.empty() ? "" : " ", name));
        throw No(cat("BADCHARSET (", names, ')'), "no such charset");
    }
    root_ = prepare(program.root, program.charset, view);
}

SearchMatch::~SearchMatch() = default;

std::unique_ptr<SearchMatch::Node>
SearchMatch::prepare(const SearchKey& key, const std::string& charset, const store::View& view) {
    auto node = std::make_unique<Node>();
    node->kind = key.kind;
    node->field = key.field;
    node->number = key.number;
    node->day = day_of(key.date.seconds());
    node->cost = cost_of(key.kind, key.field);
    if (key.kind == Kind::keyword || key.kind == Kind::no_keyword) {
        const auto bit = view.mailbox().keywords().bit(key.text);
        node->number = bit ? uint64_t{1} << *bit : 0;
    } else {
        node->needle =
            charset.empty() ? mime::guess_utf8(key.text) : mime::to_utf8(charset, key.text);
        node->folded = mime::folded(node->needle);
    }
    if (key.kind == Kind::uid) node->ranges = key.set.resolve(view.last_uid());
    if (key.kind == Kind::sequence) node->ranges = key.set.resolve(view.count());
    const bool is_leaf = key.children.empty();
    if (is_leaf && node->cost == kFacts) ++fact_nodes_;
    if (is_leaf && node->cost == kText) {
        node->text_index = text_nodes_.size();
        text_nodes_.push_back(node.get());
    }
    if (fact_nodes_ > limits::imap_search_fact_keys_max ||
        text_nodes_.size() > limits::imap_search_text_keys_max) {
        throw No("LIMIT", "too many search keys of this kind"); // RFC 5530
    }
    for (const SearchKey& child : key.children) {
        node->children.push_back(prepare(child, charset, view));
        node->cost = std::max(node->cost, node->children.back()->cost);
    }
    std::stable_sort(node->children.begin(), node->children.end(),
                     [](const auto& a, const auto& b) { return a->cost < b->cost; });
    needs_facts_ |= node->cost == kFacts;
    needs_text_ |= node->cost == kText;
    return node;
}

SearchMatch::Truth SearchMatch::judge(SearchSubject& subject) const {
    subject.wanted.reset();
    return evaluate(*root_, subject);
}

void SearchMatch::ask_wanted(SearchSubject& subject) const {
    check(subject.wanted && subject.text, "no key is wanted");
    const size_t index = *subject.wanted;
    subject.of_text.resize(text_nodes_.size());
    subject.of_text[index] = text_nodes_[index]->is_in(subject);
}

SearchMatch::Truth SearchMatch::evaluate(const Node& node, SearchSubject& subject) {
    switch (node.kind) {
    case Kind::negation: {
        const Truth inner = evaluate(*node.children.front(), subject);
        return inner == Truth::unknown ? inner : truth(inner == Truth::no);
    }
    case Kind::every:
    case Kind::any: {
        const Truth decisive = truth(node.kind == Kind::any);
        Truth all = truth(node.kind == Kind::every);
        for (const auto& child : node.children) {
            const Truth one = evaluate(*child, subject);
            if (one == decisive) return one;
            if (one == Truth::unknown) all = one;
        }
        return all;
    }
    case Kind::header:
        return node.by_header(subject);
    case Kind::sent_before:
    case Kind::sent_on:
    case Kind::sent_since:
        return node.by_sent_date(subject);
    case Kind::body:
    case Kind::text:
        return node.by_text(subject);
    default:
        return node.by_entry(subject);
    }
}

bool SearchMatch::Node::by_flags(const store::Entry& entry, bool recent) const {
    switch (kind) {
    case Kind::flag:
        return (entry.flags & number) != 0;
    case Kind::no_flag:
        return (entry.flags & number) == 0;
    case Kind::keyword:
        return (entry.keywords & number) != 0;
    case Kind::no_keyword:
        return (entry.keywords & number) == 0;
    case Kind::recent:
        return recent;
    case Kind::old:
        return !recent;
    case Kind::fresh:
        return recent && (entry.flags & store::kSeen) == 0;
    default:
        return true; // ALL
    }
}

bool SearchMatch::Node::by_day(int64_t other) const {
    switch (kind) {
    case Kind::before:
    case Kind::sent_before:
        return other < day;
    case Kind::on:
    case Kind::sent_on:
        return other == day;
    default:
        return other >= day;
    }
}

SearchMatch::Truth SearchMatch::Node::by_entry(const SearchSubject& subject) const {
    const store::Entry& entry = subject.entry;
    switch (kind) {
    case Kind::before:
    case Kind::on:
    case Kind::since:
        return truth(by_day(day_of(entry.internaldate_s)));
    case Kind::larger:
        return truth(entry.size > number);
    case Kind::smaller:
        return truth(entry.size < number);
    case Kind::uid:
        return truth(contains(ranges, entry.uid));
    case Kind::sequence:
        return truth(contains(ranges, subject.number));
    default:
        return truth(by_flags(entry, subject.recent));
    }
}

SearchMatch::Truth SearchMatch::Node::by_header(SearchSubject& subject) const {
    if (cost == kText) return by_text(subject);
    if (subject.facts == nullptr) return Truth::unknown;
    const auto text = folded_field(field);
    if (text == nullptr || folded.empty()) {
        return truth(header_contains(subject.facts->header, field, folded));
    }
    return truth((subject.facts->*text).find(folded) != std::string_view::npos);
}

// The day as the sender wrote it. A message without a date is of no day. RFC 3501 6.4.4.
SearchMatch::Truth SearchMatch::Node::by_sent_date(const SearchSubject& subject) const {
    if (subject.facts == nullptr) return Truth::unknown;
    const auto header = mime::Header::parse(subject.facts->header);
    const auto date = mime::parse_date(header.value("Date"));
    return truth(date && by_day(day_of(date->sent_day().seconds())));
}

SearchMatch::Truth SearchMatch::Node::by_text(SearchSubject& subject) const {
    if (text_index < subject.of_text.size() && subject.of_text[text_index]) {
        return truth(*subject.of_text[text_index]);
    }
    if (subject.text && !subject.wanted) subject.wanted = text_index;
    return Truth::unknown;
}

bool SearchMatch::Node::is_in(SearchSubject& subject) const {
    if (kind == Kind::header) return header_contains(*subject.text, field, folded);
    const mime::MessageView view(*subject.text);
    if (!subject.structure) subject.structure = mime::parse_structure(view);
    mime::TextMatcher matcher(needle);
    const auto scope = kind == Kind::body ? mime::SearchScope::body : mime::SearchScope::text;
    mime::search_text(view, *subject.structure, scope, [&](std::string_view piece) {
        if (piece.empty()) {
            matcher.boundary();
        } else {
            matcher.feed(piece);
        }
        return !matcher.found();
    });
    matcher.boundary();
    return matcher.found();
}

} // namespace tambo::imap
