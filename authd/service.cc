#include "authd/service.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/ipc/codec.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace tambo::authd {

namespace {

constexpr size_t kHashBacklogMax = 100;
constexpr size_t kFileBytesMax = 4u << 20; // of aliases and passwd
// Of the recipients in one Resolution; the rest of the datagram is for its other fields.
constexpr size_t kRecipientsBytesMax = limits::ipc_message_bytes - 3 * 1024;
static_assert(kRecipientsBytesMax > limits::alias_expansion_bytes + 1000, "one must fit");

// The key under which tokens are made; created once, so that tokens survive a restart.
std::string token_secret(Directory& directory) {
    if (const auto hex = directory.setting("token_secret")) {
        if (auto secret = from_hex(*hex)) return std::move(*secret);
    }
    std::string secret = random_bytes(32);
    directory.set_setting("token_secret", to_hex(secret));
    return secret;
}

std::string_view name_of(ipc::Service service) {
    switch (service) {
    case ipc::Service::mx:
    case ipc::Service::submission:
        return "smtp";
    case ipc::Service::imap:
        return "imap";
    case ipc::Service::pop3:
        return "pop3";
    case ipc::Service::local:
        return "local";
    }
    return "local";
}

bool scope_covers(std::string_view scope, std::string_view service) {
    if (scope == "*") return true;
    for (const auto item : split(scope, ',')) {
        if (item == service) return true;
    }
    return false;
}

} // namespace

Service::Service(Nursery& nursery,
                 Directory& directory,
                 Workers& workers,
                 Clock& clock,
                 conf::AuthdConfig config)
    : nursery_(nursery), directory_(directory), workers_(workers), clock_(clock),
      config_(std::move(config)), book_(directory, config_), throttle_(config_, clock),
      cache_(clock), tokens_(token_secret(directory), clock),
      local_door_(nursery, [this](uint32_t uid) { return local_user(uid); }),
      keeper_(nursery, "keeper") {
    keeper_.on_attached = [this] {
        quotas_changed(); // what it was told or said before, one of us may have forgotten
        for (const Id& account : std::exchange(kicks_, {}))
            account_changed(account, false);
        for (const Id& account : directory_.removed_accounts())
            keeper_.send(ipc::KickAccount{account, true});
    };
}

void Service::take_file(const std::string& name, const UniqueFd& file) {
    try {
        const auto text = read_whole(file.get(), kFileBytesMax, name);
        if (name == "aliases") set_aliases_file(text);
        if (name == "passwd") set_passwd(text);
    } catch (const std::system_error& error) {
        log::Event("auth.file_failed", log::Level::error)
            .with("file", name)
            .with("error", error.what());
    }
}

void Service::set_aliases_file(std::string_view text) {
    book_.aliases_file = parse_aliases(text);
    const auto total = static_cast<int64_t>(book_.aliases_file.left_out_total);
    for (const auto& one : book_.aliases_file.left_out) {
        const auto line = static_cast<int64_t>(one.line);
        if (one.is_target) {
            log::Event("auth.aliases_unsupported", log::Level::warning)
                .with("line", line)
                .with("target", one.text)
                .with("total", total);
        } else {
            log::Event("auth.aliases_malformed", log::Level::warning)
                .with("line", line)
                .with("text", one.text)
                .with("total", total);
        }
    }
}

void Service::set_passwd(std::string_view text) {
    book_.users = parse_passwd(text);
}

void Service::configure(const conf::AuthdConfig& config) {
    const bool other_quota = config_.quota != config.quota;
    config_ = config;
    throttle_.configure(config);
    if (other_quota) quotas_changed();
}

void Service::set_room(const Id& account, uint64_t refused_from_bytes) {
    if (refused_from_bytes > 0) {
        refused_from_bytes_[account] = refused_from_bytes;
    } else {
        refused_from_bytes_.erase(account);
    }
}

void Service::account_buried(const Id& account) {
    try {
        directory_.forget_removed(account);
    } catch (const db::DbError& error) {
        // The next keeper hears of it again.
        log::Event("auth.removal_kept", log::Level::error).with("error", error.what());
    }
}

// Room is what the keeper says after it has asked.
void Service::quota_changed(const Id& account) {
    refused_from_bytes_.erase(account);
    keeper_.send(ipc::AccountChanged{account});
}

void Service::quotas_changed() {
    refused_from_bytes_.clear();
    keeper_.send(ipc::AccountChanged{});
}

void Service::account_changed(const Id& account, bool gone) {
    cache_.clear();
    refused_from_bytes_.erase(account); // who could say that there is room has ended
    if (!keeper_.send(ipc::KickAccount{account, gone})) kicks_.insert(account);
}

void Service::end_sessions(const Id& account) {
    account_changed(account, !directory_.account(account).has_value());
}

