// LIST with LIST-EXTENDED (RFC 5258), SPECIAL-USE (RFC 6154) and CHILDREN (RFC 3348), and LSUB.
#include "common/base/text.h"
#include "imapd/session/args.h"
#include "imapd/session/pattern.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

#include <algorithm>
#include <map>
#include <vector>

namespace tambo::imap {

namespace {

// A name that may be listed: a mailbox, a place in the tree, or only a subscription.
struct Node {
    store::MailboxInfo info;
    bool exists = true;
    bool matches = false;      // one of the patterns
    bool meets = false;        // the selection options
    bool below_meets = false;  // a descendant meets them
    bool below_hidden = false; // a descendant meets them and matches no pattern
};

// INBOX first; the descendants of a name follow it at once: '/' sorts below everything else.
struct TreeOrder {
    bool operator()(const std::string& a, const std::string& b) const {
        if (is_inbox(a) != is_inbox(b)) return is_inbox(a);
        return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                            [](char x, char y) { return rank(x) < rank(y); });
    }
    static int rank(char c) { return c == kDelimiter ? 0 : 1 + static_cast<unsigned char>(c); }
};

using Tree = std::map<std::string, Node, TreeOrder>;

std::string_view parent_of(std::string_view name) {
    const auto slash = name.rfind(kDelimiter);
    return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

Node& missing(Tree& tree, std::string_view name) {
    const auto [at, made] = tree.try_emplace(std::string(name));
    if (made) {
        at->second.exists = false;
        at->second.info.name = name;
    }
    return at->second;
}

// Existing names, and subscribed ones with the places above them if those are asked for.
Tree tree_of(Session& session, bool with_subscriptions) {
    Tree tree;
    for (auto& info : session.account().list()) {
        std::string name = info.name;
        tree[std::move(name)].info = std::move(info);
    }
    if (!with_subscriptions) return tree;
    for (const auto& name : session.account().subscriptions()) {
        missing(tree, name).info.subscribed = true;
        for (auto above = parent_of(name); !above.empty(); above = parent_of(above)) {
            missing(tree, above);
        }
    }
    return tree;
}

bool matches_any(std::string_view name, const ListArgs& args) {
    return std::any_of(args.patterns.begin(), args.patterns.end(), [&](const auto& pattern) {
        return matches_pattern(name, args.reference + pattern);
    });
}

bool meets(const Node& node, uint32_t select) {
    const uint32_t base = ListArgs::kSelectSubscribed | ListArgs::kSelectSpecialUse;
    if ((select & base) == 0) return node.exists;
    if ((select & ListArgs::kSelectSubscribed) && !node.info.subscribed) return false;
    return (select & ListArgs::kSelectSpecialUse) == 0 || node.info.special_use != 0;
}

task<> judge(Session& session, Tree& tree, const ListArgs& args) {
    for (auto& [name, node] : tree) {
        co_await session.breathe();
        node.matches = matches_any(name, args);
        node.meets = meets(node, args.select);
        if (!node.meets || (args.select & ListArgs::kSelectRecursive) == 0) continue;
        for (auto above = parent_of(name); !above.empty(); above = parent_of(above)) {
            const auto at = tree.find(std::string(above));
            if (at == tree.end()) continue;
            at->second.below_meets = true;
            at->second.below_hidden |= !node.matches;
        }
    }
}

void add(std::string& attributes, std::string_view name) {
    if (!attributes.empty()) attributes.push_back(' ');
    attributes.append(name);
}

void add_uses(std::string& attributes, uint8_t uses) {
    for (unsigned bit = 1; bit <= store::kUseTrash; bit <<= 1) {
        if (uses & bit)
            add(attributes, store::special_use_name(static_cast<store::SpecialUse>(bit)));
    }
}

std::string attributes_of(const Node& node, bool subscribed) {
    std::string out;
    if (!node.exists) {
        add(out, "\\NonExistent");
    } else if (node.info.noselect) {
        add(out, "\\Noselect");
    }
    if (subscribed && node.info.subscribed) add(out, "\\Subscribed");
    add(out, node.info.has_children ? "\\HasChildren" : "\\HasNoChildren");
    add_uses(out, node.info.special_use); // also in a plain LIST: some clients look nowhere else
    return out;
}

// RFC 5258 3.5: the selection options that a descendant meets.
std::string child_info(uint32_t select) {
    std::string options;
    if (select & ListArgs::kSelectSubscribed) add(options, "\"SUBSCRIBED\"");
    if (select & ListArgs::kSelectSpecialUse) add(options, "\"SPECIAL-USE\"");
    return cat(" (\"CHILDINFO\" (", options, "))");
}

std::string list_line(std::string_view verb, std::string_view attributes, std::string_view name) {
    std::string line = cat(verb, " (", attributes, ") \"/\" ");
    put_mailbox(line, name);
    return line;
}

} // namespace

// RFC 3501 6.3.8, RFC 5258.
task<std::string> cmd_list(Session& session, Parser& args) {
    args.space();
    const auto wanted = parse_list(args);
    if (wanted.asks_delimiter) {
        session.untagged(list_line("LIST", "\\Noselect", ""));
        co_return "List completed";
    }
    const bool by_subscription = (wanted.select & ListArgs::kSelectSubscribed) != 0;
    Tree tree = tree_of(session, by_subscription);
    co_await judge(session, tree, wanted);
    const bool subscribed = by_subscription || (wanted.returned & ListArgs::kReturnSubscribed);
    for (const auto& [name, node] : tree) {
        if (!node.matches || (!node.meets && !node.below_hidden)) continue;
        std::string line = list_line("LIST", attributes_of(node, subscribed), name);
        if (node.below_meets) line.append(child_info(wanted.select));
        session.untagged(line);
        if (session.crowded()) co_await session.io().flush();
    }
    co_return "List completed";
}

// RFC 3501 6.3.9: a name that is not subscribed but lies above one that is, and that a pattern
// with '%' stops at, is shown as \Noselect.
task<std::string> cmd_lsub(Session& session, Parser& args) {
    args.space();
    auto wanted = parse_lsub(args);
    wanted.select = ListArgs::kSelectSubscribed | ListArgs::kSelectRecursive;
    Tree tree = tree_of(session, true);
    co_await judge(session, tree, wanted);
    for (const auto& [name, node] : tree) {
        if (!node.matches || (!node.meets && !node.below_hidden)) continue;
        std::string attributes;
        if (!node.meets || node.info.noselect) add(attributes, "\\Noselect");
        add_uses(attributes, node.info.special_use);
        session.untagged(list_line("LSUB", attributes, name));
        if (session.crowded()) co_await session.io().flush();
    }
    co_return "Lsub completed";
}

} // namespace tambo::imap
