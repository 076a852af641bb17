// One network daemon (or queued, or the keeper) as authd sees it: its questions, its SASL exchanges,
// the connections it has reported.
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

    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened message);
    void closed(ipc::ConnectionClosed message);
    task<ipc::SaslAnswer> sasl_start(ipc::SaslStart message);
    task<ipc::SaslAnswer> sasl_continue(ipc::SaslContinue message);
    void sasl_abort(ipc::SaslAbort message);
    task<ipc::LocalUserAnswer> local_user(ipc::LocalUser message);
    task<ipc::ReplyText> check_sender(ipc::CheckSender message);
    task<ipc::ReplyText> check_recipient(ipc::CheckRecipient message);
    task<ipc::Resolution> resolve(ipc::Resolve message);
    task<ipc::AccountFacts> ask_account(ipc::AskAccount message);
    void account_full(ipc::AccountFull message);

    task<ipc::SaslAnswer> progress(Exchange exchange, smtp::SaslExchange::State state);
    task<ipc::SaslAnswer> finish(Exchange exchange);
    task<ipc::SaslAnswer> attach(Exchange exchange, Account account);
    task<ipc::SaslAnswer> refuse(Exchange exchange, std::string user, std::string reason);
    void forget_connections();

    Service& service_;
    ipc::Channel& channel_;
    std::map<uint64_t, Exchange> exchanges_;
    uint64_t last_exchange_ = 0;
    std::map<std::pair<ipc::Service, std::string>, int> connections_;
};

} // namespace tambo::authd
