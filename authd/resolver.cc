#include "authd/resolver.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/codec.h"

#include <set>

namespace tambo::authd {

namespace {

constexpr size_t kMissingBytesMax = 300;

class Walk {
  public:
    explicit Walk(AddressBook& book) : book_(book) {}

    void visit(const smtp::Address& address, int depth);
    Expansion result(bool is_local);

  private:
    bool try_name(const smtp::Address& address,
                  std::string_view local,
                  std::string_view detail,
                  int depth);
    bool try_system_name(const smtp::Address& address, std::string_view local, int depth);
    void visit_all(const std::vector<std::string>& texts,
                   const smtp::Address& from,
                   std::string_view detail,
                   int depth);
    void follow(const smtp::Address& address, int depth);
    void add(ipc::Target target);
    void add_mailbox(const AddressBook::Mailbox& mailbox, std::string_view detail);
    void add_remote(const smtp::Address& address);
    void add_postmaster(std::string_view detail);
    void miss(std::string_view target);
    void find_stand_in();

    AddressBook& book_;
    std::set<std::string> seen_;
    std::set<std::string> path_; // those of seen_ that have led here
    std::set<std::string> added_;
    Expansion out_;
    size_t bytes_ = 0; // of the targets, as they go to queued
    size_t missing_bytes_ = 0;
    bool loop_ = false, disabled_ = false, too_large_ = false, no_postmaster_ = false;
};

void Walk::add(ipc::Target target) {
    bytes_ += ipc::encode(target).size();
    if (bytes_ > limits::alias_expansion_bytes) {
        too_large_ = true;
        return;
    }
    out_.targets.push_back(std::move(target));
}

void Walk::add_mailbox(const AddressBook::Mailbox& mailbox, std::string_view detail) {
    if (mailbox.disabled) {
        disabled_ = true;
        miss(mailbox.address);
        return;
    }
    if (!added_.insert(mailbox.account.text()).second) return;
    ipc::Target target;
    target.kind = ipc::TargetKind::local;
    target.account = mailbox.account;
    target.address = mailbox.address;
    target.detail = detail;
    add(std::move(target));
}

void Walk::add_remote(const smtp::Address& address) {
    if (!added_.insert(address.key()).second) return;
    ipc::Target target;
    target.kind = ipc::TargetKind::remote;
    target.address = address.text();
    add(std::move(target));
}

void Walk::add_postmaster(std::string_view detail) {
    if (const auto mailbox = book_.postmaster()) {
        add_mailbox(*mailbox, detail);
    } else {
        no_postmaster_ = true;
    }
}

void Walk::visit_all(const std::vector<std::string>& texts,
                     const smtp::Address& from,
                     std::string_view detail,
                     int depth) {
    for (const auto& text : texts) {
        // A bare name in /etc/aliases is a name of this host.
        const std::string full =
            text.find('@') == std::string::npos ? cat(text, '@', book_.hostname()) : text;
        const auto target = smtp::parse_address(full);
        if (!target) {
            miss(text);
            continue;
        }
        // An alias may keep the mailbox of its own name by naming it.
        if (target->key() == from.key()) {
            if (const auto own = book_.mailbox(from.local_key, from.domain_key)) {
                add_mailbox(*own, detail);
                continue;
            }
        }
        visit(*target, depth + 1);
    }
}

bool Walk::try_name(const smtp::Address& address,
                    std::string_view local,
                    std::string_view detail,
                    int depth) {
    const auto targets = book_.aliases(local, address.domain_key);
    if (!targets.empty()) {
        visit_all(targets, address, detail, depth);
        return true;
    }
    if (const auto mailbox = book_.mailbox(local, address.domain_key)) {
        add_mailbox(*mailbox, detail);
        return true;
    }
    return false;
}

bool Walk::try_system_name(const smtp::Address& address, std::string_view local, int depth) {
    const auto targets = book_.system_aliases(local);
    if (!targets.empty()) {
        const size_t before = out_.targets.size();
        visit_all(targets, address, {}, depth);
        if (out_.targets.size() > before || depth > 0) return true;
        // Aliases that lead in a circle must not lose the host's own mail.
        add_postmaster({});
        return true;
    }
    if (local != "root" && !book_.is_system_user(local)) return false;
    add_postmaster({});
    return true;
}

void Walk::visit(const smtp::Address& address, int depth) {
    if (too_large_) return; // nothing more can change the verdict
    if (depth > limits::alias_depth_max || out_.targets.size() >= limits::alias_expansion_max) {
        too_large_ = true;
        return;
    }
    if (!seen_.insert(address.key()).second) {
        loop_ = true;
        // Two ways to one address are none.
        if (path_.contains(address.key())) out_.circle = address.text();
        return;
    }
    path_.insert(address.key());
    follow(address, depth);
    path_.erase(address.key());
}

void Walk::follow(const smtp::Address& address, int depth) {
    if (!book_.is_local_domain(address.domain_key)) {
        add_remote(address);
        return;
    }
    if (try_name(address, address.local_key, {}, depth)) return;
    std::string_view base = address.local_key, detail;
    if (const char separator = book_.plus_separator()) {
        const auto parts = smtp::split_plus(address.local_key, separator);
        base = parts.base;
        detail = parts.detail;
        if (parts.has_detail && try_name(address, base, detail, depth)) return;
    }
    const bool is_host = address.domain_key == book_.hostname();
    if (is_host && try_system_name(address, base, depth)) return;
    // RFC 5321 4.5.1: every domain has a postmaster.
    if (base == "postmaster") return add_postmaster(detail);
    const auto catch_all = book_.aliases("*", address.domain_key);
    if (!catch_all.empty()) return visit_all(catch_all, address, {}, depth);
    // RFC 2142 4: whoever has to complain about a domain writes there.
    if (base == "abuse") return add_postmaster(detail);
    miss(address.text());
}

// Names for the log, as many as fit beside the targets.
void Walk::miss(std::string_view target) {
    missing_bytes_ += target.size();
    if (missing_bytes_ <= kMissingBytesMax) out_.missing.emplace_back(target);
}

void Walk::find_stand_in() {
    const auto mailbox = book_.postmaster();
    if (!mailbox || mailbox->disabled || added_.contains(mailbox->account.text())) return;
    ipc::Target target;
    target.kind = ipc::TargetKind::local;
    target.account = mailbox->account;
    target.address = mailbox->address;
    out_.stand_in = std::move(target);
}

Expansion Walk::result(bool is_local) {
    using Verdict = Expansion::Verdict;
    out_.is_local = is_local;
    if (too_large_) out_.targets.clear();
    if (!out_.targets.empty() && missing_bytes_ > 0) find_stand_in();
    out_.verdict = too_large_              ? Verdict::too_large
                   : !out_.targets.empty() ? Verdict::good
                   : disabled_             ? Verdict::disabled
                   : no_postmaster_        ? Verdict::no_postmaster
                   : loop_                 ? Verdict::loop
                                           : Verdict::unknown;
    return std::move(out_);
}

} // namespace

Expansion expand(AddressBook& book, const smtp::Address& given) {
    smtp::Address address = given;
    if (address.is_bare_postmaster()) {
        address.domain = address.domain_key = book.hostname();
    }
    const bool is_local = book.is_local_domain(address.domain_key);
    if (is_local && book.is_disabled_domain(address.domain_key)) {
        Expansion closed;
        closed.is_local = true;
        closed.verdict = Expansion::Verdict::disabled;
        return closed;
    }
    Walk walk(book);
    walk.visit(address, 0);
    return walk.result(is_local);
}

ipc::ReplyText refusal_of(Expansion::Verdict verdict) {
    using Verdict = Expansion::Verdict;
    switch (verdict) {
    case Verdict::good:
        return {};
    case Verdict::unknown:
        return {550, "5.1.1", "no such user here"};
    case Verdict::loop:
        return {550, "5.4.6", "the alias leads in a circle"};
    case Verdict::disabled:
        return {550, "5.2.1", "mailbox disabled, not accepting messages"};
    case Verdict::too_large:
        return {550, "5.2.4", "the alias has too many targets"};
    case Verdict::no_postmaster:
        return {450, "4.2.1", "this host has no account yet"};
    }
    return {451, "4.3.0", "internal error"};
}

} // namespace tambo::authd
