// Names of the host itself: /etc/aliases and the users of passwd, as master passes them. So that
// installing the suite does not lose the mail of cron and friends.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::authd {

// aliases(5) of other mail systems, as far as it makes sense here: "name: target, target" with
// continuation lines and comments. Left out, and listed: lines that are no such entry, and targets
// that would run a program, write a file or include one (| / :include:).
struct SystemAliases {
    struct LeftOut {
        size_t line = 0;  // where its entry begins
        std::string text; // the target, or the line
        bool is_target = false;
    };
    std::map<std::string, std::vector<std::string>> targets; // by name in lower case
    std::vector<LeftOut> left_out;                           // the first kLeftOutMax
    size_t left_out_total = 0;
    static constexpr size_t kLeftOutMax = 20;
};
SystemAliases parse_aliases(std::string_view text);

// Users by name with their uid, from the text of passwd(5). Malformed lines are skipped.
struct SystemUsers {
    std::map<std::string, uint32_t> uids;
    std::map<uint32_t, std::string> names; // the first name of each uid
};
SystemUsers parse_passwd(std::string_view text);

} // namespace tambo::authd
