#include "imapd/session/reader.h"

#include "common/base/text.h"
#include "tests/unit/cuts.h"

#include <catch2/catch.hpp>

#include <functional>
#include <string>

using namespace tambo;
using namespace tambo::imap;

namespace {

using Event = CommandReader::Event;

// What a session makes of a message literal: takes it, or refuses it as an unknown mailbox.
enum class Messages { take, refuse };

struct Harness {
    explicit Harness(const ReaderLimits& limits, Messages m) : reader(limits), messages(m) {}

    void feed(std::string_view input) {
        while (!dead) {
            const Event event = reader.feed(input);
            if (event == Event::more) return;
            on(event);
        }
    }

    void on(Event event) {
        switch (event) {
        case Event::more:
            return;
        case Event::go_ahead:
            trace += "+ ";
            return;
        case Event::command:
            trace += cat('[', reader.text(), '|', message, "] ");
            return next();
        case Event::message:
            return on_message();
        case Event::data:
            message += reader.data();
            return;
        case Event::refused:
            trace += cat(reader.tag(), " BAD ", reader.code(), ' ', reader.reason(), "; ");
            return next();
        case Event::hopeless:
            trace += "BYE";
            dead = true;
            return;
        }
    }

    void on_message() {
        trace += cat("message ", reader.literal().size, ' ');
        if (messages == Messages::take) {
            if (reader.literal().synchronising) trace += "+ ";
            reader.take_message();
        } else if (reader.refuse_message()) {
            trace += "NO; ";
        }
    }

    void next() {
        message.clear();
        reader.reset();
    }

    CommandReader reader;
    Messages messages;
    std::string trace, message;
    bool dead = false;
};

// The same outcome however the input is cut: whole, in bytes, in two pieces at each place.
std::string outcome(std::string_view input,
                    const ReaderLimits& limits = kSessionLimits,
                    Messages messages = Messages::take,
                    bool raw = false) {
    const auto run = [&](const std::function<void(Harness&)>& feed) {
        Harness h(limits, messages);
        h.reader.set_raw(raw);
        feed(h);
        return h.trace;
    };
    const auto whole = run([&](Harness& h) { h.feed(input); });
    CHECK(whole == run([&](Harness& h) {
              for (const char c : input)
                  h.feed(std::string_view(&c, 1));
          }));
    for (const size_t cut : cuts::places(input.size())) {
        const auto split = run([&](Harness& h) {
            h.feed(input.substr(0, cut));
            h.feed(input.substr(cut));
        });
        if (split != whole) {
            FAIL_CHECK("cut at " << cut << ", TAMBO_CUT_SEED=" << cuts::seed() << ": " << split);
            break;
        }
    }
    return whole;
}

constexpr ReaderLimits kSmall{32, 16, 64, 3, true};

} // namespace

TEST_CASE("lines are commands, empty lines are nothing") {
    CHECK(outcome("\r\na NOOP\r\n\r\n\nb NOOP\nc") == "[a NOOP|] [b NOOP|] ");
}

TEST_CASE("literals are gathered in place") {
    CHECK(outcome("a LOGIN {3}\r\nx\r\n {2+}\r\nyy\r\nb NOOP\r\n") ==
          "+ [a LOGIN {3}\r\nx\r\n {2+}\r\nyy|] [b NOOP|] ");
    CHECK(outcome("a X {0}\r\n\r\n") == "+ [a X {0}\r\n|] ");
    // A literal that looks like a command or a header stays a literal.
    CHECK(outcome("a X {12+}\r\nb Y {99+}\r\n\n\r\n") == "[a X {12+}\r\nb Y {99+}\r\n\n|] ");
}

TEST_CASE("APPEND's message is handed out, its mailbox is not") {
    CHECK(outcome("a APPEND x {5}\r\nhello\r\n") == "message 5 + [a APPEND x {5}\r\n|hello] ");
    CHECK(outcome("a append {1+}\r\nx (\\Seen) {6+}\r\nb\r\nc\r\n\r\nd NOOP\r\n") ==
          "message 6 [a append {1+}\r\nx (\\Seen) {6+}\r\n|b\r\nc\r\n] [d NOOP|] ");
    CHECK(outcome("a APPEND x {0+}\r\n\r\n") == "message 0 [a APPEND x {0+}\r\n|] ");
    CHECK(outcome("a APPEND x {1+}\r\nm trailing\r\n") ==
          "message 1 [a APPEND x {1+}\r\n trailing|m] ");
    // RFC 3502 is not announced: a second message is refused, and skipped exactly.
    CHECK(outcome("a APPEND x {1+}\r\nm {3+}\r\nb X\r\nc NOOP\r\n") ==
          "message 1 a BAD  one message per APPEND; [c NOOP|] ");
    CHECK(outcome("a APPEND x {1+}\r\nm {3}\r\nc NOOP\r\n") ==
          "message 1 a BAD  one message per APPEND; [c NOOP|] ");
}

TEST_CASE("F12: a refused message literal is consumed exactly") {
    CHECK(outcome("a APPEND nosuch {14+}\r\nb LOGOUT\r\nxx\r\n\r\nc NOOP\r\n", kSessionLimits,
                  Messages::refuse) == "message 14 a BAD  ; [c NOOP|] ");
    CHECK(outcome("a APPEND nosuch {14}\r\nc NOOP\r\n", kSessionLimits, Messages::refuse) ==
          "message 14 NO; [c NOOP|] ");
    CHECK(outcome("a APPEND nosuch {2+}\r\nxx {3+}\r\nyyy {9}\r\nc NOOP\r\n", kSessionLimits,
                  Messages::refuse) == "message 2 a BAD  ; [c NOOP|] ");
}

