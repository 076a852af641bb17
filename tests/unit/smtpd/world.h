// A whole smtpd in one process: a Service with scripted authd, queued and dnsd behind real
// channels, and clients on socket pairs. Everything runs in one loop.
#pragma once

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/crypto/issue.h"
#include "common/crypto/key_ring.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/dnsd.h"
#include "common/ipc/messages/queued.h"
#include "common/smtp/sasl.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "smtpd/server.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tambo::smtpd::test {

struct StoppedClock final : Clock {
    UtcTime now() override { return UtcTime{1'795'497'616'000}; } // 24 Nov 2026 05:20:16
    int64_t monotonic_ms() override { return Loop::monotonic_ms(); }
};

// The same ids in every run.
struct CountingRandom final : Random {
    uint64_t last = 0;
    uint64_t u64() override { return ++last; }
};

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

struct Stored {
    ipc::EnvelopeStart envelope;
    std::vector<std::string> recipients;
    std::string body;
};

class FakeQueued {
  public:
    explicit FakeQueued(ipc::Channel& channel) : channel_(channel) {
        channel.on<ipc::OpenSpool>(*this, &FakeQueued::open);
        channel.on<ipc::EnvelopeStart>(*this, &FakeQueued::start);
        channel.on<ipc::EnvelopeRecipients>(*this, &FakeQueued::recipients);
        channel.on<ipc::Commit>(*this, &FakeQueued::commit);
        channel.on<ipc::Discard>(*this, &FakeQueued::discard);
        channel.on<ipc::AskCommitted>(*this, &FakeQueued::ask);
    }
    std::vector<Stored> stored;
    int opened = 0, discarded = 0, asked = 0;
    bool disk_full = false, refuse_commit = false, broken_disk = false;
    bool die_at_commit = false, remember = true; // the successor knows the message

  private:
    struct Entry {
        Stored message;
        UniqueFd file;
    };
    task<ipc::SpoolOpened> open(ipc::OpenSpool) {
        ipc::SpoolOpened answer;
        if (disk_full) {
            answer.refusal = {452, "4.3.1", "insufficient storage"};
            co_return answer;
        }
        answer.qid = Id{1, static_cast<uint64_t>(++opened)};
        Entry& entry = entries_[answer.qid];
        entry.file.reset(::memfd_create("spool", MFD_CLOEXEC));
        answer.body.reset(broken_disk ? ::open("/dev/full", O_WRONLY | O_CLOEXEC)
                                      : ::dup(entry.file.get()));
        co_return answer;
    }
    void start(ipc::EnvelopeStart envelope) {
        // What the real one insists on, or it closes the channel.
        for (const auto* text : {&envelope.sid, &envelope.helo, &envelope.client_ip,
                                 &envelope.client_name, &envelope.protocol, &envelope.message_id,
                                 &envelope.header_from, &envelope.reverse_path}) {
            check(std::none_of(text->begin(), text->end(), is_ctl), "a control character");
        }
        check(envelope.prefix.ends_with("\r\n") && envelope.prefix.size() < 24 * 1024, "prefix");
        entries_[envelope.qid].message.envelope = std::move(envelope);
    }
    void recipients(ipc::EnvelopeRecipients some) {
        for (auto& r : some.recipients) {
            entries_[some.qid].message.recipients.push_back(std::move(r.address));
        }
    }
    task<ipc::ReplyText> commit(ipc::Commit commit) {
        Entry& entry = entries_[commit.qid];
        entry.message.body = read_whole(entry.file.get(), 64u << 20, "spool");
        ipc::ReplyText answer{250, "2.0.0", cat("accepted as ", commit.qid.text())};
        const auto& body = entry.message.body;
        if (body.size() != commit.length || crc32c(0, body) != commit.crc32c) {
            answer = {451, "4.3.0", "length or checksum differ"};
        } else if (refuse_commit) {
            answer = {550, "5.7.1", "refused at completion"};
        } else {
            stored.push_back(std::move(entry.message));
        }
        if (die_at_commit) channel_.drop("killed");
        co_return answer;
    }
    void discard(ipc::Discard message) {
        ++discarded;
        entries_.erase(message.qid);
    }
    task<ipc::CommittedAnswer> ask(ipc::AskCommitted) {
        ++asked;
        ipc::CommittedAnswer answer;
        answer.accepted = remember;
        co_return answer;
    }

    ipc::Channel& channel_;
    std::map<Id, Entry> entries_;
};

// 192.0.2.7 is client.example; 192.0.2.8 claims to be bank.example.
class FakeDnsd {
  public:
    explicit FakeDnsd(ipc::Channel& channel) {
        channel.on<ipc::DnsLookup>(*this, &FakeDnsd::lookup);
    }

