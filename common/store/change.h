// The change feed. Observers are called synchronously, after the change is committed and visible in
// memory, once for each change, in order. They must not change the account or destroy a Mailbox
// from inside a call: they note what happened and wake their session (view.h does so).
#pragma once

#include "common/store/message.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace tambo::store {

class Mailbox;

// Identifies who made a change, so that a session can tell its own from others': usually its View.
// nullptr: delivery and housekeeping.
using Origin = const void*;

// Changes of one mailbox. Register with Mailbox::observe; unregister before going.
class MailboxObserver {
  public:
    virtual ~MailboxObserver() = default;
    // The last `count` entries of the mailbox are new.
    virtual void appended(Mailbox& mailbox, size_t count, Origin origin) = 0;
    // Flags or keywords of these uids (ascending) changed.
    virtual void flags_changed(Mailbox& mailbox, std::span<const uint32_t> uids, Origin origin) = 0;
    // These entries (ascending by uid) are no longer in the mailbox.
    virtual void expunged(Mailbox& mailbox, std::span<const Entry> gone, Origin origin) = 0;
    // The mailbox has new keyword names, or lost some.
    virtual void keywords_changed(Mailbox& mailbox) = 0;
    // The mailbox was deleted; all its entries were reported as expunged before.
    virtual void deleted(Mailbox& mailbox) = 0;
};

// Changes of the account: the list of mailboxes, and counters of mailboxes that nobody selected.
// Names are valid during the call.
class AccountObserver {
  public:
    virtual ~AccountObserver() = default;
    virtual void mailbox_created(std::string_view name) = 0;
    virtual void mailbox_deleted(std::string_view name) = 0;
    // Once for each mailbox of a renamed tree.
    virtual void mailbox_renamed(std::string_view from, std::string_view to) = 0;
    virtual void subscription_changed(std::string_view name, bool subscribed) = 0;
    // Messages, flags or UIDNEXT of the mailbox changed.
    virtual void status_changed(std::string_view name) = 0;
};

} // namespace tambo::store
