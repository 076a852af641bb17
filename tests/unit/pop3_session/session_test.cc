#include "common/base/limits.h"
#include "tests/unit/pop3_session/harness.h"

#include <sys/resource.h>

#include <csignal>

using namespace tambo;
using namespace tambo::pop3;

namespace {

const std::string kOne = "Subject: one\r\n\r\nfirst\r\n.\r\n..x\r\n";
const std::string kTwo = "Subject: two\r\n\r\na\r\nb\r\nc\r\n";

struct Maildrop : SessionFixture {
    Maildrop() {
        first = append("INBOX", kOne);
        second = append("INBOX", kTwo);
    }
    uint32_t first = 0, second = 0;
};

// As long as it lives no file of this process can grow: every write to the index fails.
class FullDisk {
  public:
    FullDisk() : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit none{0, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &none);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }
    FullDisk(const FullDisk&) = delete;

  private:
    rlimit old_{};
    void (*old_handler_)(int);
};

} // namespace

TEST_CASE_METHOD(Maildrop, "the answer to the login, and what is in the maildrop") {
    auto client = connect();
    CHECK(client->said() == "+OK maildrop ready, 2 messages\r\n");
    const size_t all = kOne.size() + kTwo.size();
    CHECK(client->ask("STAT\r\n") == cat("+OK 2 ", all, "\r\n"));
    CHECK(client->ask("LIST\r\n") ==
          cat("+OK 2 messages\r\n1 ", kOne.size(), "\r\n2 ", kTwo.size(), "\r\n.\r\n"));
    CHECK(client->ask("list 2\r\n") == cat("+OK 2 ", kTwo.size(), "\r\n"));
    CHECK(client->ask("UIDL\r\n") ==
          cat("+OK 2 messages\r\n1 ", email_id(first), "\r\n2 ", email_id(second), "\r\n.\r\n"));
    CHECK(client->ask("UIDL 1\r\n") == cat("+OK 1 ", email_id(first), "\r\n"));
    CHECK(client->ask("NOOP\r\n") == "+OK done\r\n");
    CHECK(client->ask("CAPA\r\n") ==
          "+OK capabilities\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
          "IMPLEMENTATION Tambo\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n");
    CHECK(client->ask("QUIT\r\n") == "+OK good-bye\r\n");
    CHECK(client->closed);
}

TEST_CASE_METHOD(Maildrop, "RETR and TOP") {
    auto client = log_in();
    CHECK(client->ask("RETR 1\r\n") ==
          cat("+OK ", kOne.size(), " octets\r\nSubject: one\r\n\r\nfirst\r\n..\r\n...x\r\n.\r\n"));
    CHECK(client->ask("RETR 2\r\n") == cat("+OK ", kTwo.size(), " octets\r\n", kTwo, ".\r\n"));
    CHECK(client->ask("TOP 2 0\r\n") ==
          "+OK top of the message follows\r\nSubject: two\r\n\r\n.\r\n");
    CHECK(client->ask("TOP 2 2\r\n") ==
          "+OK top of the message follows\r\nSubject: two\r\n\r\na\r\nb\r\n.\r\n");
    CHECK(client->ask("TOP 2 18446744073709551615\r\n") ==
          cat("+OK top of the message follows\r\n", kTwo, ".\r\n"));
}

TEST_CASE_METHOD(Maildrop, "DELE takes effect at QUIT, RSET takes it back") {
    auto client = log_in();
    CHECK(client->ask("DELE 1\r\n") == "+OK deleted at QUIT\r\n");
    CHECK(client->ask("DELE 1\r\n") == "-ERR message is deleted\r\n");
    CHECK(client->ask("RETR 1\r\n") == "-ERR message is deleted\r\n");
    CHECK(client->ask("LIST 1\r\n") == "-ERR message is deleted\r\n");
    CHECK(client->ask("STAT\r\n") == cat("+OK 1 ", kTwo.size(), "\r\n"));
    CHECK(client->ask("LIST\r\n") == cat("+OK 1 message\r\n2 ", kTwo.size(), "\r\n.\r\n"));
    CHECK(client->ask("UIDL\r\n") == cat("+OK 1 message\r\n2 ", email_id(second), "\r\n.\r\n"));
    CHECK(client->ask("RSET\r\n") == "+OK 2 messages\r\n");
    CHECK(client->ask("STAT\r\n") == cat("+OK 2 ", kOne.size() + kTwo.size(), "\r\n"));
    CHECK(client->ask("DELE 2\r\n") == "+OK deleted at QUIT\r\n");
    CHECK(status().messages == 2);
    CHECK(client->ask("QUIT\r\n") == "+OK good-bye\r\n");
    crash(); // what was promised is on the disk
    REQUIRE(status().messages == 1);
    CHECK(select()->entries().front().uid == first);
}

