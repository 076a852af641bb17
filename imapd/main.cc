// imapd(8): IMAP for strangers. Speaks TLS and the commands before the login; after it the client's
// bytes go to the account process, unread. Holds no mail, no key, no password.
#include "imapd/prelogin.h"

#include "common/login/process.h"

int main() {
    tambo::login::run_process("imapd", tambo::imapd::kProtocol);
}
