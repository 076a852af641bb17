#include "common/tls/server_tls.h"

#include "common/crypto/certificate.h"
#include "common/sys/fdpass.h"
#include "common/sys/sandbox.h"
#include "common/tls/keyd_codec.h"
#include "tests/unit/crypto/tls_pair.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <thread>

using namespace tambo;
using namespace tambo::test;

namespace {

UniqueFd file_with(std::string_view text) {
    UniqueFd fd(::memfd_create("certificate", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return fd;
}

std::string fingerprint_of(const std::string& chain_pem) {
    return parse_certificate_chain(chain_pem)->front().fingerprint;
}

// The other end of the wire: keyd's answers from a ring, until the wire is closed.
void serve_keys(int socket, KeyRing& ring) {
    Datagram question;
    while (receive_datagram(socket, 65536, 0, question) == ReceiveStatus::received) {
        const auto header = ipc::decode_header(question.bytes);
        const auto request = ipc::decode<ipc::Sign>(
            std::string_view(question.bytes).substr(ipc::kHeaderBytes));
        if (!header || !request) return;
        const auto signature = ring.sign({request->key_id, static_cast<SignKind>(request->kind),
                                          static_cast<SignScheme>(request->scheme),
                                          request->to_be_signed});
        ipc::Signature reply;
        reply.ok = signature.ok();
        if (signature) reply.bytes = *signature;
        else reply.error = signature.error();
        const auto payload = ipc::encode(reply);
        const ipc::FrameHeader answer{ipc::Sign::kType, ipc::FrameHeader::reply,
                                      static_cast<uint32_t>(payload.size()), header->id};
        send_datagram(socket, ipc::encode_header(answer), payload, {});
    }
}

// A keyd on a thread, connected to a ServerTls.
class Keys {
  public:
    explicit Keys(ServerTls& tls) {
        for (const PrivateKey* key : {&ec_key(), &rsa_key()}) {
            ring_.add(key_id(key->public_key()), *key);
        }
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        tls.connect_keyd(std::move(theirs));
        socket_ = std::move(ours);
        thread_ = std::thread([this] { serve_keys(socket_.get(), ring_); });
    }
    ~Keys() {
        ::shutdown(socket_.get(), SHUT_RDWR);
        thread_.join();
    }

  private:
    KeyRing ring_;
    UniqueFd socket_;
    std::thread thread_;
};

// The certificate that a client sees now.
std::string served(const ServerTls& tls) {
    if (!tls.context()) return "no TLS";
    TlsPair pair(*tls.context(), client_context());
    if (pair.handshake().client != TlsStatus::done) return pair.server.error();
    return pair.client.info().peer_fingerprint;
}

} // namespace

TEST_CASE("server tls: certificates by file, signatures by wire") {
    ServerTls tls("imap", {"imap"});
    tls.apply();
    CHECK(served(tls) == "no TLS");
    Keys keys(tls);

    const auto ec = issue(ec_key(), {"mail.example.test"});
    const auto rsa = issue(rsa_key(), {"mail.example.test"});
    CHECK(tls.take_file("certificate:1", file_with(ec)));
    CHECK_FALSE(tls.take_file("key:1", file_with(ec)));
    CHECK_FALSE(tls.take_file("aliases", file_with("")));
    tls.apply();
    CHECK(served(tls) == fingerprint_of(ec));

    tls.take_file("certificate:1", file_with(rsa));
    CHECK(served(tls) == fingerprint_of(ec)); // until the list is complete
    tls.apply();
    CHECK(served(tls) == fingerprint_of(rsa));
}

TEST_CASE("server tls: what came since the last time is the whole list") {
    ServerTls tls("imap", {});
    Keys keys(tls);
    const auto first = issue(ec_key(), {"other.example.test"});
    const auto second = issue(rsa_key(), {"mail.example.test"});
    tls.take_file("certificate:1", file_with(first));
    tls.take_file("certificate:2", file_with(second));
    tls.apply();
    CHECK(served(tls) == fingerprint_of(second)); // by its name
    tls.apply();                                  // a reload that sent nothing
    CHECK(served(tls) == fingerprint_of(second));
    const auto third = issue(ec_key(), {"mail.example.test"});
    tls.take_file("certificate:1", file_with(third));
    tls.apply();
    CHECK(served(tls) == fingerprint_of(third)); // the second is no longer there
}

TEST_CASE("server tls: a list with anything unusable in it leaves the old context") {
    ServerTls tls("imap", {});
    Keys keys(tls);
    const auto good = issue(ec_key(), {"mail.example.test"});
    tls.take_file("certificate:1", file_with(good));
    tls.apply();
    for (const auto& bad : {std::string(), std::string("nonsense"), ec_key().pem()}) {
        tls.take_file("certificate:1", file_with(issue(rsa_key(), {"mail.example.test"})));
        tls.take_file("certificate:2", file_with(bad));
        tls.apply();
        CHECK(served(tls) == fingerprint_of(good));
    }
    tls.take_file("certificate:1", UniqueFd());
    tls.apply();
    CHECK(served(tls) == fingerprint_of(good));
}

TEST_CASE("server tls: keyd goes and comes back") {
    ServerTls tls("imap", {});
    const auto good = issue(ec_key(), {"mail.example.test"});
    tls.take_file("certificate:1", file_with(good));
    tls.apply();
    CHECK(served(tls).find("keyd is away") != std::string::npos);
    { Keys keys(tls); }
    CHECK(served(tls).find("keyd is away") != std::string::npos);
    Keys keys(tls);
    CHECK(served(tls) == fingerprint_of(good));
}

TEST_CASE("server tls: a certificate whose key keyd does not have is a failed handshake") {
    ServerTls tls("imap", {});
    Keys keys(tls);
    tls.take_file("certificate:1", file_with(issue(p384_key(), {"mail.example.test"})));
    tls.apply();
    CHECK(served(tls).find("no key ") != std::string::npos);
}

TEST_CASE("keyd's codec: only the reply to the very question is one") {
    const SignRequest request{7, SignKind::tls12_server_key_exchange,
                              SignScheme::rsa_pkcs1_sha256, "bytes"};
    const auto datagram = encode_sign(5, request);
    const auto message =
        ipc::decode<ipc::Sign>(std::string_view(datagram).substr(ipc::kHeaderBytes));
    REQUIRE(message);
    CHECK(message->key_id == 7);
    CHECK(message->kind == 2);
    CHECK(message->scheme == 0x0401);
    CHECK(message->to_be_signed == "bytes");

    const auto reply = [](uint16_t type, uint16_t flags, uint64_t id, std::string payload) {
        const auto size = static_cast<uint32_t>(payload.size());
        return ipc::encode_header({type, flags, size, id}) + payload;
    };
    const auto signature = ipc::encode(ipc::Signature{true, "sig", ""});
    const auto good = decode_signature(5, reply(0x0901, 2, 5, signature));
    REQUIRE(good);
    REQUIRE(good->ok());
    CHECK(good->value() == "sig");
    CHECK_FALSE(decode_signature(5, reply(0x0901, 2, 4, signature)));
    CHECK_FALSE(decode_signature(5, reply(0x0901, 1, 5, signature)));
    CHECK_FALSE(decode_signature(5, reply(0x0902, 2, 5, signature)));
    CHECK_FALSE(decode_signature(5, ""));
    CHECK_FALSE(decode_signature(5, reply(0x0901, 2, 5, signature) + "x"));
    const auto refused =
        decode_signature(5, reply(0x0901, 2, 5, ipc::encode(ipc::Signature{false, "", "no"})));
    REQUIRE(refused);
    CHECK(refused->error() == "no");
    for (const auto& payload : {std::string(), signature + "x", std::string("\x02")}) {
        const auto malformed = decode_signature(5, reply(0x0901, 2, 5, payload));
        REQUIRE(malformed);
        CHECK(malformed->error() == "malformed reply from keyd");
    }
}

TEST_CASE("server tls: a handshake inside the sandbox of a network daemon") {
    const auto pem = issue(ec_key(), {"mail.example.test"});
    const auto file = file_with(pem), renewed = file_with(issue(ec_key(), {"mail.example.test"}));
    auto [keyd_end, our_end] = socket_pair(SOCK_SEQPACKET);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        keyd_end.reset();
        ServerTls tls("imap", {});
        tls.connect_keyd(std::move(our_end));
        tls.take_file("certificate:1", file);
        tls.apply();
        const auto client = client_context(); // and the sockets: made before
        SocketPair sockets[2];
        sandbox::enter(sandbox::profiles::login, {});
        bool good = true;
        for (auto& pair : sockets) {
            auto server_side = TlsSession::server(*tls.context(), pair.left.get());
            auto client_side = TlsSession::client(client, pair.right.get(),
                                                  {"mail.example.test", {"mail.example.test"}});
            auto status = TlsStatus::want_read;
            for (int i = 0; i < 10 && TlsPair::waits(status); ++i) {
                status = client_side.handshake();
                static_cast<void>(server_side.handshake());
            }
            good = good && status == TlsStatus::done;
            tls.take_file("certificate:1", renewed); // a reload inside
            tls.apply();
        }
        ::_exit(good ? 0 : 1);
    }
    our_end.reset();
    KeyRing ring;
    ring.add(key_id(ec_key().public_key()), ec_key());
    serve_keys(keyd_end.get(), ring);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
