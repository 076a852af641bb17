// What a server session allows a client that is not ours: names, protocols, versions, floods.

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/crypto/tls.h"
#include "tests/unit/crypto/raw_tls.h"
#include "tests/unit/crypto/tls_pair.h"
#include "tests/unit/cuts.h"
#include "tests/unit/heap.h"

#include <functional>

using namespace tambo;
using namespace tambo::test;

namespace {

const TlsContext& plain_context() {
    static const auto context = server_context(server_config(ec_key()));
    return context;
}

// A raw client against a context, configured before and after it has its socket.
struct Mixed {
    SocketPair sockets;
    TlsSession server;
    RawClient client;

    explicit Mixed(const TlsContext& context,
                   const std::function<void(RawClient&)>& before = {},
                   const std::function<void(RawClient&)>& after = {})
        : server(TlsSession::server(context, sockets.left.get())) {
        if (before) before(client);
        client.attach(sockets.right.get());
        if (after) after(client);
    }
    MixedOutcome handshake() { return test::handshake(server, client); }
    void require_handshake() {
        const auto outcome = handshake();
        INFO(server.error() << "; " << outcome.raw_error);
        REQUIRE(outcome.ours == TlsStatus::done);
        REQUIRE(outcome.raw == 1);
    }
};

// A client behind a wire that cuts its hello in two.
struct CutHello {
    SocketPair near, far; // client and wire, wire and server
    TlsSession server;
    RawClient client;
    size_t hello_bytes = 0;

    CutHello(const TlsContext& context,
             const std::function<void(RawClient&)>& before,
             const std::function<void(RawClient&)>& after)
        : server(TlsSession::server(context, far.left.get())) {
        if (before) before(client);
        client.attach(near.left.get());
        if (after) after(client);
    }
    static std::string taken(const UniqueFd& from) {
        char bytes[16384];
        const ssize_t n = ::recv(from.get(), bytes, sizeof bytes, 0);
        return std::string(bytes, n > 0 ? static_cast<size_t>(n) : 0);
    }
    static void pass(std::string_view bytes, const UniqueFd& to) {
        if (bytes.empty()) return;
        REQUIRE(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }
    MixedOutcome handshake(size_t cut) {
        MixedOutcome outcome{TlsStatus::want_read, -1, ""};
        bool raw_goes_on = true;
        for (int i = 0; i < 20 && (raw_goes_on || TlsPair::waits(outcome.ours)); ++i) {
            ERR_clear_error();
            if (raw_goes_on) outcome.raw = SSL_do_handshake(client.ssl.get());
            raw_goes_on = outcome.raw != 1 && client.waits(outcome.raw);
            if (outcome.raw != 1 && !raw_goes_on) outcome.raw_error = openssl::take_error("closed");
            std::string flight = taken(near.right);
            if (hello_bytes == 0) {
                hello_bytes = flight.size();
                for (const auto piece : cuts::pieces(flight, cut)) {
                    pass(piece, far.right);
                    outcome.ours = server.handshake();
                }
            } else {
                pass(flight, far.right);
            }
            if (TlsPair::waits(outcome.ours)) outcome.ours = server.handshake();
            pass(taken(far.right), near.right);
        }
        return outcome;
    }
};

// good(handshake, outcome), with the hello whole, byte by byte and cut at every byte.
std::string hello_everywhere(const TlsContext& context,
                             const std::function<void(RawClient&)>& before,
                             const std::function<void(RawClient&)>& after,
                             const std::function<bool(CutHello&, const MixedOutcome&)>& good) {
    size_t hello_bytes = 2;
    const auto play = [&](size_t cut) -> std::string {
        CutHello hello(context, before, after);
        const auto outcome = hello.handshake(cut);
        hello_bytes = hello.hello_bytes;
        if (good(hello, outcome)) return "";
        return cat("server: ", hello.server.error(), ", client: ", outcome.raw_error);
    };
    const auto whole = play(cuts::kWhole);
    return whole.empty() ? cuts::everywhere(hello_bytes, play) : whole;
}

void offer_alpn(RawClient& client, std::initializer_list<std::string_view> names) {
    std::string wire;
    for (const auto name : names)
        wire += static_cast<char>(name.size()) + std::string(name);
    REQUIRE(SSL_CTX_set_alpn_protos(client.context.get(), openssl::bytes(wire),
                                    static_cast<unsigned>(wire.size())) == 0);
}

} // namespace

// RULES.md F10, ALPACA.
TEST_CASE("alpn: ours is chosen, none is served, foreign ones get no_application_protocol") {
    for (const auto& names : {std::initializer_list<std::string_view>{"imap"},
                              {"h2", "imap"},
                              {"http/1.1", "imap", "h2"}}) {
        Mixed m(plain_context(), [&](RawClient& c) { offer_alpn(c, names); });
        m.require_handshake();
        CHECK(m.server.info().alpn == "imap");
    }
    Mixed none(plain_context());
    none.require_handshake();
    CHECK(none.server.info().alpn.empty());

    for (const auto& names : {std::initializer_list<std::string_view>{"h2"},
                              {"h2", "http/1.1"},
                              {"IMAP"},
                              {"imap4"},
                              {"ima", "p"}}) {
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            Mixed m(plain_context(), [&](RawClient& c) {
                c.only_version(version);
                offer_alpn(c, names);
            });
            const auto outcome = m.handshake();
            CHECK(outcome.ours == TlsStatus::failed);
            CHECK(m.server.error() == "no application protocol");
            CHECK(outcome.raw_error.find("no application protocol") != std::string::npos);
        }
    }
}

