// One mail transaction: MAIL, RCPT, DATA, content (RFC 5321 3.3), pipelined where the server can
// (RFC 2920). Each recipient is settled by the reply that concerns it; what stays open may be tried
// elsewhere. After the final dot everything is settled, come what may: the message may be there.
#pragma once

#include "common/ipc/messages/relayd.h"
#include "common/smtp/address.h"
#include "relayd/connection.h"
#include "relayd/content.h"
#include "relayd/conversion.h"
#include "relayd/verdict.h"

#include <optional>
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

    // Throws like Connection::reply(), and BodyFault; whoever is not settled then did not get the
    // message. Afterwards the connection may be used for another transaction if it is usable().
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
    bool next_piece(std::string& piece);
    task<> finish_content();

    Connection& connection_;
    const Mail& mail_;
    Results& results_;
    std::optional<Conversion> conversion_; // if it does not go as it is
    uint64_t size_ = 0;                    // of what goes
    bool smtputf8_ = false, eight_bit_ = false;
    uint64_t at_ = 0;              // of the content as it is
    std::vector<size_t> asked_;    // indices of recipients in the order of their RCPT
    std::vector<size_t> accepted_; // those that got a 2xx
};

} // namespace tambo::relayd