  private:
    task<ipc::DnsAnswer> lookup(ipc::DnsLookup question) {
        ipc::DnsAnswer answer;
        answer.status = ipc::DnsStatus::found;
        const auto add = [&](std::string_view text) {
            answer.records.push_back(ipc::DnsRecord{std::string(text), 0});
        };
        if (question.name == "192.0.2.7") add("client.example");
        if (question.name == "192.0.2.8") add("bank.example");
        if (question.name == "192.0.2.9") add("bad\377name");
        if (question.name == "client.example") add("192.0.2.7");
        if (question.name == "bank.example") add("198.51.100.1");
        if (answer.records.empty()) answer.status = ipc::DnsStatus::no_name;
        co_return answer;
    }
};

inline const PrivateKey& test_key() {
    static const PrivateKey key = PrivateKey::generate(KeyType::ec_p256);
    return key;
}

inline TlsContext server_tls() {
    static const TlsContext context = [] {
        const CertificateSpec spec{{"mx.example"}, {}, UtcTime{1'700'000'000'000}, 36'000};
        auto ring = std::make_shared<KeyRing>();
        ring->add(1, test_key());
        TlsServerConfig config;
        config.service = "smtp";
        config.certificates = {{self_signed_certificate(test_key(), spec).value(), 1}};
        config.signer = std::move(ring);
        return TlsContext::server(config).value();
    }();
    return context;
}

inline TlsContext client_tls() {
    static const TlsContext context = TlsContext::client({}).value();
    return context;
}

// What authd passes: a user of the host, without a descriptor.
inline ipc::LocalArrival local_user(uint32_t uid) {
    ipc::LocalArrival arrival;
    arrival.uid = uid;
    arrival.token = uid == 0 ? "token-of-root" : "token-of-alice";
    arrival.address = uid == 0 ? "root@mx.example" : "alice@local.test";
    return arrival;
}

struct World {
    Loop loop;
    Nursery nursery{loop};
    ipc::Channel authd{nursery, "authd"}, queued{nursery, "queued"}, dnsd{nursery, "dnsd"};
    ipc::Channel authd_end{nursery, "mx.0"}, queued_end{nursery, "mx.0"}, dnsd_end{nursery, "mx.0"};
    FakeAuthd fake_authd{authd_end};
    FakeQueued fake_queued{queued_end};
    FakeDnsd fake_dnsd{dnsd_end};
    StoppedClock clock;
    CountingRandom random;
    Service service;
    Server server{service};

    explicit World(Role role = Role::mx)
        : service{nursery, authd, queued, &dnsd, clock, random, role, {}, server_tls()} {
        service.config.hostname = "mx.example";
        service.config.message_size_max = 100'000;
        service.config.recipients_max = 1000;
        service.config.sessions_max = 100;
        service.pace.error_delay_ms = 0;
        service.pace.linger_ms = 300;
        wire(authd, authd_end);
        wire(queued, queued_end);
        wire(dnsd, dnsd_end);
    }
    ~World() {
        nursery.cancel();
        for (auto* end : {&authd, &queued, &dnsd, &authd_end, &queued_end, &dnsd_end}) {
            end->drop("end of test");
        }
    }
    static void wire(ipc::Channel& here, ipc::Channel& there) {
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        here.attach(std::move(a));
        there.attach(std::move(b));
    }
    // A client's end of a new connection, non-blocking. ip empty: the local socket.
    UniqueFd connect(Door door,
                     std::string_view ip = "127.0.0.1",
                     uint32_t uid = 1000,
                     int buffer_bytes = 0) {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        for (const auto* end : {&ours, &theirs}) {
            if (buffer_bytes == 0) break;
            ::setsockopt(end->get(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
        }
        set_nonblocking(ours.get());
        set_nonblocking(theirs.get());
        Arrival arrival = local_arrival(local_user(uid));
        arrival.door = door;
        if (door != Door::local) arrival.token = arrival.login = "";
        if (!ip.empty()) arrival.peer = *net::SocketAddress::parse(ip, 40'000);
        if (service.sessions.size() >= static_cast<size_t>(service.config.sessions_max)) {
            server.accept(std::move(theirs), std::move(arrival));
        } else {
            server.serve(std::move(theirs), std::move(arrival));
        }
        return std::move(ours);
    }
    // Runs the loop until work has ended (and what it started, except sessions).
    void run(task<> work) {
        bool done = false;
        nursery.spawn(until_done(std::move(work), done));
        while (!done) {
            stopping = true;
            loop.run();
        }
    }

  private:
    bool stopping = false;
    task<> until_done(task<> work, bool& done) {
        struct Mark {
            World& world;
            bool& done;
            ~Mark() {
                done = true;
                world.loop.stop();
            }
        } mark{*this, done};
        co_await std::move(work);
    }
};

} // namespace tambo::smtpd::test
