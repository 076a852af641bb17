// master(8): the supervisor. Binds the ports, opens the files, starts the daemons, and is the only
// one who reads the configuration. Never reads a byte from the network or of a message.
#include "common/crypto/freed_memory.h"
#include "common/ipc/admin.h"
#include "common/sys/log.h"
#include "master/admin.h"
#include "master/setup.h"
#include "master/suite.h"

#include <csignal>

using namespace tambo;

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    wipe_freed_crypto_memory(); // it looks whether keys fit, and is not the one who has them
    const master::Options options = master::options_or_exit({argv + 1, argv + argc});
    master::hold_signals();
    master::Setup setup = master::set_up_or_exit(options);

    Loop loop;
    Nursery nursery(loop);
    master::LogPipes log_pipes;
    log::set_sink(log_pipes.sender("master"), "master");
    log::set_stderr(options.foreground);
    master::Surroundings around = setup.surroundings(log_pipes);
    master::Notifier notifier = master::Notifier::from_environment();
    master::Suite suite(nursery, setup.request, around, *setup.epoch, notifier,
                        UniqueFd(options.ready_fd));
    ipc::AdminServer admin_server(nursery, setup.listeners.take_own_control());
    master::Admin admin(admin_server, suite);

    setup.enter_sandbox();
    suite.start();
    loop.run();
    nursery.finish();
    if (suite.ends_for_successor()) return setup.become_successor();
    return suite.exit_code();
}
