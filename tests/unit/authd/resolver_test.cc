#include "authd/resolver.h"
#include "authd/system_names.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

#include <map>
#include <set>

using namespace tambo;
using namespace tambo::authd;
using Verdict = Expansion::Verdict;

namespace {

struct FakeBook final : AddressBook {
    std::set<std::string, std::less<>> domains{"example.test"}, closed;
    std::map<std::string, Mailbox> mailboxes;
    std::map<std::string, std::vector<std::string>> alias_rows, host_aliases;
    std::set<std::string> users{"daemon"};
    std::string postmaster_key = "alice@example.test";

    FakeBook() {
        add("alice@example.test", 1);
        add("bob@example.test", 2);
        add("off@example.test", 3);
        mailboxes["off@example.test"].disabled = true;
    }
    void add(const std::string& address, uint64_t id) {
        mailboxes[address] = Mailbox{Id{0, id}, address, false};
    }
    bool is_local_domain(std::string_view domain) override {
        return domain == "mail.example.test" || domains.contains(domain);
    }
    bool is_disabled_domain(std::string_view domain) override { return closed.contains(domain); }
    std::string hostname() override { return "mail.example.test"; }
    std::optional<Mailbox> mailbox(std::string_view local, std::string_view domain) override {
        const auto found = mailboxes.find(cat(local, '@', domain));
        if (found == mailboxes.end()) return std::nullopt;
        return found->second;
    }
    std::vector<std::string> aliases(std::string_view local, std::string_view domain) override {
        const auto found = alias_rows.find(cat(local, '@', domain));
        return found == alias_rows.end() ? std::vector<std::string>() : found->second;
    }
    std::vector<std::string> system_aliases(std::string_view name) override {
        const auto found = host_aliases.find(std::string(name));
        return found == host_aliases.end() ? std::vector<std::string>() : found->second;
    }
    bool is_system_user(std::string_view name) override {
        return users.contains(std::string(name));
    }
    std::optional<Mailbox> postmaster() override {
        const auto found = mailboxes.find(postmaster_key);
        if (found == mailboxes.end()) return std::nullopt;
        return found->second;
    }
    char plus_separator() override { return '+'; }
};

std::string explain(FakeBook& book, const std::string& text) {
    const auto address = smtp::parse_address(text);
    REQUIRE(address.ok());
    const Expansion expansion = expand(book, *address);
    std::string out;
    for (const auto& target : expansion.targets) {
        out += target.kind == ipc::TargetKind::local ? "local:" : "remote:";
        out += target.address;
        if (!target.detail.empty()) out += cat('+', target.detail);
        out += ' ';
    }
    if (expansion.verdict != Verdict::good) {
        const auto reply = refusal_of(expansion.verdict);
        out += cat(reply.code, ' ', reply.enhanced, ' ');
    }
    return out;
}

} // namespace

TEST_CASE("accounts, plus-addresses and strangers") {
    FakeBook book;
    CHECK(explain(book, "alice@example.test") == "local:alice@example.test ");
    CHECK(explain(book, "ALICE@Example.TEST") == "local:alice@example.test ");
    CHECK(explain(book, "alice+lists@example.test") == "local:alice@example.test+lists ");
    CHECK(explain(book, "nobody@example.test") == "550 5.1.1 ");
    CHECK(explain(book, "alice%remote.test@example.test") == "550 5.1.1 ");
    CHECK(explain(book, "x@remote.test") == "remote:x@remote.test ");
    CHECK(explain(book, "off@example.test") == "550 5.2.1 ");
    book.closed.insert("example.test");
    CHECK(explain(book, "alice@example.test") == "550 5.2.1 ");
}

TEST_CASE("aliases expand to several targets, once each, and keep their own mailbox") {
    FakeBook book;
    book.alias_rows["team@example.test"] = {"alice@example.test", "bob@example.test",
                                            "x@remote.test", "all@example.test"};
    book.alias_rows["all@example.test"] = {"bob@example.test", "team@example.test"};
    CHECK(explain(book, "team@example.test") ==
          "local:alice@example.test local:bob@example.test remote:x@remote.test ");
    book.alias_rows["bob@example.test"] = {"bob@example.test", "y@remote.test"};
    CHECK(explain(book, "bob@example.test") == "local:bob@example.test remote:y@remote.test ");
}

