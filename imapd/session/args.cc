#include "imapd/session/args.h"

#include "common/base/text.h"
#include "imapd/session/mutf7.h"

#include <array>

namespace tambo::imap {

namespace {

struct Option {
    std::string_view name;
    uint32_t bit;
};

constexpr std::array<Option, 4> kSelectOptions{{{"SUBSCRIBED", ListArgs::kSelectSubscribed},
                                                {"REMOTE", ListArgs::kSelectRemote},
                                                {"RECURSIVEMATCH", ListArgs::kSelectRecursive},
                                                {"SPECIAL-USE", ListArgs::kSelectSpecialUse}}};
constexpr std::array<Option, 3> kReturnOptions{{{"SUBSCRIBED", ListArgs::kReturnSubscribed},
                                                {"CHILDREN", ListArgs::kReturnChildren},
                                                {"SPECIAL-USE", ListArgs::kReturnSpecialUse}}};
constexpr std::array<Option, 5> kStatusItems{{{"MESSAGES", StatusArgs::messages},
                                              {"RECENT", StatusArgs::recent},
                                              {"UIDNEXT", StatusArgs::uid_next},
                                              {"UIDVALIDITY", StatusArgs::uid_validity},
                                              {"UNSEEN", StatusArgs::unseen}}};

template <size_t N>
uint32_t one_of(Parser& in, const std::array<Option, N>& known) {
    const auto word = in.atom();
    for (const Option& option : known) {
        if (iequals(option.name, word)) return option.bit;
    }
    throw Bad("no such option");
}

// "(A B)" or "()" as bits.
template <size_t N>
uint32_t options(Parser& in, const std::array<Option, N>& known) {
    uint32_t bits = 0;
    in.expect('(', "a list of options is missing");
    if (in.accept(')')) return bits;
    do {
        bits |= one_of(in, known);
    } while (in.accept(' '));
    in.expect(')', "a list of options does not end");
    return bits;
}

// The reference is a prefix of the name. RFC 3501 6.3.8. A pattern that is not canonical modified
// UTF-7 matches nothing.
void add_pattern(ListArgs& args, const std::string& wire) {
    if (args.patterns.size() >= limits::imap_list_patterns_max) {
        throw Bad("TOOBIG", "too many patterns");
    }
    auto pattern = mutf7_to_utf8(wire);
    if (!pattern) return;
    args.pattern_bytes += args.reference.size() + pattern->size();
    if (args.pattern_bytes > limits::imap_list_pattern_bytes) {
        throw Bad("TOOBIG", "the patterns are too long");
    }
    args.patterns.push_back(std::move(*pattern));
}

void patterns(Parser& in, ListArgs& args) {
    if (!in.accept('(')) {
        const auto pattern = in.list_mailbox();
        args.asks_delimiter = pattern.empty() && !args.extended;
        return add_pattern(args, pattern);
    }
    args.extended = true;
    do {
        const auto pattern = in.list_mailbox();
        add_pattern(args, pattern);
    } while (in.accept(' '));
    in.expect(')', "a list of patterns does not end");
}

void reference(Parser& in, ListArgs& args) {
    auto utf8 = mutf7_to_utf8(in.astring());
    if (!utf8) throw No("CANNOT", "the reference is not a name");
    args.reference = std::move(*utf8);
    in.space();
}

} // namespace

ListArgs parse_list(Parser& in) {
    ListArgs args;
    if (in.peek() == '(') {
        args.extended = true;
        args.select = options(in, kSelectOptions);
        in.space();
    }
    reference(in, args);
    patterns(in, args);
    if (in.accept(' ')) {
        if (!in.accept_word("RETURN")) throw Bad("RETURN is missing");
        args.extended = true;
        args.asks_delimiter = false;
        in.space();
        args.returned = options(in, kReturnOptions);
    }
    in.end();
    // RFC 5258 3.1: RECURSIVEMATCH needs a selection that it can be applied to.
    const uint32_t selections = ListArgs::kSelectSubscribed | ListArgs::kSelectSpecialUse;
    if ((args.select & ListArgs::kSelectRecursive) && !(args.select & selections)) {
        throw Bad("RECURSIVEMATCH stands alone");
    }
    return args;
}

ListArgs parse_lsub(Parser& in) {
    ListArgs args;
    reference(in, args);
    add_pattern(args, in.list_mailbox());
    in.end();
    return args;
}

StatusArgs parse_status(Parser& in) {
    StatusArgs args;
    args.mailbox = in.mailbox();
    in.space();
    in.expect('(', "a list of status items is missing");
    do {
        const auto item = static_cast<StatusArgs::Item>(one_of(in, kStatusItems));
        if (args.items.size() >= 2 * kStatusItems.size()) throw Bad("TOOBIG", "too many items");
        args.items.push_back(item);
    } while (in.accept(' '));
    in.expect(')', "a list of status items does not end");
    in.end();
    return args;
}

// RFC 3501 6.4.6.
StoreArgs parse_store(Parser& in) {
    StoreArgs args;
    args.set = in.sequence_set();
    in.space();
    if (in.accept('+')) {
        args.how = StoreArgs::How::add;
    } else if (in.accept('-')) {
        args.how = StoreArgs::How::remove;
    }
    if (in.accept_word("FLAGS.SILENT")) {
        args.silent = true;
    } else if (!in.accept_word("FLAGS")) {
        throw Bad("no such STORE item");
    }
    in.space();
    args.flags = in.flags_of_store();
    in.end();
    return args;
}

// RFC 3501 6.3.11.
AppendArgs parse_append(Parser& in) {
    AppendArgs args;
    args.mailbox = in.mailbox();
    in.space();
    if (in.peek() == '(') {
        args.flags = in.flag_list();
        in.space();
    }
    if (in.peek() == '"') {
        args.date = in.date_time();
        in.space();
    }
    args.message = in.message_header();
    return args;
}

std::vector<std::pair<std::string, std::optional<std::string>>> parse_id(Parser& in) {
    std::vector<std::pair<std::string, std::optional<std::string>>> pairs;
    if (in.accept_word("NIL")) {
        in.end();
        return pairs;
    }
    in.expect('(', "a list of fields is missing");
    while (!in.accept(')')) {
        if (!pairs.empty()) in.space();
        auto field = in.string();
        in.space();
        auto value = in.nstring();
        // RFC 2971 3.3
        const bool fits = field.size() <= 30 && (!value || value->size() <= 1024);
        if (!fits || pairs.size() >= limits::imap_id_pairs_max) throw Bad("TOOBIG", "too long");
        pairs.emplace_back(std::move(field), std::move(value));
    }
    in.end();
    return pairs;
}

} // namespace tambo::imap
