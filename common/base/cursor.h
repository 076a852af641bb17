// A pure forward cursor over bytes: the base of every hand-written parser. It never throws, never
// copies, and cannot run past its end.
#pragma once

#include <cstddef>
#include <string_view>

namespace tambo {

// Views that a Cursor returns refer to the input; the caller keeps the input alive.
class Cursor {
  public:
    explicit Cursor(std::string_view input) : input_(input) {}

    bool empty() const { return at_ == input_.size(); }
    size_t position() const { return at_; }
    std::string_view rest() const { return input_.substr(at_); }
    // The next byte, '\0' at the end (test empty() where NUL is legal input).
    char peek() const { return empty() ? '\0' : input_[at_]; }
    char peek(size_t ahead) const {
        return ahead < input_.size() - at_ ? input_[at_ + ahead] : '\0';
    }

    // Consumes one byte and returns it; '\0' at the end.
    char take() { return empty() ? '\0' : input_[at_++]; }
    // Consumes c if it is next.
    bool accept(char c) {
        if (empty() || input_[at_] != c) return false;
        ++at_;
        return true;
    }
    // Consumes text if it is next (exact bytes).
    bool accept(std::string_view text) {
        if (!rest().starts_with(text)) return false;
        at_ += text.size();
        return true;
    }
    // Consumes the longest run of bytes for which wanted(c) holds; may be empty.
    template <class Predicate>
    std::string_view take_while(Predicate wanted) {
        const size_t start = at_;
        while (at_ < input_.size() && wanted(input_[at_])) ++at_;
        return input_.substr(start, at_ - start);
    }
    // Consumes up to count bytes.
    std::string_view take_bytes(size_t count) {
        const auto bytes = input_.substr(at_, count);
        at_ += bytes.size();
        return bytes;
    }
    void skip(size_t count) { static_cast<void>(take_bytes(count)); }
    // Back to a position() obtained earlier.
    void rewind(size_t position) { at_ = position; }

  private:
    std::string_view input_;
    size_t at_ = 0;
};

} // namespace tambo
