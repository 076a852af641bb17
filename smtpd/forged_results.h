// Removes Authentication-Results fields that claim to be ours from a message that is arriving
// (RFC 8601 5, RULES.md M6). It is the one thing that is ever taken out of a body file;
// every other byte passes unchanged.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tambo::smtpd {

class ForgedResults {
  public:
    // hostname: our authserv-id, compared without case. The text outlives the object.
    explicit ForgedResults(std::string_view hostname) : hostname_(hostname) {}

    // The message's next bytes; what stays is appended to out, at once or with a later call.
    void feed(std::string_view in, std::string& out);
    // The message is complete.
    void finish(std::string& out);
    size_t removed() const { return removed_; }

  private:
    // What happens with the bytes of a field. name, id: held until the field's name, then its
    // authserv-id is known.
    enum class Field { none, name, id, passing, dropping };
    void start_line(char c, std::string& out);
    void take(char c, std::string& out);
    bool id_is_complete(char c);
    void judge(std::string& out);
    void release(std::string& out);

    std::string_view hostname_;
    Field field_ = Field::none;
    bool line_start_ = true;
    bool body_ = false;
    std::string held_, id_;
    int comments_ = 0; // depth
    bool quoted_ = false, escaped_ = false;
    size_t removed_ = 0;
};

} // namespace tambo::smtpd
