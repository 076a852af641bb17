// Takes events from every process and answers `tambo trace`. Talks back to nobody: the channels are
// one-way, and whose events they are is master's word.
#pragma once

#include "common/event/loop.h"
#include "common/ipc/admin.h"
#include "logd/recent.h"
#include "logd/writer.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tambo::logd {

class Server {
  public:
    Server(Loop& loop, Writer& writer, ipc::AdminServer& admin);
    ~Server();

    // The receiving end of a process's events.
    void add_source(const std::string& instance, UniqueFd socket);
    // Of the file, so that trace reaches back over a restart.
    void load_recent();
    // Takes and writes what the channels hold: before an answer, and before the process ends.
    void drain();

  private:
    struct Source;
    void on_events(Source& source);
    void wake();
    bool receive(Source& source);
    void forget(const std::string& instance);
    void settle();
    void accept(const log::Record& record);
    ipc::AdminAnswer trace(const ipc::AdminRequest& request);
    ipc::AdminAnswer status();

    Loop& loop_;
    Writer& writer_;
    Recent recent_;
    std::map<std::string, std::unique_ptr<Source>> sources_;
    uint64_t events_ = 0, dropped_ = 0, malformed_ = 0;
    std::vector<log::Record> arrived_; // not yet written
    bool settle_posted_ = false;
    bool resting_ = false;
    Timer rest_;
};

} // namespace tambo::logd
