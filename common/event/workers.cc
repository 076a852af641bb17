#include "common/event/workers.h"

#include "common/base/check.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <system_error>

namespace tambo {

Workers::Workers(Loop& loop, int threads)
    : done_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      watch_(loop, done_fd_.get(),
             [](void* self, unsigned) { static_cast<Workers*>(self)->finish(); }, this) {
    check(done_fd_.valid(), "no eventfd");
    watch_.arm_read(0);
    try {
        start_threads(threads);
    } catch (const std::system_error& error) {
        stop();
        throw std::system_error(error.code(), "start a worker thread");
    }
}

void Workers::start_threads(int count) {
    // Signals belong to the loop's thread; a new one starts with what its maker has blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restored {
        const sigset_t& mask;
        ~Restored() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } restored{before};
    for (int i = 0; i < count; ++i)
        threads_.emplace_back([this] { work(); });
}

void Workers::stop() {
    {
        const std::lock_guard guard(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_)
        thread.join();
}

Workers::~Workers() {
    stop();
}

size_t Workers::backlog() {
    const std::lock_guard guard(mutex_);
    return backlog_;
}

void Workers::push(Job* job) {
    {
        const std::lock_guard guard(mutex_);
        waiting_.push_back(job);
        ++backlog_;
    }
    wake_.notify_one();
}

void Workers::work() {
    for (;;) {
        Job* job = nullptr;
        {
            std::unique_lock guard(mutex_);
            wake_.wait(guard, [this] { return stop_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            job = waiting_.front();
            waiting_.pop_front();
        }
        job->run();
        bool first = false;
        {
            const std::lock_guard guard(mutex_);
            first = done_.empty();
            done_.push_back(job);
        }
        const uint64_t one = 1;
        if (first && ::write(done_fd_.get(), &one, sizeof one) < 0) {
            check(errno == EAGAIN, "eventfd write");
        }
    }
}

void Workers::finish() {
    uint64_t count = 0;
    if (::read(done_fd_.get(), &count, sizeof count) < 0) return;
    std::deque<Job*> done;
    {
        const std::lock_guard guard(mutex_);
        done.swap(done_);
        backlog_ -= done.size();
    }
    for (Job* job : done) job->handle.resume();
}

} // namespace tambo