std::string Service::credentials_digest(const Id& account) {
    std::string all;
    for (const auto& credential : directory_.credentials(account))
        all += cat(credential.kind, ' ', credential.scope, ' ', credential.verifier, '\n');
    return tokens_.digest_of(all);
}

std::string Service::token_for(Login login) {
    login.credentials = credentials_digest(login.account);
    return tokens_.issue(std::move(login));
}

// A session that was opened before must not send on (RULES.md A3).
std::optional<Login> Service::login_of(std::string_view token) {
    auto login = tokens_.open(token);
    if (!login || !login->is_account) return login;
    const auto account = directory_.account(login->account);
    const bool holds =
        account && !account->disabled && login->credentials == credentials_digest(login->account);
    if (!holds) return std::nullopt;
    return login;
}

bool Service::may_send_as(const Login& login, const smtp::Address& address) {
    if (!book_.is_local_domain(address.domain_key)) return false;
    if (!login.is_account) {
        const auto name = book_.users.names.find(login.uid);
        if (login.uid == 0) return true;
        if (name == book_.users.names.end() || address.domain_key != config_.hostname) return false;
        const auto parts = smtp::split_plus(address.local_key, book_.plus_separator());
        return parts.base == to_lower(name->second);
    }
    const Expansion expansion = expand(book_, address);
    return std::any_of(expansion.targets.begin(), expansion.targets.end(), [&](const auto& t) {
        return t.kind == ipc::TargetKind::local && t.account == login.account;
    });
}

ipc::ReplyText Service::check_sender(const std::string& token, const std::string& text) {
    const auto login = login_of(token);
    if (!login) return {530, "5.7.0", "authentication required"};
    if (text.empty()) return {};
    const auto address = smtp::parse_address(text);
    if (!address) return {501, "5.1.7", "bad sender address syntax"};
    if (may_send_as(*login, *address)) return {};
    return {553, "5.7.1", "this sender address does not belong to your login"};
}

// Of all of them: waiting for room would be in vain. (Clients take 552 for a word of now: RFC 5321
// 4.5.3.1.10.)
bool Service::exceeds_quotas(const std::vector<ipc::Target>& targets, uint64_t message_bytes) {
    return std::ranges::all_of(targets, [&](const ipc::Target& target) {
        if (target.kind != ipc::TargetKind::local) return false;
        const uint64_t quota = account_facts(target.account).quota_bytes;
        return quota > 0 && message_bytes > quota;
    });
}

// Only if there is room in none of them.
ipc::ReplyText Service::refusal_of_full(const std::vector<ipc::Target>& targets,
                                        uint64_t message_bytes) const {
    bool any_room_at_all = false;
    for (const auto& target : targets) {
        const auto found = refused_from_bytes_.find(target.account);
        const bool concerned =
            target.kind == ipc::TargetKind::local && found != refused_from_bytes_.end();
        if (!concerned || std::max<uint64_t>(message_bytes, 1) < found->second) return {};
        any_room_at_all |= found->second > 1;
    }
    if (any_room_at_all) return {452, "4.2.2", "mailbox has no room for a message of this size"};
    return {452, "4.2.2", "mailbox full"};
}

std::string Service::lack_of_room(const Id& account) const {
    const auto found = refused_from_bytes_.find(account);
    if (found == refused_from_bytes_.end()) return {};
    if (found->second == 1) return "452 4.2.2 mailbox full";
    return cat("452 4.2.2 for a message of ", found->second, " bytes or more");
}

ipc::ReplyText Service::check_recipient(const ipc::CheckRecipient& question) {
    const auto address = smtp::parse_address(question.address);
    if (!address) return {501, "5.1.3", "bad recipient address syntax"};
    const Expansion expansion = expand(book_, *address);
    if (!expansion.is_local && !address->is_bare_postmaster()) {
        if (question.service == ipc::Service::mx) return {550, "5.7.1", "relaying denied"};
        if (!login_of(question.token)) return {530, "5.7.0", "authentication required"};
        return {};
    }
    if (expansion.verdict != Expansion::Verdict::good) return refusal_of(expansion.verdict);
    const uint64_t bytes = question.message_bytes;
    if (bytes > 0 && exceeds_quotas(expansion.targets, bytes)) {
        return {550, "5.2.3", "the message is too big for the mailbox"};
    }
    return refusal_of_full(expansion.targets, bytes);
}