TEST_CASE("F10: foreign names get alert 120, wherever the hello is cut") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        CHECK(hello_everywhere(
                  plain_context(),
                  [&](RawClient& c) {
                      c.only_version(version);
                      offer_alpn(c, {"h2"});
                  },
                  {},
                  [](CutHello& hello, const MixedOutcome& outcome) {
                      return outcome.ours == TlsStatus::failed &&
                             hello.server.error() == "no application protocol" &&
                             outcome.raw_error.find("no application protocol") != std::string::npos;
                  }) == "");
    }
}

TEST_CASE("alpn: a service without a registered name refuses every offer") {
    auto config = server_config(ec_key());
    config.service = "smtp";
    config.alpn = {};
    const auto context = server_context(config);
    Mixed refused(context, [](RawClient& c) { offer_alpn(c, {"smtp"}); });
    CHECK(refused.handshake().ours == TlsStatus::failed);
    Mixed served(context);
    served.require_handshake();
}

TEST_CASE("alpn: our client offers and learns the choice") {
    TlsPair pair(plain_context(), client_context(TlsVerify::required, {"pop3", "imap"}));
    pair.require_handshake();
    CHECK(pair.client.info().alpn == "imap");
    TlsPair refused(plain_context(), client_context(TlsVerify::required, {"pop3"}));
    CHECK(refused.handshake().server == TlsStatus::failed);
}

// RULES.md F17: Exim 2019-15846 (SNI ending in a backslash).
TEST_CASE("sni: chosen among the certificates, whatever else gets the first one") {
    auto config = server_config(ec_key(), {"mail.example.test"});
    config.certificates.push_back({issue(ec_key(), {"*.pool.example.test", "other.test"}), 1});
    const auto context = server_context(config);
    const auto fingerprint = [&](size_t i) {
        return parse_certificate_chain(config.certificates[i].chain_pem)->front().fingerprint;
    };
    const auto check_sni = [&](const std::string& sni, size_t expected, const std::string& seen) {
        INFO(escape(sni));
        Mixed m(context, {}, [&](RawClient& c) { c.set_sni(sni); });
        m.require_handshake();
        CHECK(m.client.peer_fingerprint() == fingerprint(expected));
        CHECK(m.server.info().sni == seen);
    };
    check_sni("mail.example.test", 0, "mail.example.test");
    check_sni("other.test", 1, "other.test");
    check_sni("OTHER.Test", 1, "other.test");
    check_sni("a.pool.example.test", 1, "a.pool.example.test");
    check_sni("a.b.pool.example.test", 0, "a.b.pool.example.test"); // a wildcard is one label
    check_sni("unknown.test", 0, "unknown.test");
    for (const std::string& odd :
         {std::string("a\\"), std::string("other.test."), std::string("*.pool.example.test"),
          std::string("other.test "), std::string("\xFF\xFE"), std::string("../../etc"),
          std::string("192.0.2.1"), std::string("a\r\nb"), std::string(254, 'a'),
          std::string(255, '.')}) {
        check_sni(odd, 0, "");
    }
    Mixed none(context);
    none.require_handshake();
    CHECK(none.client.peer_fingerprint() == fingerprint(0));
    CHECK(none.server.info().sni.empty());
}

