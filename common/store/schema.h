// The tables of index.db. A change is a new step at the end of kSteps, never an edit of an old one.
#pragma once

#include "common/db/database.h"

#include <array>
#include <string_view>

namespace tambo::store {

// Ids of blocks, states, auxs and deltas are (mailbox << 32 | n): n is the uid that the block began
// with, or the delta's turn. codec.h has the blobs. Times are milliseconds since 1970 unless _s.
inline constexpr std::string_view kFirstSchema = R"sql(
CREATE TABLE account(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  account_id BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  uidvalidity_next INTEGER NOT NULL,  -- only ever grows
  modseq_floor INTEGER NOT NULL,      -- at least the highest modseq of mailboxes that are gone
  modseq_reserved INTEGER NOT NULL,   -- no modseq above has ever been shown
  content_next INTEGER NOT NULL,      -- above every content that was purged
  pruned INTEGER NOT NULL);           -- when delivered was last looked through

CREATE TABLE mailbox(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  mailbox_id BLOB,                    -- RFC 8474; NULL: \Noselect
  special_use INTEGER NOT NULL,
  uidvalidity INTEGER NOT NULL,
  uidnext INTEGER NOT NULL,
  uid_reserved INTEGER NOT NULL,      -- no uid from here on has ever been shown
  messages INTEGER NOT NULL,
  unseen INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  recent INTEGER NOT NULL,
  recent_uid INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  highestmodseq INTEGER NOT NULL,
  tombstone_floor INTEGER NOT NULL);

CREATE TABLE subscription(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE keyword(
  mailbox INTEGER NOT NULL, bit INTEGER NOT NULL, name TEXT NOT NULL,
  PRIMARY KEY(mailbox, bit)) WITHOUT ROWID;

CREATE TABLE block(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE state(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE aux(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE delta(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE tombstone(
  mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(mailbox, modseq)) WITHOUT ROWID;

CREATE TABLE content(
  id INTEGER PRIMARY KEY,
  email_id BLOB NOT NULL,             -- RFC 8474 EMAILID
  thread_id BLOB,                     -- RFC 8474 THREADID; not computed yet
  facts_version INTEGER NOT NULL,     -- 0: not computed
  sent_s INTEGER,
  envelope TEXT, bodystructure TEXT,
  body TEXT NOT NULL,                 -- file name
  body_bytes INTEGER NOT NULL,
  prefix TEXT NOT NULL);
CREATE TABLE content_text(
  id INTEGER PRIMARY KEY,
  sender TEXT, recipient TEXT, cc TEXT, bcc TEXT, subject TEXT, header TEXT);
CREATE TABLE shared(                  -- contents with more than one entry
  content INTEGER PRIMARY KEY, extra INTEGER NOT NULL);
CREATE TABLE dead(                    -- contents without an entry, to be purged with their body
  content INTEGER PRIMARY KEY, since INTEGER NOT NULL);
CREATE TABLE delivered(
  key BLOB PRIMARY KEY,               -- queue id, rcpt, action
  content INTEGER NOT NULL, filed INTEGER NOT NULL) WITHOUT ROWID;
)sql";

inline constexpr std::array<std::string_view, 1> kSteps{kFirstSchema};
inline constexpr db::Schema kSchema{0x54414D53, 1, kSteps}; // "TAMS"

} // namespace tambo::store
