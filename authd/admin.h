// The verbs of control/authd.sock: domain.*, user.*, alias.*, address.explain. Only who may open
// the socket gets here (root, the suite's user, group tambo-admin).
#pragma once

#include "authd/service.h"
#include "common/ipc/admin.h"

#include <functional>

namespace tambo::authd {

class Admin {
  public:
    // Registers the verbs; service and server outlive it.
    Admin(Service& service, ipc::AdminServer& server);

  private:
    using Words = std::vector<std::string>;
    using Verb = ipc::AdminAnswer (Admin::*)(const Words& words);
    void add(ipc::AdminServer& server, const char* name, Verb verb);
    ipc::AdminAnswer run(Verb verb, const Words& words);
    // What step answers; refusals and database errors that it throws become exit codes.
    ipc::AdminAnswer answer_of(const std::function<ipc::AdminAnswer()>& step);
    std::string text_of(const db::DbError& error);

    // admin_domains.cc
    ipc::AdminAnswer domain_list(const Words& words);
    ipc::AdminAnswer domain_add(const Words& words);
    ipc::AdminAnswer domain_remove(const Words& words);
    ipc::AdminAnswer domain_disable(const Words& words);
    ipc::AdminAnswer domain_enable(const Words& words);
    ipc::AdminAnswer alias_list(const Words& words);
    ipc::AdminAnswer alias_add(const Words& words);
    ipc::AdminAnswer alias_remove(const Words& words);
    ipc::AdminAnswer alias_check(const Words& words);
    // What aliases(5) has that is not as it says there.
    ipc::AdminAnswer aliases_file_check(const Words& words);
    ipc::AdminAnswer address_explain(const Words& words);
    ipc::AdminAnswer postmaster(const Words& words);
    // admin_users.cc
    // Says as what user.add would be refused, before anybody has typed a password for it.
    ipc::AdminAnswer user_check(const Words& words);
    ipc::AdminAnswer user_list(const Words& words);
    ipc::AdminAnswer user_show(const Words& words);
    ipc::AdminAnswer user_remove(const Words& words);
    ipc::AdminAnswer user_disable(const Words& words);
    ipc::AdminAnswer user_enable(const Words& words);
    ipc::AdminAnswer user_quota(const Words& words);
    task<ipc::AdminAnswer> user_add(ipc::AdminRequest request, ipc::Asker asker);
    task<ipc::AdminAnswer> password_set(ipc::AdminRequest request, ipc::Asker asker);
    task<ipc::AdminAnswer> password_check(ipc::AdminRequest request, ipc::Asker asker);

    ipc::AdminAnswer list_aliases(const std::string& domain);
    // Those of list_aliases whose target has got nobody by that change, so that it is not found
    // out by lost mail.
    ipc::AdminAnswer aliases_lost_by(const std::function<void()>& change);
    std::string state_of(const Alias& alias);
    std::optional<std::string> alias_target(const Alias& alias, const smtp::Address& target);
    Account account_to_add(const Words& words);
    Account require_account(const std::string& text);
    ipc::AdminAnswer set_disabled(const Words& words, bool disabled);

    Service& service_;
};

// A verb's refusal: sysexits code and a text that says what, where and what to do.
struct Refused {
    uint8_t exit_code;
    std::string text;
};

} // namespace tambo::authd
