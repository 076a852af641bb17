// task<T>: a lazy, move-only coroutine result, single-threaded by design (no atomics).
//
// co_await of a task runs the child on the caller's stack and does not suspend if the child
// finished: textbook symmetric transfer overflows the stack without optimisation when a client
// pipelines commands that complete synchronously.
//
// House rule (GCC 12 miscompiles other shapes; tests/tidy checks it): co_await stands alone and its
// operand holds only names, literals, std::move(name) and calls. A task is lazy: references and
// views passed to it must outlive the await.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace tambo {

template <class T>
class task;

namespace detail {

// Frames come from size-class free lists (task.cc).
struct FrameAllocator {
    static void* operator new(size_t bytes);
    static void operator delete(void* frame, size_t bytes);
};

struct PromiseBase : FrameAllocator {
    std::coroutine_handle<> continuation;
    std::exception_ptr error;

    struct FinalAwaiter {
        bool await_ready() noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> handle) noexcept {
            // The frame of handle may be gone once its continuation has run.
            if (auto next = handle.promise().continuation) next.resume();
        }
        void await_resume() noexcept {}
    };
    std::suspend_always initial_suspend() noexcept { return {}; }
    FinalAwaiter final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;

    task<T> get_return_object() noexcept;
    template <class U>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (error) std::rethrow_exception(error);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void take() {
        if (error) std::rethrow_exception(error);
    }
};

} // namespace detail

// Owns the coroutine frame. Await it once, as an rvalue; an un-awaited task never runs.
template <class T = void>
class [[nodiscard]] task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    task() = default;
    explicit task(Handle handle) : handle_(handle) {}
    task(task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            if (handle_) handle_.destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    ~task() {
        if (handle_) handle_.destroy();
    }

    struct Awaiter {
        Handle handle;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> parent) {
            handle.resume();
            if (handle.done()) return false;
            handle.promise().continuation = parent;
            return true;
        }
        T await_resume() { return handle.promise().take(); }
    };
    Awaiter operator co_await() && noexcept { return Awaiter{handle_}; }

  private:
    Handle handle_;
};

template <class T>
task<T> detail::Promise<T>::get_return_object() noexcept {
    return task<T>{std::coroutine_handle<Promise>::from_promise(*this)};
}

inline task<void> detail::Promise<void>::get_return_object() noexcept {
    return task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}

} // namespace tambo