TEST_CASE_METHOD(Maildrop, "without QUIT nothing is removed") {
    auto client = log_in();
    CHECK(client->ask("DELE 1\r\nDELE 2\r\n") == "+OK deleted at QUIT\r\n+OK deleted at QUIT\r\n");
    client->hang_up();
    wait_for_end();
    CHECK(status().messages == 2);
    CHECK(log_in()->ask("STAT\r\n").starts_with("+OK 2 ")); // and the maildrop is free
}

TEST_CASE_METHOD(Maildrop, "one session at a time") {
    auto client = log_in();
    auto other = connect();
    CHECK(other->said() == "-ERR [IN-USE] another session has the maildrop\r\n");
    CHECK(other->closed);
    CHECK(client->ask("QUIT\r\n") == "+OK good-bye\r\n");
    CHECK(connect()->said() == "+OK maildrop ready, 2 messages\r\n");
}

TEST_CASE_METHOD(Maildrop, "the snapshot stays what it was at the login") {
    auto client = log_in();
    const std::string uidl = client->ask("UIDL\r\n");
    append("INBOX", "new: 1\r\n\r\n");
    auto inbox = select();
    REQUIRE(account->discard(*inbox, std::span<const uint32_t>(&first, 1), nullptr).ok());
    tidy_all();
    CHECK(client->ask("STAT\r\n") == cat("+OK 2 ", kOne.size() + kTwo.size(), "\r\n"));
    CHECK(client->ask("UIDL\r\n") == uidl);
    CHECK(client->ask("RETR 1\r\n").starts_with(cat("+OK ", kOne.size(), " octets\r\n")));
    CHECK(client->ask("DELE 1\r\n") == "+OK deleted at QUIT\r\n");
    CHECK(client->ask("QUIT\r\n") == "+OK good-bye\r\n");
    CHECK(inbox->status().messages == 2); // the second and the new one
    inbox.reset();
}

TEST_CASE_METHOD(Maildrop, "a UIDL stays when the account is opened anew") {
    const std::string before = log_in()->ask("UIDL\r\n");
    wait_for_end();
    open();
    CHECK(log_in()->ask("UIDL\r\n") == before);
}

TEST_CASE_METHOD(Maildrop, "refused commands") {
    auto client = log_in();
    for (const auto* line : {"LIST 0\r\n", "LIST 3\r\n", "RETR 4294967297\r\n", "TOP 3 1\r\n",
                             "DELE 99\r\n", "UIDL 3\r\n"}) {
        CHECK(client->ask(line) == "-ERR no such message\r\n");
    }
    for (const auto* line : {"RETR\r\n", "TOP 1\r\n", "TOP 1 2 3\r\n", "STAT 1\r\n", "QUIT 1\r\n"})
        CHECK(client->ask(line) == "-ERR wrong number of arguments\r\n");
    for (const auto* line : {"RETR x\r\n", "LIST -1\r\n", "TOP 1 99999999999999999999\r\n"})
        CHECK(client->ask(line) == "-ERR that is not a number\r\n");
    CHECK(client->ask("\r\n") == "-ERR no such command\r\n");
    CHECK(client->ask("FETCH 1\r\n") == "-ERR no such command\r\n");
    for (const auto* line : {"USER a\r\n", "PASS b\r\n", "AUTH PLAIN\r\n", "STLS\r\n"})
        CHECK(client->ask(line) == "-ERR already logged in\r\n");
    CHECK(client->ask("STAT\r\n").starts_with("+OK 2 "));
}

