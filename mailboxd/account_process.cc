#include "mailboxd/account_process.h"

#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/log.h"
#include "mailboxd/account_service.h"
#include "mailboxd/erase.h"
#include "mailboxd/fsck_service.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace tambo::mailboxd {

namespace {

// Invalid where the kernel has none (before 5.3).
UniqueFd own_pidfd() {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
}

void enter_directory(const Spawn& order, int mail, const sandbox::Prepared& sandbox) {
    const UniqueFd own(
        ::openat(mail, order.directory().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ::close(mail);
    if (!own || ::fchdir(own.get()) != 0) throw_errno("enter the directory " + order.directory());
    sandbox::Entry entry; // the user was changed in the zygote
    entry.paths = {{own.get(), sandbox::Access::read_write}};
    entry.root_fd = own.get();
    sandbox.enter(entry);
}

int serve(Spawn order, UniqueFd pidfd) {
    SystemClock clock;
    switch (order.purpose) {
    case Purpose::fsck:
        return FsckService(std::move(order), clock).run();
    case Purpose::erase:
        return erase_current_directory();
    case Purpose::serve:
        break;
    }
    Loop loop;
    AccountService service(loop, clock, std::move(order), std::move(pidfd));
    return service.run();
}

} // namespace

void run_account_process(Spawn order, int mail, const sandbox::Prepared& sandbox) {
    std::signal(SIGCHLD, SIG_DFL);
    ::prctl(PR_SET_NAME, "tambo-account");
    ::umask(0077);
    const std::string address = order.address;
    try {
        UniqueFd pidfd = own_pidfd();
        enter_directory(order, mail, sandbox);
        ::_exit(serve(std::move(order), std::move(pidfd)));
    } catch (const std::exception& error) {
        log::Event("account.failed", log::Level::error)
            .with("account", address)
            .with("reason", error.what());
        ::_exit(1);
    }
}

} // namespace tambo::mailboxd
