#include "queued/intake.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/reply_texts.h"
#include "common/sys/error.h"
#include "common/sys/log.h"
#include "queued/schedule.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace tambo::queued {

namespace {

namespace replies = smtp::replies;

constexpr uint64_t kDigestHereBytes = 256 * 1024; // more than that: on a thread
constexpr int64_t kResolveTimeoutMs = 30'000;

ipc::ReplyText reply(const smtp::ReplyText& text) {
    return {static_cast<uint16_t>(text.code), std::string(text.enhanced), std::string(text.text)};
}

bool is_full(const std::system_error& error) {
    const int code = error.code().value();
    return code == ENOSPC || code == EDQUOT;
}

bool is_plain(const std::string& text, size_t bytes_max) {
    return text.size() <= bytes_max && std::none_of(text.begin(), text.end(), is_ctl);
}

constexpr size_t kTokenBytesMax = 2048, kSidBytesMax = 64, kRetBytesMax = 8, kEnvidBytesMax = 1024;
constexpr size_t kFieldBytesMax = 4096;
// What a Relay and a Resolve are made of, with room for lengths and numbers.
static_assert(Schedule::kErrandBytesMax + Intake::kPrefixBytesMax + 2 * Intake::kAddressBytesMax +
                  kSidBytesMax + kRetBytesMax + kEnvidBytesMax + 512 <
              limits::ipc_message_bytes);
static_assert((Intake::kRecipientsAtOnce + 1) * (Intake::kAddressBytesMax + 8) + kTokenBytesMax +
                  512 <
              limits::ipc_message_bytes);

// What smtpd may say of a message; the rest would break other texts and datagrams.
bool is_sane(const ipc::EnvelopeStart& e) {
    for (const std::string* text :
         {&e.helo, &e.client_ip, &e.client_name, &e.protocol, &e.message_id, &e.header_from}) {
        if (!is_plain(*text, kFieldBytesMax)) return false;
    }
    const bool plain = is_plain(e.sid, kSidBytesMax) && is_plain(e.parameters.ret, kRetBytesMax) &&
                       is_plain(e.parameters.envid, kEnvidBytesMax) &&
                       is_plain(e.reverse_path, Intake::kAddressBytesMax);
    const bool lines = e.prefix.empty() || e.prefix.ends_with("\r\n");
    return plain && lines && e.token.size() <= kTokenBytesMax &&
           e.prefix.size() <= Intake::kPrefixBytesMax && e.prefix.find('\0') == std::string::npos;
}

uint64_t size_of(int body) {
    struct stat facts {};
    if (::fstat(body, &facts) != 0) throw_errno("stat of a body");
    return static_cast<uint64_t>(facts.st_size);
}

// The message is not silently for fewer people than its sender thinks: the postmaster has it, too.
void log_missing(const spool::Envelope& envelope,
                 const std::string& recipient,
                 const ipc::ResolvedRecipient& answer) {
    for (const auto& target : answer.missing) {
        log::Event("queue.target_missing", log::Level::warning)
            .qid(envelope.qid)
            .sid(envelope.sid)
            .rcpt(recipient)
            .with("target", target);
    }
}

} // namespace

Intake::Intake(IntakeWorld world, ipc::Channel& channel, ipc::Service service)
    : queue_(world.queue), channel_(channel), authd_(world.authd), workers_(world.workers),
      service_(service) {
    channel.on<ipc::OpenSpool>(*this, &Intake::open);
    channel.on<ipc::EnvelopeStart>(*this, &Intake::start);
    channel.on<ipc::EnvelopeRecipients>(*this, &Intake::add_recipients);
    channel.on<ipc::Commit>(*this, &Intake::commit);
    channel.on<ipc::Discard>(*this, &Intake::discard);
    channel.on<ipc::AskCommitted>(*this, &Intake::ask);
    channel.on_lost = [this] { abandon_all(); };
}

