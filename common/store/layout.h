// The directory of an account: who makes it, what is in it.
//
//   index.db, index.db-wal      everything but bodies (SQLite)
//   snapshot.db, snapshot.old.db  yesterday's index, for fsck
//   bodies/00 .. bodies/3f      immutable body files (body_name.h)
#pragma once

#include <string>
#include <string_view>

namespace tambo::store {

inline constexpr std::string_view kIndexFile = "index.db";
inline constexpr std::string_view kSnapshotFile = "snapshot.db";
inline constexpr std::string_view kOldSnapshotFile = "snapshot.old.db";
inline constexpr std::string_view kBodiesDir = "bodies";

// Makes dir (2710), bodies and its buckets (2770); the parent exists and is setgid, so that
// deliverd can link bodies in. Harmless if all is there; completes a half-made directory. Durable.
// Called by the keeper, outside the account's sandbox. Throws std::system_error.
void make_account_dir(const std::string& dir);
// To another name beside it; false if there is no dir. Durable either way. Throws
// std::system_error.
bool rename_account_dir(const std::string& dir, const std::string& to);

} // namespace tambo::store
