#include "master/file_watch.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

namespace tambo::master {

namespace {
constexpr int64_t kSettle_ms = 100;
constexpr uint32_t kChanges =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB;
} // namespace

FileWatch::FileWatch(Loop& loop, OnChange on_change)
    : on_change_(std::move(on_change)), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      ready_(
          loop,
          inotify_.get(),
          [](void* self, unsigned) { static_cast<FileWatch*>(self)->read_events(); },
          this),
      settle_(
          loop, [](void* self) { static_cast<FileWatch*>(self)->settle(); }, this) {
    check(inotify_.valid(), "no inotify");
    ready_.arm_read(0);
}

void FileWatch::watch(const std::string& word, const std::string& path) {
    std::erase_if(watched_, [&](const Watched& watched) { return watched.word == word; });
    if (path.empty()) return;
    add(word, path);
    std::error_code error; // a path that is not there has no target
    const auto target = std::filesystem::canonical(path, error);
    if (!error && target != path) add(word, target);
}

void FileWatch::add(const std::string& word, const std::string& path) {
    const std::filesystem::path whole(path);
    const auto directory = whole.parent_path().string();
    // Watching a directory twice gives the same descriptor.
    const int descriptor = ::inotify_add_watch(inotify_.get(), directory.c_str(), kChanges);
    if (descriptor >= 0) watched_.push_back({word, whole.filename(), descriptor});
}

void FileWatch::read_events() {
    alignas(inotify_event) char buffer[16384];
    for (;;) {
        const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
        if (n <= 0) break;
        for (ssize_t at = 0; at < n;) {
            inotify_event event{};
            std::memcpy(&event, buffer + at, sizeof event);
            const char* name = buffer + at + sizeof event;
            at += static_cast<ssize_t>(sizeof event) + static_cast<ssize_t>(event.len);
            const std::string_view text = event.len > 0 ? std::string_view(name) : "";
            for (const Watched& watched : watched_) {
                const bool lost = (event.mask & IN_Q_OVERFLOW) != 0;
                if (lost || (watched.descriptor == event.wd && watched.name == text)) {
                    changed_.push_back(watched.word);
                }
            }
        }
    }
    if (!changed_.empty()) settle_.arm(kSettle_ms);
}

void FileWatch::settle() {
    std::vector<std::string> changed;
    changed.swap(changed_);
    std::ranges::sort(changed);
    const auto repeated = std::ranges::unique(changed);
    changed.erase(repeated.begin(), repeated.end());
    for (const auto& word : changed)
        on_change_(word);
}

} // namespace tambo::master
