#include "smtpd/transaction.h"

namespace tambo::smtpd {

Recipients::Added Recipients::add(std::string_view address, size_t bytes_max) {
    std::string entry(1, '\0');
    entry.append(address).push_back('\0');
    if (block_.find(entry) != std::string::npos) return Added::already;
    if (block_.size() + address.size() + 1 > bytes_max) return Added::full;
    block_.append(entry, 1);
    ++count_;
    return Added::yes;
}

std::string_view Recipients::only() const {
    if (count_ != 1) return {};
    return std::string_view(block_).substr(1, block_.size() - 2);
}

std::vector<ipc::EnvelopeRecipient> Recipients::take(size_t& position, size_t most) const {
    std::vector<ipc::EnvelopeRecipient> list;
    while (position + 1 < block_.size() && list.size() < most) {
        const size_t end = block_.find('\0', position + 1);
        ipc::EnvelopeRecipient recipient;
        recipient.address = block_.substr(position + 1, end - position - 1);
        list.push_back(std::move(recipient));
        position = end;
    }
    return list;
}

} // namespace tambo::smtpd
