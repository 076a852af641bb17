#include "master/users.h"

#include "common/base/text.h"
#include "master/wiring.h"

#include <grp.h>
#include <pwd.h>

namespace tambo::master {

namespace {
constexpr auto kUnchanged = static_cast<uid_t>(-1);
constexpr const char* kAdminGroup = "tambo-admin";
} // namespace

Result<Users> Users::look_up(bool privileged) {
    Users users;
    users.privileged_ = privileged;
    if (!privileged) return users;
    std::string missing;
    for (const Service& service : services()) {
        const std::string name(service.user);
        if (users.users_.contains(name)) continue;
        if (const passwd* entry = ::getpwnam(name.c_str())) {
            users.users_[name] = {entry->pw_uid, entry->pw_gid};
            users.groups_[name] = entry->pw_gid;
        } else {
            missing += cat(missing.empty() ? "" : ", ", name);
            users.users_[name] = {kUnchanged, kUnchanged};
        }
    }
    if (const group* admin = ::getgrnam(kAdminGroup)) {
        users.groups_[kAdminGroup] = admin->gr_gid;
    } else {
        missing += cat(missing.empty() ? "" : ", ", "group ", kAdminGroup);
    }
    if (missing.empty()) return users;
    return Err{cat("missing users: ", missing,
                   "; systemd-sysusers makes them from tambo.sysusers, and without root no user is "
                   "needed")};
}

sandbox::Identity Users::identity(std::string_view user) const {
    if (!privileged_) return {};
    const auto& [uid, gid] = users_.find(user)->second;
    return {true, uid, gid, {}};
}

uid_t Users::uid(std::string_view user) const {
    const auto found = users_.find(user);
    if (found != users_.end()) return found->second.first;
    return privileged_ && user == "root" ? 0 : kUnchanged;
}

gid_t Users::gid(std::string_view group) const {
    const auto found = groups_.find(group);
    if (found != groups_.end()) return found->second;
    return privileged_ && group == "root" ? 0 : kUnchanged;
}

} // namespace tambo::master
