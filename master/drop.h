// Messages that sendmail(1) left in drop/ while nobody listened. At the next start each one goes to
// authd as an open file, whose owner is the sender, and from there to the submission daemon; it is
// removed when that one says that the queue has it, and set aside when it says that nobody will ever
// take it. Master opens the files and never reads one.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/messages/control.h"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::master {

class Drop {
  public:
    // Of drop/ and of the directory for what is refused; both outlive this.
    Drop(int dir_fd, int refused_fd) : dir_fd_(dir_fd), refused_fd_(refused_fd) {}

    // The next message that was not tried yet. Only regular files with one link and a plain name
    // count; anything else is left alone.
    std::optional<std::pair<std::string, UniqueFd>> next();
    // Removes it or sets it aside; not_now: it stays.
    void finish(const std::string& name, ipc::DropOutcome outcome);
    // What stayed is tried again.
    void again();
    // A daemon died that may have had messages in hand: they are tried again.
    void retry();
    size_t in_hand() const { return in_hand_.size(); }

  private:
    void look();

    int dir_fd_, refused_fd_;
    std::vector<std::string> found_; // to be tried next
    std::set<std::string> tried_, in_hand_, stayed_;
};

std::string_view text_of(ipc::DropOutcome outcome);

} // namespace tambo::master
