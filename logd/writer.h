// Where events go: the journal or a file that is rotated by size. A full disk loses events, never
// blocks or ends the process; what was lost is counted.
#pragma once

#include "common/base/unique_fd.h"
#include "common/conf/logd_config.h"
#include "common/sys/log.h"

#include <cstdint>
#include <functional>
#include <string>

namespace tambo::logd {

// A connected datagram socket to the journal; invalid if there is none. Before the sandbox.
UniqueFd connect_journal();

class Writer {
  public:
    // directory: of the file; kept by the caller. journal: connected, or invalid.
    Writer(const conf::LogdConfig& config, int directory, UniqueFd journal);

    // There is a journal, or the file could be opened.
    bool can_write() const { return journal_.valid() || file_.valid(); }
    void write(const log::Record& record);
    // Hands the lines written so far to the kernel.
    void flush();
    uint64_t lost() const { return lost_; }
    // Calls use for each line of the current file's last bytes_max bytes.
    void read_back(size_t bytes_max, const std::function<void(std::string_view line)>& use) const;
    void configure(const conf::LogdConfig& config) { config_ = config; }

  private:
    void open();
    void rotate();

    conf::LogdConfig config_;
    int directory_;
    UniqueFd journal_, file_;
    int64_t size_ = 0;
    bool is_torn_ = false; // the file ends in a part of a line
    std::string pending_;
    uint64_t lost_ = 0;
};

} // namespace tambo::logd
