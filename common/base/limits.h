// The fixed limits on what comes from outside, in one table. What an administrator may change is a
// configuration key (conf/schema.cc); what is here is part of the design. Most have their reason
// in RULES.md (F, D, N, L). Units are in the names.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tambo::limits {

// ---- SMTP server (RFC 5321 4.5.3.1)
inline constexpr size_t smtp_line_bytes = 2048;        // command line, CRLF included
inline constexpr size_t smtp_auth_line_bytes = 16384;  // RFC 4954 4 wants 12288
// RFC 5321 4.5.3.1.1 says 64 and asks for no limit where possible; VERP and SRS need more.
inline constexpr size_t smtp_local_part_bytes = 256;
inline constexpr size_t smtp_domain_bytes = 255;       // RFC 5321 4.5.3.1.2
inline constexpr size_t smtp_path_bytes = 1000;        // with SMTPUTF8 and source routes
inline constexpr int smtp_errors_soft = 10;            // then one second of delay for each reply
inline constexpr int smtp_errors_hard = 20;            // then 421
inline constexpr int smtp_junk_commands = 100;         // NOOP, RSET, VRFY, ... per message
inline constexpr int smtp_auth_failures = 3;
inline constexpr size_t sasl_name_bytes = 255;         // RFC 4616 2
inline constexpr size_t sasl_password_bytes = 1024;
inline constexpr int64_t smtp_command_timeout_ms = 300'000;
inline constexpr int64_t smtp_session_max_ms = 1'800'000;
inline constexpr size_t smtp_data_rate_min_bytes_per_s = 500;
inline constexpr int64_t smtp_data_rate_grace_ms = 30'000;
inline constexpr int hops_max = 50;                    // Received fields
inline constexpr size_t header_bytes_max = 1u << 20;   // whole header section
inline constexpr size_t header_lines_max = 10'000;
inline constexpr size_t header_field_bytes_max = 100 * 1024; // of one field, for indexing
inline constexpr size_t header_kept_bytes = 16 * 1024; // of the fields an SMTP session looks at

// ---- MIME
inline constexpr size_t mime_depth_max = 100;
inline constexpr size_t mime_parts_max = 10'000;
inline constexpr size_t mime_boundary_bytes = 2048;
inline constexpr size_t mime_addresses_max = 10'000;
inline constexpr size_t mime_parameters_max = 256;
// Of a BODYSTRUCTURE; the parts behind it are shown as opaque ones.
inline constexpr size_t mime_structure_bytes = 4u << 20;

// ---- IMAP
inline constexpr size_t imap_line_prelogin_bytes = 8192;
inline constexpr size_t imap_literal_prelogin_bytes = 4096;
inline constexpr size_t imap_command_bytes = 1u << 20; // without APPEND's literal
inline constexpr size_t imap_line_bytes = 64 * 1024;
inline constexpr int imap_literals_max = 1000;
inline constexpr int imap_nesting_prelogin = 32;
inline constexpr int imap_nesting = 100;

// of one IMAP command
inline constexpr size_t imap_search_keys_max = 4096;
inline constexpr size_t imap_search_fact_keys_max = 512; // that look at addresses, subjects, ...
inline constexpr size_t imap_search_text_keys_max = 64;  // that read whole messages
inline constexpr size_t imap_keywords_max = 64; // in a flag list
inline constexpr size_t imap_fetch_items_max = 256;
inline constexpr size_t imap_fetch_fields_max = 1000; // in HEADER.FIELDS
inline constexpr size_t imap_list_patterns_max = 64;
inline constexpr size_t imap_list_pattern_bytes = 4096; // of all patterns, each with the reference
inline constexpr size_t imap_id_pairs_max = 30; // RFC 2971 3.3

inline constexpr int64_t imap_prelogin_timeout_ms = 60'000;
inline constexpr int64_t imap_idle_timeout_ms = 1'800'000; // RFC 9051 5.4: at least 30 minutes
inline constexpr size_t output_pending_bytes = 64 * 1024;  // then reading stops

// ---- POP3 (RFC 1939 3: autologout at least 10 minutes)
inline constexpr size_t pop3_line_bytes = 255;
inline constexpr int64_t pop3_idle_timeout_ms = 600'000;

// ---- sessions before login
inline constexpr int bad_commands_prelogin = 3;
inline constexpr int commands_prelogin = 100; // logins need a handful
// Then nothing more is read.
inline constexpr size_t output_prelogin_bytes = 4096;
inline constexpr int bad_commands = 20;

// ---- relay client (RULES.md L2)
inline constexpr int64_t relay_connect_timeout_ms = 30'000;
inline constexpr int64_t relay_command_timeout_ms = 300'000;
inline constexpr int64_t relay_tls_timeout_ms = 60'000;
inline constexpr int64_t relay_data_timeout_ms = 120'000;
inline constexpr int64_t relay_block_timeout_ms = 180'000;
inline constexpr int64_t relay_final_timeout_ms = 600'000;
inline constexpr int64_t relay_session_max_ms = 7'200'000; // however slow the other side is
inline constexpr size_t relay_reply_line_bytes = 512;
inline constexpr size_t relay_reply_lines = 100;
inline constexpr size_t relay_recipients_per_transaction = 50;
inline constexpr size_t relay_addresses_per_try = 5;
inline constexpr size_t relay_sessions_per_try = 2; // of them, those that got as far as EHLO
inline constexpr int64_t relay_idle_ms = 2'000;     // a connection is kept for the next message
inline constexpr int64_t relay_reuse_ms = 300'000;  // after its opening
inline constexpr int relay_reuse_messages = 100;
inline constexpr size_t relay_concurrency_per_destination = 20;

// ---- DNS (RULES.md N2, N3)
inline constexpr size_t dns_mx_max = 20;
inline constexpr size_t dns_addresses_max = 40;
inline constexpr int64_t dns_query_timeout_ms = 5'000;
inline constexpr int64_t dns_delivery_timeout_ms = 20'000;

// ---- queue
inline constexpr size_t alias_expansion_max = 1000;
inline constexpr size_t alias_expansion_bytes = 60 * 1024; // of its targets, in one datagram
inline constexpr int alias_depth_max = 100;
inline constexpr int64_t batch_wait_ms = 2;
inline constexpr size_t batch_messages_max = 64;
inline constexpr uint64_t disk_reserve_bytes = 256ull << 20;
inline constexpr uint64_t disk_reserve_inodes = 5000;
inline constexpr size_t bounce_full_message_bytes = 50 * 1024; // larger: headers only

// ---- store
inline constexpr size_t mailboxes_max = 10'000;          // per account, \Noselect ones included
inline constexpr size_t mailbox_name_bytes = 1000;       // UTF-8, the whole path
inline constexpr size_t mailbox_level_bytes = 255;
inline constexpr size_t mailbox_levels = 32;

// ---- between processes
inline constexpr size_t ipc_message_bytes = 64 * 1024;
inline constexpr size_t ipc_fds_max = 8;

} // namespace tambo::limits
