#include "authd/service.h"
#include "common/base/text.h"

namespace tambo::authd {

bool Book::is_local_domain(std::string_view domain_key) {
    return domain_key == config_.hostname || directory_.domain(domain_key).has_value();
}

bool Book::is_disabled_domain(std::string_view domain_key) {
    const auto domain = directory_.domain(domain_key);
    return domain && domain->disabled;
}

std::optional<AddressBook::Mailbox> Book::mailbox(std::string_view local_key,
                                                  std::string_view domain_key) {
    const auto account = directory_.account(local_key, domain_key);
    if (!account) return std::nullopt;
    return Mailbox{account->id, account->address, account->disabled};
}

std::vector<std::string> Book::aliases(std::string_view local_key, std::string_view domain_key) {
    return directory_.alias_targets(local_key, domain_key);
}

std::vector<std::string> Book::system_aliases(std::string_view name) {
    const auto found = aliases_file.targets.find(std::string(name));
    return found == aliases_file.targets.end() ? std::vector<std::string>() : found->second;
}

bool Book::is_system_user(std::string_view name) {
    return users.uids.contains(std::string(name));
}

std::optional<AddressBook::Mailbox> Book::follow(const std::string& text) {
    const auto address = smtp::parse_address(text);
    if (!address) return std::nullopt;
    if (auto own = mailbox(address->local_key, address->domain_key)) return own;
    for (const auto& target : aliases(address->local_key, address->domain_key)) {
        const auto next = smtp::parse_address(target);
        if (!next) continue;
        if (auto own = mailbox(next->local_key, next->domain_key)) return own;
    }
    return std::nullopt;
}

std::optional<AddressBook::Mailbox> Book::postmaster() {
    if (const auto set = directory_.setting("postmaster")) {
        if (auto own = follow(*set)) return own;
    }
    for (const auto& domain : directory_.domains()) {
        if (auto own = follow(cat("postmaster@", domain.name))) return own;
    }
    for (const auto& account : directory_.accounts("")) {
        if (!account.disabled) return Mailbox{account.id, account.address, false};
    }
    return std::nullopt;
}

char Book::plus_separator() {
    return config_.plus_separator.empty() ? '\0' : config_.plus_separator[0];
}

} // namespace tambo::authd