Intake::~Intake() {
    channel_.on_lost = nullptr;
}

Intake::TransactionPtr Intake::find(const Id& qid) const {
    const auto found = transactions_.find(qid);
    return found == transactions_.end() ? nullptr : found->second;
}

// An orphan that stays is removed by the next start.
void Intake::remove_body(const Id& qid) {
    if (queue_.committer.failed()) return;
    try {
        queue_.remove_body(qid);
    } catch (const std::system_error& error) {
        log::Event("queue.body_not_removed", log::Level::error)
            .qid(qid)
            .with("error", error.what());
    }
}

void Intake::abandon_all() {
    for (auto it = transactions_.begin(); it != transactions_.end();) {
        Transaction& transaction = *it->second;
        if (transaction.committing) {
            *transaction.abandoned = true; // left out unless it is in a batch already
            ++it;
        } else {
            remove_body(transaction.qid);
            it = transactions_.erase(it);
        }
    }
}

task<ipc::SpoolOpened> Intake::open(ipc::OpenSpool request) {
    ipc::SpoolOpened opened;
    try {
        opened.refusal = queue_.refusal(request.size_hint);
        if (opened.refusal.code == 0 && transactions_.size() >= kOpenMax) {
            opened.refusal = reply(replies::local_error);
        }
        if (opened.refusal.code == 0) {
            auto transaction = std::make_shared<Transaction>(queue_.nursery);
            transaction->qid = queue_.next_id();
            spool::NewBody body = queue_.spool.create(transaction->qid);
            transaction->body = std::move(body.reader);
            opened.qid = transaction->qid;
            opened.body = std::move(body.writer);
            transactions_.emplace(transaction->qid, std::move(transaction));
        }
    } catch (const std::system_error& error) {
        opened.refusal = reply(is_full(error) ? replies::disk_full : replies::local_error);
        log::Event("queue.open_failed", log::Level::error).with("error", error.what());
    }
    co_return opened;
}

void Intake::start(ipc::EnvelopeStart envelope) {
    const auto transaction = find(envelope.qid);
    if (!transaction) return; // of a predecessor of this process: its commit will be refused
    if (transaction->started || transaction->committing || !is_sane(envelope)) {
        channel_.drop("malformed envelope");
        return;
    }
    transaction->started = true;
    transaction->envelope = std::move(envelope);
}

void Intake::add_recipients(ipc::EnvelopeRecipients more) {
    const auto transaction = find(more.qid);
    if (!transaction) return;
    auto& recipients = transaction->recipients;
    const bool sane = std::all_of(more.recipients.begin(), more.recipients.end(), [](auto& r) {
        return !r.address.empty() && is_plain(r.address, kAddressBytesMax) &&
               is_plain(r.notify, 128) && is_plain(r.orcpt, kAddressBytesMax);
    });
    const auto most = static_cast<size_t>(std::max<int64_t>(queue_.config().recipients_max, 1));
    if (!transaction->started || transaction->committing || !sane ||
        more.recipients.size() > kRecipientsAtOnce ||
        recipients.size() + more.recipients.size() > most) {
        channel_.drop("malformed envelope");
        return;
    }
    std::move(more.recipients.begin(), more.recipients.end(), std::back_inserter(recipients));
}

void Intake::discard(ipc::Discard request) {
    const auto transaction = find(request.qid);
    if (!transaction || transaction->committing) return;
    transactions_.erase(request.qid);
    remove_body(request.qid);
}

task<ipc::CommittedAnswer> Intake::ask(ipc::AskCommitted question) {
    const auto transaction = find(question.qid);
    if (transaction && transaction->committing) {
        co_await transaction->done.wait();
    }
    ipc::CommittedAnswer answer;
    answer.accepted = queue_.was_committed(question.qid);
    co_return answer;
}

