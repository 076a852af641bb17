#include "keyd/server.h"

#include "common/crypto/datagram_signer.h"
#include "common/sys/fdpass.h"
#include "common/sys/sandbox.h"
#include "common/tls/keyd_codec.h"
#include "tests/unit/crypto/tls_pair.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <functional>
#include <thread>

using namespace tambo;
using namespace tambo::test;

namespace {

class FakeClock final : public Clock {
  public:
    UtcTime now() override { return kStart; }
    int64_t monotonic_ms() override { return ms; }
    int64_t ms = 1'000'000;
};

UniqueFd file_with(std::string_view text) {
    UniqueFd fd(::memfd_create("key", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return fd;
}

uint32_t id_of(const PrivateKey& key) { return key_id(key.public_key()); }

std::string certificate_verify() {
    return std::string(64, ' ') + "TLS 1.3, server CertificateVerify" + '\0' + std::string(32, 'h');
}

ipc::Sign request_for(const PrivateKey& key, std::string tbs = certificate_verify()) {
    ipc::Sign request;
    request.key_id = id_of(key);
    request.kind = static_cast<uint8_t>(SignKind::tls13_certificate_verify);
    request.scheme = static_cast<uint16_t>(key.type() == KeyType::rsa
                                               ? SignScheme::rsa_pss_rsae_sha256
                                               : SignScheme::ecdsa_sha256);
    request.to_be_signed = std::move(tbs);
    return request;
}

// A keyd with two daemons, whose ends of the wires the test holds.
struct House {
    FakeClock clock;
    Loop loop;
    Nursery nursery{loop};
    keyd::Server server{clock};
    ipc::Channel mx{nursery, "mx.0"}, imapd{nursery, "imapd.0"};
    keyd::Peer mx_peer{server, mx, clock}, imapd_peer{server, imapd, clock};
    UniqueFd mx_end, imapd_end;
    int open_wires = 2;

    House() {
        mx_end = wire(mx);
        imapd_end = wire(imapd);
    }
    ~House() {
        nursery.cancel();
        for (auto* channel : {&mx, &imapd}) {
            channel->on_lost = nullptr;
            channel->drop("end");
        }
    }
    UniqueFd wire(ipc::Channel& channel) {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        channel.on_lost = [this] {
            if (--open_wires == 0) loop.stop();
        };
        channel.attach(std::move(ours));
        return std::move(theirs);
    }
    // client runs on a thread of its own, as the daemon that blocks; until it lets both wires go.
    void run(const std::function<void()>& client) {
        std::thread thread([&] {
            client();
            mx_end.reset();
            imapd_end.reset();
        });
        loop.run();
        thread.join();
    }
};

} // namespace

TEST_CASE("keyd: a key signs under its own id, whatever its place in the list") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(rsa_key().pem()));
    server.take_file("key:2", file_with(ec_key().pem()));
    CHECK(server.keys() == 2);
    for (const PrivateKey* key : {&rsa_key(), &ec_key()}) {
        const auto reply = server.sign(request_for(*key));
        CHECK(reply.ok);
        CHECK(reply.error.empty());
        CHECK_FALSE(reply.bytes.empty());
    }
    const auto unknown = server.sign(request_for(p384_key()));
    CHECK_FALSE(unknown.ok);
    CHECK(unknown.bytes.empty());
    CHECK(unknown.error.starts_with("no key "));
}

TEST_CASE("keyd: nothing but handshakes, and no number that is no kind or scheme") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(ec_key().pem()));
    for (const auto& tbs : {std::string(), std::string(32, 'd'), certificate_verify() + "x",
                            certificate_verify().substr(1), std::string(60'000, ' ')}) {
        const auto reply = server.sign(request_for(ec_key(), tbs));
        CHECK_FALSE(reply.ok);
        CHECK(reply.bytes.empty());
        CHECK(reply.error == "not a TLS 1.3 server CertificateVerify");
    }
    for (const int kind : {0, 2, 3, 255}) {
        auto request = request_for(ec_key());
        request.kind = static_cast<uint8_t>(kind);
        CHECK_FALSE(server.sign(request).ok);
    }
    for (const int scheme : {0, 0x0401, 0x0503, 0x0804, 0xffff}) {
        auto request = request_for(ec_key());
        request.scheme = static_cast<uint16_t>(scheme);
        CHECK_FALSE(server.sign(request).ok);
    }
}

TEST_CASE("keyd: a replaced key signs on for ten minutes, then it is gone") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(ec_key().pem()));
    server.take_file("key:1", file_with(rsa_key().pem()));
    CHECK(server.keys() == 2);
    clock.ms += 600'000 - 1;
    server.tidy();
    CHECK(server.sign(request_for(ec_key())).ok);
    clock.ms += 1;
    server.tidy();
    CHECK_FALSE(server.sign(request_for(ec_key())).ok);
    CHECK(server.sign(request_for(rsa_key())).ok);
    CHECK(server.keys() == 1);
}

