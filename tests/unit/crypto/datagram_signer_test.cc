#include "common/crypto/datagram_signer.h"

#include "common/base/text.h"
#include "common/sys/fdpass.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

using namespace tambo;

namespace {

// "id tbs" and "id text": what the datagrams look like does not matter here.
SignCodec text_codec() {
    SignCodec codec;
    codec.encode = [](uint64_t id, const SignRequest& request) {
        return cat(id, ' ', request.tbs);
    };
    codec.decode = [](uint64_t id,
                      std::string_view datagram) -> std::optional<Result<std::string>> {
        const auto [number, text] = split_once(datagram, ' ');
        if (parse_uint(number) != id) return std::nullopt;
        if (text.starts_with("no: ")) return Result<std::string>(Err{std::string(text.substr(4))});
        return Result<std::string>(std::string(text));
    };
    return codec;
}

SignRequest request(std::string_view tbs) {
    return {1, SignKind::tls13_certificate_verify, SignScheme::ecdsa_sha256, tbs};
}

// keyd for the length of a test: answers each request with what reply() makes of it.
class Peer {
  public:
    template <class F>
    Peer(DatagramSigner& signer, int requests, F reply) {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        signer.connect(std::move(theirs));
        thread_ = std::thread([socket = std::move(ours), requests, reply] {
            for (int i = 0; i < requests; ++i) {
                Datagram question;
                if (receive_datagram(socket.get(), 65536, 0, question) != ReceiveStatus::received) {
                    return;
                }
                const auto [id, tbs] = split_once(question.bytes, ' ');
                for (const std::string& answer : reply(parse_uint(id).value_or(0), tbs)) {
                    send_datagram(socket.get(), answer, {}, {});
                }
            }
        });
    }
    ~Peer() { thread_.join(); }

  private:
    std::thread thread_;
};

using Answers = std::vector<std::string>;

} // namespace

TEST_CASE("signer: question and answer, over several signatures") {
    DatagramSigner signer(text_codec());
    Peer peer(signer, 3,
              [](uint64_t id, std::string_view tbs) { return Answers{cat(id, " signed:", tbs)}; });
    for (const auto* text : {"one", "two", "three"}) {
        const auto signature = signer.sign(request(text));
        REQUIRE(signature.ok());
        CHECK(*signature == cat("signed:", std::string_view(text)));
    }
}

TEST_CASE("signer: a refusal is passed on") {
    DatagramSigner signer(text_codec());
    Peer peer(signer, 1,
              [](uint64_t id, std::string_view) { return Answers{cat(id, " no: never")}; });
    const auto signature = signer.sign(request("x"));
    REQUIRE_FALSE(signature.ok());
    CHECK(signature.error() == "never");
}

TEST_CASE("signer: late answers and foreign ones are not taken for this one") {
    DatagramSigner signer(text_codec());
    Peer peer(signer, 1, [](uint64_t id, std::string_view) {
        return Answers{"0 old", "99 future", "garbage", cat(id, " right")};
    });
    const auto signature = signer.sign(request("x"));
    REQUIRE(signature.ok());
    CHECK(*signature == "right");
}

TEST_CASE("signer: nobody there") {
    DatagramSigner signer(text_codec());
    CHECK(signer.sign(request("x")).error() == "keyd is away");

    auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
    signer.connect(std::move(theirs));
    ours.reset();
    CHECK(signer.sign(request("x")).error() == "keyd is away");
    CHECK_FALSE(signer.connected());

    // The successor serves again.
    Peer peer(signer, 1, [](uint64_t id, std::string_view) { return Answers{cat(id, " back")}; });
    CHECK(signer.sign(request("x")).ok());
}

TEST_CASE("signer: keyd goes between question and answer") {
    DatagramSigner signer(text_codec());
    {
        Peer peer(signer, 1, [](uint64_t, std::string_view) { return Answers{}; });
        CHECK(signer.sign(request("x")).error() == "keyd is away");
    }
    CHECK_FALSE(signer.connected());
}

TEST_CASE("signer: an answer that does not come is given up, its late arrival does no harm") {
    DatagramSigner signer(text_codec(), 50);
    auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
    signer.connect(std::move(theirs));
    CHECK(signer.sign(request("first")).error() == "keyd does not answer");
    CHECK(signer.connected());
    send_datagram(ours.get(), "1 late", {}, {});
    send_datagram(ours.get(), "2 in time", {}, {});
    const auto second = signer.sign(request("second"));
    REQUIRE(second.ok());
    CHECK(*second == "in time");
}

TEST_CASE("signer: a peer that does not read cannot hold it for longer than the deadline") {
    DatagramSigner signer(text_codec(), 20);
    auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
    signer.connect(std::move(theirs));
    const std::string large(60'000, 'x');
    for (int i = 0; i < 30; ++i) {
        CHECK(signer.sign(request(large)).error() == "keyd does not answer");
    }
}

TEST_CASE("signer: an answer with a descriptor breaks the contract") {
    DatagramSigner signer(text_codec(), 200);
    auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
    signer.connect(std::move(theirs));
    const int fds[] = {0};
    send_datagram(ours.get(), "1 here", {}, fds);
    CHECK_FALSE(signer.sign(request("x")).ok());
    CHECK_FALSE(signer.connected());
}
