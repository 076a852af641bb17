// Blocking work on a small thread pool, awaited from the loop: queued's syncer and authd's password
// hashing, nothing else.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/nursery.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

namespace tambo {

// Make it behind the sandbox, which is entered with one thread: the threads start here and not with
// the first jobs, because where the user may have no more tasks a daemon should not become ready.
// A job cannot be cancelled: its await returns only when the job has run, because the job refers to
// the awaiting frame. Destroy the pool after the nursery has emptied.
class Workers {
  public:
    // Throws std::system_error if a thread cannot start.
    Workers(Loop& loop, int threads);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    struct Job {
        std::coroutine_handle<> handle;
        virtual ~Job() = default;
        virtual void run() noexcept = 0; // on a worker thread
    };

    template <class F>
    struct Op final : Job {
        using R = std::invoke_result_t<F>;
        Workers& workers;
        F work;
        std::optional<R> result;
        std::exception_ptr error;

        Op(Workers& w, F f) : workers(w), work(std::move(f)) {}
        void run() noexcept override {
            try {
                result.emplace(work());
            } catch (...) { // carried to the awaiting coroutine, not swallowed
                error = std::current_exception();
            }
        }
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            this->handle = waiting;
            workers.push(this);
        }
        R await_resume() {
            if (error) std::rethrow_exception(error);
            return std::move(*result);
        }
    };

    // co_await workers.run(work): work() on a thread; returns its (non-void) result or throws what
    // it threw. work captures by reference only what outlives the await.
    template <class F>
    Op<F> run(F work) {
        return Op<F>(*this, std::move(work));
    }
    // Jobs that wait or run.
    size_t backlog();

  private:
    void push(Job* job);
    void start_threads(int count);
    void stop();
    void work();
    void finish();

    UniqueFd done_fd_; // eventfd
    FdWatch watch_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job*> waiting_, done_;
    size_t backlog_ = 0;
    bool stop_ = false;
    std::vector<std::thread> threads_;
};

} // namespace tambo