task<ipc::ReplyText> Intake::commit(ipc::Commit request) {
    const Id qid = request.qid;
    const auto transaction = find(qid);
    if (!transaction || transaction->committing) co_return reply(replies::local_error);
    if (!transaction->started || transaction->recipients.empty()) {
        channel_.drop("commit without envelope");
        co_return reply(replies::local_error);
    }
    transaction->committing = true;
    ipc::ReplyText answer;
    try {
        answer = co_await process(transaction, std::move(request));
    } catch (const std::system_error& error) {
        log::Event("queue.commit_failed", log::Level::error).qid(qid).with("error", error.what());
        answer = reply(replies::local_error);
    }
    transactions_.erase(qid);
    transaction->done.open();
    if (!queue_.was_committed(qid)) remove_body(qid);
    if (answer.code != 250) {
        log::Event("queue.refused", log::Level::notice)
            .qid(qid)
            .sid(transaction->envelope.sid)
            .rcpt(transaction->recipients.front().address)
            .with("from", transaction->envelope.reverse_path)
            .with("code", answer.code)
            .with("enhanced", answer.enhanced)
            .with("reason", answer.text);
    }
    co_return answer;
}

// No writer, the announced length and checksum. Throws std::system_error.
task<bool> Intake::is_complete(TransactionPtr transaction, ipc::Commit request) {
    const int body = transaction->body.get();
    if (spool::has_writer(body)) {
        log::Event("queue.writer_left", log::Level::error)
            .qid(transaction->qid)
            .with("peer", channel_.peer());
        channel_.drop("a writer of a finished body is left");
        co_return false;
    }
    const uint64_t length = size_of(body);
    spool::Digest digest;
    if (length == request.length && length > kDigestHereBytes) {
        const auto read = [&body] { return spool::digest_of(body); };
        digest = co_await workers_.run(read);
    } else if (length == request.length) {
        digest = spool::digest_of(body);
    }
    const bool complete = length == request.length && digest.length == request.length &&
                          digest.crc32c == request.crc32c;
    if (!complete) {
        log::Event("queue.body_differs", log::Level::error)
            .qid(transaction->qid)
            .with("announced", static_cast<int64_t>(request.length))
            .with("found", static_cast<int64_t>(length));
    }
    co_return complete;
}

task<ipc::ReplyText> Intake::process(TransactionPtr transaction, ipc::Commit request) {
    ipc::ReplyText refusal = queue_.refusal(0);
    if (refusal.code != 0) co_return refusal;
    if (request.length > static_cast<uint64_t>(queue_.config().message_size_max)) {
        co_return reply(replies::message_too_big);
    }
    const bool complete = co_await is_complete(transaction, request);
    if (!complete) co_return reply(replies::local_error);

    Acceptance acceptance;
    fill_envelope(*transaction, request, acceptance.envelope);
    refusal = co_await resolve(transaction, acceptance);
    if (refusal.code != 0) co_return refusal;
    acceptance.body = std::move(transaction->body);
    acceptance.abandoned = transaction->abandoned;
    const auto outcome = co_await queue_.committer.accept(std::move(acceptance));
    if (outcome == Accepted::disk_full) co_return reply(replies::disk_full);
    if (outcome != Accepted::durable) co_return reply(replies::local_error);
    co_return ipc::ReplyText(250, "2.0.0", cat("accepted as ", transaction->qid.text()));
}

void Intake::fill_envelope(const Transaction& transaction,
                           const ipc::Commit& request,
                           spool::Envelope& into) {
    const ipc::EnvelopeStart& from = transaction.envelope;
    into.qid = transaction.qid;
    into.source = service_ == ipc::Service::mx ? spool::Source::mx : spool::Source::submission;
    into.sid = from.sid;
    into.reverse_path = from.reverse_path;
    into.helo = from.helo;
    into.client_ip = from.client_ip;
    into.client_name = from.client_name;
    into.protocol = from.protocol;
    into.message_id = from.message_id;
    into.header_from = from.header_from;
    into.body = static_cast<uint8_t>(from.parameters.body);
    into.smtputf8 = from.parameters.smtputf8;
    into.require_tls = from.parameters.require_tls;
    into.ret = from.parameters.ret;
    into.envid = from.parameters.envid;
    into.hold_until_ms = from.parameters.hold_until_ms;
    into.deliver_by_ms = from.parameters.deliver_by_ms;
    into.priority = from.parameters.priority;
    into.prefix = from.prefix;
    into.length = request.length;
    into.crc32c = request.crc32c;
    into.accepted = queue_.clock.now();
    into.uptime_ms = queue_.uptime_ms();
}