TEST_CASE("F12: huge literals before login") {
    CHECK(outcome("a LOGIN {4294967296}\r\nb NOOP\r\n", kPreloginLimits) ==
          "a BAD TOOBIG literal too long; [b NOOP|] ");
    CHECK(outcome("a LOGIN {99999999999999999999}\r\nb NOOP\r\n", kPreloginLimits) ==
          "a BAD TOOBIG literal too long; [b NOOP|] ");
    CHECK(outcome("a LOGIN {4294967296+}\r\nb NOOP\r\n", kPreloginLimits) == "BYE");
    CHECK(outcome("a APPEND x {4097}\r\nb NOOP\r\n", kPreloginLimits) ==
          "a BAD TOOBIG literal too long; [b NOOP|] ");
    CHECK(outcome("a LOGIN {4096}\r\n", kPreloginLimits) == "+ ");
}

TEST_CASE("refused non-synchronising literals do not become commands") {
    CHECK(outcome("a X {17+}\r\nb Y {99+}\r\n123456\r\nc NOOP\r\n", kSmall) ==
          "a BAD TOOBIG literal too long; [c NOOP|] ");
    CHECK(outcome("a X {9+}\r\n123456789 {9+}\r\nb NOOP\r\n\r\nc NOOP\r\n", kSmall) ==
          "a BAD TOOBIG literal too long; [c NOOP|] ");
    // The end of what was gathered looks like a header, the line that is refused does not.
    CHECK(outcome("a X {5+}\r\n{20+}\r\nb NOOP\r\n", kSmall) == "[a X {5+}\r\n{20+}|] [b NOOP|] ");
    const std::string text(40, 'x');
    CHECK(outcome("a X {5+}\r\n{20+}" + text + "\r\nb NOOP\r\n", kSmall) ==
          "a BAD TOOBIG line too long; [b NOOP|] ");
}

TEST_CASE("lines that are too long are skipped to their end, literals of theirs too") {
    const std::string text(40, 'x');
    CHECK(outcome("a " + text + "\r\nb NOOP\r\n", kSmall) ==
          "a BAD TOOBIG line too long; [b NOOP|] ");
    CHECK(outcome("a " + text + " {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", kSmall) ==
          "a BAD TOOBIG line too long; [c NOOP|] ");
    CHECK(outcome("a " + text + " {8}\r\nc NOOP\r\n", kSmall) ==
          "a BAD TOOBIG line too long; [c NOOP|] ");
    CHECK(outcome(std::string(200, 'x'), kSmall) == "BYE");
    CHECK(outcome("a " + std::string(60, 'x') + "\r\nb NOOP\r\n", kSmall) ==
          "a BAD TOOBIG line too long; [b NOOP|] ");
    CHECK(outcome("a {16+}\r\n" + std::string(16, 'y') + std::string(20, 'x') + " {9+}\r\n" +
                      std::string(9, 'z') + std::string(30, 'x') + "\r\nb NOOP\r\n",
                  kSmall) == "a BAD TOOBIG literal too long; [b NOOP|] ");
    CHECK(outcome("\x01" + text + "\r\nb NOOP\r\n", kSmall) ==
          "* BAD TOOBIG line too long; [b NOOP|] ");
}

TEST_CASE("F13: 1,001 literals in one command") {
    std::string command = "a SEARCH";
    for (int i = 0; i < 1001; ++i)
        command += " TEXT {1+}\r\nx";
    CHECK(outcome(command + "\r\nb NOOP\r\n") == "a BAD TOOBIG too many literals; [b NOOP|] ");
    CHECK(outcome("a X {1+}\r\nx {1+}\r\nx {1+}\r\nx {1+}\r\nx\r\nb NOOP\r\n", kSmall) ==
          "a BAD TOOBIG too many literals; [b NOOP|] ");
    CHECK(outcome("a X {1+}\r\nx {1+}\r\nx {1+}\r\nx {1}\r\nb NOOP\r\n", kSmall) ==
          "a BAD TOOBIG too many literals; [b NOOP|] ");
}

TEST_CASE("F13: a command beyond 1 MiB is refused and its buffer given back") {
    CommandReader reader(kSessionLimits);
    std::string_view input = "a X {1048000+}\r\n";
    CHECK(reader.feed(input) == Event::more);
    const std::string chunk(8192, 'y');
    for (size_t sent = 0; sent < 1'048'000; sent += chunk.size()) {
        input = std::string_view(chunk).substr(0, std::min(chunk.size(), 1'048'000 - sent));
        CHECK(reader.feed(input) == Event::more);
    }
    const std::string tail = " " + std::string(1000, 'z') + "\r\n";
    input = tail;
    CHECK(reader.feed(input) == Event::refused);
    CHECK(reader.tag() == "a");
    CHECK(reader.text().capacity() < 4096);
}

TEST_CASE("raw lines are handed out as they are") {
    CHECK(outcome("\r\n*\r\nYQ== {5+}\r\nDONE\r\n", kPreloginLimits, Messages::take, true) ==
          "[|] [*|] [YQ== {5+}|] [DONE|] ");
}
