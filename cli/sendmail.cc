#include "cli/sendmail.h"

#include "cli/context.h"
#include "cli/output.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>

namespace tambo::cli {

namespace {

std::string user_name() {
    const passwd* entry = ::getpwuid(::getuid());
    return entry != nullptr ? std::string(entry->pw_name) : cat("uid", ::getuid());
}

std::optional<UniqueFd> connect_stream(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return std::nullopt;
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(socket.get(), raw, sizeof address) != 0) return std::nullopt;
    return socket;
}

// Reads one reply; its code, 0 at the end of the stream. text gets the lines.
int read_reply(std::FILE* in, std::string& text) {
    text.clear();
    char line[2048];
    while (std::fgets(line, sizeof line, in) != nullptr) {
        text += line;
        if (std::strlen(line) < 4 || line[3] == ' ') {
            return static_cast<int>(parse_uint(std::string_view(line).substr(0, 3)).value_or(0));
        }
    }
    return 0;
}

// By the enhanced code (RFC 3463): 550 alone may be no such user, or no right to.
int exit_code_of(int code, std::string_view text) {
    if (code == 0 || code / 100 == 4) return EX_TEMPFAIL;
    const auto enhanced = text.substr(std::min<size_t>(text.size(), 4));
    if (code == 501) return EX_DATAERR;
    if (enhanced.starts_with("5.1.")) return EX_NOUSER;
    if (enhanced.starts_with("5.7.")) return EX_NOPERM;
    return EX_UNAVAILABLE;
}

// The dialogue in lockstep: each line of the script before DATA waits for its reply. text gets the
// last one. The result is an exit code.
int submit(int socket, const std::string& script, std::string& text) {
    std::FILE* in = ::fdopen(::dup(socket), "r");
    int code = read_reply(in, text);
    size_t at = 0;
    int failed = code == 220 ? 0 : exit_code_of(code, text);
    bool in_message = false;
    while (failed == 0 && at < script.size()) {
        const auto end =
            in_message ? script.rfind(".\r\nQUIT\r\n") + 3 : script.find("\r\n", at) + 2;
        const std::string line = script.substr(at, end - at);
        write_all(socket, line, "submission socket");
        at = end;
        code = read_reply(in, text);
        if (line == "DATA\r\n") {
            in_message = code == 354;
            if (code != 354) failed = exit_code_of(code, text);
        } else {
            in_message = false;
            if (code / 100 != 2) failed = exit_code_of(code, text);
        }
    }
    std::fclose(in);
    return failed;
}

// why_not: the reason for not submitting it.
int leave_in_drop(Context& context, const std::string& script, std::string_view why_not) {
    const std::string directory = context.drop_directory();
    const std::string path = cat(directory, '/', to_hex(random_bytes(16)));
    try {
        const UniqueFd file = open_or_throw(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0640);
        write_all(file.get(), script, path);
        if (::fsync(file.get()) != 0) throw_errno("fsync " + path);
        return 0;
    } catch (const std::system_error& error) {
        ::unlink(path.c_str());
        complain(cat(why_not, ", and ", error.what()));
        return EX_TEMPFAIL;
    }
}

// -bs: the caller speaks SMTP over standard input and output.
int proxy_smtp(int socket) {
    char buffer[8192];
    const pid_t child = ::fork();
    if (child < 0) return EX_OSERR;
    const int from = child == 0 ? STDIN_FILENO : socket;
    const int to = child == 0 ? socket : STDOUT_FILENO;
    for (;;) {
        const ssize_t n = ::read(from, buffer, sizeof buffer);
        if (n <= 0) break;
        write_all(to, std::string_view(buffer, static_cast<size_t>(n)), "smtp");
    }
    if (child == 0) {
        ::shutdown(socket, SHUT_WR);
        ::_exit(0);
    }
    return 0;
}

int send_message(Context& context, const SendmailOptions& options) {
    const std::string& hostname = context.located().hostname;
    if (hostname.empty()) static_cast<void>(context.config()); // says what is wrong with the file
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    std::string error;
    const auto submission =
        prepare(options, input, cat(user_name(), '@', hostname), SystemClock().now(), error);
    if (!submission) {
        complain(error);
        return EX_USAGE;
    }
    const std::string script = smtp_script(*submission, hostname);
    const auto socket = connect_stream(context.submit_socket());
    if (!socket) return leave_in_drop(context, script, "tambo is not running");
    std::string reply;
    const int failed = submit(socket->get(), script, reply);
    const std::string why_not = cat("not sent: ", escape(trim(reply)));
    // Whoever calls us, cron above all, does not try again. A lost connection is another thing: the
    // message may have been taken.
    if (failed == EX_TEMPFAIL && reply.starts_with('4')) {
        return leave_in_drop(context, script, why_not);
    }
    if (failed != 0) complain(why_not);
    return failed;
}

} // namespace

int run_sendmail(const std::string& name, int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    std::string error;
    auto options = parse_sendmail_options(words, error);
    if (!options) {
        complain(error);
        return EX_USAGE;
    }
    if (name == "mailq") options->list_queue = true;
    // Aliases are live: /etc/aliases is read whenever it changes.
    if (name == "newaliases" || options->rebuild_aliases) return 0;
    Context context;
    try {
        if (options->list_queue) {
            const auto waiting = context.ask("queued", "queue.list");
            if (waiting.rows.empty()) std::puts("Mail queue is empty"); // what scripts look for
            print_answer(waiting, context.format);
            return 0;
        }
        if (options->speak_smtp) {
            const auto socket = connect_stream(context.submit_socket());
            if (!socket) throw Failure{EX_TEMPFAIL, "tambo is not running"};
            return proxy_smtp(socket->get());
        }
        return send_message(context, *options);
    } catch (const Failure& failure) {
        complain(failure.text);
        return failure.exit_code == EX_CONFIG ? EX_TEMPFAIL : failure.exit_code;
    } catch (const std::system_error& failed) {
        complain(failed.what());
        return EX_TEMPFAIL;
    }
}

} // namespace tambo::cli
