// STARTTLS (RFC 3207), implicit TLS (RFC 8314), login at a smarthost (RFC 4954).
#include "common/base/base64.h"
#include "tests/unit/crypto/tls_pair.h"
#include "tests/unit/cuts.h"
#include "tests/unit/relayd/relay_fixture.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace tambo;
using namespace tambo::test;

namespace {

const TlsContext& server_context(const std::string& name) {
    static std::map<std::string, TlsContext> contexts;
    const auto known = contexts.find(name);
    if (known != contexts.end()) return known->second;
    TlsServerConfig config;
    config.service = "smtp";
    config.certificates = {{issue(ec_key(), {name}), 1}};
    config.signer = ring_of(ec_key());
    return contexts.emplace(name, std::move(TlsContext::server(config)).value()).first->second;
}

// Offers STARTTLS, and more once it is on.
Behaviour with_tls(const std::string& name = "mx.test") {
    Behaviour behaviour;
    behaviour.tls = &server_context(name);
    behaviour.replies["EHLO"] = {"250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
                                 "250-mx.test\r\n250-PIPELINING\r\n250 SIZE\r\n"};
    behaviour.replies["STARTTLS"] = {"220 go\r\n"};
    return behaviour;
}

void use_smarthost(Relaying& r, uint16_t port, conf::TlsDemand tls) {
    r.config.smarthost.host = "hub.test";
    r.config.smarthost.port = port;
    r.config.smarthost.tls = tls;
    r.config.smarthost.user = "we";
    r.config.smarthost.password = "secret";
    r.names.clear();
    r.names.address("hub.test", "127.0.0.1");
    r.service().set_trusted(authority().certificate_pem());
}

Behaviour hub(const std::string& mechanisms, const std::string& name = "hub.test") {
    auto behaviour = with_tls(name);
    behaviour.replies["EHLO"] = {"250-hub.test\r\n250 STARTTLS\r\n",
                                 "250-hub.test\r\n250 AUTH " + mechanisms + "\r\n"};
    behaviour.replies["AUTH PLAIN"] = {"235 2.7.0 welcome\r\n"};
    return behaviour;
}

bool has_command(const Visit& visit, const std::string& prefix) {
    return std::ranges::any_of(visit.commands,
                               [&](const auto& line) { return line.starts_with(prefix); });
}

} // namespace

TEST_CASE("STARTTLS is used where offered, whatever the certificate, and EHLO is said again") {
    Relaying r;
    auto& server = r.serve(with_tls("other.test"));
    const auto done = r.relay();
    CHECK(summary(done) == "sent 250 2.0.0");
    CHECK(done.tls == "TLSv1.3");
    const auto& visit = *server.visits.at(0);
    CHECK(visit.tls);
    CHECK(visit.sni == "mx.test");
    REQUIRE(visit.commands.size() > 3);
    CHECK(visit.commands[1] == "STARTTLS");
    CHECK(visit.commands[2] == "EHLO we.test");
    CHECK(visit.commands[3] == "MAIL FROM:<alice@we.test> SIZE=68"); // offered only under TLS
}

TEST_CASE("a STARTTLS that is refused is done without, in the same session") {
    Relaying r;
    auto behaviour = with_tls();
    behaviour.replies["STARTTLS"] = {"454 4.7.0 not now\r\n"};
    auto& server = r.serve(behaviour);
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    CHECK(server.visits.size() == 1);
}

TEST_CASE("a handshake that fails is followed by a session without TLS") {
    for (const bool hang_up : {false, true}) {
        Relaying r;
        auto behaviour = with_tls();
        if (hang_up) {
            behaviour.replies["STARTTLS"] = {kHangUp};
        } else {
            behaviour.tls_garbage = std::string("\x15\x03\x01\x00\x02\x02\x28", 7); // an alert
        }
        auto& server = r.serve(behaviour);
        const auto done = r.relay();
        CHECK(summary(done) == "sent 250 2.0.0");
        CHECK(done.tls.empty());
        REQUIRE(server.visits.size() == 2);
        CHECK(server.visits[0]->messages.empty());
        CHECK_FALSE(has_command(*server.visits[1], "STARTTLS"));
    }
}

namespace {

// What is injected stands behind "220 go" in one write, or in two at every place.
std::string outcome_of_injection(const std::string& injected, size_t cut) {
    Relaying r;
    auto behaviour = with_tls();
    behaviour.cut = cut;
    behaviour.replies["STARTTLS"] = {"220 go\r\n" + injected};
    auto& server = r.serve(behaviour);
    const auto done = r.relay();
    const auto& first = *server.visits.at(0);
    // Nothing of the message, no second EHLO, no AUTH: whatever is behind the 220.
    const bool quiet = first.commands.size() == 2 && !first.tls && first.messages.empty();
    return summary(done) + (quiet ? "" : " but it went on");
}

} // namespace

