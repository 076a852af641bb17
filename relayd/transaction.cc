// See transaction.h.
#include "relayd/transaction.h"

#include "common/base/text.h"
#include "common/smtp/data.h"
#include "common/sys/error.h"

#include <system_error>

namespace tambo::relayd {

namespace {

using smtp::Extension;
using smtp::ServerReply;

constexpr int kStartInput = 354;
constexpr int kClosing = 421;
constexpr int64_t kEarlyReplyMs = 5'000; // why a server hung up in the middle of the content

} // namespace

task<> Transaction::run() {
    if (const auto verdict = choose_form()) {
        results_.settle_open(*verdict);
        co_return;
    }
    choose_recipients();
    connection_.set_idle(false);
    if (asked_.empty()) co_return;
    const auto data = co_await exchange_envelope();
    if (data.code == kStartInput) {
        if (accepted_.empty()) {
            // RFC 2920 3.1: DATA was on its way before all recipients were refused.
            connection_.put(".");
            co_await connection_.reply("the reply to an empty message",
                                       connection_.timeouts().final_ms);
            co_return;
        }
        co_await send_content();
        co_return;
    }
    if (data.code == 0 || data.code == kClosing) co_return; // others may take those not settled
    if (data.positive()) connection_.give_up();             // whatever it thinks comes now
    if (accepted_.empty()) co_return;
    settle(accepted_, Verdict::of(data));
}

// How this server can take the message; the verdict if it cannot.
std::optional<Verdict> Transaction::choose_form() {
    const bool international = mail_.job.parameters.smtputf8;
    const auto needs_utf8 = [](const smtp::Address& address) { return !is_ascii(address.text()); };
    smtputf8_ = international || (mail_.sender && needs_utf8(*mail_.sender));
    for (size_t i = 0; i < mail_.recipients.size(); ++i) {
        smtputf8_ = smtputf8_ || (!results_.settled(i) && needs_utf8(mail_.recipients[i]));
    }
    smtputf8_ = smtputf8_ && connection_.offers(Extension::smtputf8);
    if (mail_.sender && !path_for(*mail_.sender)) { // RFC 6531 3.5
        return Verdict::ours(
            553, "5.6.7", cat(connection_.hop().text(), " takes no internationalised addresses"));
    }
    if (const auto verdict = choose_content()) return verdict;
    const auto& size_max = connection_.offer().size_max; // RFC 1870 6.1
    if (size_max && size_ > *size_max) {
        return Verdict::ours(552, "5.3.4",
                             cat("the message has ", size_, " bytes; ", connection_.hop().text(),
                                 " takes ", *size_max));
    }
    return std::nullopt;
}

// As it is, or converted (RFC 6152 3, RFC 6531 3.5). 8-bit headers that came without SMTPUTF8 are
// common; they stay as they are where 8-bit bodies may.
std::optional<Verdict> Transaction::choose_content() {
    const auto& facts = mail_.facts;
    const auto& parameters = mail_.job.parameters;
    const bool has_8bit = facts.header_8bit || facts.body_8bit;
    const bool declared = parameters.body != ipc::BodyType::sevenbit;
    mime::NextHop next_hop;
    next_hop.eight_bit_mime = connection_.offers(Extension::eight_bit_mime);
    next_hop.smtp_utf8 = connection_.offers(Extension::smtputf8) ||
                         (next_hop.eight_bit_mime && !parameters.smtputf8);
    eight_bit_ = next_hop.eight_bit_mime && (has_8bit || declared);
    size_ = mail_.content.size();
    const bool header_fits = !facts.header_8bit || next_hop.smtp_utf8;
    if ((!has_8bit || next_hop.eight_bit_mime) && header_fits) return std::nullopt;
    conversion_.emplace(mail_.content, next_hop);
    if (conversion_->problem().empty()) {
        size_ = conversion_->size();
        return std::nullopt;
    }
    return Verdict::ours(header_fits ? 554 : 553, header_fits ? "5.6.3" : "5.6.7",
                         cat(connection_.hop().text(),
                             header_fits ? " takes 7-bit mail only" : " takes no SMTPUTF8",
                             "; this message cannot be converted: ", conversion_->problem()));
}

// The address as this server understands it. RFC 6531 3.2: a domain also has its A-labels.
std::optional<std::string> Transaction::path_for(const smtp::Address& address) const {
    auto text = address.text();
    if (is_ascii(text) || connection_.offers(Extension::smtputf8)) return text;
    if (is_ascii(address.local)) return address.ascii_text();
    return std::nullopt;
}

void Transaction::choose_recipients() {
    for (size_t i = 0; i < mail_.recipients.size(); ++i) {
        if (results_.settled(i)) continue;
        if (path_for(mail_.recipients[i])) {
            asked_.push_back(i);
            continue;
        }
        results_.settle_failed(i, Verdict::ours(553, "5.6.7",
                                                cat(connection_.hop().text(),
                                                    " does not take internationalised addresses")));
    }
}

// RFC 5321 4.1.1.2, RFC 1870 3, RFC 6152 2, RFC 6531 3.4.
std::string Transaction::mail_command() const {
    std::string command = "MAIL FROM:<";
    if (mail_.sender) command += path_for(*mail_.sender).value_or("");
    command += '>';
    if (connection_.offers(Extension::size)) cat_to(command, cat(" SIZE=", size_));
    if (eight_bit_) command += " BODY=8BITMIME";
    if (smtputf8_) command += " SMTPUTF8";
    return command;
}

// Returns the reply to DATA; code 0 if it was not sent.
task<ServerReply> Transaction::exchange_envelope() {
    const bool pipelined = connection_.offers(Extension::pipelining);
    connection_.put(mail_command());
    if (pipelined) {
        for (const size_t i : asked_) {
            connection_.put(cat("RCPT TO:<", *path_for(mail_.recipients[i]), '>'));
        }
        connection_.put("DATA");
    }
    const auto mail =
        co_await connection_.reply("the reply to MAIL", connection_.timeouts().command_ms);
    if (!accepts(mail) && mail.code != kClosing) settle(asked_, Verdict::of(mail));
    if (!connection_.usable()) co_return ServerReply();
    co_await ask_recipients(pipelined, accepts(mail));
    if (!connection_.usable() || (!pipelined && accepted_.empty())) co_return ServerReply();
    if (!pipelined) connection_.put("DATA");
    auto data = co_await connection_.reply("the reply to DATA", connection_.timeouts().data_ms);
    co_return data;
}

task<> Transaction::ask_recipients(bool pipelined, bool sender_accepted) {
    for (const size_t i : asked_) {
        if (!pipelined && !sender_accepted) co_return;
        if (!pipelined) connection_.put(cat("RCPT TO:<", *path_for(mail_.recipients[i]), '>'));
        const auto reply =
            co_await connection_.reply("the reply to RCPT", connection_.timeouts().command_ms);
        if (sender_accepted && reply.code != kClosing) take_recipient(i, reply);
        if (!connection_.usable()) co_return;
    }
}

void Transaction::take_recipient(size_t index, const ServerReply& reply) {
    if (accepts(reply)) {
        accepted_.push_back(index);
        return;
    }
    auto verdict = Verdict::of(reply);
    // RFC 5321 4.5.3.1.10: 552 to RCPT means too many recipients, for now.
    if (reply.code == 552) verdict.permanent = false;
    results_.settle_failed(index, verdict);
}

void Transaction::settle(const std::vector<size_t>& whom, const Verdict& verdict) {
    for (const size_t i : whom) {
        if (!results_.settled(i)) results_.settle_failed(i, verdict);
    }
}

task<> Transaction::send_content() {
    connection_.messages++;
    const bool written = co_await write_content();
    if (written) {
        co_await finish_content();
        co_return;
    }
    // It hung up in the middle; perhaps it said why.
    connection_.give_up();
    connection_.set_deadline(kEarlyReplyMs);
    const auto early = co_await connection_.read_reply();
    if (early.positive() || early.code == kClosing) throw Closed{};
    settle(accepted_, Verdict::of(early));
}

// False if the server closed the connection before it had everything.
task<bool> Transaction::write_content() {
    auto& stream = connection_.stream();
    smtp::DataEncoder encoder;
    std::string piece, wire;
    while (next_piece(piece)) {
        wire.clear();
        // The message was inspected before: this is the second lock on the door (RULES.md F2).
        if (!encoder.feed(piece, wire))
            throw ProtocolError("the message changed while it was sent");
        stream.put(wire);
        connection_.set_deadline(connection_.timeouts().block_ms);
        try {
            co_await stream.flush();
        } catch (const Closed&) {
            co_return false;
        }
    }
    wire.clear();
    if (!encoder.finish(wire)) throw ProtocolError("the message changed while it was sent");
    stream.put(wire);
    co_return true;
}

bool Transaction::next_piece(std::string& piece) {
    if (conversion_) return conversion_->next(piece);
    mail_.content.read(at_, piece);
    at_ += piece.size();
    return !piece.empty();
}

// From here on the message may have arrived, whatever is heard of it (RFC 1047).
task<> Transaction::finish_content() {
    ServerReply final_reply;
    std::string problem;
    try {
        final_reply =
            co_await connection_.reply("the reply to the message", connection_.timeouts().final_ms);
    } catch (const Closed&) {
        problem = "connection lost";
    } catch (const TimedOut&) {
        problem = "timed out";
    } catch (const net::TlsError& e) {
        problem = e.what();
    } catch (const ProtocolError& e) {
        problem = e.what();
    } catch (const std::system_error& e) {
        problem = error_text(e.code().value());
    }
    if (!problem.empty()) {
        connection_.give_up();
        settle(accepted_, Verdict::ours(451, "4.4.2",
                                        cat(problem, " after the message was sent to ",
                                            connection_.hop().text(), "; it may have arrived")));
        co_return;
    }
    connection_.set_idle(final_reply.code / 100 != 3);
    if (!accepts(final_reply)) {
        settle(accepted_, Verdict::of(final_reply));
        co_return;
    }
    for (const size_t i : accepted_)
        results_.settle_sent(i, final_reply);
}

} // namespace tambo::relayd
