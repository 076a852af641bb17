// A message made fit for a server that lacks 8BITMIME or SMTPUTF8 (RFC 6152 3, RFC 6531 3.5), one
// piece after the other: never more than a piece of the result is in memory.
#pragma once

#include "common/mime/downgrade.h"
#include "common/mime/structure.h"
#include "relayd/content.h"

#include <memory>
#include <optional>
#include <string>

namespace tambo::relayd {

class Conversion {
  public:
    // content must outlive the conversion. Throws BodyFault if the body cannot be mapped.
    Conversion(const Content& content, const mime::NextHop& next_hop);
    ~Conversion();
    Conversion(const Conversion&) = delete;
    Conversion& operator=(const Conversion&) = delete;

    // Empty if it can be done; else what cannot be converted.
    std::string_view problem() const;
    // Bytes of the whole result, as the MAIL command announces them. Converts once to count.
    uint64_t size();
    // The next piece; false: there are no more.
    bool next(std::string& piece) { return downgrade_->next(piece); }

  private:
    std::string_view mapped_; // the body
    mime::MessageView message_;
    mime::NextHop next_hop_;
    std::optional<mime::Structure> structure_;
    std::optional<mime::Downgrade> downgrade_;
};

} // namespace tambo::relayd
