#include "authd/directory.h"

#include "common/base/text.h"

#include <array>
#include <utility>

namespace tambo::authd {

namespace {

constexpr int64_t kWalPagesMax = 2048; // 8 MiB, then the log is copied into the file

constexpr std::array<std::string_view, 2> kSteps{R"sql(
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE domain (
  name TEXT PRIMARY KEY,
  created_ms INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE account (
  id BLOB PRIMARY KEY,
  local TEXT NOT NULL,
  domain TEXT NOT NULL REFERENCES domain(name),
  address TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  quota_bytes INTEGER NOT NULL DEFAULT 0,
  quota_messages INTEGER NOT NULL DEFAULT 0,
  UNIQUE (domain, local)
) WITHOUT ROWID;
CREATE TABLE alias (
  domain TEXT NOT NULL,
  local TEXT NOT NULL,
  target TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (domain, local, target)
) WITHOUT ROWID;
CREATE TABLE credential (
  row INTEGER PRIMARY KEY,
  account BLOB NOT NULL,
  kind TEXT NOT NULL,
  verifier TEXT NOT NULL,
  scope TEXT NOT NULL DEFAULT '*',
  label TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER
);
CREATE INDEX credential_account ON credential (account);
)sql",
                                                 R"sql(
CREATE TABLE removed_account (id BLOB PRIMARY KEY, removed_ms INTEGER NOT NULL) WITHOUT ROWID;
)sql"};

constexpr db::Schema kSchema{0x54414343, 1, kSteps}; // "TACC"

constexpr std::string_view kAccountColumns =
    "SELECT id, local, domain, address, created_ms, disabled, quota_bytes, quota_messages "
    "FROM account ";

Account read_account(const db::Statement& row) {
    Account a;
    a.id = row.id(0);
    a.local = row.text(1);
    a.domain = row.text(2);
    a.address = row.text(3);
    a.created = UtcTime{row.integer(4)};
    a.disabled = row.integer(5) != 0;
    a.quota_bytes = row.integer(6);
    a.quota_messages = row.integer(7);
    return a;
}

Domain read_domain(const db::Statement& row) {
    Domain d;
    d.name = row.text(0);
    d.created = UtcTime{row.integer(1)};
    d.disabled = row.integer(2) != 0;
    d.accounts = row.integer(3);
    d.aliases = row.integer(4);
    return d;
}

constexpr std::string_view kDomainColumns =
    "SELECT name, created_ms, disabled,"
    " (SELECT count(*) FROM account WHERE account.domain = name),"
    " (SELECT count(*) FROM alias WHERE alias.domain = name) FROM domain ";

} // namespace

Directory::Directory(const std::string& path, Clock& clock)
    : database_(path, kSchema, db::OpenOptions{}), clock_(clock) {}

std::optional<Domain> Directory::domain(std::string_view name) {
    static const std::string sql = std::string(kDomainColumns) + "WHERE name = ?1";
    auto row = database_.prepare(sql);
    row.bind_all(name);
    if (!row.step()) return std::nullopt;
    return read_domain(row);
}

std::vector<Domain> Directory::domains() {
    static const std::string sql = std::string(kDomainColumns) + "ORDER BY name";
    auto row = database_.prepare(sql);
    std::vector<Domain> all;
    while (row.step())
        all.push_back(read_domain(row));
    return all;
}

std::optional<Account> Directory::account(std::string_view local, std::string_view domain) {
    static const std::string sql =
        std::string(kAccountColumns) + "WHERE domain = ?1 AND local = ?2";
    auto row = database_.prepare(sql);
    row.bind_all(domain, local);
    if (!row.step()) return std::nullopt;
    return read_account(row);
}

std::optional<Account> Directory::account(const Id& id) {
    static const std::string sql = std::string(kAccountColumns) + "WHERE id = ?1";
    auto row = database_.prepare(sql);
    row.bind_all(id);
    if (!row.step()) return std::nullopt;
    return read_account(row);
}

std::vector<Account> Directory::accounts(std::string_view domain) {
    static const std::string sql =
        std::string(kAccountColumns) + "WHERE ?1 = '' OR domain = ?1 ORDER BY domain, local";
    auto row = database_.prepare(sql);
    row.bind_all(domain);
    std::vector<Account> all;
    while (row.step())
        all.push_back(read_account(row));
    return all;
}

std::vector<std::string> Directory::alias_targets(std::string_view local, std::string_view domain) {
    auto row = database_.prepare("SELECT target FROM alias WHERE domain = ?1 AND local = ?2");
    row.bind_all(domain, local);
    std::vector<std::string> targets;
    while (row.step())
        targets.emplace_back(row.text(0));
    return targets;
}

std::vector<Alias> Directory::aliases(std::string_view domain) {
    auto row = database_.prepare("SELECT local, domain, target FROM alias "
                                 "WHERE ?1 = '' OR domain = ?1 ORDER BY domain, local, target");
    row.bind_all(domain);
    std::vector<Alias> all;
    while (row.step()) {
        all.push_back(
            Alias{std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2))});
    }
    return all;
}

