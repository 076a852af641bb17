// The accounts database: domains, accounts, aliases, credentials. The seam for a directory server
// later: everything else in authd asks this class and never SQL.
//
// Names are canonical keys (smtp::Address): local parts folded and NFC, domains as A-labels.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/db/database.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::authd {

struct Domain {
    std::string name;
    UtcTime created;
    bool disabled = false;
    int64_t accounts = 0, aliases = 0;
};

struct Account {
    Id id;
    std::string local, domain; // keys
    std::string address;       // as it was created
    UtcTime created;
    bool disabled = false;
    int64_t quota_bytes = 0; // 0: the configured default
    int64_t quota_messages = 0;
};

struct Alias {
    std::string local, domain; // local "*": catch-all
    std::string target;        // an address
};

struct Credential {
    int64_t row = 0;
    std::string kind;     // "argon2id"
    std::string verifier; // "$argon2id$v=19$..."
    std::string scope;    // services, comma-separated; "*" for all
    std::string label;
    std::optional<UtcTime> expires;
};

// All calls may throw db::DbError; changes are durable when they return.
class Directory {
  public:
    // path: accounts.db, made if absent. clock must outlive the directory.
    Directory(const std::string& path, Clock& clock);

    // ---- questions
    std::optional<Domain> domain(std::string_view name);
    std::vector<Domain> domains();
    std::optional<Account> account(std::string_view local, std::string_view domain);
    std::optional<Account> account(const Id& id);
    std::vector<Account> accounts(std::string_view domain); // all domains if empty
    std::vector<std::string> alias_targets(std::string_view local, std::string_view domain);
    std::vector<Alias> aliases(std::string_view domain); // all domains if empty
    std::vector<Credential> credentials(const Id& account);
    std::optional<std::string> setting(std::string_view key);
    std::vector<Id> removed_accounts();

    // ---- changes; false: there was nothing to change, or the name is taken. What throws has
    // changed nothing, and after an IoError (RULES.md R2) everything does, for good: only a new
    // process knows what is on the disk. Unless failed_change_may_return().
    bool add_domain(std::string_view name);
    bool remove_domain(std::string_view name); // only without accounts and aliases
    bool set_domain_disabled(std::string_view name, bool disabled);
    bool add_account(const Account& account, const Credential& credential);
    // Its credentials too; aliases that point to it stay. It is remembered as removed until
    // forget_removed(): its mail lies elsewhere.
    bool remove_account(const Id& id);
    bool forget_removed(const Id& id);
    bool set_account_disabled(const Id& id, bool disabled);
    bool set_quota(const Id& id, int64_t bytes, int64_t messages);
    // Replaces the credentials of that kind and scope.
    void set_credential(const Id& account, const Credential& credential);
    bool add_aliases(std::string_view local,
                     std::string_view domain,
                     const std::vector<std::string>& targets);
    bool remove_aliases(std::string_view local,
                        std::string_view domain,
                        const std::vector<std::string>& targets);
    void set_setting(std::string_view key, std::string_view value);

    // While the storage is at fault, whoever found it, nothing is changed.
    void set_read_only(bool read_only) { read_only_ = read_only; }
    // The change that failed may be there when the file is next opened.
    bool failed_change_may_return() const { return database_.failed_commit_may_return(); }
    std::function<void(const std::string& what)> on_fault; // once

  private:
    bool change(const std::function<bool()>& statements);
    void replace_credential(const Id& account, const Credential& credential);
    void keep_short();
    void fail(const std::string& what);

    db::Database database_;
    Clock& clock_;
    bool read_only_ = false;
    bool failed_ = false;
};

} // namespace tambo::authd
