#include "imapd/session/capability.h"
#include "tests/unit/heap.h"
#include "tests/unit/imap_session/harness.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::imap;

namespace {

size_t count_of(std::string_view text, std::string_view what) {
    size_t count = 0;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) {
        ++count;
    }
    return count;
}

std::string message_of(size_t bytes) {
    std::string text = "Subject: big\r\n\r\n";
    for (size_t i = 0; text.size() < bytes; ++i)
        text += cat("line ", i, "\r\n");
    text.resize(bytes);
    return text;
}

} // namespace

TEST_CASE_METHOD(SessionFixture, "a session begins with the answer to the login") {
    auto client = connect("x1");
    client->settle();
    CHECK(client->received == cat("x1 OK [CAPABILITY ", kCapabilities, "] Logged in\r\n"));
    CHECK(client->ask("a NOOP\r\n") == "a OK Completed\r\n");
    // What a hijacked imapd may put there ends no line.
    auto odd = connect("x\r\n* 1 EXISTS");
    odd->settle();
    CHECK(odd->received == cat("* OK [CAPABILITY ", kCapabilities, "] Logged in\r\n"));
    auto silent = connect();
    CHECK(silent->ask("a NOOP\r\n") == "a OK Completed\r\n");
}

// Their replies, cut anywhere: tests/dialog/imapd/literals_1001.dlg, nesting_*.dlg.
TEST_CASE_METHOD(SessionFixture, "F13, F14: what is refused costs no memory while it comes") {
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    std::string literals = "b SEARCH";
    for (int i = 0; i < 1001; ++i)
        literals += " TEXT {1+}\r\nx";
    for (const auto& command :
         {literals + "\r\n", "b SEARCH " + std::string(100'000, '(') + "\r\n",
          "b SEARCH " + std::string(60'000, '(') + "\r\n", cat("b SEARCH TEXT {1048577}\r\n")}) {
        client->received.clear();
        const size_t before = test::heap_bytes();
        size_t most = before;
        for (size_t at = 0; at < command.size(); at += 500) {
            client->send(std::string_view(command).substr(at, 500));
            turn(loop);
            turn(loop);
            most = std::max(most, test::heap_bytes());
        }
        client->settle();
        CHECK(client->received.starts_with("b BAD [TOOBIG] "));
        CHECK(most - before < 256 * 1024);
    }
    CHECK(client->ask("f NOOP\r\n") == "f OK Completed\r\n");
}

TEST_CASE_METHOD(SessionFixture, "D9: input is not read while output is not taken") {
    auto client = connect();
    std::string noops;
    for (int i = 0; i < 1000; ++i)
        noops += "a NOOP\r\n";
    CHECK(count_of(client->ask(noops), "a OK Completed\r\n") == 1000);
    // Now without reading: the session stops, the socket fills, nothing more is taken.
    size_t sent = 0;
    for (int idle = 0; idle < 50;) {
        const ssize_t n = ::send(client->fd(), "b NOOP\r\n", 8, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += 1;
        idle = n <= 0 ? idle + 1 : 0;
        if (n <= 0) turn(loop);
        REQUIRE(sent < 1'000'000);
    }
    CHECK(count_of(client->ask("\r\n"), "b OK Completed\r\n") == sent);
}

TEST_CASE_METHOD(SessionFixture, "large messages come out byte for byte, in pieces") {
    const std::string big = message_of(900'000);
    auto client = connect();
    client->send(cat("a APPEND INBOX {", big.size(), "+}\r\n"));
    client->send(big + "\r\n");
    client->settle();
    CHECK(client->received.starts_with("a OK [APPENDUID "));
    client->ask("b SELECT INBOX\r\n");
    const auto fetched = client->ask("c FETCH 1 (BODY.PEEK[] RFC822.SIZE)\r\n");
    const auto head = cat("* 1 FETCH (BODY[] {", big.size(), "}\r\n");
    REQUIRE(fetched.size() > big.size());
    CHECK(fetched.substr(0, head.size()) == head);
    CHECK((fetched.substr(head.size(), big.size()) == big));
    CHECK(fetched.substr(head.size() + big.size()) ==
          cat(" RFC822.SIZE ", big.size(), ")\r\nc OK Fetched\r\n"));
    const auto part = client->ask("d FETCH 1 BODY.PEEK[]<899990.100>\r\n");
    CHECK(part == cat("* 1 FETCH (BODY[]<899990> {10}\r\n", big.substr(899'990), ")\r\n",
                      "d OK Fetched\r\n"));
}

TEST_CASE_METHOD(SessionFixture, "F3: what looks like an end of data is stored as it was sent") {
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    int number = 0;
    for (const std::string_view end : {"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n",
                                       "\n\r.\r\n", "\r\r\n.\r\r\n", "\r\n.\r\n"}) {
        const std::string text = cat("x: y\r\n\r\nx", end, "MAIL FROM:<evil@x>\r\n");
        client->ask(cat("b APPEND INBOX {", text.size(), "+}\r\n", text, "\r\n"));
        const auto got = client->ask(cat("c FETCH ", ++number, " BODY.PEEK[]\r\n"));
        CHECK(got == cat("* ", number, " FETCH (BODY[] {", text.size(), "}\r\n", text, ")\r\n",
                         "c OK Fetched\r\n"));
    }
}

TEST_CASE_METHOD(SessionFixture, "many messages: batches, \\Seen, flow control") {
    const std::string text = message_of(3000);
    for (int i = 0; i < 300; ++i)
        append("INBOX", text, static_cast<store::Flags>(i % 2 == 0 ? store::kSeen : 0));
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    auto got =
        client->ask("b UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n");
    CHECK(count_of(got, "ENVELOPE (NIL \"big\"") == 300);
    CHECK(count_of(got, "Subject: big\r\n") == 300);
    CHECK(count_of(got, "FLAGS (\\Seen \\Recent)") == 150);
    CHECK(got.ends_with("b OK Fetched\r\n"));
    got = client->ask("c FETCH 1:* BODY[]\r\n");
    CHECK(got.size() > 300 * text.size());
    CHECK(count_of(got, " FLAGS (\\Seen \\Recent))\r\n") == 150);
    for (uint32_t i = 1; i <= 300; ++i) {
        if (got.find(cat("* ", i, " FETCH (BODY[] {3000}\r\n")) == std::string::npos) FAIL(i);
    }
    got = client->ask("d UID FETCH 1:* FLAGS\r\n");
    CHECK(count_of(got, "FLAGS (\\Seen \\Recent)") == 300);
    got = client->ask("e SEARCH TEXT \"line 42\"\r\n");
    CHECK(count_of(got, " ") == 300 + 3);
    got = client->ask("f SEARCH NOT TEXT \"line 42\"\r\n");
    CHECK(got == "* SEARCH\r\nf OK Searched\r\n");
    got = client->ask("g STORE 1:* +FLAGS (\\Deleted)\r\n");
    CHECK(count_of(got, "\\Deleted") == 300);
    got = client->ask("h EXPUNGE\r\n");
    CHECK(count_of(got, " EXPUNGE\r\n") == 300);
    CHECK(got.ends_with("* 0 RECENT\r\nh OK Expunged\r\n"));
}

TEST_CASE_METHOD(SessionFixture, "a quota refuses before the message is sent") {
    account->set_quota(store::Quota{1000, 2});
    auto client = connect();
    CHECK(client->ask("a APPEND INBOX {1001}\r\n") == "a NO [OVERQUOTA] over quota\r\n");
    append();
    append();
    CHECK(client->ask("b APPEND INBOX {10}\r\n") == "b NO [OVERQUOTA] over quota\r\n");
    CHECK(client->ask("c APPEND INBOX {4+}\r\nx: y\r\n") == "c NO [OVERQUOTA] over quota\r\n");
    CHECK(client->ask("d STATUS INBOX (MESSAGES)\r\n") ==
          "* STATUS \"INBOX\" (MESSAGES 2)\r\nd OK Status completed\r\n");
}

TEST_CASE_METHOD(SessionFixture, "an APPEND that is cut off leaves nothing") {
    const size_t before = bodies();
    for (const std::string_view piece : {"a APPEND INBOX {10+}\r\n", "a APPEND INBOX {10+}\r\nabc",
                                         "a APPEND INBOX {3+}\r\nabc"}) {
        auto client = connect();
        client->send(piece);
        client->settle();
        client->hang_up();
        turn(loop);
        turn(loop);
        CHECK(nursery.size() == 0);
    }
    CHECK(bodies() == before);
    CHECK(status().messages == 0);
}

TEST_CASE_METHOD(SessionFixture, "sessions end cleanly when the process does") {
    append();
    auto idle = connect();
    idle->ask("a SELECT INBOX\r\nb IDLE\r\n");
    auto append_open = connect();
    append_open->send("a APPEND INBOX {10+}\r\nabc");
    append_open->settle();
    auto flooded = connect();
    flooded->ask("a SELECT INBOX\r\n");
    for (int i = 0; i < 100; ++i)
        append("INBOX", message_of(20'000));
    flooded->send("b FETCH 1:* BODY.PEEK[]\r\n");
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(nursery.size() == 3);
    nursery.cancel();
    CHECK(nursery.size() == 0);
}

TEST_CASE_METHOD(SessionFixture, "a message whose body is gone is NIL, and the answer says so") {
    append();
    append();
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir + "/bodies")) {
        if (file.is_regular_file()) {
            std::filesystem::remove(file.path());
            break;
        }
    }
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    const auto got = client->ask("b FETCH 1:2 BODY.PEEK[]\r\n");
    CHECK(count_of(got, "BODY[] NIL") == 1);
    CHECK(count_of(got, "BODY[] {11}\r\n") == 1);
    CHECK(got.ends_with("b NO [UNAVAILABLE] some messages could not be read\r\n"));
    CHECK(client->ask("c SEARCH TEXT x\r\n").starts_with("* SEARCH "));
}

TEST_CASE_METHOD(SessionFixture, "keywords of a mailbox are bounded") {
    append();
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    for (int round = 0; round < 2; ++round) {
        std::string words;
        for (int i = 0; i < 60; ++i)
            words += cat(i > 0 ? " " : "", "k", round, "x", i);
        const auto got = client->ask(cat("b STORE 1 +FLAGS.SILENT (", words, ")\r\n"));
        CHECK((got.find("b NO [LIMIT]") != std::string::npos) == (round == 1));
    }
    const auto got = client->ask(cat("c STORE 1 FLAGS (", std::string(129, 'x'), ")\r\n"));
    CHECK(got == "c BAD a keyword must be short and ASCII\r\n");
}

TEST_CASE_METHOD(SessionFixture, "a read-only account is told as such") {
    append();
    options.read_only = true;
    open();
    auto client = connect();
    const auto got = client->ask("a SELECT INBOX\r\n");
    CHECK(got.ends_with("a OK [READ-ONLY] Opened for reading\r\n"));
    CHECK(client->ask("b STORE 1 +FLAGS (\\Seen)\r\n") ==
          "b NO [READ-ONLY] the mailbox is open for reading only\r\n");
    CHECK(client->ask("c CREATE x\r\n").starts_with("c NO [UNAVAILABLE]"));
    CHECK(client->ask("d APPEND INBOX {1+}\r\nx\r\n").starts_with("d NO [UNAVAILABLE]"));
    CHECK(client->ask("e FETCH 1 BODY[TEXT]\r\n") ==
          "* 1 FETCH (BODY[TEXT] {3}\r\nx\r\n)\r\ne OK Fetched\r\n");
}

TEST_CASE_METHOD(SessionFixture, "silence: signs of life in IDLE, then the autologout") {
    settings.silence_ms = 60;
    settings.still_here_ms = 20;
    const auto wait_for_end = [](TestClient& client) {
        for (int i = 0; i < 2000 && !client.closed; ++i) {
            client.settle();
            ::usleep(1000);
        }
        return std::exchange(client.received, "");
    };
    auto silent = connect();
    CHECK(wait_for_end(*silent) == "* BYE autologout\r\n");
    auto idle = connect();
    idle->ask("a IDLE\r\n");
    CHECK(wait_for_end(*idle) ==
          "+ idling\r\n* OK Still here\r\n* OK Still here\r\n* BYE autologout\r\n");
    CHECK(nursery.size() == 0);
}

namespace {

std::string repeated(std::string_view what, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += what;
    return out;
}

} // namespace

TEST_CASE_METHOD(SessionFixture, "search keys that cost much are bounded, each kind by itself") {
    auto client = connect();
    client->ask("a SELECT INBOX\r\n");
    client->ask("a APPEND INBOX {20+}\r\nSubject: x\r\n\r\nbody\r\n\r\n");
    const std::string limit = " NO [LIMIT] too many search keys of this kind\r\n";
    CHECK(client->ask(cat("b SEARCH", repeated(" TEXT x", 65), "\r\n")) == "b" + limit);
    CHECK(client->ask(cat("c SEARCH", repeated(" HEADER x-odd x", 65), "\r\n")) == "c" + limit);
    CHECK(client->ask(cat("d SEARCH", repeated(" SUBJECT x", 513), "\r\n")) == "d" + limit);
    CHECK(client->ask(cat("e SEARCH", repeated(" OR TEXT x", 64), " TEXT x\r\n")) == "e" + limit);
    for (const auto& keys : {repeated(" TEXT x", 64), repeated(" SUBJECT x", 512),
                             repeated(" UNSEEN", 2000)}) {
        CHECK(client->ask(cat("f SEARCH", keys, "\r\n")) ==
              "* SEARCH 1\r\nf OK Searched\r\n");
    }
    // The keys that read the text are asked one by one, as far as they matter.
    for (const auto& [keys, found] : std::vector<std::pair<std::string, std::string>>{
             {"TEXT x NOT TEXT body", ""},
             {"OR TEXT nothing OR HEADER x-odd 1 BODY body", " 1"},
             {"NOT (TEXT nothing SUBJECT x) BODY body", " 1"},
             {"OR (TEXT x BODY nothing) TEXT nothing", ""},
             {"SUBJECT x HEADER x-odd 1", ""}}) {
        CHECK(client->ask(cat("g SEARCH ", keys, "\r\n")) ==
              cat("* SEARCH", found, "\r\ng OK Searched\r\n"));
    }
}

TEST_CASE_METHOD(SessionFixture, "patterns of LIST are bounded together") {
    auto client = connect();
    const std::string pattern(1000, '%');
    CHECK(client->ask(cat("a LIST \"\" \"", pattern, "\"\r\n")).ends_with("a OK List completed\r\n"));
    const std::string four = repeated(cat('"', pattern, "\" "), 4);
    CHECK(client->ask(cat("b LIST \"\" (", four, "%)\r\n")).ends_with("b OK List completed\r\n"));
    const std::string too_long = "BAD [TOOBIG] the patterns are too long\r\n";
    CHECK(client->ask(cat("c LIST \"\" (", four, '"', pattern, "\")\r\n")) == "c " + too_long);
    // The reference counts with each of them.
    const std::string reference(3000, 'x');
    CHECK(client->ask(cat("d LIST \"", reference, "\" (a b)\r\n")) == "d " + too_long);
    CHECK(client->ask(cat("e LSUB \"\" \"", std::string(4097, '%'), "\"\r\n")) == "e " + too_long);
}

TEST_CASE_METHOD(SessionFixture, "a session that works for long lets the others of the account work") {
    auto busy = connect(), other = connect();
    busy->ask("a SELECT INBOX\r\n");
    other->ask("a SELECT INBOX\r\n");
    const std::string text = message_of(1'000'000);
    CHECK(busy->ask(cat("b APPEND INBOX {", text.size(), "+}\r\n", text, "\r\n"))
              .find("b OK") != std::string::npos);
    const std::string keys = repeated(" NOT TEXT nothing-like-it", 64);
    const std::string items = repeated(" BODY.PEEK[TEXT]<0.1> BODY.PEEK[HEADER.FIELDS (X-Odd)]", 60);
    for (const auto& command :
         {cat("c SEARCH", keys, "\r\n"), cat("c FETCH 1 (UID", items, ")\r\n")}) {
        busy->received.clear();
        busy->send(command);
        int turns = 0;
        other->received.clear();
        other->send("d NOOP\r\n");
        for (; turns < 20 && other->received.empty(); ++turns) {
            turn(loop);
            other->take();
        }
        CHECK(other->received.ends_with("d OK Completed\r\n"));
        busy->take();
        const bool searching = command.starts_with("c SEARCH");
        if (searching) CHECK(busy->received.find("c OK") == std::string::npos); // still at it
        for (int i = 0; i < 10'000 && busy->received.find("c OK") == std::string::npos; ++i) {
            turn(loop);
            busy->take();
        }
        CHECK(busy->received.find("c OK") != std::string::npos);
    }
}