std::vector<Credential> Directory::credentials(const Id& account) {
    auto row = database_.prepare("SELECT row, kind, verifier, scope, label, expires_ms "
                                 "FROM credential WHERE account = ?1 ORDER BY row");
    row.bind_all(account);
    std::vector<Credential> all;
    while (row.step()) {
        Credential c;
        c.row = row.integer(0);
        c.kind = row.text(1);
        c.verifier = row.text(2);
        c.scope = row.text(3);
        c.label = row.text(4);
        if (!row.is_null(5)) c.expires = UtcTime{row.integer(5)};
        all.push_back(std::move(c));
    }
    return all;
}

std::optional<std::string> Directory::setting(std::string_view key) {
    auto row = database_.prepare("SELECT value FROM setting WHERE key = ?1");
    row.bind_all(key);
    if (!row.step()) return std::nullopt;
    return std::string(row.text(0));
}

// ---- changes

void Directory::fail(const std::string& what) {
    if (!std::exchange(failed_, true) && on_fault) on_fault(what);
}

// One transaction, so that what was refused does not come back when the file is next opened.
bool Directory::change(const std::function<bool()>& statements) {
    if (failed_ || read_only_) {
        throw db::DbError(db::DbError::Kind::read_only, 0,
                          cat(database_.path(), ": locked until the disk works again"));
    }
    bool changed = false;
    try {
        db::Transaction transaction(database_);
        changed = statements();
        if (changed) transaction.commit();
    } catch (const db::IoError& error) {
        fail(error.what());
        throw;
    }
    if (changed) keep_short();
    return changed;
}

// The change is durable already: what goes wrong here concerns the next one.
void Directory::keep_short() {
    if (database_.wal_pages() <= kWalPagesMax) return;
    try {
        database_.checkpoint();
    } catch (const db::DbError& error) {
        if (error.kind() == db::DbError::Kind::io) fail(error.what());
    }
}

bool Directory::add_domain(std::string_view name) {
    return change([&] {
        database_.run("INSERT OR IGNORE INTO domain (name, created_ms) VALUES (?1, ?2)", name,
                      clock_.now().ms);
        return database_.changes() > 0;
    });
}

bool Directory::remove_domain(std::string_view name) {
    return change([&] {
        database_.run("DELETE FROM domain WHERE name = ?1"
                      " AND NOT EXISTS (SELECT 1 FROM account WHERE domain = ?1)"
                      " AND NOT EXISTS (SELECT 1 FROM alias WHERE domain = ?1)",
                      name);
        return database_.changes() > 0;
    });
}

