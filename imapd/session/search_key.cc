// See search_key.h. A long chain "OR a OR b OR c ..." becomes one node, by a loop: only
// parentheses, NOT and an OR inside the first operand of an OR nest, and nesting is limited.
#include "imapd/session/search_key.h"

#include "common/base/text.h"

#include <array>
#include <utility>

namespace tambo::imap {

namespace {

using Kind = SearchKey::Kind;

enum class Argument { none, flag, keyword, date, field, text, header, number, set, key, two_keys };

struct KeyName {
    std::string_view name;
    Kind kind;
    Argument argument;
    store::Flag flag = store::Flag{};
};

constexpr std::array<KeyName, 35> kKeys{{
    {"ALL", Kind::all, Argument::none},
    {"ANSWERED", Kind::flag, Argument::flag, store::kAnswered},
    {"BCC", Kind::header, Argument::field},
    {"BEFORE", Kind::before, Argument::date},
    {"BODY", Kind::body, Argument::text},
    {"CC", Kind::header, Argument::field},
    {"DELETED", Kind::flag, Argument::flag, store::kDeleted},
    {"DRAFT", Kind::flag, Argument::flag, store::kDraft},
    {"FLAGGED", Kind::flag, Argument::flag, store::kFlagged},
    {"FROM", Kind::header, Argument::field},
    {"HEADER", Kind::header, Argument::header},
    {"KEYWORD", Kind::keyword, Argument::keyword},
    {"LARGER", Kind::larger, Argument::number},
    {"NEW", Kind::fresh, Argument::none},
    {"NOT", Kind::negation, Argument::key},
    {"OLD", Kind::old, Argument::none},
    {"ON", Kind::on, Argument::date},
    {"OR", Kind::any, Argument::two_keys},
    {"RECENT", Kind::recent, Argument::none},
    {"SEEN", Kind::flag, Argument::flag, store::kSeen},
    {"SENTBEFORE", Kind::sent_before, Argument::date},
    {"SENTON", Kind::sent_on, Argument::date},
    {"SENTSINCE", Kind::sent_since, Argument::date},
    {"SINCE", Kind::since, Argument::date},
    {"SMALLER", Kind::smaller, Argument::number},
    {"SUBJECT", Kind::header, Argument::field},
    {"TEXT", Kind::text, Argument::text},
    {"TO", Kind::header, Argument::field},
    {"UID", Kind::uid, Argument::set},
    {"UNANSWERED", Kind::no_flag, Argument::flag, store::kAnswered},
    {"UNDELETED", Kind::no_flag, Argument::flag, store::kDeleted},
    {"UNDRAFT", Kind::no_flag, Argument::flag, store::kDraft},
    {"UNFLAGGED", Kind::no_flag, Argument::flag, store::kFlagged},
    {"UNKEYWORD", Kind::no_keyword, Argument::keyword},
    {"UNSEEN", Kind::no_flag, Argument::flag, store::kSeen},
}};

class SearchParser {
  public:
    explicit SearchParser(Parser& in) : in_(in) {}

    SearchKey keys(bool in_parentheses) {
        SearchKey all = node(Kind::every);
        do {
            all.children.push_back(key());
        } while (in_.accept(' '));
        if (in_parentheses) in_.expect(')', "a group of search keys does not end");
        return all;
    }

  private:
    SearchKey node(Kind kind) {
        if (++nodes_ > limits::imap_search_keys_max) throw Bad("TOOBIG", "too many search keys");
        SearchKey key;
        key.kind = kind;
        return key;
    }

    SearchKey key() {
        if (in_.accept('(')) {
            in_.enter();
            SearchKey group = keys(true);
            in_.leave();
            return group;
        }
        if (is_digit(in_.peek()) || in_.peek() == '*') {
            SearchKey key = node(Kind::sequence);
            key.set = in_.sequence_set();
            return key;
        }
        const auto word = in_.atom();
        for (const KeyName& known : kKeys) {
            if (iequals(known.name, word)) return named(known);
        }
        throw Bad("no such search key");
    }

    SearchKey named(const KeyName& name) {
        SearchKey key = node(name.kind);
        if (name.argument == Argument::none) return key;
        if (name.argument == Argument::flag) {
            key.number = name.flag;
            return key;
        }
        in_.space();
        argument(name, key);
        return key;
    }

    void argument(const KeyName& name, SearchKey& key) {
        switch (name.argument) {
        case Argument::none:
        case Argument::flag:
            return;
        case Argument::keyword:
            key.text = in_.atom();
            return;
        case Argument::date:
            key.date = in_.date();
            return;
        case Argument::field:
            key.field = name.name;
            [[fallthrough]];
        case Argument::text:
            key.text = in_.astring();
            return;
        case Argument::header:
            key.field = in_.astring();
            in_.space();
            key.text = in_.astring();
            return;
        case Argument::number:
            key.number = in_.number64();
            return;
        case Argument::set:
            key.set = in_.sequence_set();
            return;
        case Argument::key:
            nested(key);
            return;
        case Argument::two_keys:
            alternatives(key);
            return;
        }
    }

    void nested(SearchKey& key) {
        in_.enter();
        key.children.push_back(this->key());
        in_.leave();
    }

    void alternatives(SearchKey& key) {
        for (;;) {
            nested(key);
            in_.space();
            if (!in_.accept_word("OR")) break;
            static_cast<void>(node(Kind::any)); // counted, not kept
            in_.space();
        }
        nested(key);
    }

    Parser& in_;
    size_t nodes_ = 0;
};

} // namespace

SearchProgram parse_search(Parser& in) {
    SearchProgram program;
    if (in.accept_word("CHARSET")) {
        in.space();
        program.charset = in.astring();
        in.space();
    }
    SearchParser parser(in);
    program.root = parser.keys(false);
    in.end();
    return program;
}

} // namespace tambo::imap
