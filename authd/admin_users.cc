// Verbs on accounts and their passwords.
#include "authd/admin.h"
#include "common/base/password_rule.h"
#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/sys/clock.h"

#include <sysexits.h>

#include <algorithm>

namespace tambo::authd {

namespace {

Id new_account_id() {
    SystemRandom random;
    return Id{random.u64(), random.u64()};
}

int64_t size_option(const std::vector<std::string>& words, std::string_view name) {
    for (const auto& word : words) {
        const auto [key, value] = split_once(word, '=');
        if (key != name) continue;
        const auto size = parse_size_bytes(value);
        if (!size) throw Refused{EX_USAGE, cat(name, " takes a size such as 2G")};
        return static_cast<int64_t>(*size);
    }
    return 0;
}

ipc::AdminAnswer refusal(uint8_t exit_code, std::string text) {
    ipc::AdminAnswer answer;
    answer.exit_code = exit_code;
    answer.error = std::move(text);
    return answer;
}

std::optional<std::string> problem_of(const ipc::AdminRequest& request) {
    const bool weak = std::ranges::find(request.words, "weak") != request.words.end();
    return password_problem(request.secret, weak);
}

// password: the caller's, wiped when its hash is there.
task<Credential> make_credential(Workers& workers, std::string& password) {
    Credential credential;
    credential.kind = kArgon2id;
    credential.scope = "*";
    credential.verifier = co_await workers.run([&password] { return hash_password(password); });
    wipe(password);
    co_return credential;
}

} // namespace

Account Admin::require_account(const std::string& text) {
    const auto address = smtp::parse_address(text);
    if (!address) throw Refused{EX_DATAERR, cat('"', escape(text), "\" is not a mail address")};
    const auto account = service_.directory().account(address->local_key, address->domain_key);
    if (!account) throw Refused{EX_NOUSER, cat("no account ", escape(text))};
    return *account;
}

ipc::AdminAnswer Admin::user_list(const Words& words) {
    ipc::AdminAnswer answer;
    answer.columns = {"address", "state", "quota_bytes", "created", "id"};
    const std::string domain = words.empty() ? std::string() : to_lower(words[0]);
    for (const auto& a : service_.directory().accounts(domain)) {
        answer.rows.push_back({a.address, a.disabled ? "disabled" : "enabled", cat(a.quota_bytes),
                               format_rfc3339(a.created), a.id.text()});
    }
    return answer;
}

ipc::AdminAnswer Admin::user_show(const Words& words) {
    if (words.empty()) throw Refused{EX_USAGE, "missing ADDRESS"};
    const Account a = require_account(words[0]);
    ipc::AdminAnswer answer;
    answer.columns = {"address", "state", "quota_bytes", "quota_messages", "created", "id"};
    answer.rows.push_back({a.address, a.disabled ? "disabled" : "enabled", cat(a.quota_bytes),
                           cat(a.quota_messages), format_rfc3339(a.created), a.id.text()});
    return answer;
}

ipc::AdminAnswer Admin::aliases_lost_by(const std::function<void()>& change) {
    const auto before = list_aliases({}).rows;
    change();
    auto answer = list_aliases({});
    std::erase_if(answer.rows, [&](const auto& row) {
        return row[2].empty() || std::ranges::find(before, row) != before.end();
    });
    return answer;
}

ipc::AdminAnswer Admin::user_remove(const Words& words) {
    if (words.empty()) throw Refused{EX_USAGE, "missing ADDRESS"};
    const Account account = require_account(words[0]);
    return aliases_lost_by([&] {
        service_.directory().remove_account(account.id);
        service_.account_changed(account.id, true);
    });
}

ipc::AdminAnswer Admin::set_disabled(const Words& words, bool disabled) {
    if (words.empty()) throw Refused{EX_USAGE, "missing ADDRESS"};
    const Account account = require_account(words[0]);
    return aliases_lost_by([&] {
        service_.directory().set_account_disabled(account.id, disabled);
        service_.account_changed(account.id, false);
    });
}

ipc::AdminAnswer Admin::user_disable(const Words& words) {
    return set_disabled(words, true);
}
ipc::AdminAnswer Admin::user_enable(const Words& words) {
    return set_disabled(words, false);
}

ipc::AdminAnswer Admin::user_quota(const Words& words) {
    if (words.size() < 2) throw Refused{EX_USAGE, "missing ADDRESS or SIZE"};
    const Account account = require_account(words[0]);
    const auto bytes = parse_size_bytes(words[1]);
    if (!bytes) throw Refused{EX_USAGE, "SIZE is a number with K, M or G; 0 for the default"};
    int64_t messages = 0;
    if (words.size() > 2) {
        const auto count = parse_uint(words[2], INT64_MAX);
        if (!count) throw Refused{EX_USAGE, "MESSAGES is a number"};
        messages = static_cast<int64_t>(*count);
    }
    service_.directory().set_quota(account.id, static_cast<int64_t>(*bytes), messages);
    service_.quota_changed(account.id);
    return {};
}

// The account that user.add makes of these words.
Account Admin::account_to_add(const Words& words) {
    if (words.empty()) throw Refused{EX_USAGE, "missing ADDRESS"};
    const auto address = smtp::parse_address(words[0]);
    if (!address || address->is_bare_postmaster() || address->is_literal()) {
        throw Refused{EX_DATAERR, cat('"', escape(words[0]), "\" is not a mail address")};
    }
    if (!service_.directory().domain(address->domain_key)) {
        throw Refused{EX_NOHOST, cat("no domain ", address->domain_key, "; tambo domain add ",
                                     address->domain_key)};
    }
    if (service_.directory().account(address->local_key, address->domain_key)) {
        throw Refused{EX_CANTCREAT,
                      cat("account ", address->text(), " exists already; tambo passwd ",
                          address->text(), " sets a new password")};
    }
    Account account;
    account.id = new_account_id();
    account.local = address->local_key;
    account.domain = address->domain_key;
    account.address = address->text();
    account.quota_bytes = size_option(words, "quota");
    return account;
}

ipc::AdminAnswer Admin::user_check(const Words& words) {
    account_to_add(words);
    return {};
}

task<ipc::AdminAnswer> Admin::user_add(ipc::AdminRequest request, ipc::Asker) {
    auto checked = run(&Admin::user_check, request.words);
    if (!checked.error.empty()) co_return checked;
    if (const auto problem = problem_of(request)) co_return refusal(EX_DATAERR, *problem);
    const Credential credential = co_await make_credential(service_.workers(), request.secret);
    auto answer = answer_of([&] {
        // Looked at anew: others have been served meanwhile.
        const Account account = account_to_add(request.words);
        if (!service_.directory().add_account(account, credential)) {
            return refusal(EX_CANTCREAT, cat("account ", account.address, " exists already"));
        }
        ipc::AdminAnswer made;
        made.columns = {"address", "id"};
        made.rows.push_back({account.address, account.id.text()});
        return made;
    });
    co_return answer;
}

task<ipc::AdminAnswer> Admin::password_set(ipc::AdminRequest request, ipc::Asker) {
    if (request.words.empty()) co_return refusal(EX_USAGE, "missing ADDRESS");
    if (const auto problem = problem_of(request)) {
        co_return refusal(EX_DATAERR, *problem);
    }
    const Credential credential = co_await make_credential(service_.workers(), request.secret);
    auto answer = answer_of([&] {
        const Account account = require_account(request.words[0]);
        service_.directory().set_credential(account.id, credential);
        service_.account_changed(account.id, false);
        return ipc::AdminAnswer{};
    });
    co_return answer;
}

task<ipc::AdminAnswer> Admin::password_check(ipc::AdminRequest request, ipc::Asker) {
    if (request.words.empty()) co_return refusal(EX_USAGE, "missing ADDRESS");
    std::string name = request.words[0];
    std::string password = std::move(request.secret);
    const auto service = ipc::Service::local;
    auto checked = co_await service_.check_password(std::move(name), std::move(password), service);
    ipc::AdminAnswer answer;
    if (!checked.ok) answer = refusal(1, cat("the password does not fit: ", checked.reason));
    co_return answer;
}

} // namespace tambo::authd