TEST_CASE("keyd: a key that comes back, moves or stays is not lost") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(ec_key().pem()));
    server.take_file("key:2", file_with(rsa_key().pem()));
    // Swapped.
    server.take_file("key:1", file_with(rsa_key().pem()));
    server.take_file("key:2", file_with(ec_key().pem()));
    // Renewed with the same key.
    server.take_file("key:2", file_with(ec_key().pem()));
    clock.ms += 3'600'000;
    server.tidy();
    CHECK(server.keys() == 2);
    CHECK(server.sign(request_for(ec_key())).ok);
    CHECK(server.sign(request_for(rsa_key())).ok);
    // Away and back before its time is over.
    server.take_file("key:2", file_with(p384_key().pem()));
    server.take_file("key:2", file_with(ec_key().pem()));
    clock.ms += 3'600'000;
    server.tidy();
    CHECK(server.sign(request_for(ec_key())).ok);
    CHECK(server.keys() == 2);
}

TEST_CASE("keyd: a shorter list ends the keys behind it") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(ec_key().pem()));
    server.take_file("key:2", file_with(rsa_key().pem()));
    server.set_count(1);
    CHECK(server.sign(request_for(rsa_key())).ok);
    clock.ms += 600'000;
    server.tidy();
    CHECK_FALSE(server.sign(request_for(rsa_key())).ok);
    CHECK(server.sign(request_for(ec_key())).ok);
    server.set_count(5); // more are announced than came: nothing happens
    CHECK(server.keys() == 1);
}

TEST_CASE("keyd: files that are no key change nothing") {
    FakeClock clock;
    keyd::Server server(clock);
    server.take_file("key:1", file_with(ec_key().pem()));
    server.take_file("key:1", file_with("nonsense"));
    server.take_file("key:1", file_with(""));
    server.take_file("key:1", UniqueFd());
    for (const auto* name : {"key:", "key:0", "key:x", "key:-1", "key:99999999999", "certificate:1",
                             "key", ""}) {
        server.take_file(name, file_with(rsa_key().pem()));
    }
    clock.ms += 3'600'000;
    server.tidy();
    CHECK(server.keys() == 1);
    CHECK(server.sign(request_for(ec_key())).ok);
}

TEST_CASE("keyd: a TLS server whose key is in another process") {
    House house;
    house.server.take_file("key:1", file_with(ec_key().pem()));
    house.server.take_file("key:2", file_with(rsa_key().pem()));
    TlsStatus outcomes[2][2];
    std::string refusal;
    house.run([&] {
        auto signer = std::make_shared<DatagramSigner>(keyd_codec());
        signer->connect(std::move(house.mx_end));
        for (int i = 0; i < 2; ++i) {
            const PrivateKey& key = i == 0 ? ec_key() : rsa_key();
            auto config = server_config(key);
            config.certificates[0].key_id = id_of(key);
            config.signer = signer;
            TlsPair pair(server_context(config), client_context());
            const auto outcome = pair.handshake();
            outcomes[i][0] = outcome.server;
            outcomes[i][1] = outcome.client;
        }
        const auto answer = signer->sign({id_of(ec_key()), SignKind::tls13_certificate_verify,
                                          SignScheme::ecdsa_sha256, "anything else"});
        refusal = answer.ok() ? "signed" : answer.error();
    });
    for (const auto& outcome : outcomes) {
        CHECK(outcome[0] == TlsStatus::done);
        CHECK(outcome[1] == TlsStatus::done);
    }
    CHECK(refusal == "not a TLS 1.3 server CertificateVerify");
}

// RULES.md P8.
TEST_CASE("keyd: a malformed frame costs its sender the wire, and nobody else") {
    const auto good = encode_sign(1, {id_of(ec_key()), SignKind::tls13_certificate_verify,
                                      SignScheme::ecdsa_sha256, "x"});
    auto foreign_type = good;
    foreign_type[0] = '\x7f';
    auto long_text = good;
    long_text[ipc::kHeaderBytes + 7] = '\x7f'; // the length of to_be_signed
    for (const auto& bad : {std::string("x"), good.substr(0, ipc::kHeaderBytes),
                            good.substr(0, good.size() - 1), good + "x", foreign_type, long_text}) {
        House house;
        house.server.take_file("key:1", file_with(ec_key().pem()));
        bool lost = false, served = false;
        house.run([&] {
            send_datagram(house.mx_end.get(), bad, {}, {});
            Datagram answer;
            lost = receive_datagram(house.mx_end.get(), 65536, 0, answer) == ReceiveStatus::closed;
            DatagramSigner signer(keyd_codec());
            signer.connect(std::move(house.imapd_end));
            const auto tbs = certificate_verify();
            served = signer
                         .sign({id_of(ec_key()), SignKind::tls13_certificate_verify,
                                SignScheme::ecdsa_sha256, tbs})
                         .ok();
        });
        CHECK(lost);
        CHECK(served);
    }
}

TEST_CASE("keyd: inside its sandbox it still reads keys that are passed, and signs") {
    rsa_key(); // made before, not in the child
    const auto first = file_with(ec_key().pem()), second = file_with(rsa_key().pem());
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        FakeClock clock;
        keyd::Server server(clock);
        server.take_file("key:1", first);
        static_cast<void>(lock_key_memory());
        sandbox::enter(sandbox::profiles::keyd, {});
        server.take_file("key:2", second);
        const bool good = server.sign(request_for(ec_key())).ok &&
                          server.sign(request_for(rsa_key())).ok && server.keys() == 2;
        ::_exit(good ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