TEST_CASE("F17: the name a\\ gets the first certificate, wherever the hello is cut") {
    auto config = server_config(ec_key(), {"mail.example.test"});
    config.certificates.push_back({issue(ec_key(), {"other.test"}), 1});
    const auto context = server_context(config);
    const auto first = parse_certificate_chain(config.certificates[0].chain_pem)->front();
    for (const std::string sni : {"a\\", "other.test\\"}) {
        CHECK(hello_everywhere(
                  context, {}, [&](RawClient& c) { c.set_sni(sni); },
                  [&](CutHello& hello, const MixedOutcome& outcome) {
                      return outcome.ours == TlsStatus::done && outcome.raw == 1 &&
                             hello.client.peer_fingerprint() == first.fingerprint &&
                             hello.server.info().sni.empty();
                  }) == "");
    }
}

// Dovecot 2017-15130. The handshake ends with alert 120, behind the look-up of the name.
TEST_CASE("F17: 100,000 different names leave nothing behind") {
    SocketPair tap;
    RawClient client;
    offer_alpn(client, {"h2"});
    client.attach(tap.left.get());
    client.set_sni("n00000.example.test");
    CHECK(SSL_do_handshake(client.ssl.get()) == -1);
    std::string hello = CutHello::taken(tap.right);
    const auto at = hello.find("n00000.example.test");
    REQUIRE(at != std::string::npos);
    size_t before = 0;
    for (int i = 0; i < 100'000; ++i) {
        if (i == 1000) before = heap_bytes();
        const auto digits = std::to_string(100'000 + i);
        hello.replace(at + 1, 5, digits, 1, 5);
        SocketPair sockets;
        auto server = TlsSession::server(plain_context(), sockets.left.get());
        CutHello::pass(hello, sockets.right);
        REQUIRE(server.handshake() == TlsStatus::failed);
        REQUIRE(server.error() == "no application protocol");
    }
    CHECK(heap_bytes() < before + 16 * 1024);
}

TEST_CASE("sni: a name with a NUL inside is refused by the handshake, not looked up") {
    SocketPair sockets, tap;
    auto server = TlsSession::server(plain_context(), sockets.left.get());
    RawClient client;
    client.attach(tap.left.get());
    client.set_sni("mail.example.test");
    CHECK(SSL_do_handshake(client.ssl.get()) == -1);
    char hello[4096];
    const auto length = ::recv(tap.right.get(), hello, sizeof hello, 0);
    REQUIRE(length > 0);
    std::string bytes(hello, static_cast<size_t>(length));
    const auto at = bytes.find("mail.example.test");
    REQUIRE(at != std::string::npos);
    bytes[at + 4] = '\0';
    REQUIRE(::send(sockets.right.get(), bytes.data(), bytes.size(), 0) == length);
    CHECK(server.handshake() == TlsStatus::failed);
    CHECK(server.info().sni.empty());
}

TEST_CASE("versions and suites: TLS 1.2 with ECDHE and AEAD, nothing older or weaker") {
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
        Mixed m(plain_context(), [&](RawClient& c) {
            SSL_CTX_set_cipher_list(c.context.get(), "ALL:@SECLEVEL=0");
            c.only_version(version);
        });
        CHECK(m.handshake().ours == TlsStatus::failed);
        CHECK(m.server.error() == "unsupported protocol");
    }
    const auto rsa = server_context(server_config(rsa_key()));
    for (const auto* weak :
         {"AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384",
          "DHE-RSA-AES128-GCM-SHA256", "aNULL", "NULL-SHA256"}) {
        Mixed m(rsa, [&](RawClient& c) {
            c.only_version(TLS1_2_VERSION);
            REQUIRE(SSL_CTX_set_cipher_list(c.context.get(), cat(weak, ":@SECLEVEL=0").c_str()));
        });
        INFO(weak);
        CHECK(m.handshake().ours == TlsStatus::failed);
        CHECK(m.server.error() == "no shared cipher");
    }
    for (const auto* good : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                             "ECDHE-RSA-CHACHA20-POLY1305"}) {
        Mixed m(rsa, [&](RawClient& c) {
            c.only_version(TLS1_2_VERSION);
            SSL_CTX_set_cipher_list(c.context.get(), good);
        });
        m.require_handshake();
        CHECK(m.server.info().cipher == good);
    }
}

