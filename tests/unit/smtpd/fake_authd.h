// The authd that smtpd asks in its tests: admits, logs in, and judges senders and recipients.
#pragma once

#include "common/base/text.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"
#include "common/smtp/address.h"
#include "common/smtp/sasl.h"

#include <memory>
#include <optional>
#include <string_view>

namespace tambo::smtpd::test {

// Accounts a, b and alice at local.test, password "secret"; alice may also send as
// sales@local.test; full@local.test is over its quota. Everything else there is unknown.
class FakeAuthd {
  public:
    explicit FakeAuthd(ipc::Channel& channel) {
        channel.on<ipc::ConnectionOpened>(*this, &FakeAuthd::opened);
        channel.on<ipc::ConnectionClosed>(*this, &FakeAuthd::closed);
        channel.on<ipc::SaslStart>(*this, &FakeAuthd::sasl_start);
        channel.on<ipc::SaslContinue>(*this, &FakeAuthd::sasl_continue);
        channel.on<ipc::SaslAbort>(*this, &FakeAuthd::sasl_abort);
        channel.on<ipc::CheckSender>(*this, &FakeAuthd::check_sender);
        channel.on<ipc::CheckRecipient>(*this, &FakeAuthd::check_recipient);
    }
    int connections = 0, aborted = 0, sender_checks = 0;
    bool admit = true;
    bool throttled = false;

  private:
    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened) {
        ipc::ConnectionVerdict verdict;
        verdict.allowed = admit;
        verdict.reason = admit ? "" : "too many connections from your address";
        connections += admit;
        co_return verdict;
    }
    void closed(ipc::ConnectionClosed) { --connections; }

    ipc::SaslAnswer judge(smtp::SaslExchange::State state) {
        ipc::SaslAnswer answer;
        answer.state = ipc::SaslState::refused;
        if (throttled) {
            answer.state = ipc::SaslState::unavailable;
            answer.reason = "throttled";
        } else if (state == smtp::SaslExchange::State::challenge) {
            answer.state = ipc::SaslState::challenge;
            answer.exchange = 7;
            answer.data = exchange_->challenge();
        } else if (state == smtp::SaslExchange::State::complete) {
            const auto& claim = exchange_->credentials();
            if (claim.authentication == "alice@local.test" && claim.password == "secret") {
                answer.state = ipc::SaslState::accepted;
                answer.token = "token-of-alice";
                answer.login = "alice@local.test";
            }
        }
        return answer;
    }
    task<ipc::SaslAnswer> sasl_start(ipc::SaslStart start) {
        exchange_ = std::make_unique<smtp::SaslExchange>(*smtp::find_mechanism(start.mechanism));
        std::optional<std::string_view> initial;
        if (start.has_initial) initial = start.initial;
        co_return judge(exchange_->start(initial));
    }
    task<ipc::SaslAnswer> sasl_continue(ipc::SaslContinue next) {
        co_return judge(exchange_->answer(next.data));
    }
    void sasl_abort(ipc::SaslAbort) { ++aborted; }
    task<ipc::ReplyText> check_sender(ipc::CheckSender question) {
        ++sender_checks;
        const bool alice = question.token == "token-of-alice";
        const bool root = question.token == "token-of-root";
        ipc::ReplyText verdict;
        if (!alice && !root) verdict = {530, "5.7.0", "authentication required"};
        const bool own = question.address.empty() || root ||
                         iequals(question.address, "alice@local.test") ||
                         iequals(question.address, "sales@local.test");
        if (alice && !own) verdict = {553, "5.7.1", "not your address"};
        co_return verdict;
    }
    task<ipc::ReplyText> check_recipient(ipc::CheckRecipient question) {
        const auto address = smtp::parse_address(question.address);
        ipc::ReplyText verdict;
        if (!address) {
            verdict = {501, "5.1.3", "bad recipient address syntax"};
        } else if (address->is_bare_postmaster() || address->domain_key == "mx.example") {
            verdict = {};
        } else if (address->domain_key != "local.test") {
            const bool user = question.service == ipc::Service::submission &&
                              question.token.starts_with("token-of-");
            if (!user) verdict = {550, "5.7.1", "relaying denied"};
        } else {
            const auto base = smtp::split_plus(address->local_key).base;
            const bool known =
                base == "a" || base == "b" || base == "alice" || base == "postmaster";
            if (!known) verdict = {550, "5.1.1", "no such user here"};
            if (base == "full") verdict = {452, "4.2.2", "mailbox full"};
        }
        co_return verdict;
    }

    std::unique_ptr<smtp::SaslExchange> exchange_;
};

} // namespace tambo::smtpd::test
