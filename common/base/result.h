// Result<T, E>: a value or the reason why there is none, for pure code. The part of C++23's
// std::expected that GCC 12 and clang 14 both lack at C++20.
#pragma once

#include "common/base/check.h"

#include <string>
#include <utility>
#include <variant>

namespace tambo {

template <class E>
struct Err {
    E error;
};

template <class E>
Err(E) -> Err<E>;
Err(const char*) -> Err<std::string>;

// Holds exactly one of T and E. Reading the wrong one is a bug (check).
template <class T, class E = std::string>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {} // NOLINT
    template <class F>
    Result(Err<F> e) : state_(std::in_place_index<1>, std::move(e.error)) {} // NOLINT

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & {
        check(ok(), "value of a failed Result");
        return std::get<0>(state_);
    }
    const T& value() const& {
        check(ok(), "value of a failed Result");
        return std::get<0>(state_);
    }
    T&& value() && {
        check(ok(), "value of a failed Result");
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const E& error() const {
        check(!ok(), "error of a good Result");
        return std::get<1>(state_);
    }

  private:
    std::variant<T, E> state_;
};

} // namespace tambo
