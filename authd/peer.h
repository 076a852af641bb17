// One network daemon (or queued, or the keeper) as authd sees it: its questions, its SASL
// exchanges, the connections it has reported, the sessions that were opened for it.
#pragma once

#include "authd/service.h"
#include "common/ipc/messages/authd.h"
#include "common/smtp/sasl.h"

#include <map>
#include <string>

namespace tambo::authd {

class Peer {
  public:
    // Registers its handlers with the channel; both outlive the peer's handlers.
    Peer(Service& service, ipc::Channel& channel);
    ~Peer();
    Peer(const Peer&) = delete;

  private:
    struct Exchange {
        ipc::SaslStart start;
        smtp::SaslExchange sasl;
    };

    // Who a client says it is: the name as given, and its key where it is an address.
    struct Claim {
        std::string user, key;
    };

    struct Session {
        Id account;
        std::string client_ip;
    };

    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened message);
    void closed(ipc::ConnectionClosed message);
    task<ipc::SaslAnswer> sasl_start(ipc::SaslStart message);
    task<ipc::SaslAnswer> sasl_continue(ipc::SaslContinue message);
    void sasl_abort(ipc::SaslAbort message);
    void session_ended(ipc::SessionEnded message);
    task<ipc::ReplyText> check_sender(ipc::CheckSender message);
    task<ipc::ReplyText> check_recipient(ipc::CheckRecipient message);
    task<ipc::Resolution> resolve(ipc::Resolve message);
    task<ipc::AccountFacts> ask_account(ipc::AskAccount message);
    void account_room(ipc::AccountRoom message);
    void account_buried(ipc::AccountBuried message);

    task<ipc::SaslAnswer> progress(Exchange exchange, smtp::SaslExchange::State state);
    task<ipc::SaslAnswer> finish(Exchange exchange);
    task<ipc::SaslAnswer> attach(Exchange exchange, Account account);
    ipc::AttachSession session_of(ipc::SaslStart& start, const Account& account);
    bool open_session(const ipc::SaslStart& start, const Account& account);
    void close_session(const std::string& sid);
    task<ipc::SaslAnswer> refuse(Exchange exchange, Claim claim, std::string reason);
    ipc::SaslAnswer throttled(const ipc::SaslStart& start, const Claim& claim);
    void forget_clients();

    Service& service_;
    ipc::Channel& channel_;
    std::map<uint64_t, Exchange> exchanges_;
    uint64_t last_exchange_ = 0;
    std::map<std::pair<ipc::Service, std::string>, int> connections_;
    std::map<std::string, Session> sessions_; // by sid: a connection has one at most
};

} // namespace tambo::authd
