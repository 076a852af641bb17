// Cuts the whole configuration into what each daemon gets to know.
#pragma once

#include "common/conf/authd_config.h"
#include "common/conf/config.h"
#include "common/conf/dnsd_config.h"
#include "common/conf/logd_config.h"
#include "common/conf/login_config.h"
#include "common/conf/mailboxd_config.h"
#include "common/conf/queued_config.h"
#include "common/conf/relayd_config.h"
#include "common/conf/small_configs.h"
#include "common/conf/smtpd_config.h"

#include <string>

namespace tambo::conf {

// All of them take a configuration that load() found free of errors.
SmtpdConfig make_smtpd_config(const Config& config);
QueuedConfig make_queued_config(const Config& config);
// password: the first line of relay.smarthost_password_file, read by the caller.
RelaydConfig make_relayd_config(const Config& config, const std::string& password);
LoginConfig make_imapd_config(const Config& config);
LoginConfig make_pop3d_config(const Config& config);
MailboxdConfig make_mailboxd_config(const Config& config);
AuthdConfig make_authd_config(const Config& config);
DnsdConfig make_dnsd_config(const Config& config);
DeliverdConfig make_deliverd_config(const Config& config);
KeydConfig make_keyd_config(const Config& config);
// journal: whether the journal's socket exists, which decides log.target = "auto".
LogdConfig make_logd_config(const Config& config, bool journal);

} // namespace tambo::conf