TEST_CASE("F8: bytes between the reply to STARTTLS and the handshake end the session") {
    const std::string go = "220 go\r\n";
    for (const std::string injected :
         {"250-AUTH PLAIN\r\n", "250 ok\r\n", "\r\n", "x", "250-mx.test\r\n250 AUTH PLAIN\r\n",
          "235 2.7.0 welcome\r\n354 go\r\n250 2.0.0 ok\r\n"}) {
        const auto failure =
            cuts::everywhere(go.size() + injected.size(),
                             [&](size_t cut) -> std::string {
                                 const auto got = outcome_of_injection(injected, cut);
                                 return got == "deferred 454 4.7.5" ? "" : injected + ": " + got;
                             },
                             {go.size()});
        CHECK(failure == "");
    }
    Relaying r;
    auto behaviour = with_tls();
    behaviour.replies["STARTTLS"] = {go + "250-AUTH PLAIN\r\n"};
    auto& server = r.serve(behaviour);
    CHECK(summary(r.relay()) == "deferred 454 4.7.5");
    CHECK(server.visits.size() == 1); // and not once more without TLS
}

TEST_CASE("what a server offers before TLS does not count after it") {
    Relaying r;
    auto behaviour = with_tls();
    behaviour.replies["EHLO"] = {"250-mx.test\r\n250-SIZE 10\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n",
                                 "250 mx.test\r\n"};
    auto& server = r.serve(behaviour);
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    CHECK(server.visits[0]->commands.at(3) == "MAIL FROM:<alice@we.test>");
}

TEST_CASE("a smarthost with login: TLS verified, then AUTH PLAIN") {
    Relaying r;
    auto& server = r.serve(hub("LOGIN PLAIN"));
    use_smarthost(r, server.port(), conf::TlsDemand::verify);
    const auto done = r.relay();
    CHECK(summary(done) == "sent 250 2.0.0");
    const auto& visit = *server.visits.at(0);
    CHECK(visit.tls);
    CHECK(visit.sni == "hub.test");
    CHECK(visit.commands[3] == "AUTH PLAIN " + base64_encode(std::string_view("\0we\0secret", 10)));
    CHECK(visit.commands[4] == "MAIL FROM:<alice@we.test>");
    CHECK(r.names.asked[0].first == "hub.test"); // no MX of anybody
}

TEST_CASE("AUTH LOGIN where there is no PLAIN") {
    Relaying r;
    auto behaviour = hub("CRAM-MD5 LOGIN");
    behaviour.replies["AUTH LOGIN"] = {"334 VXNlcm5hbWU6\r\n"};
    behaviour.replies[base64_encode("we")] = {"334 UGFzc3dvcmQ6\r\n"};
    behaviour.replies[base64_encode("secret")] = {"235 2.7.0 ok\r\n"};
    auto& server = r.serve(behaviour);
    use_smarthost(r, server.port(), conf::TlsDemand::verify);
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
}

TEST_CASE("a long password is not squeezed into one line") {
    Relaying r;
    auto behaviour = hub("PLAIN");
    behaviour.replies["AUTH PLAIN"] = {"334 \r\n"};
    const std::string password(600, 'p');
    const auto response = base64_encode(std::string("\0we\0", 4) + password);
    behaviour.replies[response] = {"235 ok\r\n"};
    auto& server = r.serve(behaviour);
    use_smarthost(r, server.port(), conf::TlsDemand::verify);
    r.config.smarthost.password = password;
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    CHECK(server.visits.at(0)->commands[3] == "AUTH PLAIN");
}

TEST_CASE("a login that is refused, or not offered, keeps the mail here") {
    for (const std::string reply : {"535 5.7.8 wrong\r\n", "334 x\r\n", ""}) {
        Relaying r;
        auto behaviour = hub(reply.empty() ? "CRAM-MD5" : "PLAIN");
        behaviour.replies["AUTH PLAIN"] = {reply};
        auto& server = r.serve(behaviour);
        use_smarthost(r, server.port(), conf::TlsDemand::verify);
        const auto done = r.relay();
        CHECK(done.results[0].outcome == ipc::RelayOutcome::deferred);
        CHECK_FALSE(has_command(*server.visits.at(0), "MAIL"));
        CHECK(done.results[0].status.text.find("secret") == std::string::npos);
    }
}

TEST_CASE("the password is not sent where TLS is demanded and missing or wrong") {
    const auto outcome = [](Behaviour behaviour, conf::TlsDemand demand, bool trusted = true) {
        Relaying r;
        auto& server = r.serve(std::move(behaviour));
        use_smarthost(r, server.port(), demand);
        if (!trusted) r.service().set_trusted("");
        const auto done = r.relay();
        for (const auto& visit : server.visits)
            CHECK_FALSE(has_command(*visit, "AUTH"));
        CHECK(server.visits.size() == 1);
        return summary(done);
    };
    CHECK(outcome(hub("PLAIN", "evil.test"), conf::TlsDemand::verify) == "deferred 454 4.7.5");
    CHECK(outcome(hub("PLAIN"), conf::TlsDemand::verify, false) == "deferred 454 4.7.5");
    auto plain = hub("PLAIN");
    plain.replies["EHLO"] = {"250-hub.test\r\n250 AUTH PLAIN\r\n"};
    CHECK(outcome(plain, conf::TlsDemand::verify) == "deferred 454 4.7.4");
    CHECK(outcome(plain, conf::TlsDemand::encrypt) == "deferred 454 4.7.4");
    auto refusing = hub("PLAIN");
    refusing.replies["STARTTLS"] = {"454 no\r\n"};
    CHECK(outcome(refusing, conf::TlsDemand::encrypt) == "deferred 454 4.7.4");
    auto broken = hub("PLAIN");
    broken.tls_garbage = std::string("\x15\x03\x01\x00\x02\x02\x28", 7);
    CHECK(outcome(broken, conf::TlsDemand::encrypt) == "deferred 454 4.7.5");
}

