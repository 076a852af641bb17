// pop3d(8): POP3 for strangers. Speaks TLS and the commands before the login; after it the client's
// bytes go to the account process, unread. Holds no mail, no key, no password.
#include "pop3d/prelogin.h"

#include "common/login/process.h"

int main() {
    tambo::login::run_process("pop3d", tambo::pop3d::kProtocol);
}
