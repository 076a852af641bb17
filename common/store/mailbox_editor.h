// The store's own access to a Mailbox: what Account implementations use to change what everybody
// else only reads. Changes are applied after they were committed; nothing here touches the disk.
#pragma once

#include "common/store/mailbox.h"

#include <span>
#include <string>
#include <vector>

namespace tambo::store {

class MailboxEditor {
  public:
    explicit MailboxEditor(Mailbox& mailbox) : mailbox_(mailbox) {}

    void set_name(const std::string& name) { mailbox_.name_ = name; }
    void set_status(const MailboxStatus& status) { mailbox_.status_ = status; }
    Keywords& keywords() { return mailbox_.keywords_; }

    // Makes room for that many more entries without doubling the array.
    void reserve(size_t more);
    // entry.uid is above all others (check).
    void append(const Entry& entry);
    // For loading and for flag changes; call flags_touched() afterwards.
    std::vector<Entry>& entries() { return mailbox_.entries_; }
    void flags_touched(size_t first_index);
    // Removes the entries at these ascending indexes and returns them.
    std::vector<Entry> erase(std::span<const uint32_t> indexes);

    void tell_appended(size_t count, Origin origin);
    void tell_flags(std::span<const uint32_t> uids, Origin origin);
    void tell_expunged(std::span<const Entry> gone, Origin origin);
    void tell_keywords();
    // Marks the mailbox as deleted and says so.
    void tell_deleted();

  private:
    template <class Call>
    void each(Call call);
    Mailbox& mailbox_;
};

} // namespace tambo::store