namespace {

// TLS is demanded, and somebody on the way takes it out of what the server says.
std::string outcome_of_stripping(const std::string& offer,
                                 const std::string& answer,
                                 conf::TlsDemand demand,
                                 size_t cut) {
    Relaying r;
    Behaviour behaviour;
    behaviour.cut = cut == cuts::kBytewise ? 0 : cut;
    behaviour.drip = cut == cuts::kBytewise ? 1 : 0;
    behaviour.replies["EHLO"] = {offer};
    behaviour.replies["STARTTLS"] = {answer};
    auto& server = r.serve(behaviour);
    use_smarthost(r, server.port(), demand);
    const auto done = r.relay();
    bool quiet = server.visits.size() == 1;
    for (const auto& visit : server.visits) {
        for (const auto* verb : {"AUTH", "MAIL", "RCPT", "DATA"})
            quiet = quiet && !has_command(*visit, verb);
    }
    return summary(done) + (quiet ? "" : " but it went on");
}

} // namespace

TEST_CASE("F9: where TLS is demanded nothing goes without, wherever the refusal is cut") {
    const std::string starttls = "250-hub.test\r\n250 STARTTLS\r\n";
    for (const auto& [offer, answer] : std::vector<std::pair<std::string, std::string>>{
             {"250-hub.test\r\n250 AUTH PLAIN\r\n", "220 go\r\n"},
             {"250-hub.test\r\n250-XXXXXXXX\r\n250 AUTH PLAIN\r\n", "220 go\r\n"},
             {"250-hub.test\r\n250-STARTTLSX\r\n250 AUTH PLAIN\r\n", "220 go\r\n"},
             {"250 hub.test STARTTLS\r\n", "220 go\r\n"},
             {starttls, "454 4.7.0 not now\r\n"},
             {starttls, "502 5.5.1 what?\r\n"},
             {starttls, "250 2.0.0 ok\r\n"}}) {
        for (const auto demand : {conf::TlsDemand::verify, conf::TlsDemand::encrypt}) {
            INFO(escape(offer) << ", " << escape(answer));
            CHECK(cuts::everywhere(
                      std::max(offer.size(), answer.size()), [&](size_t cut) -> std::string {
                          const auto got = outcome_of_stripping(offer, answer, demand, cut);
                          return got == "deferred 454 4.7.4" ? "" : got;
                      }) == "");
        }
    }
}

TEST_CASE("encrypt demands TLS but no certificate") {
    Relaying r;
    auto& server = r.serve(hub("PLAIN", "anything.test"));
    use_smarthost(r, server.port(), conf::TlsDemand::encrypt);
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
}

TEST_CASE("implicit TLS") {
    Relaying r;
    auto behaviour = hub("PLAIN");
    behaviour.implicit_tls = true;
    behaviour.replies["EHLO"] = {"250-hub.test\r\n250 AUTH PLAIN\r\n"};
    auto& server = r.serve(behaviour);
    use_smarthost(r, server.port(), conf::TlsDemand::verify);
    r.config.smarthost.implicit_tls = true;
    const auto done = r.relay();
    CHECK(summary(done) == "sent 250 2.0.0");
    CHECK(done.tls == "TLSv1.3");
    CHECK_FALSE(has_command(*server.visits.at(0), "STARTTLS"));
}

TEST_CASE("mail that requires TLS does not go without it") {
    Relaying r;
    auto& server = r.serve();
    r.service().set_trusted(authority().certificate_pem());
    auto job = Relaying::job();
    job.parameters.require_tls = true;
    CHECK(summary(r.relay(std::move(job))) == "deferred 454 4.7.4");
    CHECK_FALSE(has_command(*server.visits.at(0), "MAIL"));

    Relaying s;
    s.serve(with_tls("mx.test"));
    s.service().set_trusted(authority().certificate_pem());
    job = Relaying::job();
    job.parameters.require_tls = true;
    CHECK(summary(s.relay(std::move(job))) == "sent 250 2.0.0");
}

TEST_CASE("a large message through TLS, byte for byte") {
    Relaying r;
    auto& server = r.serve(with_tls());
    std::string content = kHeader;
    for (int i = 0; i < 30'000; ++i)
        content += std::to_string(i * 7919) + "\r\n";
    CHECK(summary(r.relay(Relaying::job(content))) == "sent 250 2.0.0");
    CHECK(server.visits.at(0)->content == "Received: from here\r\n" + content + ".\r\n");
}
