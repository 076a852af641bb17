// The schema of queue.db and its migrations. Published: never change a step, add one.
#pragma once

#include "common/db/database.h"

#include <array>
#include <string_view>

namespace tambo::spool {

inline constexpr uint32_t kQueueApplicationId = 0x54715101; // "Tq", queue, 1

// Step 0 to 1. Times in ms since 1970. A recipient's next_attempt is NULL while its message is held
// or lost, so that the index of due recipients has no row for it.
inline constexpr std::string_view kQueueSchema1 = R"sql(
CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY,
  qid BLOB NOT NULL UNIQUE,
  source INTEGER NOT NULL, report INTEGER NOT NULL, report_key TEXT,
  sid TEXT NOT NULL, login TEXT NOT NULL, reverse_path TEXT NOT NULL,
  helo TEXT NOT NULL, client_ip TEXT NOT NULL, client_name TEXT NOT NULL, protocol TEXT NOT NULL,
  message_id TEXT NOT NULL, header_from TEXT NOT NULL, dkim_domain TEXT NOT NULL,
  body INTEGER NOT NULL, smtputf8 INTEGER NOT NULL, require_tls INTEGER NOT NULL,
  ret TEXT NOT NULL, envid TEXT NOT NULL,
  hold_until INTEGER NOT NULL, deliver_by INTEGER NOT NULL, priority INTEGER NOT NULL,
  prefix BLOB NOT NULL, length INTEGER NOT NULL, crc32c INTEGER NOT NULL,
  accepted INTEGER NOT NULL, uptime INTEGER NOT NULL,
  held INTEGER NOT NULL, lost INTEGER NOT NULL, notified INTEGER NOT NULL
);
CREATE UNIQUE INDEX entry_report ON entry(report_key) WHERE report_key IS NOT NULL;
CREATE TABLE recipient (
  seq INTEGER NOT NULL, rcpt_no INTEGER NOT NULL, action_no INTEGER NOT NULL,
  original TEXT NOT NULL, notify TEXT NOT NULL, orcpt TEXT NOT NULL,
  kind INTEGER NOT NULL, account BLOB, address TEXT NOT NULL, detail TEXT NOT NULL,
  destination TEXT NOT NULL,
  attempts INTEGER NOT NULL, next_attempt INTEGER, last_attempt INTEGER NOT NULL,
  code INTEGER NOT NULL, enhanced TEXT NOT NULL, text TEXT NOT NULL, host TEXT NOT NULL,
  from_peer INTEGER NOT NULL,
  PRIMARY KEY (seq, rcpt_no, action_no)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient(next_attempt) WHERE next_attempt IS NOT NULL;
)sql";

inline constexpr std::array<std::string_view, 1> kQueueSteps{kQueueSchema1};

inline constexpr db::Schema kQueueDatabase{kQueueApplicationId, 1, kQueueSteps};

} // namespace tambo::spool