// Asks authd who gets the message, or why it may not go. Code 0: into.recipients are frozen.
task<ipc::ReplyText> Intake::resolve(TransactionPtr transaction, Acceptance& into) {
    const auto& recipients = transaction->recipients;
    std::vector<ipc::ResolvedRecipient> answers;
    while (answers.size() < recipients.size()) {
        ipc::Resolve question;
        question.service = service_;
        if (service_ == ipc::Service::submission) question.token = transaction->envelope.token;
        question.reverse_path = transaction->envelope.reverse_path;
        question.first = answers.empty();
        question.recipients_total = static_cast<uint32_t>(recipients.size());
        const size_t end = std::min(answers.size() + kRecipientsAtOnce, recipients.size());
        for (size_t i = answers.size(); i < end; ++i) {
            question.recipients.push_back(recipients[i].address);
        }
        const size_t asked = question.recipients.size();
        ipc::Resolution resolution;
        bool lost = false;
        try {
            resolution = co_await authd_.call(std::move(question), kResolveTimeoutMs);
        } catch (const ipc::PeerLost&) {
            lost = true;
        }
        if (lost) co_return reply(replies::local_error);
        if (resolution.refusal.code != 0) co_return resolution.refusal;
        const size_t answered = resolution.recipients.size();
        if (answered == 0 || answered > asked) co_return reply(replies::local_error);
        into.envelope.login = resolution.login;
        into.envelope.dkim_domain = resolution.dkim_domain;
        std::move(resolution.recipients.begin(), resolution.recipients.end(),
                  std::back_inserter(answers));
    }
    const auto refusal = take_answers(*transaction, answers, into);
    co_return refusal;
}

ipc::ReplyText Intake::take_answers(const Transaction& transaction,
                                    std::vector<ipc::ResolvedRecipient>& answers,
                                    Acceptance& into) {
    size_t refused = 0;
    const UtcTime now = into.envelope.accepted;
    for (uint32_t i = 0; i < answers.size(); ++i) {
        ipc::ResolvedRecipient& answer = answers[i];
        auto rows = recipients_of(i, transaction.recipients[i], answer.targets, now);
        const bool nowhere = std::any_of(rows.begin(), rows.end(), [](const auto& row) {
            return row.kind == spool::Kind::remote && row.destination.empty();
        });
        if (answer.refusal.code == 0 && (rows.empty() || nowhere)) {
            answer.refusal = reply(replies::bad_recipient);
        }
        if (answer.refusal.code == 0) {
            log_missing(into.envelope, transaction.recipients[i].address, answer);
            std::move(rows.begin(), rows.end(), std::back_inserter(into.recipients));
            continue;
        }
        // Only the client can come again for a part that is not known yet.
        if (answer.refusal.code < 500) return answer.refusal;
        ++refused;
        spool::Recipient& row = into.recipients.emplace_back();
        row.rcpt_no = i;
        row.kind = spool::Kind::refused;
        row.original = row.address = transaction.recipients[i].address;
        row.notify = transaction.recipients[i].notify;
        row.orcpt = transaction.recipients[i].orcpt;
        row.next_attempt = now;
        row.status = {answer.refusal.code, answer.refusal.enhanced, answer.refusal.text, "", false};
    }
    if (refused == answers.size()) return answers.front().refusal;
    return {};
}

} // namespace tambo::queued
