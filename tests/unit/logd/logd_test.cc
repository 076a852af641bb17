#include "logd/journal.h"
#include "logd/line.h"
#include "logd/recent.h"
#include "logd/writer.h"

#include "common/base/text.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <malloc.h>

#include <cstdlib>
#include <filesystem>

using namespace tambo;
using namespace tambo::logd;

namespace {

log::Record record(const std::string& event, const std::string& sid, const std::string& qid) {
    log::Record r;
    r.time = UtcTime{1'795'497'616'123};
    r.daemon = "mx.0";
    r.event = event;
    r.sid = sid;
    r.qid = qid;
    return r;
}

} // namespace

TEST_CASE("a hostile value stays one line and cannot forge a field") {
    auto r = record("auth.failed", "s1", "");
    r.fields = {{"ip", "192.0.2.1"}, {"user", "x\" ip=\"9.9.9.9\"\n\x1b]0;"}};
    const std::string line = format_line(r);
    CHECK(line == "2026-11-24T05:20:16.123Z mx.0 auth.failed ip=192.0.2.1 sid=s1 "
                  "user=\"x\\x22 ip=\\x229.9.9.9\\x22\\x0a\\x1b]0;\"");
    const auto back = parse_line(line);
    REQUIRE(back);
    CHECK(back->fields.size() == 2);
    CHECK(back->fields[0].second == "192.0.2.1");
    for (size_t cut = 0; cut < 45; ++cut)
        CHECK_NOTHROW(parse_line(line.substr(0, cut)));
    // Something that only looks like an address stays in quotes, behind.
    auto forged = record("auth.failed", "s1", "");
    forged.fields = {{"ip", "192.0.2.1 sid=x"}};
    CHECK(format_line(forged) ==
          "2026-11-24T05:20:16.123Z mx.0 auth.failed sid=s1 ip=\"192.0.2.1 sid=x\"");
    CHECK(journal_datagram(r, line).find("\nTAMBO_SID=s1\n") != std::string::npos);
}

TEST_CASE("a daemon cannot put a line end into names") {
    auto r = record("a b\nc", "x\ny", "");
    CHECK(format_line(r) == "2026-11-24T05:20:16.123Z mx.0 a?b?c sid=x?y");
}

TEST_CASE("trace finds a message's whole road from any of its names") {
    Recent recent(1u << 20);
    auto connected = record("smtp.connected", "s1", "");
    recent.add(connected);
    auto accepted = record("queue.accepted", "s1", "q1");
    accepted.fields = {{"from", "Alice@example.test"}};
    recent.add(accepted);
    auto delivered = record("queue.delivered", "", "q1");
    delivered.rcpt = "bob@example.test";
    recent.add(delivered);
    recent.add(record("queue.accepted", "s1", "q2"));
    recent.add(record("smtp.connected", "s9", ""));
    for (const auto* what : {"q1", "alice@example.test", "bob@example.test"}) {
        const auto found = recent.find(what, UtcTime{0});
        CHECK(log::decode(*found.back())->event == "queue.delivered");
    }
    CHECK(recent.find("s1", UtcTime{0}).size() == 4);
    CHECK(recent.find("nobody", UtcTime{0}).empty());
    CHECK(recent.find("q1", UtcTime{1'895'497'616'123}).empty());
}

TEST_CASE("trace shows what happened in its order, however it was read") {
    Recent recent(1u << 20);
    for (const auto& [event, after_ms] :
         {std::pair<std::string, int64_t>{"c", 3}, {"a", 1}, {"b", 2}, {"b2", 2}}) {
        auto r = record(event, "s1", "");
        r.time.ms += after_ms;
        recent.add(r);
    }
    std::string order;
    for (const auto* packed : recent.find("s1", UtcTime{0}))
        order += log::decode(*packed)->event;
    CHECK(order == "abb2c");
}

TEST_CASE("memory is bounded") {
    Recent recent(100'000);
    const auto before = ::mallinfo2().uordblks;
    for (int i = 0; i < 100'000; ++i) {
        auto event = record("smtp.accepted", cat("s", i), "");
        for (int field = 0; field < 9; ++field)
            event.fields.emplace_back(cat("key", field), "v");
        recent.add(event);
        CHECK(recent.bytes() <= 100'000);
    }
    CHECK(recent.size() < 1000);
    CHECK(recent.size() > 100);
    CHECK(::mallinfo2().uordblks < before + 200'000); // what is counted is what it costs
    CHECK(recent.find("s99999", UtcTime{0}).size() == 1);
}

TEST_CASE("a line that a crash has torn does not swallow the next one") {
    char path[] = "/tmp/tambo-logd-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    const std::string dir = path;
    const UniqueFd fd(::open(path, O_RDONLY | O_DIRECTORY));
    conf::LogdConfig config;
    config.file = "events.log";
    config.file_size_max = 1 << 20;
    for (const std::string before : {"", "whole\n", "whole\ntorn in the mid"}) {
        CAPTURE(before);
        std::filesystem::remove(dir + "/events.log");
        const UniqueFd file(::open((dir + "/events.log").c_str(), O_WRONLY | O_CREAT, 0600));
        REQUIRE(::write(file.get(), before.data(), before.size()) ==
                static_cast<ssize_t>(before.size()));
        Writer writer(config, fd.get(), UniqueFd());
        for (const auto* sid : {"first", "second"}) {
            writer.write(record("smtp.accepted", sid, ""));
            writer.flush();
        }
        std::vector<std::string> lines;
        writer.read_back(1 << 20, [&](std::string_view line) { lines.emplace_back(line); });
        REQUIRE(lines.size() >= 2);
        CHECK(lines[lines.size() - 2].starts_with("2026-"));
        CHECK(lines.back().starts_with("2026-"));
        const bool torn = before.ends_with("mid");
        CHECK(lines.size() == 2u + (before.empty() ? 0u : 1u) + (torn ? 1u : 0u));
    }
    std::filesystem::remove_all(dir);
}

TEST_CASE("the file rotates by size and is read back") {
    char dir[] = "/tmp/tambo-logd-XXXXXX";
    REQUIRE(::mkdtemp(dir) != nullptr);
    const UniqueFd fd = open_or_throw(dir, O_RDONLY | O_DIRECTORY);
    conf::LogdConfig config;
    config.file = "events.log";
    config.file_size_max = 1000;
    config.files_kept = 3;
    Writer writer(config, fd.get(), UniqueFd());
    for (int i = 0; i < 100; ++i) {
        writer.write(record("x.y", cat("s", i), ""));
        writer.flush();
    }
    CHECK(std::filesystem::exists(std::string(dir) + "/events.log.2"));
    CHECK_FALSE(std::filesystem::exists(std::string(dir) + "/events.log.3"));
    std::string last;
    writer.write(record("x.y", "final", ""));
    writer.flush();
    writer.read_back(10'000, [&](std::string_view line) { last = line; });
    CHECK(parse_line(last)->sid == "final");
    CHECK(writer.lost() == 0);
    std::filesystem::remove_all(dir);
}
