// A daemon that does nothing but tell: what it was given, who its peers are, what master says. The
// tests of master run a suite in which every program is this one. It appends lines to
// <directory>/probe/<instance>; signals make it do what a daemon may do:
//   SIGUSR1  it retires (imapd, pop3d)
//   SIGUSR2  it reports a storage fault
//   SIGWINCH it says to all neighbours what they do not understand
#include "common/base/text.h"
#include "common/ipc/control.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

using namespace tambo;

namespace {

struct Greeting {
    static constexpr uint16_t kType = 0x7F01;
    std::string from;
    template <class V>
    void visit(V& v) {
        v(from);
    }
};

struct Gibberish {
    static constexpr uint16_t kType = 0x7F02;
    template <class V>
    void visit(V&) {}
};

bool is_half_of_pair(const std::string& name) {
    return name.starts_with("key:") || name.starts_with("certificate:");
}

std::string content(const UniqueFd& file) {
    return escape(read_whole(file.get(), 4096, "a file of a test"));
}

class Diary {
  public:
    explicit Diary(const std::string& file)
        : fd_(open_or_throw(file, O_WRONLY | O_CREAT | O_APPEND, 0644)) {}
    void note(const std::string& line) { write_all(fd_.get(), line + "\n", "diary"); }

  private:
    UniqueFd fd_;
};

// Greets its peer, and notes the peer's greeting.
class Acquaintance {
  public:
    Acquaintance(ipc::Channel& channel, Diary& diary, std::string own)
        : channel_(channel), diary_(diary), own_(std::move(own)) {
        channel_.on<Greeting>(*this, &Acquaintance::greeted);
        channel_.on_attached = [this] { channel_.send(Greeting{own_}); };
        channel_.on_lost = [this] { diary_.note("lost " + channel_.peer()); };
    }

    void babble() { channel_.send(Gibberish{}); }

  private:
    void greeted(Greeting greeting) {
        diary_.note(cat("greeted by ", greeting.from, " as ", channel_.peer()));
    }
    ipc::Channel& channel_;
    Diary& diary_;
    std::string own_;
};

} // namespace

int main() {
    auto boot = ipc::Boot::from_master("probe");
    if (::access((boot.directory() + "/probe-fails").c_str(), F_OK) == 0) return 3;
    Diary diary(cat(boot.directory(), "/probe/", boot.instance()));
    diary.note(
        cat("start pid=", ::getpid(), " epoch=", boot.epoch(), " generation=", boot.generation()));
    for (const auto& name : boot.listener_names())
        diary.note("listener " + name);
    std::vector<UniqueFd> files;
    for (const auto& name : boot.file_names()) {
        files.push_back(boot.take_file(name));
        diary.note("file " + name);
        if (is_half_of_pair(name)) diary.note(cat("holds ", name, ' ', content(files.back())));
    }

    Loop loop;
    Nursery nursery(loop);
    ipc::Control control(loop, nursery, boot);
    std::vector<std::weak_ptr<Acquaintance>> all;
    control.accept("", [&](ipc::Channel& channel) {
        auto fresh = std::make_shared<Acquaintance>(channel, diary, boot.instance());
        all.push_back(fresh);
        return fresh;
    });
    control.on_configure = [&](const ipc::Configure& message) {
        diary.note(cat("configured generation=", message.generation));
    };
    control.on_file = [&](const std::string& name, const UniqueFd& file) {
        diary.note(cat("new file ", name, ' ', name == "aliases" ? content(file) : ""));
        if (is_half_of_pair(name)) diary.note(cat("holds ", name, ' ', content(file)));
        if (!name.starts_with(ipc::kDropPrefix)) return;
        const auto dropped = name.substr(ipc::kDropPrefix.size());
        const bool bad = dropped.starts_with("bad");
        control.report_drop(dropped, bad ? ipc::DropOutcome::refused : ipc::DropOutcome::taken);
    };
    control.on_storage_state = [&](bool read_only) {
        diary.note(read_only ? "read-only" : "writable");
    };
    control.on_drain = [&](int64_t grace_ms) {
        diary.note(cat("drain ", grace_ms > 0 ? "with grace" : "now"));
        loop.stop();
    };
    loop.on_signal(SIGUSR1, [&] { control.report_retired(1); });
    loop.on_signal(SIGWINCH, [&] {
        for (const auto& one : all) {
            if (const auto living = one.lock()) living->babble();
        }
    });
    loop.on_signal(SIGUSR2, [&] { control.report_fault("the disk is sick"); });
    control.report_ready("nothing but a probe");
    loop.run();
    nursery.cancel();
    return 0;
}