TEST_CASE("groups: X25519 and P-256") {
    for (const auto* group : {"X25519", "P-256"}) {
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            Mixed m(plain_context(), [&](RawClient& c) {
                c.only_version(version);
                // TLS 1.2: the certificate's own curve must be among them.
                const auto groups = std::string_view(group) == "P-256" ? "P-256" : "X25519:P-256";
                REQUIRE(SSL_CTX_set1_groups_list(c.context.get(), groups) == 1);
            });
            m.require_handshake();
            CHECK(m.server.info().group ==
                  (std::string_view(group) == "P-256" ? "secp256r1" : "x25519"));
        }
    }
    Mixed m(plain_context(),
            [&](RawClient& c) { SSL_CTX_set1_groups_list(c.context.get(), "P-521:X448"); });
    CHECK(m.handshake().ours == TlsStatus::failed);
}

// RULES.md F11.
TEST_CASE("nothing is resumed: no tickets, no session cache") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        openssl::Owner<SSL_SESSION, SSL_SESSION_free> session;
        const auto only = [&](RawClient& c) { c.only_version(version); };
        {
            Mixed first(plain_context(), only);
            first.require_handshake();
            size_t sent = 0, got = 0;
            REQUIRE(first.server.write("x", sent) == TlsStatus::done);
            char byte = 0;
            REQUIRE(SSL_read_ex(first.client.ssl.get(), &byte, 1, &got) == 1);
            session.reset(SSL_get1_session(first.client.ssl.get()));
            CHECK(SSL_SESSION_has_ticket(session.get()) == 0);
        }
        Mixed second(plain_context(), only,
                     [&](RawClient& c) { SSL_set_session(c.ssl.get(), session.get()); });
        second.require_handshake();
        CHECK(SSL_session_reused(second.client.ssl.get()) == 0);
    }
}

namespace {

// What a server that does hand out tickets, or session ids, gives a client.
openssl::Owner<SSL_SESSION, SSL_SESSION_free> session_of_another_service(int version) {
    SocketPair sockets;
    RawServer server(ec_key(), issue(ec_key(), {"mail.example.test"}));
    server.only_version(version);
    server.attach(sockets.left.get());
    RawClient client;
    client.only_version(version);
    client.attach(sockets.right.get());
    int done = 0;
    for (int i = 0; i < 10 && done != 2; ++i) {
        done =
            (SSL_do_handshake(client.ssl.get()) == 1) + (SSL_do_handshake(server.ssl.get()) == 1);
    }
    REQUIRE(done == 2);
    REQUIRE(SSL_write(server.ssl.get(), "x", 1) == 1);
    char byte = 0;
    REQUIRE(SSL_read(client.ssl.get(), &byte, 1) == 1); // the tickets of TLS 1.3 stand before it
    openssl::Owner<SSL_SESSION, SSL_SESSION_free> session(SSL_get1_session(client.ssl.get()));
    REQUIRE(SSL_SESSION_has_ticket(session.get()) == 1);
    return session;
}

} // namespace

TEST_CASE("F11: a ticket of another service is a full handshake, wherever the hello is cut") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const auto session = session_of_another_service(version);
        CHECK(hello_everywhere(
                  plain_context(), [&](RawClient& c) { c.only_version(version); },
                  [&](RawClient& c) { REQUIRE(SSL_set_session(c.ssl.get(), session.get()) == 1); },
                  [](CutHello& hello, const MixedOutcome& outcome) {
                      return outcome.ours == TlsStatus::done && outcome.raw == 1 &&
                             SSL_session_reused(hello.client.ssl.get()) == 0;
                  }) == "");
    }
}

TEST_CASE("renegotiation is refused and the session goes on") {
    Mixed m(plain_context(), [](RawClient& c) { c.only_version(TLS1_2_VERSION); });
    m.require_handshake();
    char buffer[100];
    size_t got = 0;
    REQUIRE(SSL_renegotiate(m.client.ssl.get()) == 1);
    CHECK(SSL_do_handshake(m.client.ssl.get()) == -1);
    CHECK(m.server.read(buffer, sizeof buffer, got) == TlsStatus::want_read);
    ERR_clear_error();
    CHECK(SSL_do_handshake(m.client.ssl.get()) == -1);
    CHECK(openssl::take_error("").find("no renegotiation") != std::string::npos);
    size_t sent = 0;
    CHECK(m.server.write("still here", sent) == TlsStatus::done);
}

