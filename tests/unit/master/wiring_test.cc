#include "master/wiring.h"

#include "common/base/text.h"
#include "common/conf/load.h"
#include "common/conf/parts.h"
#include "common/ipc/codec.h"
#include "common/sys/file.h"
#include "common/sys/sandbox.h"
#include "master/picture.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <set>

using namespace tambo;
using namespace tambo::master;

namespace {

bool has_word(std::string_view list, std::string_view word) {
    const auto all = words(list);
    return std::ranges::find(all, word) != all.end();
}

std::set<std::string_view> peer_names(std::string_view service) {
    std::set<std::string_view> names;
    for (const Service* peer : peers_of(*find_service(service)))
        names.insert(peer->name);
    return names;
}

bool is_network(const Service& service) {
    return service.stage == Stage::network;
}

} // namespace

TEST_CASE("every edge joins two different services, once") {
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const Edge& edge : edges()) {
        INFO(edge.a << " - " << edge.b);
        CHECK(find_service(edge.a));
        CHECK(find_service(edge.b));
        CHECK(edge.a != edge.b);
        CHECK(seen.insert(std::minmax(edge.a, edge.b)).second);
    }
    CHECK_FALSE(find_service("nobody"));
}

TEST_CASE("services have names of their own, and a sandbox") {
    std::set<std::string_view> names;
    for (const Service& service : services()) {
        INFO(service.name);
        CHECK(names.insert(service.name).second);
        CHECK(service.user.starts_with("_tambo-"));
        CHECK((service.count == Count::one) == (service.processes == nullptr));
        const bool login = service.count == Count::generations;
        const auto profile = login                      ? "login"
                             : service.name == "mx"     ? "smtpd"
                             : service.name == "submit" ? "smtpd"
                                                        : service.name;
        CHECK(sandbox::find_profile(profile));
    }
}

TEST_CASE("network daemons touch no file, and know only those they ask") {
    for (const Service& service : services()) {
        if (!is_network(service)) continue;
        INFO(service.name);
        for (const auto word : {"spool", "mail", "accounts", "directory", "key:*"}) {
            CHECK_FALSE(has_word(service.files, word));
        }
        CHECK_FALSE(has_word(service.listeners, "control"));
    }
    CHECK(peer_names("mx") == std::set<std::string_view>{"queued", "authd", "dnsd", "keyd"});
    CHECK(peer_names("imapd") == std::set<std::string_view>{"authd", "keyd"});
    CHECK(peer_names("keeper") == std::set<std::string_view>{"authd", "deliverd"});
    CHECK(peer_names("relayd") == std::set<std::string_view>{"queued", "dnsd"});
    CHECK(peer_names("logd").empty());
}

TEST_CASE("private keys reach keyd alone, and no two users share what they must not") {
    for (const Service& service : services()) {
        CHECK(has_word(service.files, "key:*") == (service.name == "keyd"));
        CHECK(has_word(service.files, "accounts") == (service.name == "authd"));
        for (const Service& other : services()) {
            if (service.user != other.user || &service == &other) continue;
            const bool same_trust = (service.user == "_tambo-store" && service.storage) ||
                                    (service.user == "_tambo-login" && is_network(service));
            CHECK(same_trust);
        }
    }
}

TEST_CASE("who needs others ends before them") {
    for (const auto& [first, later] :
         std::vector<std::pair<const char*, const char*>>{{"mx", "queued"},
                                                          {"submit", "queued"},
                                                          {"relayd", "queued"},
                                                          {"queued", "deliverd"},
                                                          {"deliverd", "keeper"},
                                                          {"keeper", "authd"},
                                                          {"imapd", "keeper"},
                                                          {"authd", "logd"}}) {
        INFO(first << " before " << later);
        CHECK(find_service(first)->stage < find_service(later)->stage);
    }
}

TEST_CASE("each daemon's part decodes as its own struct, and the password is in one of them") {
    conf::Config config = conf::defaults();
    config.hostname = "mail.example.org";
    config.relay.smarthost = "relay.example.net";
    config.relay.smarthost_user = "me";
    const std::string password = "correct horse";
    const PartSource source{config, password, false};
    for (const Service& service : services()) {
        INFO(service.name);
        const std::string part = service.part(source);
        const bool told = part.find(password) != std::string::npos;
        CHECK(told == (service.name == "relayd"));
    }
    const auto part_of = [&](const char* name) { return find_service(name)->part(source); };
    CHECK(ipc::decode<conf::SmtpdConfig>(part_of("mx"))->hostname == "mail.example.org");
    CHECK(ipc::decode<conf::RelaydConfig>(part_of("relayd"))->smarthost.password == password);
    CHECK(ipc::decode<conf::LoginConfig>(part_of("imapd"))->generation_ms == 600'000);
    CHECK(ipc::decode<conf::AuthdConfig>(part_of("authd")));
    CHECK(ipc::decode<conf::MailboxdConfig>(part_of("keeper")));
    CHECK(ipc::decode<conf::QueuedConfig>(part_of("queued")));
    CHECK(ipc::decode<conf::DeliverdConfig>(part_of("deliverd")));
    CHECK(ipc::decode<conf::DnsdConfig>(part_of("dnsd")));
    CHECK(ipc::decode<conf::KeydConfig>(part_of("keyd")));
    CHECK(ipc::decode<conf::LogdConfig>(part_of("logd")));
}

TEST_CASE("numbers of processes follow the configuration") {
    conf::Config config = conf::defaults();
    config.processes.imap = 3;
    CHECK(process_count(*find_service("imapd"), config) == 3);
    CHECK(process_count(*find_service("mx"), config) == 1);
    CHECK(process_count(*find_service("queued"), config) == 1);
    CHECK(instance_name(*find_service("queued"), 7) == "queued");
    CHECK(instance_name(*find_service("mx"), 2) == "mx.2");
}

TEST_CASE("the picture shows every service and every edge, and README has the current one") {
    const std::string picture = wiring_picture();
    for (const Edge& edge : edges()) {
        const std::string line = cat("    ", edge.a, " -- \"", edge.what, "\" --- ", edge.b, "\n");
        CHECK(picture.find(line) != std::string::npos);
    }
    for (const Service& service : services()) {
        CHECK(picture.find(cat("    ", service.name, "[\"")) != std::string::npos);
    }
    const std::string readme = TAMBO_SOURCE_DIR "/README.md";
    if (!std::filesystem::exists(readme)) {
        WARN("not run: there is no README.md yet");
        return;
    }
    CHECK(read_file(readme, 1 << 20).find(picture) != std::string::npos);
}