TEST_CASE("aliases in a circle are refused") {
    FakeBook book;
    book.alias_rows["a@example.test"] = {"b@example.test"};
    book.alias_rows["b@example.test"] = {"a@example.test"};
    CHECK(explain(book, "a@example.test") == "550 5.4.6 ");
}

TEST_CASE("a target that is not there is not passed over in silence") {
    FakeBook book;
    const auto missing = [&](const std::string& text) {
        const Expansion expansion = expand(book, *smtp::parse_address(text));
        std::string out;
        for (const auto& target : expansion.missing)
            out += cat(target, ' ');
        return out + (expansion.stand_in ? cat("-> ", expansion.stand_in->address) : "");
    };
    book.alias_rows["team@example.test"] = {"bob@example.test", "gone@example.test"};
    book.alias_rows["some@example.test"] = {"bob@example.test", "off@example.test",
                                            "not an address"};
    book.alias_rows["nested@example.test"] = {"x@remote.test", "team@example.test"};
    book.alias_rows["admins@example.test"] = {"alice@example.test", "gone@example.test"};
    book.alias_rows["only@example.test"] = {"gone@example.test"};
    book.alias_rows["whole@example.test"] = {"bob@example.test", "alice@example.test"};
    CHECK(explain(book, "team@example.test") == "local:bob@example.test ");
    CHECK(missing("team@example.test") == "gone@example.test -> alice@example.test");
    CHECK(missing("some@example.test") == "off@example.test not an address -> alice@example.test");
    CHECK(missing("nested@example.test") == "gone@example.test -> alice@example.test");
    CHECK(missing("admins@example.test") == "gone@example.test "); // the postmaster has it
    CHECK(explain(book, "only@example.test") == "550 5.1.1 ");
    CHECK(missing("whole@example.test") == "");
    // As many names as there is room for; that there are some is known in any case.
    auto& many = book.alias_rows["many@example.test"] = {"bob@example.test"};
    for (int i = 0; i < 100; ++i)
        many.push_back(cat("nobody-", i, "@example.test"));
    const Expansion expansion = expand(book, *smtp::parse_address("many@example.test"));
    CHECK(expansion.missing.size() < 20);
    CHECK(expansion.stand_in);
    book.postmaster_key = "";
    CHECK(missing("team@example.test") == "gone@example.test ");
}

TEST_CASE("abuse of a domain reaches the postmaster, unless it is somebody's") {
    FakeBook book;
    CHECK(explain(book, "abuse@example.test") == "local:alice@example.test ");
    CHECK(explain(book, "Abuse+x@example.test") == "local:alice@example.test+x ");
    book.alias_rows["*@example.test"] = {"bob@example.test"};
    CHECK(explain(book, "abuse@example.test") == "local:bob@example.test ");
    CHECK(explain(book, "root@example.test") == "local:bob@example.test ");
    book.alias_rows.clear();
    CHECK(explain(book, "root@example.test") == "550 5.1.1 "); // of the host alone
}

TEST_CASE("catch-all comes last") {
    FakeBook book;
    book.alias_rows["*@example.test"] = {"bob@example.test"};
    CHECK(explain(book, "anything@example.test") == "local:bob@example.test ");
    CHECK(explain(book, "alice@example.test") == "local:alice@example.test ");
    CHECK(explain(book, "postmaster@example.test") == "local:alice@example.test ");
}

