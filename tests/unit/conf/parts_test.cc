#include "common/conf/parts.h"

#include "common/conf/load.h"
#include "common/conf/validate.h"
#include "common/conf/value.h"

#include <catch2/catch.hpp>

using namespace tambo::conf;

namespace {

Config example() {
    Config config = defaults();
    config.hostname = "mail.example.org";
    return config;
}

} // namespace

TEST_CASE("endpoints are address literals with a port") {
    CHECK(parse_endpoint("*:25", 0) == Endpoint{"", 25});
    CHECK(parse_endpoint("25", 0) == Endpoint{"", 25});
    CHECK(parse_endpoint("127.0.0.1:0", 0) == Endpoint{"127.0.0.1", 0});
    CHECK(parse_endpoint("[::1]:65535", 0) == Endpoint{"::1", 65535});
    CHECK(parse_endpoint("[2001:DB8:0::1]:25", 0) == Endpoint{"2001:db8::1", 25});
    CHECK(parse_endpoint("::1", 53) == Endpoint{"::1", 53});
    CHECK(parse_endpoint("[::1]", 53) == Endpoint{"::1", 53});
    CHECK(parse_endpoint("9.9.9.9", 53) == Endpoint{"9.9.9.9", 53});
    for (const auto* bad : {"", ":25", "localhost:25", "127.0.0.1", "127.0.0.1:", "127.1:25",
                            "1.2.3.4:65536", "[::1]", "[::1]:", "[::1", "::1", "[1.2.3.4]:25",
                            "[::1]25", "[]:25", "1.2.3.4:25 ", "*", "[*]:25"}) {
        INFO(bad);
        CHECK_FALSE(parse_endpoint(bad, 0));
    }
    for (const auto* good : {"*:25", "127.0.0.1:2525", "[::1]:25"}) {
        CHECK(format_endpoint(*parse_endpoint(good, 0)) == good);
    }
}

TEST_CASE("smarthosts") {
    const auto plain = parse_smarthost("Relay.Example.net");
    REQUIRE(plain);
    CHECK(plain->host == "relay.example.net");
    CHECK(plain->port == 587);
    CHECK_FALSE(plain->implicit_tls);
    const auto tls = parse_smarthost("smtps://relay.example.net");
    REQUIRE(tls);
    CHECK(tls->port == 465);
    CHECK(tls->implicit_tls);
    const auto literal = parse_smarthost("127.0.0.1:2500");
    REQUIRE(literal);
    CHECK(literal->host == "127.0.0.1");
    CHECK(literal->port == 2500);
    CHECK(parse_smarthost("[::1]:25")->host == "::1");
    CHECK(parse_smarthost("localhost:25")->port == 25);
    for (const auto* bad : {"", "smtps://", "relay", "relay.example.net:", "relay.example.net:0",
                            "http://relay.example.net", "*:25", "a b.example", "x.example:1:2"}) {
        INFO(bad);
        CHECK_FALSE(parse_smarthost(bad));
    }
}

TEST_CASE("host names") {
    CHECK(is_host_name("mail.example.org"));
    CHECK(is_host_name("a-b.1.example"));
    for (const auto* bad : {"", "mail", "mail..example", ".example.org", "example.org.",
                            "-a.example", "a-.example", "a_b.example", "m\xC3\xBC.example"}) {
        CHECK_FALSE(is_host_name(bad));
    }
    CHECK_FALSE(is_host_name(std::string(64, 'a') + ".example"));
}

TEST_CASE("a password goes to another machine only under verified TLS") {
    Config config = example();
    config.relay.smarthost = "relay.example.net";
    CHECK(make_relayd_config(config, "secret").smarthost.tls == TlsDemand::opportunistic);
    CHECK(make_relayd_config(config, "secret").smarthost.password.empty());
    config.relay.smarthost_user = "me";
    CHECK(make_relayd_config(config, "secret").smarthost.tls == TlsDemand::verify);
    CHECK(make_relayd_config(config, "secret").smarthost.password == "secret");
    config.relay.smarthost = "127.0.0.1:2525";
    CHECK(make_relayd_config(config, "secret").smarthost.tls == TlsDemand::opportunistic);
    config.relay.smarthost_tls = "verify";
    CHECK(make_relayd_config(config, "secret").smarthost.tls == TlsDemand::verify);
}

TEST_CASE("auto logs to the journal where there is one") {
    Config config = example();
    CHECK(make_logd_config(config, true).journal);
    CHECK_FALSE(make_logd_config(config, false).journal);
    config.log.target = "/var/log/mail.events";
    CHECK_FALSE(make_logd_config(config, true).journal);
    CHECK(make_logd_config(config, true).file == "mail.events");
}

TEST_CASE("relayd knows where we listen") {
    Config config = example();
    config.listen.smtp = {{"", 2525}, {"127.0.0.1", 25}, {"::1", 25}};
    CHECK(make_relayd_config(config, "").own_listeners == config.listen.smtp);
}