TEST_CASE("key updates are followed, a flood of them ends the session") {
    Mixed m(plain_context(), [](RawClient& c) { c.only_version(TLS1_3_VERSION); });
    m.require_handshake();
    char buffer[100];
    size_t got = 0;
    for (int i = 0; i < 3; ++i) {
        REQUIRE(SSL_key_update(m.client.ssl.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
        REQUIRE(SSL_write(m.client.ssl.get(), "data", 4) == 4);
        REQUIRE(m.server.read(buffer, sizeof buffer, got) == TlsStatus::done);
        CHECK(std::string_view(buffer, got) == "data");
    }
    CHECK(m.server.read(buffer, sizeof buffer, got) == TlsStatus::want_read);
    TlsStatus status = TlsStatus::want_read;
    int updates = 0;
    for (; updates < 20'000 && status == TlsStatus::want_read; ++updates) {
        REQUIRE(SSL_key_update(m.client.ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        REQUIRE(SSL_do_handshake(m.client.ssl.get()) == 1);
        status = m.server.read(buffer, sizeof buffer, got);
    }
    CHECK(status == TlsStatus::failed);
    CHECK(m.server.error() == "too many records without data");
    CHECK(updates < 10'000);
}

TEST_CASE("one read takes a bounded amount, however much lies in the socket") {
    Mixed m(plain_context(), [](RawClient& c) { c.only_version(TLS1_3_VERSION); });
    m.require_handshake();
    // Key updates without number, as one piece: sent one by one they would fill the socket with the
    // kernel's own bookkeeping.
    BIO* wire = BIO_new(BIO_s_mem());
    SSL_set0_wbio(m.client.ssl.get(), wire);
    for (int i = 0; i < 6000; ++i) {
        REQUIRE(SSL_key_update(m.client.ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
        REQUIRE(SSL_do_handshake(m.client.ssl.get()) == 1);
    }
    const auto flood = openssl::bio_bytes(wire);
    REQUIRE(flood.size() > 150 * 1024);
    REQUIRE(::send(m.sockets.right.get(), flood.data(), flood.size(), 0) > 150 * 1024);
    char buffer[100];
    size_t got = 0;
    CHECK(m.server.read(buffer, sizeof buffer, got) == TlsStatus::want_read); // and returns
    CHECK(m.server.read(buffer, sizeof buffer, got) == TlsStatus::want_read);
    CHECK(m.server.read(buffer, sizeof buffer, got) == TlsStatus::failed);
}

TEST_CASE("what is no TLS at all fails with a printable line") {
    for (const std::string& bytes :
         {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("EHLO x\r\n"),
          std::string("\x16\x03\x01\xff\xff", 5) + std::string(100, 'x'),
          std::string("\x80\x2e\x01\x00\x02", 5) + std::string(60, '\0'), std::string(1000, '\xff'),
          std::string("\x15\x03\x03\x00\x02\x02\x28", 7)}) {
        SocketPair sockets;
        auto server = TlsSession::server(plain_context(), sockets.left.get());
        REQUIRE(::send(sockets.right.get(), bytes.data(), bytes.size(), 0) > 0);
        CHECK(server.handshake() == TlsStatus::failed);
        CHECK_FALSE(server.error().empty());
        CHECK(server.error().size() <= 200);
        CHECK(server.error() == escape(server.error(), 300));
        CHECK(server.shutdown() == TlsStatus::done);
    }
}

TEST_CASE("a hello cut at every byte only waits, and ends as closed when the client goes") {
    SocketPair tap;
    RawClient client;
    client.attach(tap.left.get());
    CHECK(SSL_do_handshake(client.ssl.get()) == -1);
    char hello[4096];
    const auto length = ::recv(tap.right.get(), hello, sizeof hello, 0);
    REQUIRE(length > 100);
    for (ssize_t cut = 0; cut < length; ++cut) {
        SocketPair sockets;
        auto server = TlsSession::server(plain_context(), sockets.left.get());
        if (cut > 0)
            REQUIRE(::send(sockets.right.get(), hello, static_cast<size_t>(cut), 0) == cut);
        REQUIRE(server.handshake() == TlsStatus::want_read);
        sockets.right.reset();
        REQUIRE(server.handshake() == TlsStatus::closed);
        REQUIRE_FALSE(server.clean_close());
        REQUIRE(server.error().empty());
    }
}
