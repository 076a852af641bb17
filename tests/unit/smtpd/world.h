// A whole smtpd in one process: a Service with scripted authd, queued and dnsd behind real
// channels, and clients on socket pairs. Everything runs in one loop.
#pragma once

#include "common/crypto/issue.h"
#include "common/crypto/key_ring.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "smtpd/server.h"
#include "tests/unit/smtpd/fake_authd.h"
#include "tests/unit/smtpd/fake_dnsd.h"
#include "tests/unit/smtpd/fake_queued.h"

#include <sys/socket.h>

#include <memory>
#include <string_view>
#include <utility>

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
