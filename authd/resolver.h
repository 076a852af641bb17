// From one address to its frozen targets: aliases to several targets, also remote, catch-all,
// plus-addressing, the host's own names. Pure over an AddressBook, so that every rule is tested
// without a database.
#pragma once

#include "common/ipc/messages/authd.h"
#include "common/smtp/address.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::authd {

// What the resolver needs to know. Keys as in smtp::Address.
class AddressBook {
  public:
    struct Mailbox {
        Id account;
        std::string address;
        bool disabled = false;
    };
    virtual ~AddressBook() = default;
    virtual bool is_local_domain(std::string_view domain_key) = 0;
    virtual bool is_disabled_domain(std::string_view domain_key) = 0;
    // The host name, a local domain too: /etc/aliases and passwd count there.
    virtual std::string hostname() = 0;
    virtual std::optional<Mailbox> mailbox(std::string_view local_key,
                                           std::string_view domain_key) = 0;
    // local_key "*": catch-all.
    virtual std::vector<std::string> aliases(std::string_view local_key,
                                             std::string_view domain_key) = 0;
    virtual std::vector<std::string> system_aliases(std::string_view name) = 0;
    virtual bool is_system_user(std::string_view name) = 0;
    // Where mail for the postmaster goes if nothing else says so; nullopt on a host without any
    // account.
    virtual std::optional<Mailbox> postmaster() = 0;
    virtual char plus_separator() = 0; // '\0': none
};

struct Expansion {
    enum class Verdict {
        good,
        unknown,       // no such user
        loop,          // aliases lead nowhere but in a circle
        disabled,      // the only mailboxes are disabled
        too_large,     // more than limits::alias_expansion_max or _bytes
        no_postmaster, // of the host's own mail while there is no account yet
    };
    Verdict verdict = Verdict::unknown;
    std::vector<ipc::Target> targets; // without repeats
    bool is_local = false;            // the address itself is in a domain of ours
    // Targets of aliases that lead nowhere while others do, some of them: local names that are not
    // there or disabled, texts that are no address. Mail for them goes to stand_in, the postmaster,
    // unless that is among the targets anyway: it is never silently less.
    std::vector<std::string> missing;
    std::optional<ipc::Target> stand_in;
    // Where aliases have led in a circle; empty if they did not. The verdict may be good all the
    // same: by other targets, or because the host's own mail goes to the postmaster instead.
    std::string circle;
};

// A non-local address expands to itself as a remote target: whether it may is the caller's
// question. Linear in the number of aliases visited, which is bounded.
Expansion expand(AddressBook& book, const smtp::Address& address);

// The reply to RCPT for a verdict; code 0 for good.
ipc::ReplyText refusal_of(Expansion::Verdict verdict);

} // namespace tambo::authd