TEST_CASE("expansion is bounded") {
    FakeBook book;
    for (int i = 0; i < 1500; ++i) {
        book.alias_rows["big@example.test"].push_back(cat("u", i, "@remote.test"));
    }
    CHECK(refusal_of(expand(book, *smtp::parse_address("big@example.test")).verdict).enhanced ==
          "5.2.4");
    for (int i = 0; i < 900; ++i) { // few enough, but more than one datagram holds
        book.alias_rows["long@example.test"].push_back(
            cat(std::string(100, 'u'), i, "@remote.test"));
    }
    const auto too_long = expand(book, *smtp::parse_address("long@example.test"));
    CHECK(too_long.verdict == Verdict::too_large);
    CHECK(too_long.targets.empty());
    for (int i = 0; i < 200; ++i) {
        book.alias_rows[cat("c", i, "@example.test")] = {cat("c", i + 1, "@example.test")};
    }
    CHECK(expand(book, *smtp::parse_address("c0@example.test")).verdict == Verdict::too_large);
}

TEST_CASE("the host's own mail reaches the postmaster") {
    FakeBook book;
    CHECK(explain(book, "postmaster") == "local:alice@example.test ");
    CHECK(explain(book, "root@mail.example.test") == "local:alice@example.test ");
    CHECK(explain(book, "daemon@mail.example.test") == "local:alice@example.test ");
    CHECK(explain(book, "stranger@mail.example.test") == "550 5.1.1 ");
    book.host_aliases["root"] = {"bob@example.test"};
    book.host_aliases["cron"] = {"root"};
    CHECK(explain(book, "root@mail.example.test") == "local:bob@example.test ");
    CHECK(explain(book, "cron@mail.example.test") == "local:bob@example.test ");
    book.postmaster_key = "absent";
    CHECK(explain(book, "daemon@mail.example.test") == "450 4.2.1 ");
}

TEST_CASE("a circle of the host's own names reaches the postmaster and is named") {
    FakeBook book;
    book.host_aliases["one"] = {"two"};
    book.host_aliases["two"] = {"one"};
    CHECK(explain(book, "one@mail.example.test") == "local:alice@example.test ");
    CHECK(expand(book, *smtp::parse_address("one@mail.example.test")).circle ==
          "one@mail.example.test");
    // Two ways to one account are no circle.
    book.alias_rows["team@example.test"] = {"bob@example.test"};
    book.alias_rows["both@example.test"] = {"team@example.test", "bob@example.test"};
    CHECK(expand(book, *smtp::parse_address("both@example.test")).circle.empty());
}

TEST_CASE("/etc/aliases: what is left out is counted, and some of it kept") {
    std::string text;
    for (int i = 0; i < 100; ++i)
        text += cat("a", i, ": |", i, "\n");
    const auto aliases = parse_aliases(text);
    CHECK(aliases.left_out_total == 100);
    CHECK(aliases.left_out.size() == SystemAliases::kLeftOutMax);
    CHECK(parse_aliases("").left_out_total == 0);
}

TEST_CASE("/etc/aliases is read without running anything") {
    const auto aliases = parse_aliases("# comment\n"
                                       "Root: alice@example.test, \"bob\"@example.test\n"
                                       "list: a@x.test,\n"
                                       "\tb@x.test\n"
                                       "pipe: |/bin/sh, /var/mail/x, :include:/y, ok@x.test\n"
                                       "broken line\n");
    CHECK(aliases.targets.at("root").size() == 2);
    CHECK(aliases.targets.at("list") == std::vector<std::string>{"a@x.test", "b@x.test"});
    CHECK(aliases.targets.at("pipe") == std::vector<std::string>{"ok@x.test"});
    CHECK(aliases.left_out_total == 4);
    REQUIRE(aliases.left_out.size() == 4);
    CHECK(aliases.left_out[0].line == 5);
    CHECK(aliases.left_out[0].text == "|/bin/sh");
    CHECK(aliases.left_out[0].is_target);
    CHECK(aliases.left_out[3].line == 6);
    CHECK(aliases.left_out[3].text == "broken line");
    CHECK_FALSE(aliases.left_out[3].is_target);
    const auto users = parse_passwd("root:x:0:0:root:/root:/bin/sh\nbad\nwww:x:33:33::/:\n");
    CHECK(users.uids.at("www") == 33);
    CHECK(users.names.at(0) == "root");
}
