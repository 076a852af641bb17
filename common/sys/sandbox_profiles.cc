// The table. A process that needs another call gets it here, and the sandbox test
// (tests/unit/sys/sandbox_test.cc) says what it must still not be able to do.
#include "common/sys/sandbox_profiles.h"

namespace tambo::sandbox {

namespace {
constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kGiB = 1u << 30;
} // namespace

using enum Calls::Bit;

namespace profiles {

// name, style, calls, address space, file size, open files, processes, keeps_chroot
const Profile master{"master", Style::deny_list, 0, 0, 0, 4096, 0, true};

// SMTP intake: bodies are written to descriptors that queued passes.
const Profile smtpd{"smtpd", Style::allow_list, accept_connections, 512 * kMiB, 4 * kGiB, 8192, 0,
                    false};

// imapd and pop3d before and beside the login.
const Profile login{"login", Style::allow_list, accept_connections, 512 * kMiB, 1, 8192, 0, false};

// The keeper makes account directories and hands sessions over.
const Profile keeper{"keeper",
                     Style::allow_list,
                     accept_connections | files | file_modes | signal_others,
                     512 * kMiB,
                     0,
                     16384,
                     0,
                     false};

// Forks account processes; clean of tables and sessions.
const Profile zygote{
    "zygote", Style::allow_list, files | fork | signal_others | sandboxing, 0, 0, 4096, 8192, true};

const Profile account{"account", Style::account, files, kGiB, 0, 4096, 0, false};

// Links bodies; copies where linking is not possible.
const Profile deliverd{"deliverd", Style::allow_list, files | link_files, 256 * kMiB, 0, 1024, 0,
                       false};

const Profile queued{"queued",
                     Style::allow_list,
                     accept_connections | files | link_files | sync_filesystem | file_modes |
                         threads,
                     2 * kGiB,
                     0,
                     16384,
                     64,
                     false};

const Profile relayd{"relayd", Style::allow_list, inet_sockets, 512 * kMiB, 1, 4096, 0, false};

const Profile dnsd{"dnsd", Style::allow_list, inet_sockets, 256 * kMiB, 1, 4096, 0, false};

// Password hashing runs on threads.
const Profile authd{
    "authd", Style::allow_list, accept_connections | files | threads, 2 * kGiB, 0, 4096, 64, false};

const Profile keyd{"keyd", Style::allow_list, 0, 256 * kMiB, 1, 256, 0, false};

const Profile logd{"logd", Style::allow_list, accept_connections | files, 256 * kMiB, 0, 1024, 0,
                   false};

} // namespace profiles

const Profile* find_profile(std::string_view name) {
    using namespace profiles;
    for (const Profile* profile : {&master, &smtpd, &login, &keeper, &zygote, &account, &deliverd,
                                   &queued, &relayd, &dnsd, &authd, &keyd, &logd}) {
        if (profile->name == name) return profile;
    }
    return nullptr;
}

} // namespace tambo::sandbox
