// Notices changes of a few files by name, also when they are replaced: inotify on their
// directories.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/loop.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tambo::master {

class FileWatch {
  public:
    using OnChange = std::function<void(const std::string& word)>;
    // on_change(word) runs from the loop, a moment after the last of a burst of changes.
    FileWatch(Loop& loop, OnChange on_change);

    // Watches path under the name word, and what it links to; replaces what was watched under that
    // name. An unreadable directory is not watched.
    void watch(const std::string& word, const std::string& path);

  private:
    struct Watched {
        std::string word, name; // within the directory
        int descriptor = -1;
    };
    void add(const std::string& word, const std::string& path);
    void read_events();
    void settle();

    OnChange on_change_;
    UniqueFd inotify_;
    FdWatch ready_;
    Timer settle_;
    std::vector<Watched> watched_;
    std::vector<std::string> changed_;
};

} // namespace tambo::master
