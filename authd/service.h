// What authd answers: the state that all its peers share, and the rules of who may do what.
#pragma once

#include "authd/directory.h"
#include "authd/local_door.h"
#include "authd/passwords.h"
#include "authd/resolver.h"
#include "authd/system_names.h"
#include "authd/throttle.h"
#include "authd/token.h"
#include "common/event/workers.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/keeper.h"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace tambo::authd {

// The AddressBook over the accounts database and the host's own names.
class Book final : public AddressBook {
  public:
    Book(Directory& directory, const conf::AuthdConfig& config)
        : directory_(directory), config_(config) {}
    bool is_local_domain(std::string_view domain_key) override;
    bool is_disabled_domain(std::string_view domain_key) override;
    std::string hostname() override { return config_.hostname; }
    std::optional<Mailbox> mailbox(std::string_view local_key,
                                   std::string_view domain_key) override;
    std::vector<std::string> aliases(std::string_view local_key,
                                     std::string_view domain_key) override;
    std::vector<std::string> system_aliases(std::string_view name) override;
    bool is_system_user(std::string_view name) override;
    std::optional<Mailbox> postmaster() override;
    char plus_separator() override;
    // An address to one of its mailboxes, by alias if need be (one step: quickstart's role
    // aliases).
    std::optional<Mailbox> follow(const std::string& address);

    SystemAliases aliases_file;
    SystemUsers users;

  private:
    Directory& directory_;
    const conf::AuthdConfig& config_;
};

class Service {
  public:
    // All must outlive the service.
    Service(Nursery& nursery,
            Directory& directory,
            Workers& workers,
            Clock& clock,
            conf::AuthdConfig config);

    // ---- what peers ask (common/ipc/messages/authd.h)
    ipc::ReplyText check_sender(const std::string& token, const std::string& address);
    ipc::ReplyText check_recipient(const ipc::CheckRecipient& question);
    ipc::Resolution resolve(const ipc::Resolve& question);
    // What a login with an account's password is worth, as long as the account and its credentials
    // stay as they are.
    std::string token_for(Login login);
    // What a user of the host is worth: uid, token and address are filled in.
    ipc::LocalArrival local_user(uint32_t uid);
    ipc::AccountFacts account_facts(const Id& account);
    // Whether the password fits; suspends while it is hashed. No difference between an unknown
    // user and a wrong password but the event.
    struct Checked {
        bool ok = false;
        bool busy = false;  // too many hashes wait
        std::string reason; // "badpass", "unknown", "disabled"
        Account account;
    };
    task<Checked> check_password(std::string name, std::string password, ipc::Service service);

    // ---- changes from elsewhere
    // "aliases" or "passwd", as master opened it; one that cannot be read (event auth.file_failed)
    // changes nothing.
    void take_file(const std::string& name, const UniqueFd& file);
    void set_aliases_file(std::string_view text);
    void set_passwd(std::string_view text);
    void configure(const conf::AuthdConfig& config);
    // As in ipc::AccountRoom.
    void set_room(const Id& account, uint64_t refused_from_bytes);
    // For a person: which messages to the account are refused for want of room; empty: none.
    std::string lack_of_room(const Id& account) const;
    // The keeper has put away what a removed account had.
    void account_buried(const Id& account);
    // After a change of an account's quota, or of the one that all have who have none of their own.
    void quota_changed(const Id& account);
    void quotas_changed();
    // After a change of the account or its credentials: sessions end, cached passwords go. While
    // the keeper is away it is told later, behind the sessions that wait for it.
    void account_changed(const Id& account, bool gone);
    // The same for what has changed already: a session has come too late.
    void end_sessions(const Id& account);
    // Whether the right that the token was made for still holds.
    bool is_good(std::string_view token) { return login_of(token).has_value(); }

    Directory& directory() { return directory_; }
    Book& book() { return book_; }
    Throttle& throttle() { return throttle_; }
    Workers& workers() { return workers_; }
    Nursery& nursery() { return nursery_; }
    const conf::AuthdConfig& config() const { return config_; }
    ipc::Channel& keeper() { return keeper_; }
    const Tokens& tokens() const { return tokens_; }
    LocalDoor& local_door() { return local_door_; }

  private:
    std::string credentials_digest(const Id& account);
    // Of the passwords that are good for the service now.
    std::vector<std::string> verifiers_of(const Account& account, std::string_view service);
    // Whose token it is; nullopt if it is none, or the right that it was made for has ended.
    std::optional<Login> login_of(std::string_view token);
    bool may_send_as(const Login& login, const smtp::Address& address);
    bool exceeds_quotas(const std::vector<ipc::Target>& targets, uint64_t message_bytes);
    ipc::ReplyText refusal_of_full(const std::vector<ipc::Target>& targets,
                                   uint64_t message_bytes) const;
    ipc::ResolvedRecipient resolve_one(const ipc::Resolve& question, const std::string& text);

    Nursery& nursery_;
    Directory& directory_;
    Workers& workers_;
    Clock& clock_;
    conf::AuthdConfig config_;
    Book book_;
    Throttle throttle_;
    SuccessCache cache_;
    Tokens tokens_;
    LocalDoor local_door_;
    ipc::Channel keeper_;
    std::set<Id> kicks_; // that the keeper has not been told of
    std::map<Id, uint64_t> refused_from_bytes_; // accounts short of room, as the keeper says
};

} // namespace tambo::authd
