// Arguments of the commands that have more than a name: LIST, STATUS, STORE, APPEND, ID. Each
// parser starts behind "COMMAND " and takes all to the end of the command; all throw Bad.
#pragma once

#include "imapd/session/parser.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tambo::imap {

// LIST with RFC 5258 and RFC 6154 5.
struct ListArgs {
    enum Select : uint32_t {
        kSelectSubscribed = 1,
        kSelectRemote = 2,
        kSelectRecursive = 4,
        kSelectSpecialUse = 8,
    };
    enum Return : uint32_t { kReturnSubscribed = 1, kReturnChildren = 2, kReturnSpecialUse = 4 };

    bool extended = false; // options or several patterns were given
    uint32_t select = 0;
    uint32_t returned = 0;
    std::string reference;             // UTF-8
    std::vector<std::string> patterns; // UTF-8, without those that no name can match
    size_t pattern_bytes = 0;          // of all, each with the reference
    bool asks_delimiter = false;       // LIST "" "": only the delimiter is asked for
};
ListArgs parse_list(Parser& in);
// The same without options: LSUB.
ListArgs parse_lsub(Parser& in);

struct StatusArgs {
    enum Item : uint32_t { messages, recent, uid_next, uid_validity, unseen };
    MailboxName mailbox;
    std::vector<Item> items; // in the order asked for
};
StatusArgs parse_status(Parser& in);

struct StoreArgs {
    enum class How { replace, add, remove };
    SequenceSet set;
    How how = How::replace;
    bool silent = false;
    FlagList flags;
};
StoreArgs parse_store(Parser& in);

// Takes the text up to and with the message's header; what follows the message is checked by the
// caller.
struct AppendArgs {
    MailboxName mailbox;
    FlagList flags;
    std::optional<UtcTime> date;
    LiteralHeader message;
};
AppendArgs parse_append(Parser& in);

// RFC 2971 3.3: field names and values, nullopt for NIL. Empty for ID NIL.
std::vector<std::pair<std::string, std::optional<std::string>>> parse_id(Parser& in);

} // namespace tambo::imap
