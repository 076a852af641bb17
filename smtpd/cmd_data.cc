// DATA, RFC 5321 4.1.1.4: from the 354 to queued's answer. However it ends, the transaction is over
// (RULES.md F4).
#include "common/base/text.h"
#include "common/smtp/reply_texts.h"
#include "common/sys/log.h"
#include "smtpd/content.h"
#include "smtpd/envelope.h"
#include "smtpd/intake.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"

#include <algorithm>

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

namespace {

constexpr size_t kYieldBytes = 1u << 20; // a fast sender lets others have their turn

} // namespace

task<Reply> Session::cmd_data(std::string_view arguments) {
    if (!arguments.empty()) throw Reject(replies::bad_syntax);
    Transaction mail = std::move(transaction_);
    end_transaction();
    refused_from_ = mail.reverse_path;
    if (mail.recipients.empty()) throw Reject(replies::no_recipients);
    co_await look_up_client();
    SpoolFile spool(service_);
    co_await spool.open(mail.size);
    put(replies::start_data);
    co_await stream_.flush();
    Content content(static_cast<uint64_t>(service_.config.message_size_max),
                    service_.config.hostname);
    co_await receive(spool, content);
    Reply reply;
    try {
        reply = co_await conclude(spool, content, mail);
    } catch (const Reject& reject) {
        reply = reject.reply;
    }
    if (reply.refused()) log_message_refusal(spool.qid(), content, mail, reply);
    co_return reply;
}

void Session::log_message_refusal(const Id& qid,
                                  const Content& content,
                                  const Transaction& mail,
                                  const Reply& reply) {
    refusal_logged_ = true;
    log::Event("smtp.message_refused", log::Level::notice)
        .sid(sid_)
        .qid(qid)
        .with("ip", client_ip())
        .with("reply", cat(reply.code, ' ', reply.enhanced, ' ', reply.text))
        .with("login", login_)
        .with("from", mail.reverse_path)
        .with("recipients", static_cast<int64_t>(mail.recipients.size()))
        .with("bytes", static_cast<int64_t>(content.bytes()));
}

// A client may take its time, but not for ever: no slower than data_bytes_per_s after a grace.
task<> Session::receive(SpoolFile& spool, Content& content) {
    const int64_t begin_ms = Loop::monotonic_ms();
    const Pace& pace = service_.pace;
    std::string bytes;
    uint64_t received = 0, yielded = 0;
    while (!content.ended()) {
        const int64_t earned_ms = static_cast<int64_t>(received) * 1000 / pace.data_bytes_per_s;
        stream_.set_deadline(begin_ms + pace.data_grace_ms + earned_ms);
        const auto wait = co_await stream_.wait_input(0);
        if (wait == net::Wait::timed_out) throw TimedOut{};
        if (wait == net::Wait::woken) continue;
        const size_t taken = content.feed(stream_.buffered(), bytes);
        stream_.consume(taken);
        received += taken;
        spool.write(bytes);
        bytes.clear();
        if (content.hopeless()) throw Farewell(replies::message_too_big, "too_big");
        if (received - yielded < kYieldBytes) continue;
        yielded = received;
        co_await sleep_ms(service_.nursery, 0);
    }
    stream_.set_deadline(std::max(session_end_ms_, Loop::monotonic_ms() + pace.command_ms));
}

task<Reply> Session::conclude(SpoolFile& spool, const Content& content, Transaction& mail) {
    if (const auto refusal = content.refusal()) co_return *refusal;
    if (spool.failure()) co_return *spool.failure();
    co_await check_author(content, mail);
    TraceFacts facts;
    facts.hostname = service_.config.hostname;
    facts.hello = hello_;
    facts.client_name = client_name_.value_or("");
    facts.client_literal = is_local() ? "" : arrival_.peer.literal();
    facts.uid = arrival_.uid;
    facts.extended = extended_;
    facts.smtputf8 = mail.smtputf8;
    facts.authenticated = is_authenticated();
    if (stream_.tls()) {
        const TlsInfo tls = stream_.tls_info();
        facts.tls_version = tls.version;
        facts.tls_cipher = tls.cipher;
    }
    facts.qid = spool.qid();
    facts.only_recipient = mail.recipients.only();
    facts.time = service_.clock.now();
    auto envelope = make_envelope(facts, content, mail, service_.is_mx() ? "" : login_);
    envelope.sid = sid_;
    envelope.token = token_;
    envelope.client_ip = client_ip();
    const std::string header_from = envelope.header_from;
    const std::string message_id = envelope.message_id;
    auto reply = co_await spool.commit(std::move(envelope), mail.recipients);
    if (reply.refused()) co_return reply;
    ++messages_;
    recipients_ += mail.recipients.size();
    errors_ = junk_ = overshoot_ = 0;
    session_end_ms_ = Loop::monotonic_ms() + service_.pace.session_ms; // who delivers may go on
    stream_.set_deadline(session_end_ms_);
    log::Event("smtp.accepted")
        .sid(sid_)
        .qid(spool.qid())
        .with("ip", client_ip())
        .with("login", login_)
        .with("from", mail.reverse_path)
        .with("recipients", static_cast<int64_t>(mail.recipients.size()))
        .with("bytes", static_cast<int64_t>(content.bytes()))
        .with("protocol", protocol_name(facts))
        .with("header_from", header_from)
        .with("message_id", message_id);
    co_return reply;
}

// One From field with authors of one domain (RULES.md M2), and on submission our user's own; then a
// Sender, too, which many programs show beside or in place of the author (RFC 5322 3.6.2, RFC 6409
// 8.1). Resent fields are nobody's word about the author, and a message keeps those of its earlier
// journeys (RFC 5322 3.6.6). The host's programs write as they like within the host: cron runs sendmail(1) as a user, and its
// author is root. Return-Path and Received say who it was.
task<> Session::check_author(const Content& content, const Transaction& mail) {
    const auto domain = unqualified_domain();
    const Authors authors = find_authors(content.header(), mime::Watched::from, domain);
    if (authors.verdict == Authors::Verdict::refused) throw Reject(replies::bad_from);
    if (service_.is_mx()) co_return;
    const Authors sender = find_authors(content.header(), mime::Watched::sender, domain);
    const bool several = sender.addresses.size() > 1; // RFC 5322 3.6.2
    if (several || sender.verdict == Authors::Verdict::refused) throw Reject(replies::bad_sender_field);
    co_await require_own(authors, mail, replies::from_not_yours);
    co_await require_own(sender, mail, replies::sender_not_yours);
}

task<> Session::require_own(const Authors& authors,
                            const Transaction& mail,
                            smtp::ReplyText refusal) {
    for (const std::string& address : authors.addresses) {
        if (address == mail.reverse_key) continue; // MAIL has asked
        if (is_local() && address.ends_with(cat('@', service_.config.hostname))) continue;
        std::string author = address;
        try {
            co_await require_own_address(service_, token_, std::move(author));
        } catch (const Reject& reject) {
            if (reject.reply.permanent()) throw Reject(refusal);
            throw;
        }
    }
}

task<> Session::look_up_client() {
    if (client_name_) co_return;
    if (service_.is_mx() && !arrival_.peer.is_loopback()) {
        std::string ip = client_ip();
        client_name_ = co_await verified_client_name(service_, std::move(ip));
    } else {
        client_name_ = "";
    }
}

} // namespace tambo::smtpd