bool Directory::set_domain_disabled(std::string_view name, bool disabled) {
    return change([&] {
        database_.run("UPDATE domain SET disabled = ?2 WHERE name = ?1", name, disabled);
        return database_.changes() > 0;
    });
}

bool Directory::add_account(const Account& a, const Credential& credential) {
    return change([&] {
        database_.run("INSERT OR IGNORE INTO account (id, local, domain, address, created_ms,"
                      " quota_bytes, quota_messages) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                      a.id, a.local, a.domain, a.address, clock_.now().ms, a.quota_bytes,
                      a.quota_messages);
        if (database_.changes() == 0) return false;
        replace_credential(a.id, credential);
        return true;
    });
}

bool Directory::remove_account(const Id& id) {
    return change([&] {
        database_.run("DELETE FROM credential WHERE account = ?1", id);
        database_.run("DELETE FROM account WHERE id = ?1", id);
        if (database_.changes() == 0) return false;
        database_.run("INSERT OR IGNORE INTO removed_account (id, removed_ms) VALUES (?1, ?2)", id,
                      clock_.now().ms);
        return true;
    });
}

bool Directory::forget_removed(const Id& id) {
    return change([&] {
        database_.run("DELETE FROM removed_account WHERE id = ?1", id);
        return database_.changes() > 0;
    });
}

std::vector<Id> Directory::removed_accounts() {
    std::vector<Id> ids;
    auto statement = database_.prepare("SELECT id FROM removed_account");
    while (statement.step())
        ids.push_back(statement.id(0));
    return ids;
}

bool Directory::set_account_disabled(const Id& id, bool disabled) {
    return change([&] {
        database_.run("UPDATE account SET disabled = ?2 WHERE id = ?1", id, disabled);
        return database_.changes() > 0;
    });
}

bool Directory::set_quota(const Id& id, int64_t bytes, int64_t messages) {
    return change([&] {
        database_.run("UPDATE account SET quota_bytes = ?2, quota_messages = ?3 WHERE id = ?1", id,
                      bytes, messages);
        return database_.changes() > 0;
    });
}

void Directory::set_credential(const Id& account, const Credential& credential) {
    change([&] {
        replace_credential(account, credential);
        return true;
    });
}

void Directory::replace_credential(const Id& account, const Credential& c) {
    database_.run("DELETE FROM credential WHERE account = ?1 AND kind = ?2 AND scope = ?3"
                  " AND label = ?4",
                  account, c.kind, c.scope, c.label);
    std::optional<int64_t> expires;
    if (c.expires) expires = c.expires->ms;
    database_.run("INSERT INTO credential (account, kind, verifier, scope, label, created_ms,"
                  " expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                  account, c.kind, c.verifier, c.scope, c.label, clock_.now().ms, expires);
}

bool Directory::add_aliases(std::string_view local,
                            std::string_view domain,
                            const std::vector<std::string>& targets) {
    return change([&] {
        int64_t added = 0;
        for (const auto& target : targets) {
            database_.run("INSERT OR IGNORE INTO alias (domain, local, target, created_ms)"
                          " VALUES (?1, ?2, ?3, ?4)",
                          domain, local, target, clock_.now().ms);
            added += database_.changes();
        }
        return added > 0;
    });
}

bool Directory::remove_aliases(std::string_view local,
                               std::string_view domain,
                               const std::vector<std::string>& targets) {
    return change([&] {
        int64_t removed = 0;
        for (const auto& target : targets) {
            database_.run("DELETE FROM alias WHERE domain = ?1 AND local = ?2 AND target = ?3",
                          domain, local, target);
            removed += database_.changes();
        }
        return removed > 0;
    });
}

void Directory::set_setting(std::string_view key, std::string_view value) {
    change([&] {
        database_.run("INSERT INTO setting (key, value) VALUES (?1, ?2)"
                      " ON CONFLICT (key) DO UPDATE SET value = ?2",
                      key, value);
        return true;
    });
}

} // namespace tambo::authd