TEST_CASE_METHOD(Maildrop, "a client that sends nothing else is cut off") {
    auto client = log_in();
    std::string flood, answers;
    for (int i = 0; i < limits::bad_commands; ++i) {
        flood += "X\r\n";
        answers += "-ERR no such command\r\n";
    }
    CHECK(client->ask(flood) == answers);
    CHECK(client->closed);
    CHECK(nursery.size() == 0);
}

TEST_CASE_METHOD(Maildrop, "a line without end ends the session") {
    auto client = log_in();
    CHECK(client->ask(std::string(limits::pop3_line_bytes + 1, 'a')) == "-ERR line too long\r\n");
    CHECK(client->closed);
}

TEST_CASE_METHOD(Maildrop, "commands split at every byte, and all at once") {
    const std::string dialog = "STAT\r\nTOP 2 1\r\nUIDL 1\nRETR 1\r\nDELE 1\r\nRSET\r\n";
    auto client = log_in();
    const std::string whole = client->ask(dialog);
    CHECK(whole.ends_with("+OK 2 messages\r\n"));
    for (size_t i = 1; i < dialog.size(); ++i) {
        std::string parts = client->ask(dialog.substr(0, i));
        parts += client->ask(dialog.substr(i));
        CHECK(parts == whole);
    }
}

TEST_CASE_METHOD(SessionFixture, "an empty maildrop") {
    auto client = connect();
    CHECK(client->said() == "+OK maildrop ready, 0 messages\r\n");
    CHECK(client->ask("STAT\r\n") == "+OK 0 0\r\n");
    CHECK(client->ask("LIST\r\n") == "+OK 0 messages\r\n.\r\n");
    CHECK(client->ask("UIDL\r\n") == "+OK 0 messages\r\n.\r\n");
    CHECK(client->ask("RETR 1\r\n") == "-ERR no such message\r\n");
}

TEST_CASE_METHOD(SessionFixture,
                 "D9: a large message goes at the client's pace, every byte of it") {
    std::string body = "Subject: large\r\n\r\n";
    while (body.size() < 3u << 20)
        body += cat(".line ", body.size(), "\r\n");
    append("INBOX", body);
    auto client = log_in();
    client->send("RETR 1\r\nSTAT\r\n");
    for (int i = 0; i < 50; ++i)
        turn(loop);
    client->take(1 << 20);
    CHECK(client->received.size() < 1u << 20); // the rest has not been read from the disk
    client->settle();
    std::string expected = cat("+OK ", body.size(), " octets\r\n");
    for (size_t at = 0, end = 0; at < body.size(); at = end) {
        end = body.find('\n', at) + 1;
        if (body[at] == '.') expected += '.';
        expected.append(body, at, end - at);
    }
    expected += cat(".\r\n+OK 1 ", body.size(), "\r\n");
    CHECK((client->received == expected)); // no megabytes in the failure's text
}

TEST_CASE_METHOD(Maildrop, "a read-only store deletes nothing") {
    options.read_only = true;
    open();
    auto client = log_in();
    CHECK(client->ask("DELE 1\r\n").starts_with("-ERR [SYS/TEMP] "));
    CHECK(client->ask("RETR 2\r\n").starts_with("+OK "));
    CHECK(client->ask("QUIT\r\n") == "+OK good-bye\r\n");
}

TEST_CASE_METHOD(Maildrop, "a message whose body is lost") {
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir + "/bodies")) {
        if (file.is_regular_file()) std::filesystem::remove(file.path());
    }
    auto client = log_in();
    CHECK(client->ask("RETR 1\r\n").starts_with("-ERR [SYS/PERM] "));
    CHECK(client->ask("STAT\r\n").starts_with("+OK 2 "));
}

TEST_CASE_METHOD(Maildrop, "no +OK to a QUIT whose removal failed") {
    auto client = log_in();
    CHECK(client->ask("DELE 1\r\n") == "+OK deleted at QUIT\r\n");
    std::string answer;
    {
        const FullDisk full;
        answer = client->ask("QUIT\r\n");
    }
    CHECK(answer == "-ERR [SYS/TEMP] deleted messages not removed\r\n");
    CHECK(client->closed);
    wait_for_end();
    crash();
    CHECK(status().messages == 2);
}