ipc::ResolvedRecipient Service::resolve_one(const ipc::Resolve& question, const std::string& text) {
    ipc::ResolvedRecipient resolved;
    const auto address = smtp::parse_address(text);
    if (!address) {
        resolved.refusal = {501, "5.1.3", "bad recipient address syntax"};
        return resolved;
    }
    Expansion expansion = expand(book_, *address);
    const bool ours = expansion.is_local || address->is_bare_postmaster();
    if (!ours && question.service == ipc::Service::mx) {
        resolved.refusal = {550, "5.7.1", "relaying denied"};
        return resolved;
    }
    resolved.refusal = refusal_of(expansion.verdict);
    resolved.targets = std::move(expansion.targets);
    if (resolved.refusal.code != 0) return resolved;
    if (expansion.stand_in) resolved.targets.push_back(std::move(*expansion.stand_in));
    resolved.missing = std::move(expansion.missing);
    return resolved;
}

ipc::Resolution Service::resolve(const ipc::Resolve& question) {
    ipc::Resolution resolution;
    if (question.service == ipc::Service::submission) {
        const auto login = login_of(question.token);
        if (!login) {
            resolution.refusal = {454, "4.7.0", "your login has expired, authenticate again"};
            return resolution;
        }
        resolution.login = login->address;
        resolution.refusal = check_sender(question.token, question.reverse_path);
        if (resolution.refusal.code == 0 && question.first) {
            resolution.refusal = throttle_.count_message(*login, question.recipients_total);
        }
        if (resolution.refusal.code != 0) return resolution;
    }
    size_t bytes = 0;
    for (const auto& recipient : question.recipients) {
        ipc::ResolvedRecipient resolved = resolve_one(question, recipient);
        bytes += ipc::encode(resolved).size();
        if (bytes > kRecipientsBytesMax) break;
        resolution.recipients.push_back(std::move(resolved));
    }
    return resolution;
}

ipc::LocalArrival Service::local_user(uint32_t uid) {
    ipc::LocalArrival arrival;
    const auto name = book_.users.names.find(uid);
    // A uid without a name may still send: as the number, so that nothing of cron is lost.
    const std::string local = name == book_.users.names.end() ? cat("uid", uid) : name->second;
    Login login;
    login.is_account = false;
    login.uid = uid;
    login.address = cat(local, '@', config_.hostname);
    arrival.uid = uid;
    arrival.address = login.address;
    arrival.token = tokens_.issue(std::move(login));
    return arrival;
}

ipc::AccountFacts Service::account_facts(const Id& id) {
    ipc::AccountFacts facts;
    const auto account = directory_.account(id);
    if (!account) return facts;
    facts.known = true;
    facts.address = account->address;
    facts.disabled = account->disabled;
    const int64_t bytes = account->quota_bytes > 0 ? account->quota_bytes : config_.quota;
    facts.quota_bytes = static_cast<uint64_t>(bytes);
    facts.quota_messages = static_cast<uint64_t>(account->quota_messages);
    return facts;
}

std::vector<std::string> Service::verifiers_of(const Account& account, std::string_view service) {
    std::vector<std::string> verifiers;
    for (const auto& credential : directory_.credentials(account.id)) {
        const bool expired = credential.expires && *credential.expires < clock_.now();
        if (credential.kind != kArgon2id || expired) continue;
        if (scope_covers(credential.scope, service)) verifiers.push_back(credential.verifier);
    }
    return verifiers;
}

task<Service::Checked>
Service::check_password(std::string name, std::string password, ipc::Service service) {
    Checked checked;
    const auto address = smtp::parse_address(name);
    std::optional<Account> account;
    if (address) account = directory_.account(address->local_key, address->domain_key);
    const std::string service_name(name_of(service));
    const std::string account_text = account ? account->id.text() : std::string();
    if (account && !account->disabled && cache_.contains(account_text, password, service_name)) {
        checked.ok = true;
        checked.account = std::move(*account);
        co_return checked;
    }
    if (workers_.backlog() >= kHashBacklogMax) {
        checked.busy = true;
        co_return checked;
    }
    // One hash whatever the case, so that time tells nothing.
    std::vector<std::string> verifiers;
    if (account) verifiers = verifiers_of(*account, service_name);
    const bool real = !verifiers.empty();
    if (!real) verifiers.push_back(dummy_verifier());
    const auto fitting = co_await workers_.run([&verifiers, &password] {
        const auto found =
            std::find_if(verifiers.begin(), verifiers.end(), [&](const std::string& verifier) {
                return verify_password(verifier, password);
            });
        return found == verifiers.end() ? std::string() : *found;
    });
    // The account and its credentials may have changed while the hash ran.
    if (account) account = directory_.account(account->id);
    if (account) verifiers = verifiers_of(*account, service_name);
    const bool fits = std::find(verifiers.begin(), verifiers.end(), fitting) != verifiers.end();
    checked.ok = fits && real && account && !account->disabled;
    checked.reason = !account ? "unknown" : account->disabled ? "disabled" : "badpass";
    if (checked.ok) {
        cache_.add(account_text, password, service_name);
        checked.account = std::move(*account);
    }
    wipe(password);
    co_return checked;
}

} // namespace tambo::authd
