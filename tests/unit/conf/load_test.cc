#include "common/conf/load.h"

#include "common/conf/describe.h"
#include "common/conf/parts.h"
#include "common/conf/validate.h"
#include "common/conf/value.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace tambo;
using namespace tambo::conf;

namespace {

// A configuration directory that goes when the test ends.
class Directory {
  public:
    Directory() {
        char name[] = "/tmp/tambo-conf-XXXXXX";
        REQUIRE(mkdtemp(name));
        path_ = name;
    }
    ~Directory() { std::filesystem::remove_all(path_); }

    std::string write(const std::string& name, const std::string& content) {
        const std::string file = path_ + "/" + name;
        std::filesystem::create_directories(std::filesystem::path(file).parent_path());
        std::ofstream(file) << content;
        return file;
    }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

Loaded load_text(Directory& directory,
                 const std::string& content,
                 std::vector<std::string> settings = {}) {
    Request request;
    request.file = directory.write("tambo.toml", content);
    request.settings = std::move(settings);
    return load(request);
}

bool says(const Loaded& loaded, const std::string& text) {
    return loaded.report().find(text) != std::string::npos;
}

constexpr const char* kHost = "hostname = \"mail.example.org\"\n";

} // namespace

TEST_CASE("hostname alone is a whole configuration") {
    Directory dir;
    const auto loaded = load_text(dir, kHost);
    CHECK(loaded.report() == "");
    REQUIRE(loaded.config);
    CHECK(loaded.config->hostname == "mail.example.org");
    CHECK(loaded.config->directory == "/var/lib/tambo");
    CHECK(loaded.config->smtp.message_size_max == 50 << 20);
    CHECK(loaded.config->queue.retry_min_ms == 60'000);
    CHECK(loaded.config->imap.generation_ms == 600'000);
    CHECK(loaded.config->listen.smtp == std::vector<Endpoint>{{"", 25}});
    CHECK(loaded.config->dns.servers.empty());
    CHECK_FALSE(loaded.config->limits.loopback);
}

TEST_CASE("values of every type are taken") {
    Directory dir;
    const auto loaded = load_text(dir, std::string(kHost) + R"(
x_note = "anything"
[listen]
smtp = ["127.0.0.1:2525", "[::1]:2525"]
imap = 1143
pop3 = []
[smtp]
message_size_max = "1M"
greeting_wait = 2
[limits]
loopback = true
[dns]
servers = ["127.0.0.1", "[::1]:5353"]
)");
    CHECK(loaded.report() == "");
    REQUIRE(loaded.config);
    const Config& c = *loaded.config;
    CHECK(c.listen.smtp == std::vector<Endpoint>{{"127.0.0.1", 2525}, {"::1", 2525}});
    CHECK(c.listen.imap == std::vector<Endpoint>{{"", 1143}});
    CHECK(c.listen.pop3.empty());
    CHECK(c.smtp.message_size_max == 1 << 20);
    CHECK(c.smtp.greeting_wait_ms == 2000);
    CHECK(c.limits.loopback);
    CHECK(c.dns.servers == std::vector<Endpoint>{{"127.0.0.1", 53}, {"::1", 5353}});
    CHECK(loaded.places.at("listen.smtp").line == 5);
}

TEST_CASE("all errors are reported at once, each with its place") {
    Directory dir;
    const auto loaded = load_text(dir, R"(hostnmae = "mail.example.org"
[smtp]
message_size_max = true
recipients_max = 5
greeting_wait = "5 minutes"
[listen]
smtp = ["localhost:25"]
[smpt]
recipients_max = 7
[queue]
retry_min = 1979-05-27
)");
    CHECK_FALSE(loaded.config);
    const std::string file = dir.path() + "/tambo.toml";
    CHECK(loaded.report() ==
          file + ":1:1: error: unknown key \"hostnmae\"; did you mean \"hostname\"?\n" + file +
              ":1:1: error: hostname is not set; it is the one key that must be: hostname = "
              "\"mail.example.org\"\n" +
              file +
              ":3:20: error: smtp.message_size_max: expected a size such as \"500K\", "
              "\"50M\" or \"1G\", found true\n" +
              file + ":4:18: error: smtp.recipients_max: 5 is out of range (100 to 50000)\n" +
              file +
              ":5:17: error: smtp.greeting_wait: expected a duration such as \"30s\", "
              "\"5m\", \"2h\" or \"5d\", found the string \"5 minutes\"\n" +
              file +
              ":7:8: error: listen.smtp: expected an address with port such as \"*:25\" or "
              "\"[::1]:25\", or a list, found the string \"localhost:25\"\n" +
              file + ":8:2: error: unknown key \"smpt\"\n" + file +
              ":11:13: error: queue.retry_min: expected a duration such as \"30s\", \"5m\", "
              "\"2h\" or \"5d\", found a date or time\n");
}

TEST_CASE("a syntax error names its place and does not hide other files") {
    Directory dir;
    dir.write("conf.d/20-bad.toml", "nonsense = 1\n");
    const auto loaded = load_text(dir, "hostname = \"mail.example.org\n");
    CHECK_FALSE(loaded.config);
    CHECK(says(loaded, "/tambo.toml:1:"));
    CHECK(says(loaded, "/conf.d/20-bad.toml:1:1: error: unknown key \"nonsense\""));
    CHECK_FALSE(says(loaded, "hostname is not set"));
}

TEST_CASE("a syntax error shows a terminal no control character of the file") {
    Directory dir;
    const auto loaded = load_text(dir, "hostname = t\007rue\n");
    CHECK(says(loaded, "'t\\x07'"));
    CHECK(says(load_text(dir, "x = t\007\n"), "text stands in quotes: x = \"t\\x07\""));
}

TEST_CASE("who forgot the quotes is told") {
    Directory dir;
    CHECK(says(load_text(dir, "hostname = mail.example.org\n"),
               "text stands in quotes: hostname = \"mail.example.org\""));
    CHECK(says(load_text(dir, kHost + std::string("[tls]\ncertificate = /etc/a.pem\n")),
               "text stands in quotes: certificate = \"/etc/a.pem\""));
    CHECK(says(load_text(dir, "log.level = debug # much\n"), "quotes: log.level = \"debug\""));
    CHECK(says(load_text(dir, "queue.retry_max = 10m\n"), "quotes: queue.retry_max = \"10m\""));
    CHECK_FALSE(says(load_text(dir, "hostname = \"mail\n"), "quotes: "));
    CHECK_FALSE(says(load_text(dir, "a = 1\na = 2\n"), "quotes: "));
    CHECK_FALSE(says(load_text(dir, "x = True # always\n"), "quotes: "));
}

TEST_CASE("the suite is found whatever else is wrong") {
    Directory dir;
    const auto typo = load_text(dir, "directory = \"/srv/mail\"\nhostname = 3\ntypo = 1\n");
    CHECK_FALSE(typo.config);
    REQUIRE(typo.located);
    CHECK(typo.located->directory == "/srv/mail");
    CHECK_FALSE(load_text(dir, "directory = 3\n").located);
    CHECK_FALSE(load_text(dir, "directory = \"/srv/mail\n").located);
}

TEST_CASE("the suite is found in a file with lines that are not TOML") {
    Directory dir;
    const std::string good = std::string(kHost) + "directory = \"/srv/mail\"\n";
    for (const std::string wrong : {"log.level = debug\n", "[listen\nsmtp = 25\n", "x = \"a\n",
                                    "[tls]\nkey = [\n\"/a\",\n'/b\n]\n", "= 1\n!\n\x01\n"}) {
        INFO(wrong);
        const auto before = load_text(dir, good + wrong);
        CHECK_FALSE(before.config);
        REQUIRE(before.located);
        CHECK(before.located->directory == "/srv/mail");
        CHECK(before.located->hostname == "mail.example.org");
        CHECK(before.problems.size() == 1);
    }
    const auto above = load_text(dir, "postmaster = a@example.org\n" + good);
    REQUIRE(above.located);
    CHECK(above.located->directory == "/srv/mail");
    // Nothing says that it lies elsewhere.
    const auto unnamed = load_text(dir, "hostname = mail.example.org\n");
    REQUIRE(unnamed.located);
    CHECK(unnamed.located->directory == "/var/lib/tambo");
    CHECK(unnamed.located->hostname == "");
    CHECK_FALSE(says(unnamed, "hostname is not set"));
    // Whose section this is nobody can say.
    const std::string backup = "directory = \"/srv/backup\"\n";
    CHECK_FALSE(load_text(dir, "[x_backup\n" + backup).located);
    CHECK_FALSE(load_text(dir, "x_a = \"\"\"\nx_b = \"\"\"\n" + backup + "y = \"\"\"\n").located);
    // Too much is wrong: the place may be anywhere.
    CHECK_FALSE(load_text(dir, std::string(200, '\n') + [] {
                    std::string lines;
                    for (int i = 0; i < 100; ++i)
                        lines += "= 1\n";
                    return lines;
                }()).located);
}

TEST_CASE("an unreadable file is an error") {
    Request request;
    request.file = "/nonexistent/tambo.toml";
    const auto loaded = load(request);
    CHECK_FALSE(loaded.config);
    CHECK(loaded.report() ==
          "/nonexistent/tambo.toml: error: cannot read: No such file or directory\n");
}

TEST_CASE("conf.d overrides key by key, --set overrides all") {
    Directory dir;
    dir.write("conf.d/10-a.toml", "[smtp]\nrecipients_max = 200\nmessage_size_max = \"2M\"\n");
    dir.write("conf.d/20-b.toml", "[smtp]\nrecipients_max = 300\n");
    dir.write("conf.d/.hidden.toml", "[smtp]\nrecipients_max = 400\n");
    dir.write("conf.d/readme.txt", "no toml");
    const auto loaded = load_text(dir, std::string(kHost) + "[smtp]\nrecipients_max = 150\n",
                                  {"queue.retry_min=100ms", "listen.smtp=127.0.0.1:25,[::1]:26",
                                   "listen.pop3=", "limits.loopback=true", "relay.port=2525"});
    CHECK(loaded.report() == "");
    REQUIRE(loaded.config);
    CHECK(loaded.config->smtp.recipients_max == 300);
    CHECK(loaded.config->smtp.message_size_max == 2 << 20);
    CHECK(loaded.config->queue.retry_min_ms == 100);
    CHECK(loaded.config->listen.smtp == std::vector<Endpoint>{{"127.0.0.1", 25}, {"::1", 26}});
    CHECK(loaded.config->listen.pop3.empty());
    CHECK(loaded.config->limits.loopback);
    CHECK(loaded.config->relay.port == 2525);
    CHECK(show(loaded, true)
              .find("recipients_max = 300  # " + dir.path() + "/conf.d/20-b.toml:2\n") !=
          std::string::npos);
}

TEST_CASE("--set errors name the setting") {
    Directory dir;
    const auto loaded =
        load_text(dir, kHost, {"smtp.recipients_max=many", "smtp.recipient_max=5", "novalue"});
    CHECK_FALSE(loaded.config);
    CHECK(says(loaded, "--set smtp.recipients_max: error: smtp.recipients_max: expected a whole "
                       "number, found the string \"many\""));
    CHECK(says(loaded, "did you mean \"smtp.recipients_max\"?"));
    CHECK(says(loaded, "--set novalue: error: expected KEY=VALUE"));
}

TEST_CASE("rules between keys") {
    Directory dir;
    const auto loaded = load_text(dir, std::string(kHost) + R"(
[queue]
retry_min = "2h"
retry_max = "1h"
[listen]
imap = "*:25"
[relay]
smarthost = "smtps://"
smarthost_user = "me"
[accounts]
plus_separator = "ab"
[log]
target = "syslog"
)");
    CHECK_FALSE(loaded.config);
    CHECK(says(loaded, ":4:1: error: queue.retry_min: 2h is more than queue.retry_max (1h)"));
    CHECK(says(loaded, ":7:1: error: listen.imap: *:25 is already used by listen.smtp"));
    CHECK(says(loaded, ":9:1: error: relay.smarthost: "));
    CHECK(says(loaded, "relay.smarthost_password_file is needed too"));
    CHECK(says(loaded, "accounts.plus_separator: expected one character"));
    CHECK(says(loaded, "log.target: expected auto"));
}

TEST_CASE("certificates are opened and judged") {
    Directory dir;
    const std::string present = dir.write("cert.pem", "PEM");
    const std::string content = std::string(kHost) + "[tls]\ncertificate = \"" + present +
                                "\"\nkey = \"" + dir.path() + "/missing.pem\"\n";
    const auto unreadable = load_text(dir, content);
    CHECK_FALSE(unreadable.config);
    CHECK(says(unreadable, ":4:1: error: tls.key: cannot read " + dir.path() +
                               "/missing.pem: No such file or directory"));

    dir.write("missing.pem", "KEY");
    Request request;
    request.file = dir.path() + "/tambo.toml";
    request.check_certificate = [](std::string_view certificate, std::string_view key) {
        CHECK(certificate == "PEM");
        CHECK(key == "KEY");
        return std::optional<std::string>("the key does not belong to it");
    };
    const auto wrong = load(request);
    CHECK_FALSE(wrong.config);
    CHECK(says(wrong, ":3:1: error: tls.certificate: " + present + ": the key does not"));

    const auto unpaired =
        load_text(dir, std::string(kHost) + "[tls]\ncertificate = \"" + present + "\"\n");
    CHECK(says(unpaired, "tls.key: 0 for 1 in tls.certificate"));
}

TEST_CASE("a password file that others can read is a warning only") {
    Directory dir;
    const std::string file = dir.write("password", "secret\n");
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    const auto loaded = load_text(dir, kHost,
                                  {"relay.smarthost=relay.example.net", "relay.smarthost_user=me",
                                   "relay.smarthost_password_file=" + file});
    REQUIRE(loaded.config);
    CHECK(says(loaded, "warning: relay.smarthost_password_file: "));
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    CHECK(load_text(dir, kHost, {"relay.smarthost_password_file=" + file}).report() == "");
}

TEST_CASE("every default passes its own key, and the shown defaults load again") {
    Directory dir;
    std::string text = show_defaults();
    const auto at = text.find("# hostname = ");
    REQUIRE(at != std::string::npos);
    text.erase(at, 2);
    const auto loaded = load_text(dir, text);
    CHECK(loaded.report() == "");
    REQUIRE(loaded.config);
    const auto reference = load_text(dir, kHost);
    for (const Key& key : keys()) {
        CHECK(format_value(key, *loaded.config) == format_value(key, *reference.config));
    }
    CHECK(loaded.places.size() == keys().size());
}

TEST_CASE("names near a key are suggested, others are not") {
    CHECK(nearest_key("hostnmae") == "hostname");
    CHECK(nearest_key("message_size_max") == "smtp.message_size_max");
    CHECK(nearest_key("smtp.quota") == "store.quota");
    CHECK(nearest_key("Queue.Retry_Min") == "queue.retry_min");
    CHECK(nearest_key("colour") == "");
    CHECK(nearest_key(std::string(5000, 'a')) == "");
}

TEST_CASE("tambo.toml(5) holds the current key section") {
    const std::string page = read_file(TAMBO_SOURCE_DIR "/man/tambo.toml.5", 1 << 20);
    CHECK(page.find(keys_mdoc()) != std::string::npos);
}
