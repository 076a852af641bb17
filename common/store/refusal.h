// Why the store did not do what it was asked. A refusal is an ordinary value; sessions turn it into
// their protocol's reply in one place.
#pragma once

#include "common/base/result.h"

#include <string_view>

namespace tambo::store {

enum class Refusal {
    nonexistent,    // no such mailbox                       IMAP [NONEXISTENT] or [TRYCREATE]
    already_exists, // the name is taken                     IMAP [ALREADYEXISTS]
    cannot,         // invalid name, INBOX cannot go, ...     IMAP [CANNOT]
    not_selectable, // the name is \Noselect                  IMAP [CANNOT]
    has_children,   // \Noselect and with children            IMAP [HASCHILDREN] (RFC 9051 7.1)
    over_quota,     // bytes or messages                      IMAP [OVERQUOTA], SMTP 4.2.2 / 5.2.2
    too_big,        // the message is larger than any can be  IMAP [TOOBIG]
    limit,          // too many mailboxes or keywords         IMAP [LIMIT]
    no_body,        // the body file is not there or not a regular file
    read_only,      // the account was opened or has become read-only   IMAP [UNAVAILABLE]
    disk_full,      // nothing was changed, deleting still works        IMAP [UNAVAILABLE], 4.3.1
    io_error,       // the disk failed: read-only from now on, the process must end (RULES.md R2)
    corrupt,        // the index is damaged; fsck is needed, the account is read-only
    unavailable,    // no descriptor, memory or permission for its files; nothing was changed
    busy,           // another process has the account open (Account::open only)
    incompatible,   // the index was written by a newer Tambo (Account::open only)
};

// "over quota": for logs and as the text of a reply. Never holds peer bytes.
std::string_view text_of(Refusal refusal);

// What every changing call returns. After io_error nothing may be acknowledged.
template <class T>
using Outcome = Result<T, Refusal>;

// The value of an Outcome that has nothing to tell.
struct Done {};

} // namespace tambo::store
