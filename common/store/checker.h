// The checks of fsck on an index that can be read, and their repairs. Repairs are ordinary Work, so
// that sessions of an open account see them.
#pragma once

#include "common/store/fsck.h"
#include "common/store/index.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace tambo::store {

class Checker {
  public:
    Checker(Index& index, const FsckOptions& options, FsckReport& report);

    // Throws db::DbError (corrupt: a blob of the index makes no sense) and std::system_error.
    void run();

  private:
    void check_contents_exist();
    void count_references();
    void check_counters(Row& row, const LoadedMailbox& mailbox);
    void check_references();
    void check_reference(uint32_t content, uint32_t references, int64_t shared, bool dead);
    void check_bodies();
    void check_body(uint32_t content);
    void check_files();
    void check_file(const std::string& bucket, const std::string& name);
    void file_orphan(const BodyName& name, uint64_t bytes, UtcTime date);
    Row& lost_and_found();
    void renew_facts();

    // Messages of these contents: expunged, or replaced by new ones of this size.
    void expunge_content(uint32_t content, bool drop);
    void resize_content(uint32_t content, uint64_t body_bytes);
    void add(FsckKind kind, std::string subject, bool repaired);

    Index& index_;
    const FsckOptions& options_;
    FsckReport& report_;
    std::vector<std::shared_ptr<LoadedMailbox>> mailboxes_; // held while checking
    std::unordered_map<uint32_t, uint32_t> references_;     // by content
    std::set<std::string> known_bodies_;
};

} // namespace tambo::store
