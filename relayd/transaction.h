// One mail transaction: MAIL, RCPT, DATA, content (RFC 5321 3.3), pipelined where the server can
// (RFC 2920). Each recipient is settled by the reply that concerns it; what stays open may be tried
// elsewhere. After the final dot everything is settled, come what may: the message may be there.
#pragma once

#include "common/ipc/messages/relayd.h"
#include "common/smtp/address.h"
#include "relayd/connection.h"
#include "relayd/content.h"
#include "relayd/verdict.h"

#include <string>
#include <vector>

namespace tambo::relayd {

// A message and its facts, shared by all attempts.
struct Mail {
    const ipc::Relay& job;
    std::optional<smtp::Address> sender; // nullopt: the null reverse-path
    std::vector<smtp::Address> recipients;
    Content content;
    ContentFacts facts;
};

class Transaction {
  public:
    // All outlive the transaction.
    Transaction(Connection& connection, const Mail& mail, Results& results)
        : connection_(connection), mail_(mail), results_(results) {}

    // Throws like Connection::reply(), with nothing settled that could still arrive; throws
    // std::system_error for the body file too. Afterwards the connection may be used for another
    // transaction if it is usable().
    task<> run();

  private:
    std::optional<Verdict> choose_form();
    std::optional<std::string> path_for(const smtp::Address& address) const;
    std::string mail_command() const;
    std::optional<Verdict> choose_content();
    void choose_recipients();
    task<smtp::ServerReply> exchange_envelope();
    task<> ask_recipients(bool pipelined, bool sender_accepted);
    void take_recipient(size_t index, const smtp::ServerReply& reply);
    void settle(const std::vector<size_t>& whom, const Verdict& verdict);
    task<> send_content();
    task<bool> write_content();
    task<> finish_content();

    Connection& connection_;
    const Mail& mail_;
    Results& results_;
    const Content* content_ = nullptr; // as it is, or converted
    std::optional<Content> converted_;
    bool smtputf8_ = false, eight_bit_ = false;
    std::vector<size_t> asked_;    // indices of recipients in the order of their RCPT
    std::vector<size_t> accepted_; // those that got a 2xx
};

} // namespace tambo::relayd
